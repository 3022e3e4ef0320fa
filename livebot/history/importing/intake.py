"""A file of another program as a table of candles for the store, or a refusal with the file, the row and the mend.

Rules of this file: a row that cannot be true refuses its whole file; what is put right (rows newest first, the same row
twice, a last candle that has not closed) is put right only where nothing has to be guessed, and is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from livebot.core.market import Timeframe
from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.history.importing.columns import by_position, chosen, recognise
from livebot.history.importing.moments import Moments, of_calendar, of_numbers, of_texts
from livebot.history.importing.names import told_by
from livebot.history.importing.sources import Source, is_source, read_source
from livebot.history.inspection import spacing_of
from livebot.history.place import MARKETS, Place, check_symbol
from livebot.history.soundness import bad_file, require_sound
from livebot.history.table import CandleTable

MOST_FILES = 100_000
LEAST_STEPS = 2  # between rows, before their length says which timeframe they are of


@dataclass(frozen=True, slots=True)
class Given:
    """What the operator says of all files; None is taken from each file's path."""

    venue: str | None = None
    market: str | None = None
    symbol: str | None = None
    timeframe: Timeframe | None = None
    columns: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A file's candles, where they belong, and what was put right or assumed, in sentences."""

    place: Place
    table: CandleTable
    notes: tuple[str, ...] = field(default=())


