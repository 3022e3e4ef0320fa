"""Group commit: what is acknowledged is durable, whatever fails, is cancelled or comes at the same time."""

import asyncio
import errno
import threading
from collections import Counter
from pathlib import Path

import pytest

from livebot.adapters.state_files.durable_files import KEPT_AT_ONCE, TOLD_AT_ONCE, DurableFiles, fatal_of
from livebot.adapters.state_files.file_workers import InlineWorkers, ThreadWorkers
from livebot.errors import Fatal
from tests import virtual_loop
from tests.adapters.layers import Between, FailingFiles, FillingUp, RecordingFiles, ShortWrites


def files_on(layer: RecordingFiles, threads: int = 0) -> DurableFiles:
    """Durable files over a layer; without threads unless said, so that the order of calls is always the same."""
    return DurableFiles(layer, ThreadWorkers(threads, "test") if threads else InlineWorkers())


async def test_a_file_is_synced_renamed_and_its_folder_synced_before_the_answer(tmp_path):
    """The order that survives a power cut; the folder was new, so its own name is made durable first."""
    layer = RecordingFiles()
    files = files_on(layer)
    await files.write(tmp_path / "signals" / "a.json", b"one")
    assert [
        ("fsync_folder", tmp_path.name),
        ("create", "a.json.scratch"),
        ("write", "a.json.scratch"),
        ("fsync", "a.json.scratch"),
        ("rename", "a.json"),
        ("fsync_folder", "signals"),
    ] == layer.calls
    assert b"one" == (tmp_path / "signals" / "a.json").read_bytes()
    assert ["a.json"] == layer.files(tmp_path / "signals")


async def test_missing_folders_are_made_durable_from_the_top(tmp_path):
    """Each name is synced in its parent, or the whole branch could be gone after a power cut."""
    layer = RecordingFiles()
    await files_on(layer).write(tmp_path / "a" / "b" / "c.json", b"one")
    assert [tmp_path.name, "a", "b"] == layer.names("fsync_folder")


@pytest.mark.parametrize("threads", [0, 1, 2, 8])
async def test_writes_of_one_moment_share_one_folder_sync(tmp_path, threads):
    """Five hundred symbols at one candle close are one group."""
    layer = RecordingFiles()
    files = files_on(layer, threads)
    await files.write(tmp_path / "first.json", b"")
    layer.calls.clear()
    await asyncio.gather(*(files.write(tmp_path / f"{number}.json", b"%d" % number) for number in range(50)))
    assert [tmp_path.name] == layer.names("fsync_folder")
    assert ("fsync_folder", tmp_path.name) == layer.calls[-1]
    assert all(b"%d" % number == (tmp_path / f"{number}.json").read_bytes() for number in range(50))
    await files.close()


async def test_files_of_several_folders_are_one_group(tmp_path):
    """One folder per strategy."""
    layer = RecordingFiles()
    files = files_on(layer)
    await asyncio.gather(*(files.write(tmp_path / name / "x.json", b"1") for name in "ab"))
    assert ["a", "b"] == layer.names("fsync_folder")[-2:]
    assert ["x.json", "x.json"] == layer.names("rename")


async def test_a_queued_write_is_superseded_by_the_next_to_the_same_path(tmp_path):
    """Only the last content is written; the earlier writer is answered when it is durable."""
    layer = RecordingFiles()
    files = files_on(layer)
    waiters = [files.write(tmp_path / "a.json", content) for content in (b"1", b"2", b"3")]
    await asyncio.gather(*waiters)
    assert ["a.json"] == layer.names("rename")
    assert b"3" == (tmp_path / "a.json").read_bytes()


