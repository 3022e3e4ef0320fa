"""Lines that outlive the process that wrote them, at the price of a copy in memory.

Rules of this file: a line is whole in the file when `append` returns, as far as the kernel is concerned; its end is
written last, so that what is torn has none; the disk's space is taken beforehand, so that a full disk is an error here and
never a signal; what follows the last line is zeros.

The pages of the file are mapped, and not written to by a system call, because Python lets go of the interpreter for that:
a process that also has threads at work waits a hundred times as long for its return as the write takes.
"""

import mmap
import os
from pathlib import Path

ROOM = 2**20  # bytes, taken at a time
_END = 0x0A


class MappedLog:
    """One file, appended to by one process."""

    def __init__(self, path: Path) -> None:
        """An empty file, whatever was there.  Raises OSError."""
        self._length = 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            os.posix_fallocate(self._file, 0, ROOM)
            self._pages = mmap.mmap(self._file, ROOM)
        except OSError:
            os.close(self._file)
            raise

    def append(self, line: bytes) -> None:
        """Keep a line, given without its end.  Raises OSError, and nothing is kept then."""
        end = self._length + len(line)
        if end >= len(self._pages):
            size = end + ROOM
            os.posix_fallocate(self._file, len(self._pages), size - len(self._pages))
            self._pages.resize(size)
        self._pages[self._length : end] = line
        self._pages[end] = _END
        self._length = end + 1

    def close(self) -> None:
        """Let go of the file, without the room that was not needed."""
        self._pages.close()
        try:
            os.truncate(self._file, self._length)
        finally:
            os.close(self._file)
