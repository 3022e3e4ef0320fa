"""How much each row counts: rows that live at the same time share what there is to learn.

Uniqueness after Lopez de Prado, Advances in Financial Machine Learning, chapter 4: the mean, over the life of a row's label,
of one over the number of labels alive.  Symbols move together, so labels of all symbols are counted by default.

Rules of this file: pure; a life is [close_ms, end_ms); time is exact, not cut into candles, so that the base timeframe does
not matter; sorting is the dearest thing done.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from livebot.core.series import Floats, Times
from livebot.learning.dataset import Codes, Dataset
from livebot.learning.spec import SymbolBalance


def weighted(dataset: Dataset, balance: SymbolBalance = SymbolBalance.NONE, *, across_symbols: bool = True) -> Dataset:
    """The same rows with their `weight`: uniqueness times what balances the symbols, 1 on average.

    To be asked again of any part of the rows (a fold's train rows, say): concurrency is that of the rows that are there.
    """
    unique = uniqueness(dataset, across_symbols=across_symbols)
    weight = unique * _balancing(unique, dataset.symbol, balance)
    return replace(dataset, weight=weight / weight.mean() if len(weight) else weight)


def uniqueness(dataset: Dataset, *, across_symbols: bool = True) -> Floats:
    """Of each row (n,), above 0 and at most 1: the mean of 1 / concurrency over its life."""
    if across_symbols:
        return _uniqueness(dataset.close_ms, dataset.end_ms)
    unique = np.ones(len(dataset))
    for code in np.unique(dataset.symbol):
        own = dataset.symbol == code
        unique[own] = _uniqueness(dataset.close_ms[own], dataset.end_ms[own])
    return unique


def effective_count(dataset: Dataset, *, across_symbols: bool = True) -> float:
    """How many rows that do not overlap these rows are worth: the sum of their uniqueness."""
    return float(uniqueness(dataset, across_symbols=across_symbols).sum())


def _uniqueness(begins: Times, ends: Times) -> Floats:
    if not len(begins):
        return np.ones(0)
    edges = np.unique(np.concatenate([begins, ends]))
    first, last = np.searchsorted(edges, begins), np.searchsorted(edges, ends)
    changes = _counted(first, len(edges)) - _counted(last, len(edges))
    alive = np.maximum(np.cumsum(changes)[:-1], 1)  # between edges at which nobody is alive it is never asked for
    shared = np.concatenate([[0.0], np.cumsum(np.diff(edges) / alive)])  # the time that one row has for itself
    unique: Floats = (shared[last] - shared[first]) / (ends - begins)
    return np.minimum(unique, 1.0)  # sums of floats may be off in the last digit


def _counted(places: npt.NDArray[np.intp], length: int) -> npt.NDArray[np.intp]:
    return np.bincount(places, minlength=length)


def _balancing(unique: Floats, symbol: Codes, balance: SymbolBalance) -> Floats:
    """What each row's uniqueness is multiplied by, so that the sums by symbol are as the balance has it."""
    totals = np.bincount(symbol, weights=unique) if len(symbol) else np.ones(1)
    there = np.maximum(totals, np.finfo(np.float64).tiny)  # of a symbol without rows nothing is multiplied
    match balance:
        case SymbolBalance.NONE:
            factors = np.ones_like(there)
        case SymbolBalance.EQUAL:
            factors = 1 / there
        case SymbolBalance.SQUARE_ROOT:
            factors = 1 / np.sqrt(there)
    scaled: Floats = factors[symbol]
    return scaled