class SlowToFree(RecordingFiles):
    """The disk frees a replaced file with its last descriptor, or at once if there is none, and takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.kept: list[int] = []

    def keep(self, path: Path) -> int | None:
        descriptor = super().keep(path)
        if descriptor is not None:
            self.kept.append(descriptor)
            self.calls.append(("keep", path.name))
        return descriptor

    def close(self, descriptor: int) -> None:
        if descriptor in self.kept:
            assert self.free.wait(virtual_loop.REAL_WAIT_S)
            self.kept.remove(descriptor)
        super().close(descriptor)


async def test_nobody_waits_until_the_disk_has_freed_what_was_replaced(tmp_path):
    """That takes as long as everything else together; the old file is kept until its writer has been told."""
    layer = SlowToFree()
    files = files_on(layer, threads=2)
    await files.write(tmp_path / "a.json", b"1")
    assert [] == layer.kept
    await files.write(tmp_path / "a.json", b"2")
    assert 1 == len(layer.kept)
    assert [("keep", "a.json"), ("rename", "a.json"), ("fsync_folder", tmp_path.name)] == layer.calls[-3:]
    layer.free.set()
    await files.close()
    assert [] == layer.kept


async def test_of_very_many_files_at_once_none_is_kept(tmp_path):
    """There are fewer descriptors than symbols."""
    layer = SlowToFree()
    layer.free.set()
    files = files_on(layer, threads=2)
    for count in (KEPT_AT_ONCE + 1, KEPT_AT_ONCE + 1, KEPT_AT_ONCE):
        layer.calls.clear()
        await asyncio.gather(*(files.write(tmp_path / f"{number}.json", b"") for number in range(count)))
        assert (KEPT_AT_ONCE if count == KEPT_AT_ONCE else 0) == len(layer.names("keep"))
    await files.close()
    assert [] == layer.kept


async def test_an_old_file_that_cannot_be_kept_or_let_go_is_no_failure(tmp_path):
    """The new one is durable all the same."""
    (tmp_path / "b.json").symlink_to("nowhere")
    layer = FailingFiles("close", errno.EIO, "as it was")
    files = files_on(layer)
    for content in (b"1", b"2"):
        await asyncio.gather(*(files.write(tmp_path / name, content) for name in ("a.json", "b.json")))
    assert 2 == layer.failed
    assert b"2" == (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


async def test_writes_to_one_path_never_run_side_by_side(tmp_path):
    """One that is under way is finished first, then the last one asked for meanwhile is written."""
    layer = RecordingFiles()
    files = files_on(layer, threads=4)
    layer.hold.clear()
    first = files.write(tmp_path / "a.json", b"1")
    await asyncio.sleep(0.01)
    later = [files.write(tmp_path / "a.json", content) for content in (b"2", b"3")]
    await asyncio.sleep(0.01)
    assert not first.done()
    layer.hold.set()
    await asyncio.gather(first, *later)
    assert b"3" == (tmp_path / "a.json").read_bytes()
    assert ["create", "rename"] * 2 == [what for what, _ in layer.calls if what in ("create", "rename")]
    await files.close()


async def test_the_event_loop_goes_on_while_files_are_written(tmp_path):
    """A disk that hangs stops nobody who does not wait for it."""
    layer = RecordingFiles()
    files = files_on(layer, threads=2)
    layer.hold.clear()
    waiter = files.write(tmp_path / "a.json", b"1")
    for _ in range(100):
        await asyncio.sleep(0)
    assert not waiter.done()
    layer.hold.set()
    await waiter
    await files.close()


async def test_short_writes_are_continued(tmp_path):
    """A write may take a part of the bytes and report no error."""
    layer = ShortWrites(7)
    data = bytes(range(256))
    await files_on(layer).write(tmp_path / "a.json", data)
    assert data == (tmp_path / "a.json").read_bytes()
    assert 37 == len(layer.names("write"))


async def test_a_write_that_takes_nothing_is_an_error_and_no_endless_loop(tmp_path):
    """Without an error from below, so we make one."""
    with pytest.raises(Fatal, match="takes no more bytes"):
        await files_on(ShortWrites(0)).write(tmp_path / "a.json", b"1")


async def test_a_full_disk_leaves_the_old_file_and_no_scratch(tmp_path):
    """First a short write, then the error; what was there before still stands."""
    layer = FillingUp(100)
    files = files_on(layer)
    await files.write(tmp_path / "a.json", b"old")
    with pytest.raises(
        Fatal, match=r"cannot write .*a\.json: No space left on device \(ENOSPC\).*free some disk space"
    ):
        await files.write(tmp_path / "a.json", bytes(200))
    assert b"old" == (tmp_path / "a.json").read_bytes()
    assert ["a.json"] == layer.files(tmp_path)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EIO, errno.EACCES, errno.ENOSPC, errno.EMFILE, errno.EBADMSG])
@pytest.mark.parametrize("call", ["create", "write", "fsync", "close", "rename"])
@pytest.mark.parametrize("threads", [0, 3])
async def test_a_failure_hits_its_own_file_only(tmp_path, call, code, threads):
    """The rest of the group is written and acknowledged, and so is the file itself once the cause is gone."""
    layer = FailingFiles(call, code)
    files = files_on(layer, threads)
    layer.within = "never"
    names = [f"{number}.json" for number in range(6)]
    await asyncio.gather(*(files.write(tmp_path / name, b"old") for name in names))
    layer.within = "3.json"
    outcomes = await asyncio.gather(*(files.write(tmp_path / name, b"new") for name in names), return_exceptions=True)
    failure = outcomes.pop(3)
    assert isinstance(failure, Fatal)
    assert f"cannot write {tmp_path / '3.json'}: " in str(failure)
    assert f"({errno.errorcode[code]}). Mend: " in str(failure)
    assert [None] * 5 == outcomes
    assert [b"old" if name == "3.json" else b"new" for name in names] == [
        (tmp_path / name).read_bytes() for name in names
    ]
    assert names == layer.files(tmp_path)
    layer.within = "never"
    await files.write(tmp_path / "3.json", b"newer")
    assert b"newer" == (tmp_path / "3.json").read_bytes()
    await files.close()


async def test_a_failed_fsync_is_never_tried_again(tmp_path):
    """The kernel would say yes to the second one, and the pages are lost all the same."""
    layer = FailingFiles("fsync", errno.EIO)
    with pytest.raises(Fatal, match="EIO"):
        await files_on(layer).write(tmp_path / "a.json", b"1")
    assert 1 == layer.failed
    assert [] == layer.files(tmp_path)


async def test_a_scratch_file_that_cannot_be_removed_changes_nothing(tmp_path):
    """The first failure is the one that is told; the next start removes it."""
    layer = FailingFiles("fsync", errno.EIO)
    remove_too = FailingFiles("remove", errno.EROFS)
    layer.remove = remove_too.remove  # type: ignore[method-assign]
    with pytest.raises(Fatal, match="EIO"):
        await files_on(layer).write(tmp_path / "a.json", b"1")
    assert ["a.json.scratch"] == layer.files(tmp_path)


async def test_a_failed_folder_sync_fails_the_files_of_that_folder(tmp_path):
    """Their names may not survive, so none of them is acknowledged; another folder's are."""
    layer = FailingFiles("fsync_folder", errno.EIO, "never")
    files = files_on(layer)
    paths = [tmp_path / "a" / "1.json", tmp_path / "a" / "2.json", tmp_path / "b" / "1.json"]
    await asyncio.gather(*(files.write(path, b"old") for path in paths))
    layer.within = f"{tmp_path.name}/a"
    outcomes = await asyncio.gather(*(files.write(path, b"new") for path in paths), return_exceptions=True)
    assert [Fatal, Fatal, type(None)] == [type(outcome) for outcome in outcomes]