def sources_in(given: Sequence[Path]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Files to import, those named and those in folders named and below; and those passed over (no candles by name).

    Raises:
        BadInput: a name is of nothing, or a folder has no file of a known format.

    """
    taken: list[Path] = []
    passed: list[Path] = []
    for path in given:
        if path.is_file():
            taken.append(path)
            continue
        if not path.is_dir():
            raise BadInput(f"{path}: is not there; name files or a folder")
        inside = [each for each in sorted(path.rglob("*")) if each.is_file() and is_source(each)]
        if not inside:
            raise BadInput(f"{path}: no file in it is of a known format")
        for each in inside:
            (taken if told_by(each).candles else passed).append(each)
    if len(taken) > MOST_FILES:
        raise BadInput(f"{len(taken)} files are too many at once; name smaller folders")
    return tuple(dict.fromkeys(taken)), tuple(dict.fromkeys(passed))


def take_in(path: Path, given: Given, now_ms: int) -> Taken:
    """A file's closed candles.

    Raises:
        BadInput: naming the file, the row (the first with a candle is row 1) and the mend.

    """
    source = _named(path, lambda: read_source(path))
    symbol = _symbol(path, given)
    indexes = _named(path, lambda: _indexes(source, given, symbol))
    first, *rest = (source.columns[index] for index in indexes)
    _require_filled(path, source, indexes)
    moments = _named(path, lambda: _moments(first))
    names = _names(source, indexes)
    values = np.array([_numbers(path, column, name) for column, name in zip(rest, names[1:], strict=True)])
    notes = [moments.note] if moments.note else []
    table = _ordered(CandleTable(moments.ts_ms, values), notes)
    place = _place(path, given, symbol, table)
    require_sound(path, table, place.timeframe)
    return Taken(place, _closed(path, table, place.timeframe, now_ms, notes), tuple(notes))


def _named(path: Path, work: Any) -> Any:  # noqa: ANN401 - whatever the work returns
    try:
        return work()
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def _symbol(path: Path, given: Given) -> str | None:
    if given.symbol is not None:
        return given.symbol
    told = told_by(path)
    if given.market != "perpetual" or told.market is not None or told.symbol is None:
        return told.symbol
    # BTCUSDT alone does not say what a perpetual settles in: it is its quote
    return f"{told.symbol}:{told.symbol.partition('/')[2]}"


def _indexes(source: Source, given: Given, symbol: str | None) -> tuple[int, ...]:
    count = len(source.columns)
    if given.columns is not None:
        return chosen(given.columns, source.names, count)
    if source.names is None:
        return by_position(count)
    return recognise(source.names, symbol.partition("/")[0] if symbol else None)


def _names(source: Source, indexes: Sequence[int]) -> list[str]:
    return [source.names[index] if source.names else f"column {index + 1}" for index in indexes]


def _require_filled(path: Path, source: Source, indexes: Sequence[int]) -> None:
    if not len(source.columns[indexes[0]]):
        raise bad_file(path, "has no rows", "export it again, or leave it out")
    for index, name in zip(indexes, _names(source, indexes), strict=True):
        column = source.columns[index]
        if column.null_count:
            row = int(np.flatnonzero(np.asarray(column.is_null()))[0])
            raise bad_file(path, f"row {row + 1}: {name} is empty", "drop the row; a missing candle is no fault")


def _moments(column: Any) -> Moments:  # noqa: ANN401 - pyarrow has no types
    kind = str(column.type)
    if kind.startswith(("timestamp", "date")):
        return of_calendar(np.asarray(column.to_numpy()), zoned="tz=" in kind)
    if "string" in kind:
        return of_texts([str(text) for text in column.to_pylist()])
    array = np.asarray(column)
    if array.dtype.kind not in "iuf":
        raise BadInput(f"the column of times has type {kind}; name another with --columns")
    return of_numbers(array)


def _numbers(path: Path, column: Any, name: str) -> Floats:  # noqa: ANN401
    kind = str(column.type)
    if "string" in kind:
        return _of_texts(path, column.to_pylist(), name)
    array: npt.NDArray[Any] = np.asarray(column)
    if kind.startswith("decimal"):
        return np.array([float(each) for each in array])
    if array.dtype.kind not in "iuf":
        raise bad_file(path, f"column {name} has type {kind}", "store numbers, or name another with --columns")
    return array.astype(np.float64)


def _of_texts(path: Path, texts: Sequence[str], name: str) -> Floats:
    found = np.empty(len(texts))
    for row, text in enumerate(texts):
        try:
            found[row] = float(text)
        except ValueError:
            raise bad_file(
                path, f"row {row + 1}: {name} {text!r:.60} is not a number", "mend or drop the row"
            ) from None
    return found


def _ordered(table: CandleTable, notes: list[str]) -> CandleTable:
    """Oldest first, each candle once, where that needs no guess; what cannot be put right so is refused later."""
    steps = np.diff(table.ts_ms)
    if len(steps) and (steps <= 0).all() and (steps < 0).any():
        notes.append("its rows stand newest first and were turned round")
        table = CandleTable(table.ts_ms[::-1].copy(), np.ascontiguousarray(table.values[:, ::-1]))
    same = np.flatnonzero((np.diff(table.ts_ms) == 0) & (table.values[:, 1:] == table.values[:, :-1]).all(axis=0))
    if len(same):
        notes.append(f"{len(same)} rows stand there twice, one like the other, and count once")
        keep = np.ones(len(table), dtype=bool)
        keep[same + 1] = False
        table = CandleTable(table.ts_ms[keep], table.values[:, keep])
    return table


def _place(path: Path, given: Given, symbol: str | None, table: CandleTable) -> Place:
    told = told_by(path)
    venue, market = given.venue or told.venue, given.market or told.market
    if given.timeframe and told.timeframe and given.timeframe is not told.timeframe:
        said = f"its name says {told.timeframe.value}, and --timeframe {given.timeframe.value}"
        raise bad_file(path, said, "leave --timeframe out, or rename the file")
    for what, value in (("venue", venue), ("market", market), ("symbol", symbol)):
        if value is None:
            raise bad_file(path, f"its path does not say the {what}", f"say it with --{_OPTIONS[what]}")
    assert venue is not None and market is not None and symbol is not None  # noqa: PT018 - looked at above
    if market not in MARKETS:
        raise bad_file(path, f"{market!r} is not a market", f"write {' or '.join(MARKETS)}")
    try:
        check_symbol(symbol, market)
    except BadInput as error:
        raise bad_file(path, str(error), "say it with --symbol and --market") from error
    spacing = spacing_of(table.ts_ms)
    timeframe = given.timeframe or told.timeframe or spacing
    _require_timeframe(path, table, timeframe, spacing)
    return Place(venue, market, timeframe, symbol)


_OPTIONS = {"venue": "exchange", "market": "market", "symbol": "symbol"}


def _require_timeframe(path: Path, table: CandleTable, timeframe: Timeframe, spacing: Timeframe) -> None:
    steps = np.diff(table.ts_ms)
    closer = np.flatnonzero((steps > 0) & (steps < timeframe.ms))
    # a quiet market leaves candles out, but not always so that the rest are on a longer grid
    longer = spacing.ms > timeframe.ms and int(steps.min()) >= spacing.ms and not (table.ts_ms % spacing.ms).any()
    other = spacing is not timeframe  # else a single row is off the grid, which is another fault
    if other and (len(closer) or (len(steps) >= LEAST_STEPS and longer)):
        row = int(closer[0]) if len(closer) else int(np.argmax(steps == spacing.ms))
        raise bad_file(
            path,
            f"row {row + 2}: opens {steps[row] / 60_000:g} minutes after the row before, and its name (or --timeframe) says "
            f"{timeframe.value}",
            f"it looks like {spacing.value}: rename it, or say --timeframe {spacing.value}",
        )


def _closed(path: Path, table: CandleTable, timeframe: Timeframe, now_ms: int, notes: list[str]) -> CandleTable:
    count = int(np.searchsorted(table.ts_ms, now_ms - timeframe.ms, side="right"))
    if count < len(table):
        notes.append(f"{len(table) - count} candles at its end have not closed yet and were left out")
    if not count:
        raise bad_file(path, "row 1: none of its candles has closed yet", "check its times, and this machine's clock")
    return CandleTable(table.ts_ms[:count], np.ascontiguousarray(table.values[:, :count]))
