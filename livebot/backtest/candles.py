"""Candles for a backtest: from a folder of files or from the candle store, all of one timeframe.

Rules of this file: what cannot be true is refused with file, row and mend, never repaired; a folder that says in its
name which candles it holds is believed only if the times agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from livebot.core.market import Timeframe
from livebot.errors import BadInput
from livebot.history.candle_file import load_file
from livebot.history.inspection import spacing_of
from livebot.history.minutes import named_timeframe
from livebot.history.place import SUFFIX, Place, file_name
from livebot.history.soundness import TELLING_ROWS, bad_file, require_sound
from livebot.history.store import CandleStore
from livebot.history.table import CandleTable
from livebot.simulator.replay import names_of

_LISTED = 12  # names in a message


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The candles of some symbols, all of the timeframe `base`."""

    base: Timeframe
    tables: dict[str, CandleTable]
    where: Path


def is_flat(folder: Path) -> bool:
    """Whether candle files lie in the folder itself, so that it is no store."""
    return any(folder.glob(f"*{SUFFIX}"))


def from_folder(folder: Path, symbols: Sequence[str]) -> Found:
    """The candles in the files of one folder, `BTCUSDT.parquet` or `BTC-USDT_USDT.parquet`.

    Raises:
        BadInput: a symbol has no file, a file is not as it should be, or not all are of one timeframe.

    """
    paths = {symbol: _path_in(folder, symbol) for symbol in symbols}
    tables = {symbol: load_file(path) for symbol, path in paths.items()}
    bases: dict[str, Timeframe] = {}
    for symbol, (table, note) in tables.items():
        base = note.place.timeframe if note is not None else spacing_of(table.ts_ms)
        _require_named(paths[symbol], base, len(table))
        require_sound(paths[symbol], table, base)
        bases[symbol] = base
    _require_one(bases, paths)
    return Found(next(iter(bases.values())), {symbol: table for symbol, (table, _) in tables.items()}, folder)


def from_store(store: CandleStore, venue: str | None, market: str, symbols: Sequence[str]) -> Found:
    """The candles of a store, of the shortest timeframe that it has for all of the symbols.

    `venue` None: the only one that has candles of this market.

    Raises:
        BadInput: a symbol is lacking, a file is not as it should be, or several venues could be meant.

    """
    there = [place for place in store.places() if place.market == market and venue in (None, place.venue)]
    venues = sorted({place.venue for place in there})
    if len(venues) > 1:
        raise BadInput(
            f"{store.folder}: has candles of {', '.join(venues)}; say which are meant, such as "
            f"--candles {store.folder / venues[0] / market}/1m"
        )
    held: dict[Timeframe, set[str]] = {}
    for place in there:
        held.setdefault(place.timeframe, set()).add(place.symbol)
    whole = [base for base in Timeframe if set(symbols) <= held.get(base, set())]
    if not whole:
        raise BadInput(_lacking(store.folder, market, symbols, held))
    places = {symbol: Place(venues[0], market, whole[0], symbol) for symbol in symbols}
    tables = {symbol: store.read(place) for symbol, place in places.items()}
    return Found(whole[0], tables, store.folder / venues[0] / market / whole[0].value)


def most_held(store: CandleStore, venue: str | None, market: str) -> tuple[str, ...]:
    """The symbols that a store has in the timeframe in which it has most, the shortest of those; sorted."""
    held: dict[Timeframe, set[str]] = {}
    for place in store.places():
        if place.market == market and venue in (None, place.venue):
            held.setdefault(place.timeframe, set()).add(place.symbol)
    return tuple(sorted(max(held.items(), key=lambda item: (len(item[1]), -item[0].ms))[1])) if held else ()


def _lacking(folder: Path, market: str, symbols: Sequence[str], held: dict[Timeframe, set[str]]) -> str:
    if not held:
        return (
            f"{folder}: no {market} candles are there; fetch some with `livebot data fetch`, bring some with "
            "`livebot data import`, or name a folder of candle files with --candles"
        )
    best = max(held, key=lambda base: (len(held[base] & set(symbols)), -base.ms))
    missing = [symbol for symbol in symbols if symbol not in held[best]]
    return (
        f"{folder}: no {best.value} candles of {', '.join(missing)}; fetch them with `livebot data fetch --symbols "
        f"{','.join(missing)} --timeframe {best.value} --since ...`, or leave them out with --symbols"
    )


def _path_in(folder: Path, symbol: str) -> Path:
    names = names_of(symbol)
    for name in names:
        if (folder / name).is_file():
            return folder / name
    there = sorted(path.name for path in folder.glob(f"*{SUFFIX}"))
    listed = ", ".join(there[:_LISTED]) + (" ..." if len(there) > _LISTED else "")
    raise BadInput(
        f"{folder}: no candles of {symbol}; expected {' or '.join(names)}, found {listed or 'no parquet file'}; "
        f"bring {file_name(symbol)}, or leave the symbol out with --symbols"
    )


def _require_named(path: Path, base: Timeframe, rows: int) -> None:
    """Raises BadInput: the folder is named after another timeframe than the file's rows have."""
    named = named_timeframe(path.parent)
    if named is not None and named is not base and rows >= TELLING_ROWS:
        raise bad_file(
            path,
            f"by its times these are {base.value} candles, and its folder says {named.value}",
            f"move it to a folder of {base.value} candles, or fetch {named.value} ones",
        )


def _require_one(bases: dict[str, Timeframe], paths: dict[str, Path]) -> None:
    first = next(iter(bases))
    for symbol, base in bases.items():
        if base is not bases[first]:
            raise bad_file(
                paths[symbol],
                f"holds {base.value} candles, and {paths[first].name} holds {bases[first].value} ones",
                "bring candles of one timeframe for all symbols, or leave one of them out with --symbols",
            )
