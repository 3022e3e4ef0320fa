"""Whether there is history enough of each symbol to learn from it.

Rules of this file: pure; a symbol that is too short is named with the reason, never left out in silence; one that is
shorter than wished for is used, and named too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from livebot.core.market import DAY_MS, Timeframe
from livebot.core.series import CandleSeries
from livebot.history.coverage import Coverage, Held, coverages, held_of
from livebot.history.spans import Span

_TOLERANCE = 1.0  # days; a range that begins at noon is no shortfall


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryTerms:
    """Fewer than `minimum_days`, or a smaller share of the candles than `coverage`, is too little to learn from.

    `target_days` is how many there should be.
    """

    minimum_days: int = 90
    target_days: int = 730
    coverage: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolHistory:
    """What there is of a symbol inside the span asked for.

    `days` from the first candle to the last, `ratio` the share of the candles between them that are there (outages of
    the venue itself, which all symbols have, not counted).  `problem` is why it is not learnt from, `shortfall` what there
    should be more of; sentences, empty if all is well.
    """

    symbol: str
    days: float
    ratio: float
    problem: str = ""
    shortfall: str = ""


def histories(
    candles: Mapping[str, CandleSeries], base: Timeframe, span: Span, terms: HistoryTerms
) -> tuple[SymbolHistory, ...]:
    """One for each symbol, in the order given; `span` is the time that rows may come from, UTC ms, half open."""
    held = {symbol: found for symbol, series in candles.items() if (found := _held(series, base, span)) is not None}
    covered = coverages(held, base.ms)
    return tuple(_history(symbol, held.get(symbol), covered.get(symbol), span, terms) for symbol in candles)


def range_shortfall(span: Span, terms: HistoryTerms) -> str:
    """What is to be said of the span itself: it holds fewer days than there should be; empty if it does not."""
    days = (span[1] - span[0]) / DAY_MS
    if days + _TOLERANCE >= terms.target_days:
        return ""
    return f"the range asked for holds {_days(days)}, and {terms.target_days} days should be learnt from"


def _held(series: CandleSeries, base: Timeframe, span: Span) -> Held | None:
    times = series.ts_ms
    inside = times[(times >= span[0]) & (times + base.ms <= span[1])]
    return held_of(inside, base.ms) if len(inside) else None


def _history(
    symbol: str, held: Held | None, coverage: Coverage | None, span: Span, terms: HistoryTerms
) -> SymbolHistory:
    if held is None or coverage is None:
        problem = f"{symbol}: no candles in the range, so nothing is learnt from it; fetch them, or leave it out"
        return SymbolHistory(symbol=symbol, days=0.0, ratio=0.0, problem=problem)
    days = (held.whole[1] - held.whole[0]) / DAY_MS
    wished = min(terms.target_days, (span[1] - span[0]) / DAY_MS)
    return SymbolHistory(
        symbol=symbol,
        days=days,
        ratio=coverage.ratio,
        problem=_problem(symbol, days, coverage, terms),
        shortfall=f"{symbol}: {_days(days)} of candles, {_days(wished)} should be there"
        if days + _TOLERANCE < wished
        else "",
    )


def _problem(symbol: str, days: float, coverage: Coverage, terms: HistoryTerms) -> str:
    if days < terms.minimum_days:
        return (
            f"{symbol}: {_days(days)} of candles, and less than {terms.minimum_days} days is too little to learn from; "
            "fetch more of them, or lower model.history.minimum_days"
        )
    if coverage.ratio < terms.coverage:
        return (
            f"{symbol}: {coverage.rows:,} of {coverage.expected:,} candles are there ({coverage.ratio:.2%}), and less than "
            f"{terms.coverage:.2%} is too little to learn from; fetch the missing ones, or lower model.history.coverage"
        )
    return ""


def _days(days: float) -> str:
    text = f"{days:.1f}".removesuffix(".0")
    return f"{text} day" if text == "1" else f"{text} days"
