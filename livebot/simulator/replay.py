"""A market that has been: candles of one minute from a folder of parquet files, one per symbol.

A folder that says so in its name (`spot_1h`, `15m`) holds longer ones, which are played minute by minute as
`livebot.history.minutes` has it.

Rules of this file: no candle is invented.  In a minute that a file lacks, that symbol has no candle and its price stays
the last one; a history never reaches over such a gap.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from livebot.core.market import MINUTE_MS, Candle, Instrument, Timeframe
from livebot.core.series import CandleSeries, Floats
from livebot.errors import BadInput
from livebot.history.candle_file import read_candles
from livebot.history.minutes import as_minutes, named_timeframe
from livebot.history.place import symbol_of
from livebot.history.table import VALUES, CandleTable
from livebot.simulator.market import Fees, instrument_for, parts_of

_MOST_DECIMALS = 10
_LISTED = 12  # files named in a message


class _Recording:
    """One symbol's candles."""

    def __init__(self, symbol: str, path: Path, fees: Fees) -> None:
        base = named_timeframe(path.parent) or Timeframe.M1
        table = read_candles(path, base)
        minutes = as_minutes(table.series(), base)
        self.ts_ms = minutes.ts_ms
        self.values = table.values if base is Timeframe.M1 else np.stack([getattr(minutes, name) for name in VALUES])
        self.first_ms, self.end_ms = int(self.ts_ms[0]), int(self.ts_ms[-1]) + MINUTE_MS
        self.gaps = np.flatnonzero(np.diff(self.ts_ms) != MINUTE_MS) + 1  # index of the first candle after each
        self.missing = (self.end_ms - self.first_ms) // MINUTE_MS - len(self.ts_ms)
        self.instrument = instrument_of(symbol, table, fees)
        checksum = zlib.crc32(self.values[3].tobytes(), zlib.crc32(self.ts_ms.tobytes()))
        self.identity = f"replay: {len(self.ts_ms)} candles from {self.first_ms}, checksum {checksum:08x}"

    def index(self, ts_ms: int) -> int:
        """Index of the first candle that begins at or after this time."""
        if not len(self.gaps):
            return min(max(-((self.first_ms - ts_ms) // MINUTE_MS), 0), len(self.ts_ms))
        return int(np.searchsorted(self.ts_ms, ts_ms))

    def holds(self, index: int, ts_ms: int) -> bool:
        """Whether the candle at this index begins at this time."""
        return index < len(self.ts_ms) and int(self.ts_ms[index]) == ts_ms


class ReplayMarket:
    """The market of a folder: `BTCUSDT.parquet` or `BTC-USDT_USDT.parquet` holds BTC/USDT:USDT.

    All symbols must have candles; the market lasts from the latest of their first to the earliest of their last ones.
    Earlier candles of a symbol serve as its history.
    """

    def __init__(self, folder: Path, symbols: Sequence[str], *, fees: Fees = Fees()) -> None:  # noqa: B008 - a value
        """Read and check the files.

        Raises:
            BadInput: naming the file, the row and the mend; or the symbols have no time in common.

        """
        self._folder = folder
        self._fees = fees
        self._recordings: dict[str, _Recording] = {}
        self._first_ms, self._end_ms = 0, 0
        if not symbols:
            message = f"{folder}: no symbol is configured to be replayed"
            raise BadInput(message)
        self.add(symbols)

    @property
    def symbols(self) -> tuple[str, ...]:
        """In the order given."""
        return tuple(self._recordings)

    @property
    def first_ms(self) -> int:
        """When the last of the symbols begins."""
        return self._first_ms

    @property
    def end_ms(self) -> int:
        """When the first of the symbols ends."""
        return self._end_ms

    @property
    def messages(self) -> tuple[str, ...]:
        """What an operator should know of the data, one sentence each."""
        return tuple(
            f"{symbol}: {recording.missing} minutes are missing in {len(recording.gaps)} gaps and have no candle"
            for symbol, recording in self._recordings.items()
            if recording.missing
        )

    def add(self, symbols: Sequence[str]) -> None:
        """Read these too.  Raises BadInput as the constructor does."""
        for symbol in symbols:
            if symbol not in self._recordings:
                self._recordings[symbol] = _Recording(symbol, self._path_of(symbol), self._fees)
        first = max(self._recordings.items(), key=lambda item: item[1].first_ms)
        last = min(self._recordings.items(), key=lambda item: item[1].end_ms)
        self._first_ms, self._end_ms = first[1].first_ms, last[1].end_ms
        if self._first_ms >= self._end_ms:
            message = (
                f"{self._folder}: the symbols have no minute in common: {last[0]} ends at {self._end_ms}, "
                f"before {first[0]} begins at {self._first_ms}; leave one of them out"
            )
            raise BadInput(message)

    def identity(self, symbol: str) -> str:
        """What the file holds."""
        return self._recordings[symbol].identity

    def instrument(self, symbol: str) -> Instrument:
        """Ticks as fine as the file's prices."""
        return self._recordings[symbol].instrument

    def price(self, symbol: str, minute_ms: int) -> float:
        """The open of the candle that begins at `minute_ms`, in a gap or after the end the last close."""
        recording = self._recordings[symbol]
        index = recording.index(minute_ms)
        if recording.holds(index, minute_ms) or index == 0:
            return float(recording.values[0, index])
        return float(recording.values[3, index - 1])

    def candle(self, symbol: str, minute_ms: int) -> Candle | None:
        """The candle that begins at `minute_ms`, None in a gap."""
        recording = self._recordings[symbol]
        index = recording.index(minute_ms)
        if not recording.holds(index, minute_ms):
            return None
        return Candle(minute_ms, *recording.values[:, index].tolist())

    def candles(self, symbol: str, first_ms: int, stop_ms: int) -> CandleSeries:
        """The candles that begin in [first_ms, stop_ms) after the last gap before stop_ms."""
        recording = self._recordings[symbol]
        stop = recording.index(stop_ms)
        gaps_before = int(np.searchsorted(recording.gaps, stop))
        after_gap = int(recording.gaps[gaps_before - 1]) if gaps_before else 0
        return _series(recording, max(recording.index(first_ms), after_gap), stop)

    def latest_close(self, symbol: str, now_ms: int) -> int:
        """When the last candle before `now_ms` closed."""
        recording = self._recordings[symbol]
        index = recording.index(now_ms)
        return int(recording.ts_ms[index - 1]) + MINUTE_MS if index else recording.first_ms

    def begins_ms(self, symbol: str) -> int:
        """When its file begins."""
        return self._recordings[symbol].first_ms

    def _path_of(self, symbol: str) -> Path:
        names = names_of(symbol)
        for name in names:
            if (self._folder / name).is_file():
                return self._folder / name
        there = sorted(path.name for path in self._folder.glob("*.parquet"))
        listed = ", ".join(there[:_LISTED]) + (" ..." if len(there) > _LISTED else "")
        wanted = " or ".join(names)
        message = f"{self._folder}: no candles for {symbol}; expected {wanted}, found {listed or 'no parquet file'}"
        raise BadInput(message)


def instrument_of(symbol: str, table: CandleTable, fees: Fees) -> Instrument:
    """An instrument with ticks as fine as the prices of these candles."""
    return instrument_for(symbol, float(np.median(table.values[3])), _decimals(table), fees)


def symbols_in(folder: Path, quote: str, *, perpetual: bool) -> tuple[str, ...]:
    """Every symbol of one kind that the folder has a file of, sorted.

    A short name such as BTCUSDT is one with this quote.  Raises BadInput: there is none.
    """
    found = set()
    for path in folder.glob("*.parquet"):
        symbol = symbol_of(path.stem)
        if symbol is None and path.stem.endswith(quote) and path.stem != quote:
            symbol = f"{path.stem.removesuffix(quote)}/{quote}" + (f":{quote}" if perpetual else "")
        if symbol is not None and (":" in symbol) == perpetual:
            found.add(symbol)
    if not found:
        kind = "perpetual" if perpetual else "spot"
        raise BadInput(f"{folder}: no candle files of {kind} symbols, such as BTC{quote}.parquet")
    return tuple(sorted(found))


def has_candles(folder: Path, symbol: str) -> bool:
    """Whether the folder has a file of this symbol."""
    return any((folder / name).is_file() for name in names_of(symbol))


def names_of(symbol: str) -> tuple[str, str]:
    """What the file of a symbol may be called."""
    base, quote, _ = parts_of(symbol)
    return f"{symbol.replace('/', '-').replace(':', '_')}.parquet", f"{base}{quote}.parquet"


def _series(recording: _Recording, start: int, stop: int) -> CandleSeries:
    values = recording.values[:, start:stop]
    return CandleSeries(
        ts_ms=recording.ts_ms[start:stop],
        open=values[0],
        high=values[1],
        low=values[2],
        close=values[3],
        volume=values[4],
    )


def _decimals(table: CandleTable) -> int:
    """The fewest decimals that write every price of the file."""
    prices: Floats = table.values[:4]
    for decimals in range(_MOST_DECIMALS):
        if np.array_equal(np.round(prices, decimals), prices):
            return decimals
    return _MOST_DECIMALS
