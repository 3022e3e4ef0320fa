"""What a power cut may leave, harsher than any real filesystem: everything not synced is lost, torn or kept, at will.

A `ModelDisk` keeps files in memory and logs every operation.  Afterwards each prefix of that log is a moment at which the
power may have gone, and for each moment `outcomes` lists what may be found then:

- a file's content that was not synced is gone, cut short, zeros, or whole;
- of the names changed since the last sync of their folder, any selection took effect, in any combination.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, combinations, islice, product
from pathlib import Path

OUTCOMES_PER_CUT_MAX = 2_000


@dataclass
class Node:
    """A file's content as the system shows it, and as it is on the platter (None: never synced)."""

    data: bytes = b""
    synced: bytes | None = None

    def after_cut(self) -> list[bytes]:
        """Every content that may be found."""
        if self.synced == self.data:
            return [self.data]
        half = len(self.data) // 2
        torn = [self.synced or b"", self.data[:half], bytes(len(self.data)), self.data[:half] + bytes(half), self.data]
        return list(dict.fromkeys(torn))


@dataclass(frozen=True)
class Change:
    """One change of names, atomic: some appear (or point elsewhere), some vanish."""

    folder: Path
    sets: tuple[tuple[Path, Node | None], ...] = ()  # a folder has no node
    drops: tuple[Path, ...] = ()


@dataclass
class ModelDisk:
    """A FileLayer in memory with a log.  Folders named at first are there and durable."""

    roots: tuple[Path, ...]
    log: list[tuple[str, object]] = field(default_factory=list)
    names: dict[Path, Node | None] = field(default_factory=dict)
    _open: dict[int, Node] = field(default_factory=dict)
    _next: int = 3

    def __post_init__(self) -> None:
        self.names.update(dict.fromkeys(self.roots))

    def acknowledged(self, path: Path, version: int) -> None:
        """Note that a writer was told that this version is durable."""
        self.log.append(("acknowledged", (path, version)))

    def _change(self, change: Change) -> None:
        for path in change.drops:
            self.names.pop(path, None)
        self.names.update(change.sets)
        self.log.append(("change", change))

    # ------------------------------------------------------------ FileLayer

    def create(self, path: Path) -> int:
        if path.parent not in self.names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        node = self.names.get(path)
        if node is None:
            node = Node()
            self._change(Change(path.parent, sets=((path, node),)))
        else:
            self._content(node, b"")
        self._next += 1
        self._open[self._next] = node
        return self._next

    def _content(self, node: Node, data: bytes) -> None:
        node.data = data
        self.log.append(("content", (node, data)))

    def write(self, descriptor: int, data: memoryview) -> int:
        node = self._open[descriptor]
        taken = data[: max(1, len(data) // 2)]  # in two goes or more
        self._content(node, node.data + bytes(taken))
        return len(taken)

    def fsync(self, descriptor: int) -> None:
        self.log.append(("fsync", self._open[descriptor]))

    def close(self, descriptor: int) -> None:
        del self._open[descriptor]

    def keep(self, path: Path) -> int | None:
        node = self.names.get(path)
        if node is None:
            return None
        self._next += 1
        self._open[self._next] = node
        return self._next

    def rename(self, source: Path, target: Path) -> None:
        self._change(Change(target.parent, sets=((target, self.names[source]),), drops=(source,)))

    def fsync_folder(self, folder: Path) -> None:
        self.log.append(("fsync_folder", folder))

    def remove(self, path: Path) -> None:
        self._change(Change(path.parent, drops=(path,)))

    def make_folder(self, folder: Path) -> None:
        if folder in self.names:
            return
        if folder.parent not in self.names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
        self._change(Change(folder.parent, sets=((folder, None),)))

    def read(self, path: Path) -> bytes:
        node = self.names[path]
        assert node is not None
        return node.data

    def files(self, folder: Path) -> list[str]:
        return sorted(path.name for path, node in self.names.items() if path.parent == folder and node is not None)

    def folders(self, folder: Path) -> list[str]:
        return sorted(path.name for path, node in self.names.items() if path.parent == folder and node is None)


@dataclass
class Moment:
    """The platter at one moment, and what was acknowledged by then."""

    durable: dict[Path, Node | None]
    pending: list[Change]
    contents: dict[int, Node]
    acknowledged: dict[Path, int]

    def outcomes(self) -> Iterator[dict[Path, bytes]]:
        """Every set of files that may be found, at most OUTCOMES_PER_CUT_MAX of them."""
        return islice(self._all_outcomes(), OUTCOMES_PER_CUT_MAX)

    def _all_outcomes(self) -> Iterator[dict[Path, bytes]]:
        for kept in subsets(self.pending):
            names = dict(self.durable)
            for change in kept:
                for path in change.drops:
                    names.pop(path, None)
                names.update(change.sets)
            files = {
                path: self.contents[id(node)]
                for path, node in names.items()
                if node is not None and all(parent in names for parent in path.parents if parent in self._known)
            }
            for contents in product(*(node.after_cut() for node in files.values())):
                yield dict(zip(files, contents, strict=True))

    @property
    def _known(self) -> set[Path]:
        """Folders that are there or on their way; those above the roots are nobody's concern."""
        made = {path for change in self.pending for path, node in change.sets if node is None}
        return made | {path for path, node in self.durable.items() if node is None}


def subsets(changes: list[Change]) -> Iterator[tuple[Change, ...]]:
    """Every selection, in order of time within each."""
    return chain.from_iterable(combinations(changes, size) for size in range(len(changes) + 1))


def moments(disk: ModelDisk) -> Iterator[Moment]:
    """The disk before its first operation, and after each."""
    moment = Moment(dict.fromkeys(disk.roots), [], {}, {})
    yield moment
    for what, about in disk.log:
        apply(moment, what, about)
        yield moment


def apply(moment: Moment, what: str, about: object) -> None:
    """One entry of the log."""
    match what, about:
        case "acknowledged", (Path() as path, int() as version):
            moment.acknowledged[path] = version
        case "change", Change() as change:
            moment.pending.append(change)
            for _, node in change.sets:
                if node is not None:
                    moment.contents.setdefault(id(node), Node())
        case "content", (Node() as node, bytes() as data):
            moment.contents[id(node)].data = data
        case "fsync", Node() as node:
            content = moment.contents[id(node)]
            content.synced = content.data
        case "fsync_folder", Path() as folder:
            for change in [change for change in moment.pending if change.folder == folder]:
                for path in change.drops:
                    moment.durable.pop(path, None)
                moment.durable.update(change.sets)
                moment.pending.remove(change)
        case _:
            raise AssertionError(what)
