"""From confidences to money: which rows are traded, and what they make of an account day by day.

Rules of this file: every arm of a comparison is given the same rows, so that its days, its fraction and its costs are those
of the others and only its confidences differ; a symbol has one trade at a time; pure numpy.

A trade is a fixed fraction of the equity, 1 / (number of symbols that have a row) unless told otherwise, so that all symbols
open at once are the whole equity and nothing is borrowed.  Its gain is booked whole on the UTC day in which its outcome was
known (`end_ms`), on the equity at the beginning of that day: a Dataset has no prices in between, and spreading a gain over
the life of its trade would smooth the days and flatter every Sharpe.
"""

from dataclasses import dataclass

import numpy as np

from livebot.core.market import DAY_MS
from livebot.core.series import Floats, Times
from livebot.errors import BadInput
from livebot.learning.dataset import Dataset, Signs
from livebot.learning.taking import take
from livebot.reporting.run_record import EquityCurve
from livebot.research.folds import Rows, Span

__all__ = ["ALL", "Outcome", "book", "daily_sums", "days_of", "equal_fraction", "matching_threshold", "outcome", "take"]

ALL = 0.0  # a threshold that every confidence reaches


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """t trades over d UTC days.

    `rows` (t,) are the rows of the Dataset that were traded, rising; `symbol` (names), `side`, `open_ms`, `end_ms` and `gain`
    (net return on the trade's own notional, at the costs asked for) are theirs.  `days` (d,) are the midnights at which
    days begin, without a gap; `returns` (d,) those of the whole account, as a fraction of the equity at the day's
    beginning.  `fraction` is the share of the equity in a trade.
    """

    rows: Rows
    symbol: np.ndarray[tuple[int], np.dtype[np.str_]]
    side: Signs
    open_ms: Times
    end_ms: Times
    gain: Floats
    fraction: float
    days: Times
    returns: Floats

    def __len__(self) -> int:
        """How many trades."""
        return len(self.rows)

    @property
    def equity(self) -> EquityCurve:
        """The account at each midnight from the first day's beginning to the last one's end; begins at 1."""
        times = np.append(self.days, self.days[-1] + DAY_MS)
        return EquityCurve(ts_ms=times, equity=np.concatenate(([1.0], np.cumprod(1 + self.returns))))


def days_of(dataset: Dataset, rows: Rows, span: Span) -> Times:
    """The midnights at which the days of an evaluation begin: of `span`, and on to the last outcome of `rows`.

    `rows` are all that could be traded, whatever is, so that all arms have the same days.
    """
    last = max(span[1], int(dataset.end_ms[rows].max()) + 1) if len(rows) else span[1]
    return np.arange(span[0] // DAY_MS * DAY_MS, last, DAY_MS, dtype=np.int64)


def equal_fraction(dataset: Dataset, rows: Rows) -> float:
    """1 / (number of symbols among these rows); 1 without rows."""
    return 1.0 / max(1, len(np.unique(dataset.symbol[rows])))


def book(dataset: Dataset, taken: Rows, days: Times, fraction: float, cost_multiple: float = 1.0) -> Outcome:
    """What these trades made; `taken` as `take` gives them, `days` as `days_of` does.

    `cost_multiple` 2 charges fees and slippage twice; which rows are traded does not change with it.

    Raises:
        BadInput: an outcome lies outside of the days, or the fraction is not in (0, 1].

    """
    if not 0 < fraction <= 1:
        raise BadInput(f"a trade of {fraction} of the equity is not possible here: above 0, at most 1")
    ended = dataset.end_ms[taken]
    if len(taken) and (not len(days) or ended.min() < days[0] or ended.max() >= days[-1] + DAY_MS):
        raise BadInput(
            "an outcome lies outside of the days to be booked; take the days from all rows that could be traded"
        )
    gain = dataset.gain[taken] - (cost_multiple - 1) * dataset.cost[taken]
    return Outcome(
        rows=taken,
        symbol=dataset.symbol_names[taken],
        side=dataset.side[taken],
        open_ms=dataset.close_ms[taken],
        end_ms=ended,
        gain=gain,
        fraction=fraction,
        days=days,
        returns=daily_sums(ended, fraction * gain, days),
    )


def daily_sums(ended: Times, amounts: Floats, days: Times) -> Floats:
    """What fell on each day, (days,), of amounts that came at these times."""
    places = (ended - days[0]) // DAY_MS if len(days) else ended
    return np.bincount(places, weights=amounts, minlength=len(days)).astype(np.float64)


def outcome(
    dataset: Dataset,
    rows: Rows,
    confidences: Floats,
    threshold: float | Floats,
    span: Span,
    *,
    cost_multiple: float = 1.0,
) -> Outcome:
    """`take` and `book` with the usual days and fraction: all rows that could be traded, and what was."""
    taken = take(dataset, rows, confidences, threshold)
    return book(dataset, taken, days_of(dataset, rows, span), equal_fraction(dataset, rows), cost_multiple)


def matching_threshold(dataset: Dataset, rows: Rows, confidences: Floats, trades: int) -> float:
    """The threshold that trades a given number of rows as nearly as one can: for arms compared at the same trade count.

    Of two as near the higher one.  It is found by halving, as more confidence asked for means fewer trades, almost: a row
    that is left out may free its symbol for two others.
    """
    levels = np.unique(confidences)
    best, nearest = float("inf"), trades  # asks for more than anybody has: no trade at all
    low, high = 0, len(levels) - 1
    while low <= high:
        middle = (low + high) // 2
        count = len(take(dataset, rows, confidences, float(levels[middle])))
        if (abs(count - trades), -levels[middle]) < (nearest, -best):
            best, nearest = float(levels[middle]), abs(count - trades)
        if count == trades:
            break
        low, high = (middle + 1, high) if count > trades else (low, middle - 1)
    return best
