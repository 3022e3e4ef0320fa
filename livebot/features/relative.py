"""Features measured in something of the symbol's own (ATR, standard deviations, shares), made of the plain ones.

Rules of this file: each has the same usual size for every symbol and price, so that one rule or model fits many; each
says where zero is, and what it is where nothing moved.
"""

import math

from livebot.features.declaration import (
    Feature,
    Source,
    atr,
    bollinger,
    change,
    difference,
    highest,
    lowest,
    macd,
    ratio,
    sma,
    standard_deviation,
    z_score,
)
from livebot.features.indicators import true_range

# Returns and volatility


def scaled(name: str, source: Source, factor: float) -> Feature:
    """The source times a number above 0."""
    return Feature(name=name, function="scaled", sources=(source,), parameters=(("factor", factor),))


def volatility(name: str, period: int) -> Feature:
    """Population standard deviation of the one-candle changes of the window (0.01 is one percent)."""
    return standard_deviation(name, period, change("step", 1))


def scaled_return(name: str, period: int, volatility_period: int) -> Feature:
    """Relative change over `period` candles, in standard deviations that a random walk of such steps would have.

    The deviation is that of the one-candle changes of `volatility_period`, times the root of `period`; 0 where nothing
    moved.
    """
    moved = change("change", period)
    return ratio(name, moved, scaled("expected", volatility("steps", volatility_period), math.sqrt(period)))


# Distances in ATR


def distance_in_atr(name: str, start: Source, period: int = 14, of: Source = "close") -> Feature:
    """How many ATR `of` is above `start` (an average, a rolling high or low, any price); negative below."""
    return ratio(name, difference("away", of, start), atr("range", period))


def range_in_atr(name: str, period: int = 14) -> Feature:
    """True range of the present candle over its average; 1 is an ordinary candle."""
    return ratio(name, true_range("true_range"), atr("range", period))


def body_in_atr(name: str, period: int = 14) -> Feature:
    """Close less open in ATR: how far the candle went, and which way."""
    return ratio(name, difference("body", "close", "open"), atr("range", period))


def macd_in_atr(name: str, output: str = "macdhist", period: int = 14) -> Feature:
    """A part of MACD 12, 26, 9 in ATR, so that it compares between symbols."""
    return ratio(name, macd("part", output), atr("range", period))


# Volume


def relative_volume(name: str, period: int) -> Feature:
    """Volume over its plain average of the window, the present candle included; 1 is usual, 0 where nothing traded."""
    return ratio(name, "volume", sma("usual", period, "volume"))


def volume_score(name: str, period: int) -> Feature:
    """How many standard deviations of the window the volume is above its average."""
    return z_score(name, period, "volume")


# Bands and channels


def bollinger_position(name: str, period: int, *, width: float = 2.0) -> Feature:
    """Where the close is between the bands: 0 at the lower, 1 at the upper one; may be outside."""
    lower = bollinger("lower", "lowerband", period, width=width)
    upper = bollinger("upper", "upperband", period, width=width)
    return ratio(name, difference("above", "close", lower), difference("span", upper, lower))


def bollinger_width(name: str, period: int, *, width: float = 2.0) -> Feature:
    """Distance of the bands over the average between them (0.01 is one percent)."""
    lower = bollinger("lower", "lowerband", period, width=width)
    upper = bollinger("upper", "upperband", period, width=width)
    return ratio(name, difference("span", upper, lower), bollinger("middle", "middleband", period, width=width))


def channel_position(name: str, period: int) -> Feature:
    """Where the close is between the lowest low (0) and the highest high (1) of the window; 0 where nothing moved."""
    low = lowest("lowest", period)
    return ratio(name, difference("above", "close", low), difference("span", highest("highest", period), low))