async def test_a_folder_that_cannot_be_made_fails_its_files(tmp_path):
    """By name, like any other failure."""
    layer = FailingFiles("make_folder", errno.EACCES, "a")
    with pytest.raises(Fatal, match="the right to write"):
        await files_on(layer).write(tmp_path / "a" / "1.json", b"1")


async def test_a_folder_that_was_removed_is_made_anew_by_the_next_write(tmp_path):
    """The first one fails, because what stood there is gone and somebody has to know."""
    files = files_on(RecordingFiles())
    path = tmp_path / "a" / "1.json"
    await files.write(path, b"1")
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(Fatal, match="folder was removed"):
        await files.write(path, b"2")
    await files.write(path, b"3")
    assert b"3" == path.read_bytes()


async def test_a_cancelled_waiter_does_not_take_its_write_back(tmp_path):
    """Half a write would be worse than one that nobody waits for."""
    layer = RecordingFiles()
    files = files_on(layer, threads=2)
    layer.hold.clear()

    async def save() -> None:
        await files.write(tmp_path / "a.json", b"1")

    task = asyncio.create_task(save())
    await asyncio.sleep(0.01)
    other = files.write(tmp_path / "b.json", b"2")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    layer.hold.set()
    await other
    await files.settled(tmp_path / "a.json")
    assert b"1" == (tmp_path / "a.json").read_bytes()
    await files.close()


