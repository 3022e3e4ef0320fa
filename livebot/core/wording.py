"""How numbers stand in the sentences an operator or a trader reads."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

_READABLE = Context(prec=12, rounding=ROUND_HALF_EVEN)
_TENTH = Decimal("0.1")
_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))


def number(value: Decimal) -> str:
    """Plain digits, no exponent and no trailing zeros, rounded to 12 digits."""
    return f"{value.normalize(_READABLE):f}"


def percent(ratio: Decimal) -> str:
    """A ratio in percent: 0.0125 is `1.25 %`."""
    return f"{number(ratio * 100)} %"


def duration(milliseconds: int) -> str:
    """In the largest unit that fits: 90000 is `1.5 min`."""
    for unit_ms, unit in _UNITS:
        if milliseconds >= unit_ms:
            return f"{number(Decimal(milliseconds) / unit_ms)} {unit}"
    return f"{milliseconds} ms"


def about(milliseconds: int) -> str:
    """A measured duration, to a tenth of the largest unit that fits: 236941 is `3.9 min`."""
    for unit_ms, unit in _UNITS:
        if milliseconds >= unit_ms:
            return f"{number((Decimal(milliseconds) / unit_ms).quantize(_TENTH))} {unit}"
    return f"{milliseconds} ms"
