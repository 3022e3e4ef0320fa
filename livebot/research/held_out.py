"""Folds for symbols that no model has seen, and for a universe in which symbols come and go.

Testing an unseen symbol over the very time that was trained on says nothing: symbols move together, so the model has seen
that time.  Rules of this file: what is held out is held out in symbol and in time; a fold is only ever made smaller, so
what was purged stays purged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from livebot.core.market import DAY_MS
from livebot.errors import BadInput
from livebot.learning.dataset import Dataset, Mask
from livebot.research.folds import Fold, Span


def unseen_folds(dataset: Dataset, folds: Sequence[Fold], unseen: Sequence[str]) -> tuple[Fold, ...]:
    """Each fold with these symbols in its test only, and no other symbol there.

    Raises:
        BadInput: a symbol is not of the dataset, or none would be left to train on.

    """
    unknown = sorted(set(unseen) - set(dataset.symbols))
    if unknown or not unseen:
        raise BadInput(f"{', '.join(unknown) or 'no symbol'} to hold out; the rows are of {', '.join(dataset.symbols)}")
    if set(unseen) == set(dataset.symbols):
        raise BadInput("all symbols are held out: none is left to train on")
    out = np.isin(dataset.symbol_names, tuple(unseen))
    return tuple(
        replace(
            fold, train=fold.train[~out[fold.train]], test=fold.test[out[fold.test]], held_out=tuple(sorted(unseen))
        )
        for fold in folds
    )


def turnover_folds(dataset: Dataset, folds: Sequence[Fold], listed: Mapping[str, Span]) -> tuple[Fold, ...]:
    """Each fold with those rows only that closed while their symbol was listed: [from, to) by symbol, UTC ms.

    A symbol that is not named is always listed.  What closed before a symbol left stays in later folds' train rows: those
    that are gone belong to history too.
    """
    there = _listed(dataset, listed)
    return tuple(replace(fold, train=fold.train[there[fold.train]], test=fold.test[there[fold.test]]) for fold in folds)


def _listed(dataset: Dataset, listed: Mapping[str, Span]) -> Mask:
    names = dataset.symbol_names
    there = np.ones(len(dataset), dtype=np.bool_)
    for symbol, (first, stop) in listed.items():
        there &= (names != symbol) | ((dataset.close_ms >= first) & (dataset.close_ms < stop))
    return there


def staggered_listings(symbols: Sequence[str], span: Span, share: float, seed: int) -> dict[str, Span]:
    """A turnover to test with: about `share` of the symbols join within `span` and as many others leave, at UTC midnights.

    At least one of each, and one stays throughout.  Times are drawn from the middle three fifths of `span`; those who stay
    are not named.

    Raises:
        BadInput: fewer than 3 symbols.

    """
    if len(symbols) < 3:  # noqa: PLR2004 - one who joins, one who leaves, one who stays
        raise BadInput(
            f"{len(symbols)} symbols make no turnover: it takes one who joins, one who leaves and one who stays"
        )
    random = np.random.default_rng(seed)
    order = random.permutation(sorted(symbols)).tolist()
    moving = min(max(1, round(len(order) * share)), (len(order) - 1) // 2)
    first, stop = span
    times = first + (stop - first) * random.uniform(0.2, 0.8, size=2 * moving)
    days = (times.astype(np.int64) // DAY_MS * DAY_MS).tolist()
    joining = {symbol: (day, stop) for symbol, day in zip(order[:moving], days[:moving], strict=True)}
    leaving = {symbol: (first, day) for symbol, day in zip(order[moving : 2 * moving], days[moving:], strict=True)}
    return joining | leaving
