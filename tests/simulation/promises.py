"""What the disk must hold after a crash: for each file what was promised last, or something newer."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.world import World


class Promises:
    """The versions of each file, from the last one that was promised to be durable to the newest that was asked for."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._versions: dict[str, list[bytes]] = {}
        self._promised: set[str] = set()

    def asked(self, name: str, data: bytes) -> None:
        """Somebody wants it written."""
        self._world.note("save", name.rpartition("/")[2], len(data))
        self._versions.setdefault(name, []).append(data)

    def promised(self, name: str, data: bytes) -> None:
        """Somebody was told that it is durable."""
        versions = self._versions[name]
        if data in versions:
            del versions[: versions.index(data)]
            self._promised.add(name)
            self._world.note("saved", name.rpartition("/")[2])

    def after_crash(self) -> None:
        """No file is damaged, or older than what was promised."""
        for name, versions in self._versions.items():
            node = self._world.disk.names.get(name)
            if node is None and name not in self._promised:
                versions.clear()
            elif node is None:
                self._world.checker.wrong("disk", f"{name} is gone after a crash")
            elif node.data not in versions:
                text = f"{name} is older than promised, or damaged, after a crash ({len(node.data)} bytes)"
                self._world.checker.wrong("disk", text)
            else:
                versions[:] = [node.data]
