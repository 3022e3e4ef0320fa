"""`signals/<strategy>/<symbol>.json`: the whole durable state of each (strategy, symbol), one sealed file each.

A file that fails its checks is set aside and its symbol alone is affected.  It stays reported at every start until
there is a sound file again or the operator has removed what was set aside: never is a damaged symbol taken for one that
has no position.
"""

from dataclasses import dataclass
from pathlib import Path

from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.durable_files import DAMAGED_INFIX, DurableFiles, fatal_of
from livebot.adapters.state_files.sealed_json import seal, unseal
from livebot.adapters.state_files.signal_names import SUFFIX, file_name, folder_name, symbol_of
from livebot.adapters.state_files.state_schemas import SIGNAL_UPGRADES
from livebot.core.inputs import SymbolState
from livebot.errors import BadInput, Fatal, Rejected
from livebot.ports import DamagedFile, LoadedStates

STATES: Codec[SymbolState] = Codec(SymbolState)


@dataclass(frozen=True, slots=True)
class _Read:
    """What one file turned out to be: a state, or damaged (`cause`), perhaps only by being of another system."""

    path: Path
    state: SymbolState | None
    cause: str = ""
    other_system: str | None = None


class FileSignalStore:
    """A SignalStore in a folder.  `save` is safe to call for many symbols at once: they share one group commit."""

    def __init__(self, folder: Path, system: str, files: DurableFiles) -> None:
        self._folder = folder
        self._system = system
        self._files = files
        self._layer = files.layer
        self._paths: dict[tuple[str, str], Path] = {}  # one for each file

    async def load(self) -> LoadedStates:
        """Read every file; call it before the first save.

        Raises:
            Fatal: the folder cannot be read, or it is another system's or another version's; nothing was moved then.

        """
        return await self._files.run(self._load)

    async def load_one(self, strategy: str, symbol: str) -> SymbolState | None:
        """Read one file, after any write to it that is still on its way; None if there is none.

        Raises:
            Rejected: it is damaged and was set aside, now or earlier.
            Fatal: another version wrote it, or it cannot be set aside.
            BadInput: strategy or symbol cannot name a file.

        """
        path = self.path_of(strategy, symbol)
        await self._files.settled(path)
        return await self._files.run(lambda: self._load_one(path, strategy))

    async def save(self, state: SymbolState) -> None:
        """Durable when it returns.

        Raises:
            Fatal: not written, and the old file still stands; or the state is not one of this system.
            BadInput: strategy or symbol cannot name a file.

        """
        if state.system != self._system:
            message = f"a state of system {state.system} does not belong into {self._folder} of {self._system}"
            raise Fatal(message)
        await self._files.write(self.path_of(state.strategy, state.symbol), seal(STATES.to_tree(state)))

    def path_of(self, strategy: str, symbol: str) -> Path:
        """Where a state stands.  Raises BadInput if strategy or symbol cannot name a file."""
        path = self._paths.get((strategy, symbol))
        if path is None:
            path = self._paths[strategy, symbol] = self._folder / folder_name(strategy) / file_name(symbol)
        return path

    # ------------------------------------------------------------ beside the loop

    def _load(self) -> LoadedStates:
        strategies = self._names_of_strategies()
        names = {strategy: self._layer.files(self._folder / strategy) for strategy in strategies}
        reads = [
            self._read(self._folder / strategy / name, strategy)
            for strategy in strategies
            for name in names[strategy]
            if name.endswith(SUFFIX)
        ]
        self._refuse_foreign_folder(reads)
        for strategy in strategies:
            self._files.make_names_durable(self._folder / strategy)
        # only now is it certain that this folder is ours to tidy
        for strategy in strategies:
            self._files.remove_scratch(self._folder / strategy)
        damaged = [self._set_aside(read) for read in reads if read.state is None]
        for strategy in strategies:
            damaged += self._set_aside_earlier(strategy, names[strategy])
        return LoadedStates(tuple(read.state for read in reads if read.state is not None), tuple(damaged))

    def _load_one(self, path: Path, strategy: str) -> SymbolState | None:
        names = self._layer.files(path.parent)
        if path.name in names:
            self._files.make_names_durable(path.parent)
            read = self._read(path, strategy)
            if read.state is not None:
                return read.state
            damaged = [self._set_aside(read)]
        else:
            damaged = [each for each in self._set_aside_earlier(strategy, names) if each.path == str(path)]
        if damaged:
            message = f"{damaged[0].path} is damaged ({damaged[0].cause}) and was set aside as {damaged[0].moved_to}"
            raise Rejected(message)
        return None

    def _names_of_strategies(self) -> list[str]:
        try:
            return self._layer.folders(self._folder)
        except OSError as error:
            raise fatal_of("read", self._folder, error) from error

    def _read(self, path: Path, strategy: str) -> _Read:
        try:
            tree = unseal(self._layer.read(path), SIGNAL_UPGRADES)
            system = tree.get("system")
            if isinstance(system, str) and system != self._system:
                return _Read(path, None, f"it is of system {system}, not {self._system}", system)
            state = STATES.from_tree(tree)
        except OSError as error:
            return _Read(path, None, f"it cannot be read: {error.strerror}")
        except BadInput as error:
            return _Read(path, None, str(error))
        except Fatal as error:
            message = f"{path}: {error}"
            raise Fatal(message) from None
        if (strategy, path.name) != (state.strategy, _name_of(state.symbol)):
            return _Read(path, None, f"it is of {state.strategy} {state.symbol}, which is not its place")
        return _Read(path, state)

    def _refuse_foreign_folder(self, reads: list[_Read]) -> None:
        others = sorted({read.other_system for read in reads if read.other_system is not None})
        if others and not any(read.state for read in reads):
            message = (
                f"{self._folder} belongs to system {', '.join(others)}, and this is {self._system}: "
                "give each system a root of its own (--root), or name the system in the config as it was; "
                "nothing was moved"
            )
            raise Fatal(message)

    def _set_aside(self, read: _Read) -> DamagedFile:
        kept = self._files.set_aside(read.path)
        return DamagedFile(str(read.path), str(kept), read.path.parent.name, symbol_of(read.path.name), read.cause)

    def _set_aside_earlier(self, strategy: str, names: list[str]) -> list[DamagedFile]:
        """What was set aside before, has no sound file in its stead, and so still waits for somebody to look at it."""
        waiting = {}
        for name in names:
            original, infix, number = name.rpartition(DAMAGED_INFIX)
            if infix and number.isdigit() and original.endswith(SUFFIX) and original not in names:
                waiting[original] = name
        folder = self._folder / strategy
        cause = "it was set aside earlier and there is no sound file in its stead"
        return [
            DamagedFile(str(folder / original), str(folder / name), strategy, symbol_of(original), cause)
            for original, name in waiting.items()
        ]


def _name_of(symbol: str) -> str | None:
    try:
        return file_name(symbol)
    except BadInput:
        return None
