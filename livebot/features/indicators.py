"""Usual indicators beyond the plainest ones of `declaration`, each one function of TA-Lib.

Rules of this file: each says its unit; what compares symbols stands in `relative`.
"""

from livebot.features.declaration import Feature, Source, over_period

_RANGE = ("high", "low", "close")
_FLOW = (*_RANGE, "volume")


# Averages and trend


def weighted_average(name: str, period: int, source: Source = "close") -> Feature:
    """Average with weights falling in a line, in the unit of its source."""
    return over_period(name, "WMA", (source,), period)


def hull_average(name: str, period: int, source: Source = "close") -> Feature:
    """Hull's moving average, in the unit of its source."""
    return over_period(name, "HMA", (source,), period)


def double_ema(name: str, period: int, source: Source = "close") -> Feature:
    """Mulloy's DEMA, in the unit of its source."""
    return over_period(name, "DEMA", (source,), period)


def triple_ema(name: str, period: int, source: Source = "close") -> Feature:
    """Mulloy's TEMA, in the unit of its source."""
    return over_period(name, "TEMA", (source,), period)


def trix(name: str, period: int) -> Feature:
    """One-candle change of the close smoothed three times, in percent."""
    return over_period(name, "TRIX", ("close",), period)


def slope(name: str, period: int, source: Source = "close") -> Feature:
    """Slope of the straight line through the window, in the unit of its source per candle."""
    return over_period(name, "LINEARREG_SLOPE", (source,), period)


def efficiency_ratio(name: str, period: int, source: Source = "close") -> Feature:
    """Kaufman's: the way made over the way gone, 0 (to and fro) to 1 (straight)."""
    return over_period(name, "ER", (source,), period)


def correlation(name: str, period: int, left: Source, right: Source) -> Feature:
    """Pearson's correlation of two sources over the window, -1 to 1."""
    return over_period(name, "CORREL", (left, right), period)


def directional(name: str, period: int, *, up: bool) -> Feature:
    """Wilder's directional movement, +DI or -DI, 0 to 100."""
    return over_period(name, "PLUS_DI" if up else "MINUS_DI", _RANGE, period)


def directional_index(name: str, period: int) -> Feature:
    """Wilder's DX, which ADX smooths, 0 to 100."""
    return over_period(name, "DX", _RANGE, period)


def aroon(name: str, output: str, period: int) -> Feature:
    """Either aroonup or aroondown: how lately the window's high or low was, 0 to 100 (now)."""
    return Feature(
        name=name, function="AROON", sources=("high", "low"), parameters=(("timeperiod", period),), output=output
    )


def aroon_oscillator(name: str, period: int) -> Feature:
    """Aroon up less Aroon down, -100 to 100."""
    return over_period(name, "AROONOSC", ("high", "low"), period)


def vortex(name: str, output: str, period: int) -> Feature:
    """Either plusvi or minusvi: movement up or down over true range; 1 is even."""
    return Feature(name=name, function="VORTEX", sources=_RANGE, parameters=(("timeperiod", period),), output=output)


# Oscillators


def cci(name: str, period: int) -> Feature:
    """Commodity channel index: distance of the typical price from its average, in 0.015 mean deviations."""
    return over_period(name, "CCI", _RANGE, period)


def williams_r(name: str, period: int) -> Feature:
    """Williams %R: -100 (close at the low of the window) to 0 (at the high)."""
    return over_period(name, "WILLR", _RANGE, period)


def chande_momentum(name: str, period: int, source: Source = "close") -> Feature:
    """Chande's momentum, smoothed as RSI is (TA-Lib), -100 to 100."""
    return over_period(name, "CMO", (source,), period)


def stochastic(name: str, output: str, *, k: int = 14, slowing: int = 3, d: int = 3) -> Feature:
    """Either slowk or slowd, 0 (close at the low of the last `k`) to 100; plain averages."""
    parameters = (("fastk_period", k), ("slowk_period", slowing), ("slowd_period", d))
    return Feature(name=name, function="STOCH", sources=_RANGE, parameters=parameters, output=output)


def fast_stochastic(name: str, output: str, *, k: int = 14, d: int = 3) -> Feature:
    """Either fastk or fastd, 0 to 100; a plain average."""
    parameters = (("fastk_period", k), ("fastd_period", d))
    return Feature(name=name, function="STOCHF", sources=_RANGE, parameters=parameters, output=output)


def ultimate_oscillator(name: str, short: int = 7, middle: int = 14, long: int = 28) -> Feature:
    """Williams' buying pressure over three windows, 0 to 100."""
    parameters = (("timeperiod1", short), ("timeperiod2", middle), ("timeperiod3", long))
    return Feature(name=name, function="ULTOSC", sources=_RANGE, parameters=parameters)


def balance_of_power(name: str) -> Feature:
    """Close less open over high less low of the present candle, -1 to 1."""
    return Feature(name=name, function="BOP", sources=("open", *_RANGE))


def percent_rank(name: str, period: int, source: Source = "close") -> Feature:
    """Share of the `period` values before that the present one is above, in percent."""
    return over_period(name, "PERCENTRANK", (source,), period)


def mean_deviation(name: str, period: int, source: Source = "close") -> Feature:
    """Average distance from the average of the window, in the unit of its source."""
    return over_period(name, "AVGDEV", (source,), period)


def rolling_sum(name: str, period: int, source: Source = "volume") -> Feature:
    """Sum over the window, in the unit of its source."""
    return over_period(name, "SUM", (source,), period)


# Changes, ranges and volume


def percent_change(name: str, period: int, source: Source = "close") -> Feature:
    """Change against `period` candles ago in percent (1.0 is one percent)."""
    return over_period(name, "ROC", (source,), period)


def momentum(name: str, period: int, source: Source = "close") -> Feature:
    """The source less what it was `period` candles ago, in its unit."""
    return over_period(name, "MOM", (source,), period)


def natr(name: str, period: int) -> Feature:
    """Wilder's average true range in percent of the close."""
    return over_period(name, "NATR", _RANGE, period)


def true_range(name: str) -> Feature:
    """Range of the present candle, the gap from the close before included, in price."""
    return Feature(name=name, function="TRANGE", sources=_RANGE)


def rolling_vwap(name: str, period: int) -> Feature:
    """Typical price weighted by volume over the window, in price; never since the start of anything."""
    typical = Feature(name="typical", function="TYPPRICE", sources=_RANGE)
    return over_period(name, "VWMA", (typical, "volume"), period)


def money_flow(name: str, period: int) -> Feature:
    """Chaikin's money flow over the window, -1 (closes at the lows) to 1 (at the highs)."""
    return over_period(name, "CMF", _FLOW, period)


def money_flow_index(name: str, period: int) -> Feature:
    """RSI of money, 0 to 100."""
    return over_period(name, "MFI", _FLOW, period)


def middle_of_range(name: str, period: int) -> Feature:
    """Half way between the highest high and the lowest low of the window, in price."""
    return over_period(name, "MIDPRICE", ("high", "low"), period)
