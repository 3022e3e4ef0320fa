"""Features that are not made of the symbol's own prices: the time, and the other symbols at the same close.

Rules of this file: times are the candle's opening time in UTC (the candle from 12:00 to 13:00 is hour 12); the universe
is the symbols of the system without the symbol itself; nothing is made of what comes from other symbols, because a
symbol may be missing at a close, and a window over a hole is no window.
"""

from livebot.features.declaration import Feature, over_period
from livebot.features.functions import OPEN_TIME


def hour_sine(name: str) -> Feature:
    """Sine of the time of day, one turn a day, to the minute."""
    return _of_time(name, "hour_sine")


def hour_cosine(name: str) -> Feature:
    """Cosine of the time of day."""
    return _of_time(name, "hour_cosine")


def weekday_sine(name: str) -> Feature:
    """Sine of the day of the week, one turn a week, Monday 0."""
    return _of_time(name, "weekday_sine")


def weekday_cosine(name: str) -> Feature:
    """Cosine of the day of the week."""
    return _of_time(name, "weekday_cosine")


def weekend(name: str) -> Feature:
    """1 on Saturday and Sunday, else 0."""
    return _of_time(name, "weekend")


def minutes_since_open(name: str, open_minute: int = 0) -> Feature:
    """Minutes since the session last opened, 0 to 1439; `open_minute` is the minute of the UTC day."""
    return _of_time(name, "minutes_since_open", ("open_minute", open_minute))


def in_session(name: str, open_minute: int, close_minute: int) -> Feature:
    """1 while the session is open, else 0; minutes of the UTC day, over midnight if it closes before it opens."""
    return _of_time(name, "in_session", ("open_minute", open_minute), ("close_minute", close_minute))


def market_return(name: str, period: int) -> Feature:
    """Average relative change of the other symbols over `period` candles (0.01 is one percent)."""
    return _of_others(name, "market_return", period)


def excess_return(name: str, period: int) -> Feature:
    """The symbol's own relative change over `period` candles less that of the others."""
    return _of_others(name, "excess_return", period)


def breadth_up(name: str, period: int) -> Feature:
    """Share of the other symbols that rose over `period` candles, 0 to 1."""
    return _of_others(name, "breadth_up", period)


def breadth_above(name: str, period: int) -> Feature:
    """Share of the other symbols that are above their plain average of `period` candles, 0 to 1."""
    return _of_others(name, "breadth_above", period)


def dispersion(name: str, period: int) -> Feature:
    """Population standard deviation, over the other symbols, of their changes over `period` candles."""
    return _of_others(name, "dispersion", period)


def volatility_index(name: str, period: int) -> Feature:
    """Average over the other symbols of their `volatility` of `period` candles."""
    return _of_others(name, "volatility_index", period)


def leader_return(name: str, symbol: str, period: int = 1, *, lag: int = 0) -> Feature:
    """Relative change of the leading symbol (BTC/USDT:USDT) over `period` candles, as it was `lag` candles ago."""
    parameters = (("timeperiod", period), ("lag", lag))
    return Feature(name=name, function="leader_return", sources=(symbol,), parameters=parameters)


def _of_time(name: str, function: str, *parameters: tuple[str, float]) -> Feature:
    return Feature(name=name, function=function, sources=(OPEN_TIME,), parameters=parameters)


def _of_others(name: str, function: str, period: int) -> Feature:
    return over_period(name, function, (), period)
