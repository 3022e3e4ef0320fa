"""`data import`: files of other programs into the store.

Rules of this file: files of one symbol are merged before they are stored, later ones (by name) win; a file that is
refused stops no other and nothing of it is stored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from livebot.errors import BadInput, LivebotError
from livebot.history.importing.intake import Given, Taken, take_in
from livebot.history.importing.names import told_by
from livebot.history.place import Place
from livebot.history.store import CandleStore, Counts
from livebot.history.table import CandleTable, empty_table, merge


@dataclass(frozen=True, slots=True)
class Imported:
    """What came into one file of the store: counts, and the span of what was imported."""

    place: Place
    files: int
    counts: Counts
    first_ms: int
    stop_ms: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The whole import; `notes` and `refused` are sentences that name their file."""

    imported: tuple[Imported, ...]
    notes: tuple[str, ...]
    refused: tuple[str, ...]


def import_files(
    store: CandleStore, paths: Sequence[Path], given: Given, now_ms: int, tell: Callable[[Path], None]
) -> ImportReport:
    """Import files; `tell` is called when one has been read."""
    groups: dict[object, list[Path]] = {}
    for path in paths:
        told = told_by(path)
        groups.setdefault((told.venue, told.market, told.symbol, told.timeframe), []).append(path)
    imported: list[Imported] = []
    notes: list[str] = []
    refused: list[str] = []
    for group in groups.values():
        taken: list[Taken] = []
        for path in group:
            try:
                found = take_in(path, given, now_ms)
                taken.append(found)
                notes += [f"{path}: {note}" for note in found.notes]
            except BadInput as error:
                refused.append(str(error))
            tell(path)
        for place in dict.fromkeys(each.place for each in taken):
            try:
                imported.append(_store(store, place, [each.table for each in taken if each.place == place]))
            except LivebotError as error:
                refused.append(str(error))
    return ImportReport(tuple(imported), tuple(notes), tuple(refused))


def _store(store: CandleStore, place: Place, tables: Sequence[CandleTable]) -> Imported:
    whole = empty_table()
    for table in tables:
        whole = merge(whole, table).table
    with store.writing(place) as writer:
        counts = writer.merge(whole)
    return Imported(place, len(tables), counts, int(whole.ts_ms[0]), int(whole.ts_ms[-1]) + place.timeframe.ms)
