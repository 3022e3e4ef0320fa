"""What a feature is: a TA-Lib function or an arithmetic one, its parameters, its sources, and its warm-up.

Rules of this file: a feature is a value, the same in both engines; what it is worth depends on a bounded past only, so
functions that count from the first candle are refused; a function is known if FUNCTIONS has its row, and the row says
how long it takes to settle.

Warm-up is the number of candles, the present one included, after which the value may be used.  A function over a window
is exact once the window is full.  A recursive one starts from a seed whose weight decays; it has settled when that
weight is below SEED_WEIGHT, which keeps the value within 1e-9 of its usual size of what a longer history would give.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

COLUMNS = ("open", "high", "low", "close", "volume")
FEATURE_DEPTH = 64  # how many past values both engines let a strategy ask for, the present one included
WARMUP_BOUND = 3_000  # candles; a longer one would cost each start of each symbol too much history
SEED_WEIGHT = 1e-10  # a tenth of the 1e-9 promised: a seed may be further off than the value is large

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_CUMULATIVE = frozenset({"AD", "CUMSUM", "NVI", "OBV", "PVI", "PVT", "VWAP", "WAD"})

Parameters = Mapping[str, float]


def _window(parameters: Parameters) -> int:
    """Exact as soon as the window is full."""
    return int(parameters["timeperiod"])


def _window_before(parameters: Parameters) -> int:
    """Compares with the candle one window earlier."""
    return int(parameters["timeperiod"]) + 1


def _exponential(parameters: Parameters) -> int:
    """Seeded with a plain average, then smoothed by 2 / (period + 1)."""
    return _settle(parameters["timeperiod"], 2 / (parameters["timeperiod"] + 1))


def _wilder(parameters: Parameters) -> int:
    """Over differences (one candle more), smoothed by 1 / period."""
    return 1 + _settle(parameters["timeperiod"], 1 / parameters["timeperiod"])


def _wilder_twice(parameters: Parameters) -> int:
    """One smoothing over another: the second has settled its own time after the first."""
    return 2 * _wilder(parameters)


def _macd(parameters: Parameters) -> int:
    """The slow average, then the signal over it."""
    slowest = max(parameters["fastperiod"], parameters["slowperiod"])
    return _exponential({"timeperiod": slowest}) + _exponential({"timeperiod": parameters["signalperiod"]})


def _at_once(_: Parameters) -> int:
    """Looks at the present candle only."""
    return 1


def _settle(period: float, smoothing: float) -> int:
    return math.ceil(period + math.log(SEED_WEIGHT) / math.log1p(-smoothing))


@dataclass(frozen=True, slots=True)
class Function:
    """A function both engines know.

    `sources` is how many it takes, `parameters` and `outputs` their names in TA-Lib's order, `warmup` the rule from its
    parameters to candles.  `arithmetic` ones are numpy's, element by element; the others are TA-Lib's.
    """

    sources: int
    parameters: tuple[str, ...]
    outputs: tuple[str, ...]
    warmup: Callable[[Parameters], int]
    arithmetic: bool = False


_PERIOD = ("timeperiod",)
_REAL = ("real",)

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "ADX": Function(3, _PERIOD, _REAL, _wilder_twice),
        "ATR": Function(3, _PERIOD, _REAL, _wilder),
        "BBANDS": Function(1, ("timeperiod", "nbdevup", "nbdevdn"), ("upperband", "middleband", "lowerband"), _window),
        "EMA": Function(1, _PERIOD, _REAL, _exponential),
        "MACD": Function(1, ("fastperiod", "slowperiod", "signalperiod"), ("macd", "macdsignal", "macdhist"), _macd),
        "MAX": Function(1, _PERIOD, _REAL, _window),
        "MIN": Function(1, _PERIOD, _REAL, _window),
        "ROCP": Function(1, _PERIOD, _REAL, _window_before),
        "RSI": Function(1, _PERIOD, _REAL, _wilder),
        "SMA": Function(1, _PERIOD, _REAL, _window),
        "STDDEV": Function(1, _PERIOD, _REAL, _window),
        "difference": Function(2, (), _REAL, _at_once, arithmetic=True),
        "ratio": Function(2, (), _REAL, _at_once, arithmetic=True),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One number per closed candle.

    `sources` are candle columns or other features; `parameters` are (name, value) as TA-Lib calls them; `output`
    chooses from a function with several.  Raises ValueError for one that neither engine could compute.
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


def _problem(feature: Feature) -> str | None:
    if not _NAME.fullmatch(feature.name):
        return "a name has small letters, digits and underscores only, and starts with a letter"
    if feature.function in _CUMULATIVE:
        return (
            f"{feature.function} counts from the first candle, so it depends on where the history starts; "
            "use one over a window"
        )
    function = FUNCTIONS.get(feature.function)
    if function is None:
        return f"function {feature.function!r} is not one of {', '.join(FUNCTIONS)}"
    return (
        _source_problem(feature, function)
        or _parameter_problem(feature, function)
        or _output_problem(feature, function)
    )


def _source_problem(feature: Feature, function: Function) -> str | None:
    if len(feature.sources) != function.sources:
        return f"{feature.function} takes {function.sources} source(s), not {len(feature.sources)}"
    unknown = [name for name in feature.sources if isinstance(name, str) and name not in COLUMNS]
    if unknown:
        return f"source {unknown[0]!r} is neither a feature nor one of {', '.join(COLUMNS)}"
    return None


def _parameter_problem(feature: Feature, function: Function) -> str | None:
    names = tuple(name for name, _ in feature.parameters)
    if names != function.parameters:
        return f"{feature.function} takes the parameters {function.parameters}, not {names}"
    for name, value in feature.parameters:
        if name.endswith("period"):
            if isinstance(value, bool) or not isinstance(value, int) or value < 2:  # noqa: PLR2004
                return f"{name} {value!r} must be a whole number of candles, at least 2"
        elif not (math.isfinite(value) and value > 0):
            return f"{name} {value!r} must be a number above 0"
    return None


def _output_problem(feature: Feature, function: Function) -> str | None:
    if feature.output not in function.outputs:
        return f"{feature.function} has no output {feature.output!r}, only {', '.join(function.outputs)}"
    return None


Source = str | Feature


def ema(name: str, period: int, source: Source = "close") -> Feature:
    """Exponential moving average, in the unit of its source."""
    return _over_period(name, "EMA", (source,), period)


def sma(name: str, period: int, source: Source = "close") -> Feature:
    """Plain moving average, in the unit of its source."""
    return _over_period(name, "SMA", (source,), period)


def rsi(name: str, period: int, source: Source = "close") -> Feature:
    """Wilder's relative strength, 0 to 100; 0 too where nothing moved (TA-Lib's convention)."""
    return _over_period(name, "RSI", (source,), period)


def atr(name: str, period: int) -> Feature:
    """Wilder's average true range, in price."""
    return _over_period(name, "ATR", ("high", "low", "close"), period)


