"""One daemon per root: whoever holds the lock file may write there."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from livebot.errors import Fatal

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_FILE_MODE = 0o644
_PID_CHARACTERS_MAX = 20


class RootLock:
    """Holds `flock` on a file until released; the kernel releases it when the process dies, however it dies.

    The file says the holder's pid, for people.  It is never removed: another daemon could hold the removed one.
    """

    def __init__(self, path: Path, root: Path) -> None:
        """Take the lock, making the file and its folder if need be.

        Raises:
            Fatal: another daemon has it (the text says its pid and the root), or the file cannot be made.

        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, _FLAGS, _FILE_MODE)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(self._descriptor, _PID_CHARACTERS_MAX, 0).decode("ascii", "replace").strip()
            self.release()
            message = (
                f"another livebot (pid {holder or 'unknown'}) runs in {root}: stop it first, "
                "or give this one a root of its own with --root"
            )
            raise Fatal(message) from None
        except OSError as error:
            self.release()
            raise _unusable(path, error) from error

    def release(self) -> None:
        """Let go; more than once does no harm."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _unusable(path: Path, error: OSError) -> Fatal:
    return Fatal(
        f"cannot lock {path}: {error.strerror}; the root must be on a local, writable filesystem that has locks"
    )
