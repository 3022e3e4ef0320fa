"""Candles of one symbol as two arrays, and what joining two such tables does.

Rules of this file: pure, numpy only; a table is never changed in place; where two tables hold the same candle, the newer
table's row is taken, and it is counted whether that changed anything.
"""

from dataclasses import dataclass

import numpy as np

from livebot.core.series import CandleSeries, Floats, Times

PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume")
COLUMNS = ("ts_ms", *VALUES)


@dataclass(frozen=True, slots=True, eq=False)
class CandleTable:
    """Candles: opening times (UTC ms), and rows open, high, low, close, volume (5 x candles)."""

    ts_ms: Times
    values: Floats

    def __len__(self) -> int:
        """How many candles."""
        return len(self.ts_ms)

    def between(self, first_ms: int, stop_ms: int) -> "CandleTable":
        """Those that open in [first_ms, stop_ms); the table must be sorted."""
        begin, end = np.searchsorted(self.ts_ms, (first_ms, stop_ms))
        return CandleTable(self.ts_ms[begin:end], self.values[:, begin:end])

    def series(self) -> CandleSeries:
        """The same as columns with names."""
        return CandleSeries(ts_ms=self.ts_ms, **dict(zip(VALUES, self.values, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """A table that holds both, and what became of the newer one's rows."""

    table: CandleTable
    added: int
    replaced: int
    unchanged: int


def empty_table() -> CandleTable:
    """No candles."""
    return CandleTable(np.empty(0, dtype=np.int64), np.empty((5, 0)))


def merge(old: CandleTable, new: CandleTable) -> Merged:
    """Both in one, sorted, each candle once; a candle of `new` wins over the same one of `old`.

    `old` must be sorted and without repeats; in `new`, which may be in any order, the last of several rows wins.
    """
    new = last_of_each(new)
    if not len(old):
        return Merged(new, len(new), 0, 0)
    places = np.searchsorted(old.ts_ms, new.ts_ms)
    known = places < len(old)
    known[known] = old.ts_ms[places[known]] == new.ts_ms[known]
    there = places[known]
    same = (old.values[:, there] == new.values[:, known]).all(axis=0)
    values = old.values.copy()
    values[:, there] = new.values[:, known]
    ts_ms = np.concatenate([old.ts_ms, new.ts_ms[~known]])
    order = np.argsort(ts_ms, kind="stable")
    joined = np.concatenate([values, new.values[:, ~known]], axis=1)
    added, unchanged = int((~known).sum()), int(same.sum())
    return Merged(CandleTable(ts_ms[order], joined[:, order]), added, len(there) - unchanged, unchanged)


def last_of_each(table: CandleTable) -> CandleTable:
    """Sorted, and of several rows with the same time the last one."""
    order = np.argsort(table.ts_ms, kind="stable")
    ts_ms = table.ts_ms[order]
    keep = np.append(ts_ms[1:] != ts_ms[:-1], [True] * bool(len(ts_ms))).astype(bool)
    return CandleTable(ts_ms[keep], table.values[:, order[keep]])