def adx(name: str, period: int) -> Feature:
    """Wilder's strength of trend, 0 to 100."""
    return _over_period(name, "ADX", ("high", "low", "close"), period)


def standard_deviation(name: str, period: int, source: Source = "close") -> Feature:
    """Population standard deviation over the window, in the unit of its source."""
    return _over_period(name, "STDDEV", (source,), period)


def highest(name: str, period: int, source: Source = "high") -> Feature:
    """Largest value of the window, the present candle included (upper Donchian line)."""
    return _over_period(name, "MAX", (source,), period)


def lowest(name: str, period: int, source: Source = "low") -> Feature:
    """Smallest value of the window, the present candle included (lower Donchian line)."""
    return _over_period(name, "MIN", (source,), period)


def change(name: str, period: int, source: Source = "close") -> Feature:
    """Relative change against `period` candles ago (0.01 is one percent)."""
    return _over_period(name, "ROCP", (source,), period)


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


def _over_period(name: str, function: str, sources: tuple[Source, ...], period: int) -> Feature:
    return Feature(name=name, function=function, sources=sources, parameters=(("timeperiod", period),))


def warmup_of(features: Sequence[Feature]) -> int:
    """Candles until every value that may be asked for (FEATURE_DEPTH back) has settled; 1 without features."""
    longest = max((feature.warmup for feature in features), default=0)
    return longest + FEATURE_DEPTH - 1 if longest else 1
