"""File layers for tests: the operating system's, with something amiss; each call of interest is counted or altered."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

from livebot.adapters.state_files.file_layer import SystemFiles
from tests.virtual_loop import REAL_WAIT_S


class RecordingFiles(SystemFiles):
    """Notes every call that changes something, as (what, name)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.hold = threading.Event()  # cleared: files are created only once it is set again
        self.hold.set()
        self._opened: dict[int, str] = {}

    def create(self, path: Path) -> int:
        assert self.hold.wait(REAL_WAIT_S)
        descriptor = super().create(path)
        self._opened[descriptor] = path.name
        self.calls.append(("create", path.name))
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        self.calls.append(("write", self._opened[descriptor]))
        return super().write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        self.calls.append(("fsync", self._opened[descriptor]))
        super().fsync(descriptor)

    def keep(self, path: Path) -> int | None:
        descriptor = super().keep(path)
        if descriptor is not None:
            self._opened[descriptor] = f"{path.name} as it was"
        return descriptor

    def rename(self, source: Path, target: Path) -> None:
        self.calls.append(("rename", target.name))
        super().rename(source, target)

    def fsync_folder(self, folder: Path) -> None:
        self.calls.append(("fsync_folder", folder.name))
        super().fsync_folder(folder)

    def names(self, what: str) -> list[str]:
        """The names that a call was made for, in order."""
        return [name for each, name in self.calls if each == what]


class ShortWrites(RecordingFiles):
    """Takes at most so many bytes at once, without an error: what a disk does that is nearly full."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__()
        self.bytes_max = bytes_max

    def write(self, descriptor: int, data: memoryview) -> int:
        return super().write(descriptor, data[: self.bytes_max])


class FailingFiles(RecordingFiles):
    """One kind of call fails, for files or folders whose path holds `within`."""

    def __init__(self, call: str, code: int, within: str = "") -> None:
        super().__init__()
        self.call = call
        self.code = code
        self.within = within
        self.failed = 0

    def _perhaps(self, call: str, path: str | Path) -> None:
        if call == self.call and self.within in str(path):
            self.failed += 1
            raise OSError(self.code, os.strerror(self.code), str(path))

    def create(self, path: Path) -> int:
        self._perhaps("create", path)
        return super().create(path)

    def write(self, descriptor: int, data: memoryview) -> int:
        self._perhaps("write", self._opened[descriptor])
        return super().write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        self._perhaps("fsync", self._opened[descriptor])
        super().fsync(descriptor)

    def close(self, descriptor: int) -> None:
        name = self._opened[descriptor]  # once it is closed, another thread may open a file by the same number
        super().close(descriptor)
        self._perhaps("close", name)

    def rename(self, source: Path, target: Path) -> None:
        self._perhaps("rename", target)
        super().rename(source, target)

    def fsync_folder(self, folder: Path) -> None:
        self._perhaps("fsync_folder", folder)
        super().fsync_folder(folder)

    def remove(self, path: Path) -> None:
        self._perhaps("remove", path)
        super().remove(path)

    def make_folder(self, folder: Path) -> None:
        self._perhaps("make_folder", folder)
        super().make_folder(folder)

    def read(self, path: Path) -> bytes:
        self._perhaps("read", path)
        return super().read(path)

    def folders(self, folder: Path) -> list[str]:
        self._perhaps("folders", folder)
        return super().folders(folder)


class FillingUp(RecordingFiles):
    """So many bytes fit; then the last write is short and the next one says that the disk is full."""

    def __init__(self, bytes_free: int) -> None:
        super().__init__()
        self.bytes_free = bytes_free

    def write(self, descriptor: int, data: memoryview) -> int:
        if not self.bytes_free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = super().write(descriptor, data[: self.bytes_free])
        self.bytes_free -= taken
        return taken


class Between(RecordingFiles):
    """Calls something just before a file is renamed into place."""

    def __init__(self, before_rename: Callable[[Path], None]) -> None:
        super().__init__()
        self.before_rename = before_rename

    def rename(self, source: Path, target: Path) -> None:
        self.before_rename(target)
        super().rename(source, target)
