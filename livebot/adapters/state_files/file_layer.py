"""The calls into the operating system that durability hangs on, as one seam.

Everything that writes a state file goes through it, so that a test can put a layer beneath that forgets what was not
synced, fails, or writes short, and a simulation one that keeps files in memory.
"""

import os
from pathlib import Path
from typing import Protocol

_SCRATCH_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_MODE = 0o644
_READ_BYTES = 1 << 20


class FileLayer(Protocol):
    """Each call raises OSError as the operating system does."""

    def create(self, path: Path) -> int:
        """A descriptor to write an empty file through; one that stands there loses its content."""
        ...

    def write(self, descriptor: int, data: memoryview) -> int:
        """How many bytes were taken: perhaps not all, and no error then."""
        ...

    def fsync(self, descriptor: int) -> None:
        """The file's content survives a power cut; its name may not."""
        ...

    def close(self, descriptor: int) -> None:
        """Let go of a descriptor."""
        ...

    def keep(self, path: Path) -> int | None:
        """A descriptor that keeps the file which stands there; None if there is none, or it cannot be kept.

        Until it is closed the disk does not free what is replaced.  Never raises.
        """
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Replace `target` by `source`: at every moment one of the two stands there whole."""
        ...

    def fsync_folder(self, folder: Path) -> None:
        """The names in a folder survive a power cut."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file."""
        ...

    def make_folder(self, folder: Path) -> None:
        """Make a folder whose parent stands, if there is none yet."""
        ...

    def read(self, path: Path) -> bytes:
        """The whole content."""
        ...

    def files(self, folder: Path) -> list[str]:
        """Names in a folder that are not folders, sorted; none if there is no such folder."""
        ...

    def folders(self, folder: Path) -> list[str]:
        """Names of folders in a folder, sorted; none if there is no such folder."""
        ...


class SystemFiles:
    """The operating system itself."""

    def create(self, path: Path) -> int:
        return os.open(path, _SCRATCH_FLAGS, _FILE_MODE)

    def write(self, descriptor: int, data: memoryview) -> int:
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def keep(self, path: Path) -> int | None:
        try:
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None

    def rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)  # noqa: PTH104  (Path.rename makes a Path for nobody)

    def fsync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        path.unlink()

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)

    def read(self, path: Path) -> bytes:
        # a third of the time of Path.read_bytes, which counts when five hundred files are read at start
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = []
            while part := os.read(descriptor, _READ_BYTES):
                parts.append(part)
            return b"".join(parts)
        finally:
            os.close(descriptor)

    def files(self, folder: Path) -> list[str]:
        return self._names(folder, of_folders=False)

    def folders(self, folder: Path) -> list[str]:
        return self._names(folder, of_folders=True)

    def _names(self, folder: Path, *, of_folders: bool) -> list[str]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir() is of_folders)
        except FileNotFoundError:
            return []