async def test_a_reader_can_wait_for_a_write_that_it_has_lost_sight_of(tmp_path):
    """A worker that was cancelled while saving starts again from its file: from the one that it was writing."""
    layer = RecordingFiles()
    files = files_on(layer, threads=2)
    layer.hold.clear()
    path = tmp_path / "a.json"
    files.write(path, b"1").cancel()
    await asyncio.sleep(0.01)
    under_way = asyncio.create_task(files.settled(path))
    files.write(path, b"2").cancel()
    queued = asyncio.create_task(files.settled(path))
    await asyncio.sleep(0.01)
    assert not under_way.done()
    layer.hold.set()
    await under_way
    assert path.read_bytes() in (b"1", b"2")
    await queued
    assert b"2" == path.read_bytes()
    await files.settled(path)
    await files.close()


async def test_waiting_for_a_write_that_fails_tells_only_its_writer(tmp_path):
    """Whoever waits before reading is not the one to act upon it; nor does the loop complain of an unheard failure."""
    files = files_on(FailingFiles("fsync", errno.EIO))
    written = files.write(tmp_path / "a.json", b"1")
    gone = asyncio.create_task(files.settled(tmp_path / "a.json"))
    await asyncio.sleep(0)
    gone.cancel()
    await files.settled(tmp_path / "a.json")
    with pytest.raises(Fatal):
        await written


