"""A disk in memory that keeps what was synced and, when the power goes, of the rest whatever chance likes.

Rules of this file: content that was not synced is gone, cut short, zeros or whole after a power cut; of the names
changed since the last sync of their folder any selection took effect.  The end of a process alone loses nothing.
"""

import errno
import os
from pathlib import Path
from random import Random

from tests.simulation.loop import Crash


class Node:
    """A file's content as the system shows it, and as it is on the platter (None: never synced)."""

    __slots__ = ("data", "synced")

    def __init__(self, data: bytes = b"", synced: bytes | None = None) -> None:
        self.data = data
        self.synced = synced

    def after_cut(self, random: Random) -> bytes:
        if self.synced == self.data:
            return self.data
        half = len(self.data) // 2
        return random.choice(
            (self.synced or b"", self.data[:half], bytes(len(self.data)), self.data[:half] + bytes(half), self.data)
        )


# sets: names that appear or point elsewhere (a folder has no node); drops: names that vanish
_Change = tuple[tuple[tuple[str, Node | None], ...], tuple[str, ...]]


class SimulatedDisk:
    """A FileLayer.  `full` makes writes fail; `crash_after` counts operations down to a crash of the process."""

    def __init__(self, roots: tuple[Path, ...]) -> None:
        self.names: dict[str, Node | None] = dict.fromkeys(map(str, roots))
        self.full = False
        self.crash_after: int | None = None
        self._durable = dict(self.names)
        self._pending: dict[str, list[_Change]] = {}
        self._open: dict[int, Node] = {}
        self._next = 3

    def durable(self, path: str) -> bytes | None:
        """What is certain to be found under a name if the power goes now, as far as the name goes."""
        node = self._durable.get(path)
        return None if node is None else node.synced

    def cut_power(self, random: Random) -> int:
        """Forget what chance likes; how many changes of names were lost."""
        lost = 0
        for folder in sorted(self._pending):
            for sets, drops in self._pending[folder]:
                if random.random() < 0.5:
                    lost += 1
                    continue
                for name in drops:
                    self._durable.pop(name, None)
                self._durable.update(sets)
        self._pending.clear()
        self._open.clear()
        for name in sorted(self._durable):
            node = self._durable[name]
            if node is not None:
                found = node.after_cut(random)
                self._durable[name] = Node(found, found)
        for name in [name for name in self._durable if not self._reachable(name)]:
            del self._durable[name]
        self.names = dict(self._durable)
        return lost

    def end_process(self) -> None:
        """Descriptors are closed."""
        self._open.clear()

    def _reachable(self, name: str) -> bool:
        folder = name.rpartition("/")[0]
        return name in self._durable and (folder in self._durable or name.count("/") <= 1)

    def _change(self, folder: str, sets: tuple[tuple[str, Node | None], ...], drops: tuple[str, ...]) -> None:
        for name in drops:
            self.names.pop(name, None)
        self.names.update(sets)
        self._pending.setdefault(folder, []).append((sets, drops))

    def _operation(self) -> None:
        if self.crash_after is not None:
            self.crash_after -= 1
            if self.crash_after <= 0:
                self.crash_after = None
                raise Crash

    # ------------------------------------------------------------ FileLayer

    def create(self, path: Path) -> int:
        self._operation()
        name = str(path)
        folder = _folder_of(name)
        if folder not in self.names:
            raise _error(errno.ENOENT, name)
        node = self.names.get(name)
        if node is None:
            node = Node()
            self._change(folder, ((name, node),), ())
        else:
            node.data = b""
        self._next += 1
        self._open[self._next] = node
        return self._next

    def write(self, descriptor: int, data: memoryview) -> int:
        self._operation()
        if self.full:
            raise _error(errno.ENOSPC, "")
        self._open[descriptor].data += bytes(data)
        return len(data)

    def fsync(self, descriptor: int) -> None:
        self._operation()
        node = self._open[descriptor]
        node.synced = node.data

    def close(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)

    def keep(self, path: Path) -> int | None:
        node = self.names.get(str(path))
        if node is None:
            return None
        self._next += 1
        self._open[self._next] = node
        return self._next

    def rename(self, source: Path, target: Path) -> None:
        self._operation()
        name = str(source)
        if name not in self.names:
            raise _error(errno.ENOENT, name)
        new = str(target)
        self._change(_folder_of(new), ((new, self.names[name]),), (name,))

    def fsync_folder(self, folder: Path) -> None:
        self._operation()
        for sets, drops in self._pending.pop(str(folder), ()):
            for name in drops:
                self._durable.pop(name, None)
            self._durable.update(sets)

    def remove(self, path: Path) -> None:
        self._operation()
        name = str(path)
        if self.names.get(name) is None:
            raise _error(errno.ENOENT, name)
        self._change(_folder_of(name), (), (name,))

    def make_folder(self, folder: Path) -> None:
        self._operation()
        name = str(folder)
        parent = _folder_of(name)
        if name in self.names:
            return
        if parent not in self.names:
            raise _error(errno.ENOENT, name)
        self._change(parent, ((name, None),), ())

    def read(self, path: Path) -> bytes:
        node = self.names.get(str(path))
        if node is None:
            raise _error(errno.ENOENT, str(path))
        return node.data

    def files(self, folder: Path) -> list[str]:
        return self._listed(str(folder), of_folders=False)

    def folders(self, folder: Path) -> list[str]:
        return self._listed(str(folder), of_folders=True)

    def _listed(self, folder: str, *, of_folders: bool) -> list[str]:
        return sorted(
            name.rpartition("/")[2]
            for name, node in self.names.items()
            if (node is None) is of_folders and name.rpartition("/")[0] == folder
        )


def _folder_of(name: str) -> str:
    """As `Path.parent` has it, many times faster."""
    return name.rpartition("/")[0] or "/"


def _error(code: int, name: str) -> OSError:
    return OSError(code, os.strerror(code), name)
