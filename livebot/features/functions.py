"""Every function a feature may use: one row each, which says what it takes, what it gives and how long it settles.

Rules of this file: what a function is worth depends on a bounded past only; those that count from the first candle, or
carry a state from it for ever, are refused by name.  `kind` is the function's name in feature sets: it never changes
its meaning, whatever a library calls it.

Warm-up is the number of candles, the present one included, after which the value may be used.  A function over a window
is exact once the window is full.  A recursive one starts from a seed whose weight decays; it has settled when that
weight is below SEED_WEIGHT, which keeps the value within 1e-9 of its usual size of what a longer history would give.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

COLUMNS = ("open", "high", "low", "close", "volume")
OPEN_TIME = "open_time"  # the source of calendar functions: when the candle opened, UTC milliseconds
FEATURE_DEPTH = 64  # how many past values both engines let a strategy ask for, the present one included
WARMUP_BOUND = 3_000  # candles; a longer one would cost each start of each symbol too much history
SEED_WEIGHT = 1e-10  # a tenth of the 1e-9 promised: a seed may be further off than the value is large
DAY_MINUTES = 1_440

Parameters = Mapping[str, float]


class Form(Enum):
    """Who computes a function: TA-Lib, plain arithmetic on numbers, a table of times, or the other symbols' candles."""

    TALIB = "talib"
    ARITHMETIC = "arithmetic"
    CALENDAR = "calendar"
    CONTEXT = "context"


def _window(parameters: Parameters) -> int:
    """Exact as soon as the window is full."""
    return int(parameters["timeperiod"])


def _window_before(parameters: Parameters) -> int:
    """Compares with the candle one window earlier."""
    return int(parameters["timeperiod"]) + 1


def _exponential(parameters: Parameters) -> int:
    """Seeded with a plain average, then smoothed by 2 / (period + 1)."""
    return _settle(parameters["timeperiod"], 2 / (parameters["timeperiod"] + 1))


def _exponential_twice(parameters: Parameters) -> int:
    return 2 * _exponential(parameters)


def _exponential_thrice(parameters: Parameters) -> int:
    return 3 * _exponential(parameters)


def _exponential_change(parameters: Parameters) -> int:
    """Smoothed three times, then compared with the candle before."""
    return 3 * _exponential(parameters) + 1


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


def _hull(parameters: Parameters) -> int:
    """A weighted average over the root of the period, of weighted averages over the period."""
    return int(parameters["timeperiod"]) + math.isqrt(int(parameters["timeperiod"])) - 1


def _windows_in_turn(parameters: Parameters) -> int:
    """Each window over the values of the one before."""
    periods = [int(value) for value in parameters.values()]
    return sum(periods) - len(periods) + 1


def _longest_before(parameters: Parameters) -> int:
    """Several windows side by side, over differences."""
    return int(max(parameters.values())) + 1


def _lagged_before(parameters: Parameters) -> int:
    """As it was some candles ago."""
    return int(parameters["timeperiod"] + parameters["lag"]) + 1


def _two_at_once(_: Parameters) -> int:
    """Looks at the candle before."""
    return 2


def _at_once(_: Parameters) -> int:
    """Looks at the present candle only."""
    return 1


def _settle(period: float, smoothing: float) -> int:
    return math.ceil(period + math.log(SEED_WEIGHT) / math.log1p(-smoothing))


@dataclass(frozen=True, slots=True)
class Function:
    """A function both engines know.

    `sources` is how many it takes, `parameters` and `outputs` their names in TA-Lib's order, `warmup` the rule from its
    parameters to candles, `least` the shortest period it can do.
    """

    kind: str
    sources: int
    parameters: tuple[str, ...]
    outputs: tuple[str, ...]
    warmup: Callable[[Parameters], int]
    form: Form = Form.TALIB
    least: int = 2


_PERIOD = ("timeperiod",)
_REAL = ("real",)
_BANDS = ("upperband", "middleband", "lowerband")
_SESSION = ("open_minute", "close_minute")


def _of_time(kind: str, parameters: tuple[str, ...] = ()) -> Function:
    return Function(kind, 1, parameters, _REAL, _at_once, Form.CALENDAR)


