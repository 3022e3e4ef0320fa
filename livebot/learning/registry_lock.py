"""One process at a time changes the registry; reading needs no lock.

Rules of this file: the kernel lets go of the lock when its holder dies, however it dies; the file is never removed.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from livebot.adapters.state_files.durable_files import fatal_of
from livebot.errors import Transient

FILE_NAME = ".lock"
WAIT_S = 30.0  # a change takes milliseconds; a slow disk, a second
_AGAIN_S = 0.02
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_MODE = 0o644


@contextmanager
def registry_lock(folder: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock of the registry in this folder, which stands.

    Raises:
        Transient: somebody else holds it for longer than `wait_s`.
        Fatal: the file cannot be made, or the filesystem has no locks.

    """
    path = folder / FILE_NAME
    try:
        descriptor = os.open(path, _FLAGS, _FILE_MODE)
    except OSError as error:
        raise fatal_of("lock", path, error) from error
    try:
        try:
            _wait(descriptor, folder, monotonic() + wait_s)
        except OSError as error:
            raise fatal_of("lock", path, error) from error
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, folder: Path, until_s: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if monotonic() >= until_s:
                raise Transient(
                    f"another process is changing the models in {folder}; try again when it is done"
                ) from None
        sleep(_AGAIN_S)
