"""A state file that holds one value of a system, and whose loss costs little: what it remembers can be found anew.

Rules of this file: a damaged file is set aside and said, never read in part; a file of another system or of another
version of livebot is left alone and refused.
"""

from pathlib import Path
from typing import Generic, TypeVar

from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.durable_files import DurableFiles, fatal_of
from livebot.adapters.state_files.sealed_json import Upgrades, seal, unseal
from livebot.errors import BadInput, Fatal

T = TypeVar("T")


class MemoryFile(Generic[T]):
    """One file; `codec` says what is in it, `upgrades` what earlier versions wrote."""

    def __init__(self, path: Path, system: str, codec: Codec[T], upgrades: Upgrades) -> None:
        """Nothing is read."""
        self._path = path
        self._system = system
        self._codec = codec
        self._upgrades = upgrades

    def read(self) -> T | None:
        """What it remembers, None if there is no file; blocking, nothing is changed.

        Raises:
            BadInput: it is damaged.
            Fatal: it is of another system or version, or cannot be read.

        """
        path = self._path
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise fatal_of("read", path, error) from error
        try:
            tree = unseal(data, self._upgrades)
            owner = tree.pop("system", None)
            if owner != self._system:
                raise Fatal(
                    f"{path}: it is of system {owner}, and this is {self._system}: give each system a root of its own"
                )
            return self._codec.from_tree(tree)
        except BadInput as error:
            raise BadInput(f"{path} is damaged: {error}") from None

    async def load(self, files: DurableFiles, without: str) -> T | None:
        """As `read`, beside the event loop; call it before the first save.

        `without` says what follows from having nothing.

        Raises:
            BadInput: it is damaged, and was set aside.
            Fatal: as `read`, or it cannot be set aside.

        """

        def load() -> T | None:
            try:
                return self.read()
            except BadInput as error:
                kept = files.set_aside(self._path)
                raise BadInput(f"{error}; it was set aside as {kept.name}, and {without}") from None

        return await files.run(load)

    async def save(self, files: DurableFiles, value: T) -> None:
        """Durable when it returns.

        Raises:
            Fatal: not written, and the old file still stands.

        """
        await files.write(self._path, seal({"system": self._system, **self._codec.to_tree(value)}))
