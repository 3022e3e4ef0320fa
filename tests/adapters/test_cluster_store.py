"""state/clusters.json: what is kept comes back, and what is damaged is set aside."""

import json

import pytest

from livebot.adapters.state_files.cluster_store import FILE_NAME, FileClusterStore
from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.core.clusters import Clusters
from livebot.errors import BadInput, Fatal

CLUSTERS = Clusters(
    at_ms=7,
    rule="720 of 1h, at least 200, 0.6",
    names=(("A/USDT", "A/USDT"), ("B/USDT", "A/USDT")),
    unmeasured=(("A/USDT", "its price did not move"),),
)


async def test_what_is_kept_comes_back(tmp_path) -> None:
    files = DurableFiles()
    store = FileClusterStore(tmp_path, "demo", files)
    assert await store.load() is None
    await store.save(CLUSTERS)
    assert await store.load() == CLUSTERS
    assert CLUSTERS.symbols == {"A/USDT", "B/USDT"}
    await files.close()


@pytest.mark.parametrize("spoil", [lambda text: text[:-9], lambda text: text.replace("at_ms", "at"), lambda _: ""])
async def test_a_damaged_file_is_set_aside(tmp_path, spoil) -> None:
    files = DurableFiles()
    store, path = FileClusterStore(tmp_path, "demo", files), tmp_path / FILE_NAME
    await store.save(CLUSTERS)
    path.write_text(spoil(path.read_text()))
    with pytest.raises(BadInput, match=r"set aside as clusters\.json\.damaged-1, and clusters are worked out as if"):
        await store.load()
    assert not path.exists()
    assert await store.load() is None
    await files.close()


async def test_a_file_of_another_system_is_refused_and_stays(tmp_path) -> None:
    files = DurableFiles()
    await FileClusterStore(tmp_path, "demo", files).save(CLUSTERS)
    with pytest.raises(Fatal, match="it is of system demo, and this is other"):
        await FileClusterStore(tmp_path, "other", files).load()
    assert json.loads((tmp_path / FILE_NAME).read_text())["system"] == "demo"
    await files.close()
