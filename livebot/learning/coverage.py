"""`state/training_queue.json`: symbols that want to trade and that no model covers; `livebot train --if-due` reads it.

Rules of this file: the daemon alone writes it (beside the event loop), in its own folder, for it may have models/ read-only; what
is lost with it is found anew at the next entry of the symbol; a damaged file is set aside and told, never read in part.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.durable_files import DAMAGED_INFIX, fatal_of
from livebot.adapters.state_files.file_layer import FileLayer, SystemFiles
from livebot.adapters.state_files.sealed_json import seal, unseal
from livebot.adapters.state_files.state_schemas import QUEUE_UPGRADES
from livebot.errors import BadInput
from livebot.learning.whole_files import replace_file

FILE_NAME = "training_queue.json"
WAITING_MAX = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A symbol of a strategy that is not covered, and since when it has wanted to trade (UTC ms)."""

    strategy: str
    symbol: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class _Content:
    waiting: tuple[Waiting, ...] = ()


_CODEC: Codec[_Content] = Codec(_Content)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueChange:
    """What an update did: who waits no longer, and a sentence if the file was damaged and set aside."""

    covered: tuple[Waiting, ...] = ()
    note: str | None = None


class TrainingQueue:
    """Who waits, oldest first; at most WAITING_MAX: further ones are not taken, and come back with their next entry."""

    def __init__(self, path: Path, system: str, layer: FileLayer | None = None) -> None:
        """Nothing is read.  `path` is `queue_path(state)`."""
        self._path = path
        self._system = system
        self._layer = layer or SystemFiles()
        self._waiting: dict[tuple[str, str], Waiting] | None = None
        self._written: tuple[Waiting, ...] = ()

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """Those known so far; none before the first `update`."""
        return tuple((self._waiting or {}).values())

    def update(self, wanted: Iterable[Waiting], covered: Callable[[Waiting], bool]) -> QueueChange:
        """Take in who wants, let go who is covered, and write the file if anything changed; blocking.

        Raises:
            Fatal: it cannot be read, written or set aside; who waits is remembered, and written the next time.

        """
        note = None
        if self._waiting is None:
            self._written, note = self._first_look()
            self._waiting = {(each.strategy, each.symbol): each for each in self._written}
        waiting = dict(self._waiting)
        for each in wanted:
            if len(waiting) < WAITING_MAX:
                waiting.setdefault((each.strategy, each.symbol), each)
        gone = {name: each for name, each in waiting.items() if covered(each)}
        released = tuple(each for name, each in gone.items() if name in self._waiting)
        self._waiting = {name: each for name, each in waiting.items() if name not in gone}
        if self.waiting != self._written:
            self._write()
        return QueueChange(covered=released, note=note)

    def _first_look(self) -> tuple[tuple[Waiting, ...], str | None]:
        try:
            return read_queue(self._path, self._system), None
        except BadInput as error:
            kept = self._path.with_name(f"{self._path.name}{DAMAGED_INFIX}1")
            try:
                self._layer.rename(self._path, kept)
            except OSError as failure:
                raise fatal_of("set aside", self._path, failure) from failure
            return (), f"{error}; it was set aside as {kept.name}, and who waits is found anew"

    def _write(self) -> None:
        tree = _CODEC.to_tree(_Content(self.waiting))
        replace_file(self._layer, self._path, seal({"system": self._system, **tree}))
        self._written = self.waiting


def queue_path(state: Path) -> Path:
    """Where the queue of the system with this state folder lies."""
    return state / FILE_NAME


def read_queue(path: Path, system: str) -> tuple[Waiting, ...]:
    """Who waits, oldest first; none if there is no file; blocking, nothing is changed.

    Raises:
        BadInput: it is damaged, or of another system.
        Fatal: it cannot be read, or is of another version of livebot.

    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise fatal_of("read", path, error) from error
    try:
        tree = unseal(data, QUEUE_UPGRADES)
        owner = tree.pop("system", None)
        if owner != system:
            raise BadInput(f"it is of system {owner}, and this is {system}")
        return _CODEC.from_tree(tree).waiting
    except BadInput as error:
        raise BadInput(f"{path} is damaged: {error}") from None
