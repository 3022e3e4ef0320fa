"""The candle store: a folder of candle files, one for each venue, market, timeframe and symbol.

Rules of this file: a file is read strictly and replaced whole; what could not be merged leaves it as it was; new rows
win and are counted; only the holder of a file's lock writes it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from livebot.errors import BadInput
from livebot.history.candle_file import FileNote, encode, load_file, read_note
from livebot.history.place import SUFFIX, Place, place_of
from livebot.history.soundness import bad_file, require_sound
from livebot.history.spans import Span, joined, present
from livebot.history.table import CandleTable, Merged, empty_table, merge
from livebot.history.whole_file import FileCalls, make_folders, replace_file, sole_writer

LISTED = 8  # places named in a message
_SORTED = "list the stored ones with: livebot data list"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of rows that were merged into a file."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.added + other.added, self.replaced + other.replaced, self.unchanged + other.unchanged)


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of the store, as `data list` tells of it.

    `first_ms` and `stop_ms` are the opening of its first candle and the close of its last one; `problem` is why it
    cannot be used (then the numbers are 0).
    """

    path: Path
    place: Place
    rows: int
    first_ms: int
    stop_ms: int
    size: int
    problem: str | None = None


class CandleStore:
    """A folder of candle files.  Nothing is read or made before it is asked for."""

    def __init__(self, folder: Path, calls: FileCalls) -> None:
        """`calls` are what files are written with."""
        self.folder = folder
        self._calls = calls

    def path_of(self, place: Place) -> Path:
        """Where its candles are, or would be.  Raises BadInput: one of the names cannot be a file's."""
        return place.path_in(self.folder)

    def read(self, place: Place) -> CandleTable:
        """All candles of a place, checked.

        Raises:
            BadInput: there are none, or the file is not as it should be (naming file, row and mend).

        """
        table, _ = self._read(place)
        if not len(table):
            known = sorted({str(each) for each in self.places()})
            listed = ", ".join(known[:LISTED]) + (" ..." if len(known) > LISTED else "")
            raise BadInput(f"{self.folder}: no candles of {place}; there are {listed or 'none at all'}; {_SORTED}")
        return table

    def places(self) -> tuple[Place, ...]:
        """What the folder holds, by the names of its files."""
        found = (place_of(path) for path in self.folder.glob(f"*/*/*/*{SUFFIX}"))
        return tuple(sorted((place for place in found if place is not None), key=_order))

    def list(self) -> tuple[Stored, ...]:
        """Every file with its span and size, from its footer alone."""
        return tuple(self._stored(place) for place in self.places())

    @contextmanager
    def writing(self, place: Place) -> Iterator["PlaceWriter"]:
        """Hold a place's file for writing.

        Raises:
            BadInput: a name cannot be a file's, or the file is there and not as it should be.
            Fatal: somebody else writes it, or the folder cannot be made.

        """
        path = self.path_of(place)
        make_folders(path.parent, self._calls)
        with sole_writer(path):
            table, note = self._read(place)
            yield PlaceWriter(path, self._calls, table, note)

    def _read(self, place: Place) -> tuple[CandleTable, FileNote]:
        path = self.path_of(place)
        if not path.exists():
            return empty_table(), FileNote(place)
        table, note = load_file(path)
        require_sound(path, table, place.timeframe)
        if note is not None and note.place != place:
            raise bad_file(path, f"holds {note.place}, not what its name says", "give it its own name back")
        return table, note or FileNote(place)

    def _stored(self, place: Place) -> Stored:
        path = self.path_of(place)
        size = path.stat().st_size
        try:
            _, rows, first_ms, last_ms = read_note(path)
        except BadInput as error:
            return Stored(path, place, 0, 0, 0, size, str(error))
        if first_ms is None or last_ms is None:
            problem = f"{path}: does not tell its span; fetch or import it again"
            return Stored(path, place, rows, 0, 0, size, problem)
        return Stored(path, place, rows, first_ms, last_ms + place.timeframe.ms, size)


class PlaceWriter:
    """One file, held for writing."""

    def __init__(self, path: Path, calls: FileCalls, table: CandleTable, note: FileNote) -> None:
        """`table` and `note` are what the file holds."""
        self.path = path
        self.table = table
        self.note = note
        self._calls = calls

    @property
    def known(self) -> tuple[Span, ...]:
        """The time for which nothing has to be fetched: candles are there, or the venue was asked and has none."""
        return joined((*self.note.fetched, *present(self.table.ts_ms, self.note.place.timeframe.ms)))

    def merge(self, new: CandleTable, fetched: tuple[Span, ...] = ()) -> Counts:
        """Put candles into the file; `fetched` are the spans of which the venue has no others.

        Raises:
            BadInput: a row cannot be true (naming the row among the new ones).
            Fatal: it could not be written; the file is as it was before.

        """
        merged: Merged = merge(self.table, new)
        require_sound(self.path, merged.table, self.note.place.timeframe)
        note = FileNote(self.note.place, joined((*self.note.fetched, *fetched)))
        counts = Counts(merged.added, merged.replaced, merged.unchanged)
        if len(merged.table) and (merged.added or merged.replaced or note != self.note):
            replace_file(self.path, encode(merged.table, note), self._calls)
        self.table, self.note = merged.table, note
        return counts


def _order(place: Place) -> tuple[str, str, int, str]:
    return (place.venue, place.market, place.timeframe.ms, place.symbol)
