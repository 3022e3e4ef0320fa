"""Files that survive a power cut: a scratch file, fsync, rename, fsync of the folder; then, and only then, the answer.

The order was measured with real power-cut images: without the file's fsync it comes back empty, without the folder's
the last acknowledged version is lost in every fifth cut.  Writes that are asked for at the same time are one group: its
files are written and synced side by side, and one fsync per folder makes all their names durable.
"""

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from livebot.adapters.state_files.file_layer import FileLayer, SystemFiles
from livebot.adapters.state_files.file_workers import ThreadWorkers, Workers
from livebot.core.distribution import Distribution
from livebot.errors import Fatal

SCRATCH_SUFFIX = ".scratch"
DAMAGED_INFIX = ".damaged-"
THREADS = 8
# To free what a file replaces may wait for the filesystem's journal: a third of what a save takes.  So the old files are
# let go when everyone has been told; of more files than this at once they are not kept, for descriptors are few.
KEPT_AT_ONCE = 64
TOLD_AT_ONCE = 8
SAVE_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
PATHS_REMEMBERED = 4_096  # beyond that a path is taken apart again

_NO_SPACE = "free some disk space, or raise the quota"
_NOT_ALLOWED = "give the user that livebot runs as the right to write in that folder"
_BROKEN_DISK = "read the kernel's log (dmesg): the disk or the filesystem is failing; move the root to a sound one"
_MENDS = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EROFS: "mount the filesystem writable; if it turned read-only by itself, read the kernel's log (dmesg)",
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
    errno.EIO: _BROKEN_DISK,
    errno.ENOENT: "the folder was removed while livebot ran; the next write makes it anew",
    errno.EMFILE: "raise the limit on open files (LimitNOFILE in the unit)",
    errno.ENFILE: "the whole machine has too many files open: find out who",
}
_ANY_MEND = "read the system's log for the cause"

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Write:
    """The newest content asked for a path, and everyone who waits until it, or what it superseded, is durable."""

    path: Path
    data: bytes
    folder: Path
    scratch: Path
    waiters: list[asyncio.Future[None]] = field(default_factory=list)
    error: BaseException | None = None
    replaced: int | None = None  # a descriptor of the old file, as long as it is kept


