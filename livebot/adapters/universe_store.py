"""`state/universe.json`: who is in the universe, who left a short time ago, and whose open position is still managed."""

from pathlib import Path

from livebot.adapters.codec import Codec
from livebot.adapters.durable_files import DurableFiles, fatal_of
from livebot.adapters.sealed_json import seal, unseal
from livebot.adapters.state_schemas import UNIVERSE_UPGRADES
from livebot.core.universe_memory import UniverseMemory
from livebot.errors import BadInput, Fatal

FILE_NAME = "universe.json"
MEMORY: Codec[UniverseMemory] = Codec(UniverseMemory)


class FileUniverseStore:
    """A UniverseStore in a folder.

    A damaged file costs little: members are chosen anew, and a position of who left is guarded by its state file.
    """

    def __init__(self, folder: Path, system: str, files: DurableFiles) -> None:
        self._path = folder / FILE_NAME
        self._system = system
        self._files = files

    async def load(self) -> UniverseMemory | None:
        """None if there is none yet; call it before the first save.

        Raises:
            BadInput: it is damaged, and was set aside.
            Fatal: it is of another system or version, or cannot be read or set aside.

        """
        return await self._files.run(self._load)

    async def save(self, memory: UniverseMemory) -> None:
        """Durable when it returns.

        Raises:
            Fatal: not written, and the old file still stands.

        """
        await self._files.write(self._path, seal({"system": self._system, **MEMORY.to_tree(memory)}))

    def _load(self) -> UniverseMemory | None:
        try:
            return read_universe(self._path, self._system)
        except BadInput as error:
            kept = self._files.set_aside(self._path)
            text = f"{error}; it was set aside as {kept.name}, and the universe is chosen as if for the first time"
            raise BadInput(text) from None


def read_universe(path: Path, system: str) -> UniverseMemory | None:
    """What a file remembers, None if there is no file; blocking, nothing is changed.

    Raises:
        BadInput: it is damaged.
        Fatal: it is of another system or version, or cannot be read.

    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise fatal_of("read", path, error) from error
    try:
        tree = unseal(data, UNIVERSE_UPGRADES)
        owner = tree.pop("system", None)
        if owner != system:
            text = f"{path}: it is of system {owner}, and this is {system}: give each system a root of its own"
            raise Fatal(text)
        return MEMORY.from_tree(tree)
    except BadInput as error:
        raise BadInput(f"{path} is damaged: {error}") from None