def _of_others(kind: str, warmup: Callable[[Parameters], int], least: int = 1) -> Function:
    return Function(kind, 0, _PERIOD, _REAL, warmup, Form.CONTEXT, least)


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "ADX": Function("trend_strength", 3, _PERIOD, _REAL, _wilder_twice),
        "AROON": Function("aroon", 2, _PERIOD, ("aroondown", "aroonup"), _window_before),
        "AROONOSC": Function("aroon_oscillator", 2, _PERIOD, _REAL, _window_before),
        "ATR": Function("average_true_range", 3, _PERIOD, _REAL, _wilder),
        "AVGDEV": Function("mean_deviation", 1, _PERIOD, _REAL, _window),
        "BBANDS": Function("bollinger_bands", 1, ("timeperiod", "nbdevup", "nbdevdn"), _BANDS, _window),
        "BOP": Function("balance_of_power", 4, (), _REAL, _at_once),
        "CCI": Function("commodity_channel", 3, _PERIOD, _REAL, _window),
        "CMF": Function("chaikin_money_flow", 4, _PERIOD, _REAL, _window),
        "CMO": Function("chande_momentum", 1, _PERIOD, _REAL, _wilder),
        "CORREL": Function("correlation", 2, _PERIOD, _REAL, _window),
        "DEMA": Function("double_exponential_average", 1, _PERIOD, _REAL, _exponential_twice),
        "DX": Function("directional_index", 3, _PERIOD, _REAL, _wilder),
        "EMA": Function("exponential_average", 1, _PERIOD, _REAL, _exponential),
        "ER": Function("efficiency_ratio", 1, _PERIOD, _REAL, _window_before),
        "HMA": Function("hull_average", 1, _PERIOD, _REAL, _hull),
        "LINEARREG_SLOPE": Function("regression_slope", 1, _PERIOD, _REAL, _window),
        "MACD": Function(
            "macd", 1, ("fastperiod", "slowperiod", "signalperiod"), ("macd", "macdsignal", "macdhist"), _macd
        ),
        "MAX": Function("highest", 1, _PERIOD, _REAL, _window),
        "MFI": Function("money_flow_index", 4, _PERIOD, _REAL, _window_before),
        "MIDPRICE": Function("middle_of_range", 2, _PERIOD, _REAL, _window),
        "MIN": Function("lowest", 1, _PERIOD, _REAL, _window),
        "MINUS_DI": Function("minus_directional", 3, _PERIOD, _REAL, _wilder),
        "MOM": Function("momentum", 1, _PERIOD, _REAL, _window_before, least=1),
        "NATR": Function("normalised_true_range", 3, _PERIOD, _REAL, _wilder),
        "PERCENTRANK": Function("percent_rank", 1, _PERIOD, _REAL, _window_before),
        "PLUS_DI": Function("plus_directional", 3, _PERIOD, _REAL, _wilder),
        "ROC": Function("percent_change", 1, _PERIOD, _REAL, _window_before, least=1),
        "ROCP": Function("relative_change", 1, _PERIOD, _REAL, _window_before, least=1),
        "RSI": Function("relative_strength_index", 1, _PERIOD, _REAL, _wilder),
        "SMA": Function("plain_average", 1, _PERIOD, _REAL, _window),
        "STDDEV": Function("standard_deviation", 1, _PERIOD, _REAL, _window),
        "STOCH": Function(
            "stochastic",
            3,
            ("fastk_period", "slowk_period", "slowd_period"),
            ("slowk", "slowd"),
            _windows_in_turn,
            least=1,
        ),
        "STOCHF": Function(
            "fast_stochastic", 3, ("fastk_period", "fastd_period"), ("fastk", "fastd"), _windows_in_turn, least=1
        ),
        "SUM": Function("sum", 1, _PERIOD, _REAL, _window),
        "TEMA": Function("triple_exponential_average", 1, _PERIOD, _REAL, _exponential_thrice),
        "TRANGE": Function("true_range", 3, (), _REAL, _two_at_once),
        "TRIX": Function("trix", 1, _PERIOD, _REAL, _exponential_change),
        "TYPPRICE": Function("typical_price", 3, (), _REAL, _at_once),
        "ULTOSC": Function(
            "ultimate_oscillator", 3, ("timeperiod1", "timeperiod2", "timeperiod3"), _REAL, _longest_before
        ),
        "VORTEX": Function("vortex", 3, _PERIOD, ("plusvi", "minusvi"), _window_before),
        "VWMA": Function("volume_weighted_average", 2, _PERIOD, _REAL, _window),
        "WILLR": Function("williams_r", 3, _PERIOD, _REAL, _window),
        "WMA": Function("weighted_average", 1, _PERIOD, _REAL, _window),
        "difference": Function("difference", 2, (), _REAL, _at_once, Form.ARITHMETIC),
        "ratio": Function("ratio", 2, (), _REAL, _at_once, Form.ARITHMETIC),
        "scaled": Function("scaled", 1, ("factor",), _REAL, _at_once, Form.ARITHMETIC),
        "hour_sine": _of_time("hour_sine"),
        "hour_cosine": _of_time("hour_cosine"),
        "weekday_sine": _of_time("weekday_sine"),
        "weekday_cosine": _of_time("weekday_cosine"),
        "weekend": _of_time("weekend"),
        "minutes_since_open": _of_time("minutes_since_open", ("open_minute",)),
        "in_session": _of_time("in_session", _SESSION),
        "market_return": _of_others("market_return", _window_before),
        "excess_return": _of_others("excess_return", _window_before),
        "breadth_up": _of_others("breadth_up", _window_before),
        "breadth_above": _of_others("breadth_above", _window, least=2),
        "dispersion": _of_others("dispersion", _window_before),
        "volatility_index": _of_others("volatility_index", _window_before, least=2),
        "leader_return": Function("leader_return", 1, ("timeperiod", "lag"), _REAL, _lagged_before, Form.CONTEXT, 1),
    }
)

# Their value depends on where the history starts; beside each what does nearly the same over a window.
CUMULATIVE: Mapping[str, str] = MappingProxyType(
    {
        "AD": "money_flow",
        "CUMSUM": "highest, lowest or change",
        "NVI": "change",
        "OBV": "money_flow or money_flow_index",
        "PVI": "change",
        "PVT": "money_flow",
        "VWAP": "rolling_vwap",
        "WAD": "money_flow",
    }
)
# They carry a state from candle to candle that no number of candles is sure to wash out.
UNBOUNDED: Mapping[str, str] = MappingProxyType(
    {
        "KAMA": "ema or efficiency_ratio",
        "SAR": "distance_in_atr from highest or lowest",
        "SAREXT": "distance_in_atr from highest or lowest",
        "SUPERTREND": "distance_in_atr from ema",
    }
)


def refusal(name: str) -> str | None:
    """Why there is no such function, and what does nearly the same; None if nothing speaks against it."""
    known = name.upper()
    if known in CUMULATIVE:
        return (
            f"{name} counts from the first candle, so it depends on where the history starts; "
            f"use one over a window: {CUMULATIVE[known]}"
        )
    if known in UNBOUNDED:
        return (
            f"{name} carries a state that no number of candles is sure to wash out, so it may depend on where the "
            f"history starts; use one with a bounded memory: {UNBOUNDED[known]}"
        )
    return None
