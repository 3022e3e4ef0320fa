"""How figures of a status stand on a screen: short, and never broader than their place.

Rules of this file: only shown, never calculated with, so rounding is allowed here and nowhere before.
"""

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

ABSENT = "-"
_CENT = Decimal("0.01")
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_PRICE = Context(prec=7, rounding=ROUND_HALF_EVEN)
_RATIO = Context(prec=3, rounding=ROUND_HALF_EVEN)
_DURATIONS = ((86_400, "d"), (3_600, "h"), (60, "m"))


def money(amount: Decimal) -> str:
    """`10,034.51`; what is no number is shown as it is."""
    return f"{_to_cent(amount):,f}" if amount.is_finite() else str(amount)


def signed_money(amount: Decimal | None) -> str:
    """`+34.51`, or `-`."""
    if amount is None:
        return ABSENT
    return f"{_to_cent(amount):+,f}" if amount.is_finite() else str(amount)


def percent_of(part: Decimal, whole: Decimal) -> str:
    """`+0.34 %`, or nothing to say of nothing."""
    if not whole or not (part.is_finite() and whole.is_finite()):
        return ABSENT
    return f"{_to_cent(part / whole * 100):+f} %"


def price(value: Decimal | None) -> str:
    """Seven digits, without zeros at the end and without an exponent."""
    return ABSENT if value is None else _plain(value, _PRICE)


def ratio(value: Decimal) -> str:
    """Three digits."""
    return _plain(value, _RATIO)


def age(milliseconds: int | None) -> str:
    """`12s`, `5m`, `3h`, `2d`."""
    if milliseconds is None:
        return ABSENT
    seconds = max(0, milliseconds // 1000)
    for length, unit in _DURATIONS:
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def span(milliseconds: int) -> str:
    """`45 s`, `14 min`, `2 h 14 min`, `3 d 2 h`."""
    seconds = max(0, milliseconds // 1000)
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def moment(ts_ms: int) -> str:
    """`2026-01-01 12:00:00 UTC`."""
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clean(text: str) -> str:
    """On one line, and without characters that move a terminal's cursor."""
    return "".join(character if character.isprintable() else " " for character in text)


def _to_cent(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, context=_WIDE) + 0  # + 0: no negative zero


def _plain(value: Decimal, context: Context) -> str:
    return f"{value.normalize(context):f}" if value.is_finite() else str(value)
