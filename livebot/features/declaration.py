"""What a feature is: a function, its parameters and its sources; and the plainest features.

Rules of this file: a feature is a value, the same in both engines; what it is worth depends on a bounded past only, so
functions that count from the first candle are refused.  `catalogue` has all features a strategy may declare,
`functions` the functions they are made of.
"""

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from livebot.features.functions import (
    COLUMNS,
    DAY_MINUTES,
    FEATURE_DEPTH,
    FUNCTIONS,
    OPEN_TIME,
    WARMUP_BOUND,
    Form,
    Function,
    refusal,
)

__all__ = ["COLUMNS", "FEATURE_DEPTH", "FUNCTIONS", "WARMUP_BOUND", "Feature", "Function", "warmup_of"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MINUTES = ("open_minute", "close_minute")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One number per closed candle.

    `sources` are candle columns or other features (of `leader_return` the leading symbol, of a calendar function
    open_time); `parameters` are (name, value) as TA-Lib calls them; `output` chooses from a function with several.
    Raises ValueError for one that neither engine could compute.
    """

    name: str
    function: str
    sources: tuple["str | Feature", ...]
    parameters: tuple[tuple[str, float], ...] = ()
    output: str = "real"

    def __post_init__(self) -> None:
        """Check every part against FUNCTIONS.

        Raises:
            ValueError: naming the feature, the part and the mend.

        """
        problem = _problem(self)
        if problem is not None:
            message = f"feature {self.name!r}: {problem}"
            raise ValueError(message)

    @property
    def warmup(self) -> int:
        """Candles, the present one included, after which the value may be used."""
        own = FUNCTIONS[self.function].warmup(dict(self.parameters))
        before = max((source.warmup for source in self.sources if isinstance(source, Feature)), default=1)
        return before + own - 1

    @property
    def looks_at_others(self) -> bool:
        """Whether it is made of other symbols' candles of the same close (`livebot.features.context`)."""
        return FUNCTIONS[self.function].form is Form.CONTEXT


def own_features(features: Iterable[Feature]) -> tuple[Feature, ...]:
    """Those made of the symbol's own candles, in order."""
    return tuple(feature for feature in features if not feature.looks_at_others)


def context_features(features: Iterable[Feature]) -> tuple[Feature, ...]:
    """Those made of other symbols' candles, in order."""
    return tuple(feature for feature in features if feature.looks_at_others)


def _problem(feature: Feature) -> str | None:
    if not _NAME.fullmatch(feature.name):
        return "a name has small letters, digits and underscores only, and starts with a letter"
    function = FUNCTIONS.get(feature.function)
    if function is None:
        return _unknown(feature.function)
    return (
        _source_problem(feature, function)
        or _parameter_problem(feature, function)
        or _output_problem(feature, function)
    )


def _unknown(name: str) -> str:
    alike = [*difflib.get_close_matches(name.upper(), FUNCTIONS, 1), *difflib.get_close_matches(name, FUNCTIONS, 1)]
    hint = f"; did you mean {alike[0]}?" if alike else ""
    return refusal(name) or f"function {name!r} is not one of {', '.join(FUNCTIONS)}{hint}"


def _source_problem(feature: Feature, function: Function) -> str | None:
    if len(feature.sources) != function.sources:
        return f"{feature.function} takes {function.sources} source(s), not {len(feature.sources)}"
    if function.form is Form.CONTEXT:
        unfit = [source for source in feature.sources if not isinstance(source, str) or source in ("", *COLUMNS)]
        return f"its source is a symbol such as BTC/USDT:USDT, not {unfit[0]!r}" if unfit else None
    if function.form is Form.CALENDAR:
        return None if feature.sources == (OPEN_TIME,) else f"its source is {OPEN_TIME}, nothing else"
    unknown = [name for name in feature.sources if isinstance(name, str) and name not in COLUMNS]
    if unknown:
        return f"source {unknown[0]!r} is neither a feature nor one of {', '.join(COLUMNS)}"
    context = [source.name for source in feature.sources if isinstance(source, Feature) and source.looks_at_others]
    if context:
        return f"{context[0]!r} comes from other symbols, which may be missing at a close; nothing can be made of it"
    return None


def _parameter_problem(feature: Feature, function: Function) -> str | None:
    names = tuple(name for name, _ in feature.parameters)
    if names != function.parameters:
        return f"{feature.function} takes the parameters {function.parameters}, not {names}"
    problems = (_value_problem(name, value, function.least) for name, value in feature.parameters)
    return next((problem for problem in problems if problem is not None), None) or _session_problem(feature)


def _value_problem(name: str, value: float, least: int) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if "period" in name:
        fits, wanted = whole and value >= least, f"a whole number of candles, at least {least}"
    elif name == "lag":
        fits, wanted = whole and 0 <= value < FEATURE_DEPTH, f"a whole number of candles, 0 to {FEATURE_DEPTH - 1}"
    elif name in _MINUTES:
        fits, wanted = whole and 0 <= value < DAY_MINUTES, f"a whole minute of the day, 0 to {DAY_MINUTES - 1}"
    else:
        fits, wanted = not isinstance(value, bool) and math.isfinite(value) and value > 0, "a number above 0"
    return None if fits else f"{name} {value!r} must be {wanted}"


def _session_problem(feature: Feature) -> str | None:
    minutes = [value for name, value in feature.parameters if name in _MINUTES]
    if len(minutes) == len(_MINUTES) and minutes[0] == minutes[1]:
        return f"a session that opens and closes at minute {minutes[0]} has no length; give it one"
    return None


def _output_problem(feature: Feature, function: Function) -> str | None:
    if feature.output not in function.outputs:
        return f"{feature.function} has no output {feature.output!r}, only {', '.join(function.outputs)}"
    return None


Source = str | Feature


def ema(name: str, period: int, source: Source = "close") -> Feature:
    """Exponential moving average, in the unit of its source."""
    return over_period(name, "EMA", (source,), period)


def sma(name: str, period: int, source: Source = "close") -> Feature:
    """Plain moving average, in the unit of its source."""
    return over_period(name, "SMA", (source,), period)


def rsi(name: str, period: int, source: Source = "close") -> Feature:
    """Wilder's relative strength, 0 to 100; 0 too where nothing moved (TA-Lib's convention)."""
    return over_period(name, "RSI", (source,), period)


def atr(name: str, period: int) -> Feature:
    """Wilder's average true range, in price."""
    return over_period(name, "ATR", ("high", "low", "close"), period)


def adx(name: str, period: int) -> Feature:
    """Wilder's strength of trend, 0 to 100."""
    return over_period(name, "ADX", ("high", "low", "close"), period)


def standard_deviation(name: str, period: int, source: Source = "close") -> Feature:
    """Population standard deviation over the window, in the unit of its source."""
    return over_period(name, "STDDEV", (source,), period)


def highest(name: str, period: int, source: Source = "high") -> Feature:
    """Largest value of the window, the present candle included (upper Donchian line)."""
    return over_period(name, "MAX", (source,), period)


def lowest(name: str, period: int, source: Source = "low") -> Feature:
    """Smallest value of the window, the present candle included (lower Donchian line)."""
    return over_period(name, "MIN", (source,), period)


def change(name: str, period: int, source: Source = "close") -> Feature:
    """Relative change against `period` candles ago (0.01 is one percent)."""
    return over_period(name, "ROCP", (source,), period)


def macd(name: str, output: str = "macd", *, fast: int = 12, slow: int = 26, signal: int = 9) -> Feature:
    """One of macd, macdsignal and macdhist of the close, in price; naming several costs no more than one."""
    periods = (("fastperiod", fast), ("slowperiod", slow), ("signalperiod", signal))
    return Feature(name=name, function="MACD", sources=("close",), parameters=periods, output=output)


def bollinger(name: str, output: str, period: int, *, width: float = 2.0) -> Feature:
    """One of upperband, middleband and lowerband, `width` standard deviations around the average close."""
    parameters = (("timeperiod", period), ("nbdevup", width), ("nbdevdn", width))
    return Feature(name=name, function="BBANDS", sources=("close",), parameters=parameters, output=output)


def difference(name: str, left: Source, right: Source) -> Feature:
    """Left less right."""
    return Feature(name=name, function="difference", sources=(left, right))


def ratio(name: str, left: Source, right: Source) -> Feature:
    """Left over right; 0 where right is 0, as TA-Lib itself does, so that features over it stay finite."""
    return Feature(name=name, function="ratio", sources=(left, right))


def z_score(name: str, period: int, source: Source = "close") -> Feature:
    """How many standard deviations of the window the source is above its average; 0 where nothing moved."""
    away = difference("away", source, sma("mean", period, source))
    return ratio(name, away, standard_deviation("spread", period, source))


def over_period(name: str, function: str, sources: tuple[Source, ...], period: int) -> Feature:
    """A function whose only parameter is its period."""
    return Feature(name=name, function=function, sources=sources, parameters=(("timeperiod", period),))


def warmup_of(features: Sequence[Feature]) -> int:
    """Candles until every value that may be asked for (FEATURE_DEPTH back) has settled; 1 without features."""
    longest = max((feature.warmup for feature in features), default=0)
    return longest + FEATURE_DEPTH - 1 if longest else 1
