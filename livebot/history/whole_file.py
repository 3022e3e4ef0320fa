"""A file that is replaced whole, and by one writer at a time.

Rules of this file: scratch name, fsync, rename, fsync of the folder; whatever happens before the rename, the old file
stands as it was; a lock is the kernel's, so it ends with the process, however that dies.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from livebot.errors import Fatal

SCRATCH_SUFFIX = ".scratch"
LOCK_SUFFIX = ".lock"

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_FILE_MODE = 0o644
_PID_CHARACTERS_MAX = 20
_NO_SPACE = "free some disk space, or raise the quota, and run it again"
_NOT_ALLOWED = "give the user that livebot runs as the right to write in that folder"
_MENDS = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), and run it again",
    errno.EROFS: "mount the filesystem writable",
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
}


class FileCalls(Protocol):
    """The calls into the operating system that a replacement is made of; each raises OSError as that does."""

    def create(self, path: Path) -> int: ...

    def write(self, descriptor: int, data: memoryview) -> int: ...

    def fsync(self, descriptor: int) -> None: ...

    def close(self, descriptor: int) -> None: ...

    def rename(self, source: Path, target: Path) -> None: ...

    def fsync_folder(self, folder: Path) -> None: ...

    def remove(self, path: Path) -> None: ...

    def make_folder(self, folder: Path) -> None: ...


def replace_file(path: Path, data: bytes, calls: FileCalls) -> None:
    """Make `data` the file's content, durably.

    Raises:
        Fatal: naming the file and the mend; the old file stands (or, if only the folder could not be synced, the new).

    """
    scratch = path.with_name(path.name + SCRATCH_SUFFIX)
    try:
        _write(scratch, data, calls)
        calls.rename(scratch, path)
        calls.fsync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            calls.remove(scratch)
        raise _failed("write", path, error) from error


def make_folders(folder: Path, calls: FileCalls) -> None:
    """Make a folder and those above it, durably.  Raises Fatal."""
    if folder.is_dir():
        return
    make_folders(folder.parent, calls)
    try:
        calls.make_folder(folder)
        calls.fsync_folder(folder.parent)
    except OSError as error:
        raise _failed("make", folder, error) from error


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Hold the right to replace a file; its folder must stand.

    The lock is a file beside it, never removed: somebody else could hold the removed one.

    Raises:
        Fatal: another process has it (the text says its pid), or it cannot be made.

    """
    lock = path.with_name(path.name + LOCK_SUFFIX)
    try:
        descriptor = os.open(lock, _FLAGS, _FILE_MODE)
    except OSError as error:
        raise _failed("lock", path, error) from error
    try:
        _take(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, _PID_CHARACTERS_MAX, 0).decode("ascii", "replace").strip()
        raise Fatal(
            f"{path}: another livebot (pid {holder or 'unknown'}) is writing it; wait until it is done, and run this again"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _write(scratch: Path, data: bytes, calls: FileCalls) -> None:
    descriptor = calls.create(scratch)
    try:
        rest = memoryview(data)
        while rest:
            taken = calls.write(descriptor, rest)
            if taken <= 0:
                raise OSError(errno.EIO, "the filesystem takes no more bytes and does not say why")
            rest = rest[taken:]
        calls.fsync(descriptor)
    finally:
        calls.close(descriptor)


def _failed(deed: str, path: Path, error: OSError) -> Fatal:
    said = f"{error.strerror} ({errno.errorcode.get(error.errno or 0, error.errno)})"
    mend = _MENDS.get(error.errno or 0, "read the system's log for the cause")
    return Fatal(f"cannot {deed} {path}: {said}; what was there before stands. Mend: {mend}")
