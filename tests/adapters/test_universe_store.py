"""state/universe.json: what is kept comes back, and what is damaged is set aside."""

import json

import pytest

from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.universe_store import FILE_NAME, FileUniverseStore, read_universe
from livebot.core.universe import Membership
from livebot.core.universe_memory import UniverseMemory
from livebot.errors import BadInput, Fatal

MEMORY = UniverseMemory(
    asked_ms=7, members=(("B/USDT", 5), ("A/USDT", 6)), left=(("C/USDT", 7),), departing=(("B/USDT", 1),)
)


async def test_what_is_kept_comes_back(tmp_path) -> None:
    files = DurableFiles()
    store = FileUniverseStore(tmp_path, "demo", files)
    assert await store.load() is None
    await store.save(MEMORY)
    assert await store.load() == MEMORY == read_universe(tmp_path / FILE_NAME, "demo")
    assert MEMORY.symbols == ("B/USDT", "A/USDT")
    assert MEMORY.membership == Membership({"A/USDT": 6, "B/USDT": 5}, {"C/USDT": 7})
    await files.close()


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-9], lambda text: text.replace("asked_ms", "asked"), lambda _: ""]
)
async def test_a_damaged_file_is_set_aside_and_a_look_by_hand_leaves_it(tmp_path, spoil) -> None:
    files = DurableFiles()
    store, path = FileUniverseStore(tmp_path, "demo", files), tmp_path / FILE_NAME
    await store.save(MEMORY)
    path.write_text(spoil(path.read_text()))
    with pytest.raises(BadInput, match=r"universe\.json is damaged"):
        read_universe(path, "demo")
    assert path.exists()
    with pytest.raises(BadInput, match=r"set aside as universe\.json\.damaged-1, and the universe is chosen as if"):
        await store.load()
    assert not path.exists()
    assert await store.load() is None
    await files.close()


async def test_a_file_of_another_system_is_refused_and_stays(tmp_path) -> None:
    files = DurableFiles()
    await FileUniverseStore(tmp_path, "demo", files).save(MEMORY)
    with pytest.raises(Fatal, match="it is of system demo, and this is other"):
        await FileUniverseStore(tmp_path, "other", files).load()
    assert json.loads((tmp_path / FILE_NAME).read_text())["system"] == "demo"
    await files.close()


def test_a_file_that_cannot_be_read_is_told(tmp_path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(Fatal, match=r"universe\.json"):
        read_universe(tmp_path / FILE_NAME, "demo")
