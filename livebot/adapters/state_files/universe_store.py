"""`state/universe.json`: who is in the universe, who left a short time ago, and whose open position is still managed."""

from pathlib import Path

from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.memory_file import MemoryFile
from livebot.adapters.state_files.state_schemas import UNIVERSE_UPGRADES
from livebot.core.universe_memory import UniverseMemory

FILE_NAME = "universe.json"
MEMORY: Codec[UniverseMemory] = Codec(UniverseMemory)


class FileUniverseStore:
    """A UniverseStore in a folder.

    A damaged file costs little: members are chosen anew, and a position of who left is guarded by its state file.
    """

    def __init__(self, folder: Path, system: str, files: DurableFiles) -> None:
        """Nothing is read."""
        self._file = MemoryFile(folder / FILE_NAME, system, MEMORY, UNIVERSE_UPGRADES)
        self._files = files

    async def load(self) -> UniverseMemory | None:
        """None if there is none yet; call it before the first save.

        Raises:
            BadInput: it is damaged, and was set aside.
            Fatal: it is of another system or version, or cannot be read or set aside.

        """
        return await self._file.load(self._files, "the universe is chosen as if for the first time")

    async def save(self, memory: UniverseMemory) -> None:
        """Durable when it returns.

        Raises:
            Fatal: not written, and the old file still stands.

        """
        await self._file.save(self._files, memory)


def read_universe(path: Path, system: str) -> UniverseMemory | None:
    """What a file remembers, None if there is no file; blocking, nothing is changed.

    Raises:
        BadInput: it is damaged.
        Fatal: it is of another system or version, or cannot be read.

    """
    return MemoryFile(path, system, MEMORY, UNIVERSE_UPGRADES).read()
