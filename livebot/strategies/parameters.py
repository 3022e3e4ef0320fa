"""Checks that the parameters of strategies share; each raises ValueError naming the parameter and the mend."""

import math

PERIOD_BOUND = 1_000  # candles
MINUTE_BOUND = 30 * 24 * 60


def check_periods(**periods: int) -> None:
    """Whole numbers of candles, 2 to PERIOD_BOUND."""
    for name, period in periods.items():
        if type(period) is not int or not 2 <= period <= PERIOD_BOUND:  # noqa: PLR2004
            message = f"{name} {period!r} must be a whole number of candles from 2 to {PERIOD_BOUND}"
            raise ValueError(message)


def check_positive(**values: float) -> None:
    """Numbers above 0."""
    for name, value in values.items():
        if not 0 < value < math.inf:
            message = f"{name} {value!r} must be above 0"
            raise ValueError(message)


def check_between(low: float, high: float, **values: float) -> None:
    """Numbers above `low` and below `high`."""
    for name, value in values.items():
        if not low < value < high:
            message = f"{name} {value!r} must be above {low:g} and below {high:g}"
            raise ValueError(message)


def check_minutes(**minutes: int) -> None:
    """Whole minutes, 1 to MINUTE_BOUND."""
    for name, value in minutes.items():
        if type(value) is not int or not 1 <= value <= MINUTE_BOUND:
            message = f"{name} {value!r} must be a whole number of minutes from 1 to {MINUTE_BOUND}"
            raise ValueError(message)
