"""One file per (strategy, symbol): found again, checked, and damaged alone."""

import asyncio
import errno
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.file_workers import InlineWorkers
from livebot.adapters.state_files.sealed_json import seal
from livebot.adapters.state_files.signal_store import STATES, FileSignalStore
from livebot.errors import BadInput, Fatal, Rejected
from livebot.ports import LoadedStates, SignalStore
from tests.adapters.layers import FailingFiles, RecordingFiles
from tests.adapters.states import STRATEGY, SYMBOL, SYSTEM, idle, open_state

SYMBOLS = [f"S{number}/USDT:USDT" for number in range(5)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the files stand."""
    return tmp_path / "signals"


def store_on(folder: Path, layer: RecordingFiles | None = None, system: str = SYSTEM) -> FileSignalStore:
    """A store without threads."""
    return FileSignalStore(folder, system, DurableFiles(layer or RecordingFiles(), InlineWorkers()))


def file_of(folder: Path, symbol: str = SYMBOL) -> Path:
    """The file of a symbol."""
    name = symbol.replace("/", "-").replace(":", "_")
    return folder / STRATEGY / f"{name}.json"


async def test_what_was_saved_is_loaded(folder):
    """By name, and all together."""
    store: SignalStore = store_on(folder)
    states = [open_state(symbol) for symbol in SYMBOLS]
    other = idle("BTC/USDT", strategy="breakout")
    await asyncio.gather(*(store.save(state) for state in [*states, other]))
    assert LoadedStates((other, *states), ()) == await store.load()
    assert states[2] == await store.load_one(STRATEGY, SYMBOLS[2])
    assert file_of(folder, SYMBOLS[2]).is_file()


async def test_nothing_saved_is_nothing_loaded(folder):
    """Not even the folder has to be there."""
    store = store_on(folder)
    assert LoadedStates((), ()) == await store.load()
    assert await store.load_one(STRATEGY, SYMBOL) is None


async def test_the_newest_state_is_loaded(folder):
    """A save replaces the file whole."""
    store = store_on(folder)
    await store.save(open_state())
    await store.save(idle(sequence=42))
    assert idle(sequence=42) == await store.load_one(STRATEGY, SYMBOL)


async def test_a_state_of_another_system_is_not_saved(folder):
    """Two systems never share a folder."""
    with pytest.raises(Fatal, match="a state of system spot does not belong into"):
        await store_on(folder).save(idle(system="spot"))


@pytest.mark.parametrize(("strategy", "symbol"), [("../x", SYMBOL), (STRATEGY, "../x"), (STRATEGY, "BTC-USDT")])
async def test_names_that_clash_or_escape_are_refused(folder, strategy, symbol):
    """Saving and reading alike."""
    with pytest.raises(BadInput):
        await store_on(folder).save(idle(symbol, strategy=strategy))
    with pytest.raises(BadInput):
        await store_on(folder).load_one(strategy, symbol)


def damage_by_cutting(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def damage_by_emptying(path: Path) -> None:
    path.write_bytes(b"")


def damage_by_editing(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"sequence": 41', b'"sequence": 40'))


def damage_by_copying(path: Path) -> None:
    shutil.copyfile(file_of(path.parents[1], SYMBOLS[0]), path)


def damage_by_wrong_content(path: Path) -> None:
    path.write_bytes(seal({"system": SYSTEM, "a": 1}))


def damage_by_no_system(path: Path) -> None:
    path.write_bytes(seal({"system": None}))


def damage_by_foreign_file(path: Path) -> None:
    path.write_bytes(seal(STATES.to_tree(open_state(SYMBOLS[2], system="spot"))))


def damage_by_symbol_without_name(path: Path) -> None:
    path.write_bytes(seal(STATES.to_tree(open_state("BTC-USDT"))))


def damage_by_a_folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (damage_by_cutting, "cut, torn or edited"),
        (damage_by_emptying, "empty"),
        (damage_by_editing, "cut, torn or edited"),
        (damage_by_copying, f"it is of {STRATEGY} {SYMBOLS[0]}, which is not its place"),
        (damage_by_wrong_content, "not a SymbolState: keys unknown a; missing decided_ms, number"),
        (damage_by_no_system, "not a SymbolState"),
        (damage_by_foreign_file, f"it is of system spot, not {SYSTEM}"),
        (damage_by_symbol_without_name, f"it is of {STRATEGY} BTC-USDT, which is not its place"),
    ],
)
async def test_a_damaged_file_is_set_aside_and_the_others_load(folder, damage, cause):
    """Kept for the operator, reported with its cause, and its symbol alone is affected."""
    store = store_on(folder)
    for symbol in SYMBOLS:
        await store.save(open_state(symbol))
    path = file_of(folder, SYMBOLS[2])
    damage(path)
    content = path.read_bytes()
    loaded = await store.load()
    assert [open_state(symbol) for symbol in SYMBOLS if symbol != SYMBOLS[2]] == list(loaded.states)
    (damaged,) = loaded.damaged
    assert (str(path), f"{path}.damaged-1") == (damaged.path, damaged.moved_to)
    assert (STRATEGY, SYMBOLS[2]) == (damaged.strategy, damaged.symbol)
    assert cause in damaged.cause
    assert not path.exists()
    assert content == Path(damaged.moved_to).read_bytes()


async def test_a_damaged_symbol_is_reported_until_it_is_resolved(folder):
    """At the next start there is no file, and that must not look like a symbol without a position."""
    store = store_on(folder)
    await store.save(open_state())
    damage_by_cutting(file_of(folder))
    await store.load()
    for again in (store, store_on(folder)):
        (damaged,) = (await again.load()).damaged
        assert (STRATEGY, SYMBOL, f"{file_of(folder)}.damaged-1") == (
            damaged.strategy,
            damaged.symbol,
            damaged.moved_to,
        )
        assert "set aside earlier" in damaged.cause
        with pytest.raises(Rejected, match="damaged-1"):
            await again.load_one(STRATEGY, SYMBOL)
    await store.save(idle())  # what the reconciliation with the venue found
    assert LoadedStates((idle(),), ()) == await store.load()
    assert idle() == await store.load_one(STRATEGY, SYMBOL)


async def test_removing_what_was_set_aside_resolves_it_too(folder):
    """The operator's way."""
    store = store_on(folder)
    await store.save(open_state())
    damage_by_cutting(file_of(folder))
    await store.load()
    Path(f"{file_of(folder)}.damaged-1").unlink()
    assert LoadedStates((), ()) == await store.load()
    assert await store.load_one(STRATEGY, SYMBOL) is None


async def test_one_symbols_damage_is_not_anothers(folder):
    """Also when one is asked for alone."""
    store = store_on(folder)
    await store.save(open_state(SYMBOLS[0]))
    damage_by_cutting(file_of(folder, SYMBOLS[0]))
    with pytest.raises(Rejected, match=r"S0-USDT_USDT\.json is damaged \(the checksum does not fit"):
        await store.load_one(STRATEGY, SYMBOLS[0])
    assert await store.load_one(STRATEGY, SYMBOLS[1]) is None


async def test_a_file_whose_name_is_no_symbols_is_damaged(folder):
    """Somebody copied it there; which symbol it is of cannot be told from the name."""
    store = store_on(folder)
    await store.save(open_state())
    shutil.copyfile(file_of(folder), folder / STRATEGY / "copy of it.json")
    (damaged,) = (await store.load()).damaged
    assert (STRATEGY, None) == (damaged.strategy, damaged.symbol)


async def test_a_folder_of_another_system_is_refused_whole(folder):
    """A wrong --root must not quarantine every symbol of the right one."""
    theirs = store_on(folder, system="spot")
    for symbol in SYMBOLS:
        await theirs.save(idle(symbol, system="spot"))
    (folder / STRATEGY / "left.json.scratch").write_bytes(b"")
    before = sorted(path.name for path in folder.rglob("*"))
    with pytest.raises(Fatal, match=f"belongs to system spot, and this is {SYSTEM}"):
        await store_on(folder).load()
    assert before == sorted(path.name for path in folder.rglob("*"))


async def test_files_of_another_version_stop_the_start_and_nothing_is_moved(folder):
    """They are whole: the version that wrote them reads them, after a rollback for example."""
    store = store_on(folder)
    for symbol in SYMBOLS:
        await store.save(open_state(symbol))
    path = file_of(folder, SYMBOLS[3])
    path.write_bytes(seal({"schema": 99}))
    for reading in (store.load(), store.load_one(STRATEGY, SYMBOLS[3])):
        with pytest.raises(Fatal, match=r"S3-USDT_USDT\.json: written with schema 99"):
            await reading
    assert 5 == len(list((folder / STRATEGY).iterdir()))


async def test_scratch_files_and_other_things_are_no_states(folder):
    """Scratch files of an earlier life are removed, the README and the operator's notes stay."""
    store = store_on(folder)
    await store.save(open_state())
    for name in ("README.md", "notes.json", f"{STRATEGY}/x.json.scratch", f"{STRATEGY}/notes.txt"):
        (folder / name).write_bytes(b"{")
    assert LoadedStates((open_state(),), ()) == await store.load()
    assert ["BTC-USDT_USDT.json", "notes.txt"] == sorted(path.name for path in (folder / STRATEGY).iterdir())


async def test_a_file_that_cannot_be_read_is_damaged_alone(folder):
    """A bad block is one symbol's misfortune."""
    layer = FailingFiles("read", errno.EIO, "S1-")
    store = store_on(folder, layer)
    for symbol in SYMBOLS:
        await store.save(open_state(symbol))
    loaded = await store.load()
    assert 4 == len(loaded.states)
    assert "it cannot be read: Input/output error" == loaded.damaged[0].cause


async def test_a_folder_that_cannot_be_read_is_fatal(folder):
    """Empty would mean that nothing is open."""
    with pytest.raises(Fatal, match=r"cannot read .*signals: Permission denied"):
        await store_on(folder, FailingFiles("folders", errno.EACCES)).load()


async def test_a_damaged_file_that_cannot_be_set_aside_is_fatal(folder):
    """The disk is read-only: nothing could be saved either."""
    layer = FailingFiles("rename", errno.EROFS, "never")
    store = store_on(folder, layer)
    await store.save(open_state())
    damage_by_cutting(file_of(folder))
    layer.within = ""
    with pytest.raises(Fatal, match="cannot set aside"):
        await store.load()


async def test_what_is_read_is_there_to_stay(folder):
    """A daemon that was killed before the folder's fsync left names that a power cut could take back."""
    await store_on(folder).save(open_state())
    layer = RecordingFiles()
    store = store_on(folder, layer)
    await store.load()
    assert [STRATEGY] == layer.names("fsync_folder")
    await store.load_one(STRATEGY, SYMBOL)
    assert [STRATEGY, STRATEGY] == layer.names("fsync_folder")


async def test_what_cannot_be_made_to_stay_is_not_acted_upon(folder):
    await store_on(folder).save(open_state())
    store = store_on(folder, FailingFiles("fsync_folder", errno.EIO))
    with pytest.raises(Fatal, match="cannot make durable"):
        await store.load()
    with pytest.raises(Fatal, match="cannot make durable"):
        await store.load_one(STRATEGY, SYMBOL)


async def test_a_failed_save_leaves_the_state_before_it(folder):
    """And the next one, once the cause is gone, is written."""
    layer = FailingFiles("fsync", errno.ENOSPC, "never")
    store = store_on(folder, layer)
    await store.save(open_state())
    layer.within = ""
    with pytest.raises(Fatal, match="free some disk space"):
        await store.save(idle())
    assert open_state() == await store.load_one(STRATEGY, SYMBOL)
    layer.within = "never"
    await store.save(idle())
    assert idle() == await store.load_one(STRATEGY, SYMBOL)


async def test_a_worker_cancelled_while_saving_reads_what_it_was_saving(folder):
    """The write goes on without it; reading the file before that would forget an order intent."""
    layer = RecordingFiles()
    files = DurableFiles(layer)
    store = FileSignalStore(folder, SYSTEM, files)
    await store.save(open_state(sequence=1))
    layer.hold.clear()
    saving = asyncio.create_task(store.save(open_state(sequence=2)))
    await asyncio.sleep(0.01)
    saving.cancel()
    reading = asyncio.create_task(store.load_one(STRATEGY, SYMBOL))
    await asyncio.sleep(0.01)
    assert not reading.done()
    layer.hold.set()
    assert open_state(sequence=2) == await reading
    await files.close()


async def test_what_cannot_be_written_is_refused_before_the_disk_is_touched(folder):
    """The file keeps the last good state."""
    store = store_on(folder)
    await store.save(idle())
    with pytest.raises(Fatal, match="sequence: a whole number is needed"):
        await store.save(replace(idle(), sequence=None))  # type: ignore[arg-type]
    assert idle() == await store.load_one(STRATEGY, SYMBOL)


async def test_a_folder_where_a_file_should_be(folder):
    """Not a file of ours: it is not read, and the next save says what is wrong."""
    store = store_on(folder)
    await store.save(idle())
    damage_by_a_folder_in_its_place(file_of(folder))
    assert LoadedStates((), ()) == await store.load()
    with pytest.raises(Fatal, match="EISDIR"):
        await store.save(idle())