async def test_closing_finishes_what_was_asked_for_and_refuses_the_rest(tmp_path):
    """Also what is still queued behind a group under way."""
    layer = RecordingFiles()
    files = files_on(layer, threads=2)
    layer.hold.clear()
    first = files.write(tmp_path / "a.json", b"1")
    await asyncio.sleep(0.01)
    second = files.write(tmp_path / "b.json", b"2")
    closing = asyncio.create_task(files.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    with pytest.raises(Fatal, match="livebot is stopping"):
        files.write(tmp_path / "c.json", b"3")
    layer.hold.set()
    await closing
    assert first.done()
    assert second.done()
    assert b"2" == (tmp_path / "b.json").read_bytes()


async def test_who_waits_is_told_some_at_a_time_and_closing_waits_for_all_of_them(tmp_path):
    """Everyone goes on with work of its own: all five hundred in one turn of the loop would hold it up."""
    files = files_on(RecordingFiles())
    told_at: list[int] = []
    turn = 0

    async def one(number: int) -> None:
        await files.write(tmp_path / f"{number}.json", b"")
        told_at.append(turn)

    waiting = asyncio.gather(*(one(number) for number in range(3 * TOLD_AT_ONCE + 1)))
    while not waiting.done():
        turn += 1
        await asyncio.sleep(0)
    assert [TOLD_AT_ONCE] * 3 + [1] == list(Counter(told_at).values())
    last = [files.write(tmp_path / f"{number}.json", b"") for number in range(2 * TOLD_AT_ONCE)]
    await files.close()
    assert all(each.done() for each in last)


async def test_closing_unused_files_returns_at_once():
    """Nothing is waited for that never began; the default is a pool of threads on the operating system."""
    await DurableFiles().close()


async def test_an_unforeseen_error_leaves_nobody_waiting(tmp_path):
    """It is ours and not the disk's, and still every writer is told."""

    def stumble(target: Path) -> None:
        raise ZeroDivisionError(target.name)

    files = files_on(Between(stumble), threads=2)
    outcomes = await asyncio.gather(
        *(files.write(tmp_path / f"{name}.json", b"1") for name in "abc"), return_exceptions=True
    )
    assert all(isinstance(outcome, Fatal) and "ZeroDivisionError" in str(outcome) for outcome in outcomes)
    await files.close()


async def test_a_pool_that_takes_no_more_work_leaves_nobody_waiting(tmp_path):
    """As when the interpreter is on its way out."""
    workers = ThreadWorkers(1, "test")
    files = DurableFiles(RecordingFiles(), workers)
    workers.close()
    with pytest.raises(Fatal, match="RuntimeError"):
        await files.write(tmp_path / "a.json", b"1")


async def test_damaged_files_are_kept_under_new_names(tmp_path):
    """Never over one that was kept before; the name is durable and does not end in .json."""
    layer = RecordingFiles()
    files = files_on(layer)
    kept = []
    for content in (b"1", b"2", b"3"):
        (tmp_path / "a.json").write_bytes(content)
        kept.append(files.set_aside(tmp_path / "a.json"))
    assert ["a.json.damaged-1", "a.json.damaged-2", "a.json.damaged-3"] == [path.name for path in kept]
    assert b"2" == kept[1].read_bytes()
    assert ("fsync_folder", tmp_path.name) == layer.calls[-1]


async def test_a_damaged_file_that_cannot_be_moved_is_fatal(tmp_path):
    """Left in place it would be read again and again."""
    (tmp_path / "a.json").write_bytes(b"1")
    with pytest.raises(Fatal, match=r"cannot set aside .*a\.json: Read-only file system \(EROFS\)"):
        files_on(FailingFiles("rename", errno.EROFS)).set_aside(tmp_path / "a.json")


async def test_scratch_files_of_an_earlier_life_are_removed(tmp_path):
    """And nothing else."""
    for name in ("a.json", "a.json.scratch", "b.json.damaged-1", "README.md"):
        (tmp_path / name).write_bytes(b"")
    layer = FailingFiles("remove", errno.EROFS, "never")
    files_on(layer).remove_scratch(tmp_path)
    assert ["README.md", "a.json", "b.json.damaged-1"] == layer.files(tmp_path)
    (tmp_path / "a.json.scratch").write_bytes(b"")
    layer.within = ""
    with pytest.raises(Fatal, match="cannot remove"):
        files_on(layer).remove_scratch(tmp_path)


async def test_a_left_over_scratch_file_does_not_hinder_a_write(tmp_path):
    """It is longer than the new content, and none of it stays."""
    (tmp_path / "a.json.scratch").write_bytes(bytes(999))
    await files_on(RecordingFiles()).write(tmp_path / "a.json", b"1")
    assert b"1" == (tmp_path / "a.json").read_bytes()


def test_without_threads_it_runs_on_a_loop_whose_time_is_virtual(tmp_path):
    """So a simulation of a whole system can save files and still be the same at every run."""

    async def save() -> None:
        files = files_on(RecordingFiles())
        await asyncio.gather(*(files.write(tmp_path / f"{number}.json", b"1") for number in range(3)))
        assert set(threading.enumerate()) <= before  # a thread of an earlier test may end meanwhile
        assert b"1" == await files.run(lambda: files.layer.read(tmp_path / "2.json"))
        await files.close()

    before = set(threading.enumerate())
    virtual_loop.run(save())


def test_an_error_without_a_number_is_told_too():
    """Whatever it is, it names the file."""
    assert "cannot write x: ValueError: odd. Mend: " in str(fatal_of("write", Path("x"), ValueError("odd")))
    assert "(99999)" in str(fatal_of("write", Path("x"), OSError(99999, "odd")))