class DurableFiles:
    """Group commit of whole files.  Used from one event loop; never blocks it."""

    def __init__(self, layer: FileLayer | None = None, workers: Workers | None = None) -> None:
        self.layer: FileLayer = layer or SystemFiles()
        self._workers: Workers = workers or ThreadWorkers(THREADS, "durable-files")
        self._queued: dict[Path, _Write] = {}
        self._under_way: dict[Path, _Write] = {}
        self._untold: deque[_Write] = deque()  # done, and their waiters do not know it yet
        self._durable_folders: set[Path] = set()
        self._running = False  # a group is under way or about to be
        self._began_s = 0.0
        self.saves = Distribution(SAVE_BOUNDS_S)  # seconds until a group was durable, or failed
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    def write(self, path: Path, data: bytes) -> asyncio.Future[None]:
        """Queue a file's new content at once; the future is done when that, or something newer, is durable.

        The future raises Fatal (naming the file and the mend) if it could not be written: then the old file stands, or,
        if only the folder's fsync failed, one of the two.  Cancelling the future does not take the write back.

        Raises:
            Fatal: these files are closed.

        """
        if self._closed:
            message = f"cannot write {path}: livebot is stopping and has closed its files"
            raise Fatal(message)
        write = self._queued.get(path)
        if write is None:
            write = self._queued[path] = _Write(path, data, *_beside(path))
            self._start_soon()
        write.data = data
        return _waiter_of(write)

    async def settled(self, path: Path) -> None:
        """Return when no write to `path` is on its way any more, whatever became of it.

        Whoever reads a file that it has just lost the wait for must call this first: the write goes on without it.
        """
        write = self._queued.get(path) or self._under_way.get(path)
        if write is not None:
            waiter = _waiter_of(write)
            waiter.add_done_callback(_hear_failure)
            await asyncio.wait([waiter])

    async def run(self, work: Callable[[], T]) -> T:
        """Run blocking work (reading, moving) beside the event loop."""
        return await self._workers.submit(work)

    def set_aside(self, path: Path) -> Path:
        """Keep a damaged file for the operator under a name that nobody reads as state; blocking.

        Raises:
            Fatal: it could not be moved.

        """
        try:
            taken = set(self.layer.files(path.parent)) | set(self.layer.folders(path.parent))
            names = (f"{path.name}{DAMAGED_INFIX}{number}" for number in count(1))
            kept = path.with_name(next(name for name in names if name not in taken))
            self.layer.rename(path, kept)
            self.layer.fsync_folder(path.parent)
        except OSError as error:
            raise fatal_of("set aside", path, error) from error
        return kept

    def make_names_durable(self, folder: Path) -> None:
        """Have what was read from a folder be there to stay, before it is acted upon; blocking.

        Who was killed between a rename and the folder's fsync left a name that a power cut may still take back.

        Raises:
            Fatal: the disk does not do it.

        """
        try:
            self.layer.fsync_folder(folder)
        except OSError as error:
            raise fatal_of("make durable", folder, error) from error

    def remove_scratch(self, folder: Path) -> None:
        """Remove what a power cut left half written; blocking, and only before the first write to the folder.

        Raises:
            Fatal: it could not be removed.

        """
        for name in self.layer.files(folder):
            if name.endswith(SCRATCH_SUFFIX):
                try:
                    self.layer.remove(folder / name)
                except OSError as error:
                    raise fatal_of("remove", folder / name, error) from error

    async def close(self) -> None:
        """Finish every write that was asked for and let go; later ones are refused."""
        self._closed = True
        await self._idle.wait()
        self._workers.close()

    def _start_soon(self) -> None:
        # not now: everyone who runs in this turn of the loop shall be in the group
        if not self._running:
            self._running = True
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._began_s = perf_counter()
        self._under_way, self._queued = self._queued, {}
        group = tuple(self._under_way.values())
        # no task: whatever cancels tasks at the end of a program cannot reach it
        try:
            committed = self._workers.submit(partial(self._commit, group), partial(self._let_go, group))
        except RuntimeError as error:  # no thread to be had
            committed = asyncio.get_running_loop().create_future()
            committed.set_exception(error)
        committed.add_done_callback(self._finish)

    def _finish(self, committed: asyncio.Future[None]) -> None:
        self.saves.add(perf_counter() - self._began_s)
        crash = committed.exception()
        group, self._under_way = self._under_way, {}
        for write in group.values():
            write.error = crash or write.error
        self._untold.extend(group.values())
        if self._queued:
            self._start()
        else:
            self._running = False
        self._tell()

    def _tell(self) -> None:
        """Wake who waits, some at a time: everyone goes on with work of its own, and the loop must not be held up."""
        for _ in range(min(TOLD_AT_ONCE, len(self._untold))):
            _tell_waiters(self._untold.popleft())
        if self._untold:
            asyncio.get_running_loop().call_soon(self._tell)
        elif not self._running:
            self._idle.set()

    # ------------------------------------------------------------ beside the loop

    def _commit(self, group: Sequence[_Write]) -> None:
        folders: dict[Path, list[_Write]] = {}
        for write in group:
            folders.setdefault(write.folder, []).append(write)
        for folder, writes in folders.items():
            if folder not in self._durable_folders:
                _try(partial(self._make_durable_folder, folder), writes)
        ready = deque(write for write in group if write.error is None)
        replace = partial(self._replace_all, ready, keep=len(ready) <= KEPT_AT_ONCE)
        self._workers.spread(replace, len(ready))
        for folder, writes in folders.items():
            renamed = [write for write in writes if write.error is None]
            if renamed:
                _try(partial(self.layer.fsync_folder, folder), renamed)

    def _make_durable_folder(self, folder: Path) -> None:
        if folder in self._durable_folders:
            return
        try:
            self.layer.make_folder(folder)
        except FileNotFoundError:
            self._make_durable_folder(folder.parent)
            self.layer.make_folder(folder)
        self.layer.fsync_folder(folder.parent)
        self._durable_folders.add(folder)

    def _replace_all(self, ready: deque[_Write], *, keep: bool) -> None:
        while True:
            try:
                write = ready.popleft()
            except IndexError:
                return
            _try(partial(self._replace, write, keep=keep), (write,))

    def _replace(self, write: _Write, *, keep: bool) -> None:
        try:
            self._write_scratch(write.scratch, write.data)
            write.replaced = self.layer.keep(write.path) if keep else None
            self.layer.rename(write.scratch, write.path)
        except OSError as error:
            if error.errno == errno.ENOENT:
                self._durable_folders.discard(write.folder)
            with suppress(OSError):
                self.layer.remove(write.scratch)
            raise

    def _let_go(self, group: Sequence[_Write]) -> None:
        for write in group:
            if write.replaced is not None:
                with suppress(OSError):  # it was only read
                    self.layer.close(write.replaced)

    def _write_scratch(self, scratch: Path, data: bytes) -> None:
        descriptor = self.layer.create(scratch)
        try:
            rest = memoryview(data)
            while rest:
                taken = self.layer.write(descriptor, rest)
                if taken <= 0:
                    raise OSError(errno.EIO, "the filesystem takes no more bytes and does not say why")
                rest = rest[taken:]
            # once, whatever it says: after a failure the kernel calls the lost pages clean and a second one succeeds
            self.layer.fsync(descriptor)
        finally:
            self.layer.close(descriptor)


@lru_cache(maxsize=PATHS_REMEMBERED)
def _beside(path: Path) -> tuple[Path, Path]:
    """A file's folder, and the scratch file beside it."""
    return path.parent, path.with_name(path.name + SCRATCH_SUFFIX)


def _try(step: Callable[[], None], writes: Iterable[_Write]) -> None:
    try:
        step()
    except OSError as error:
        for write in writes:
            write.error = error


def _waiter_of(write: _Write) -> asyncio.Future[None]:
    waiter = asyncio.get_running_loop().create_future()
    write.waiters.append(waiter)
    return waiter


def _tell_waiters(write: _Write) -> None:
    for waiter in write.waiters:
        if waiter.done():  # its owner was cancelled
            continue
        if write.error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(fatal_of("write", write.path, write.error))


def _hear_failure(waiter: asyncio.Future[None]) -> None:
    """It is the writer's to act upon; without this the loop would report it as nobody's."""
    if not waiter.cancelled():
        waiter.exception()


def fatal_of(deed: str, path: Path, error: BaseException) -> Fatal:
    """What to tell the operator when `deed` (as in "cannot write") failed for a file; `error` is its cause."""
    said, mend = f"{type(error).__name__}: {error}", _ANY_MEND
    if isinstance(error, OSError) and error.errno is not None:
        said = f"{error.strerror} ({errno.errorcode.get(error.errno, error.errno)})"
        mend = _MENDS.get(error.errno, _ANY_MEND)
    failure = Fatal(f"cannot {deed} {path}: {said}. Mend: {mend}")
    failure.__cause__ = error
    return failure
