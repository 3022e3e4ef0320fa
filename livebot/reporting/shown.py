"""How a value of a report looks to people.

Rules of this file: only shown, never calculated with; what is not 0 is never shown as 0, and a loss never without its sign;
text from outside cannot move a cursor or end a row; every value has a bounded width.
"""

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

from livebot.reporting.figure import Figure, NotAvailable

ABSENT = "n/a"
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_LARGEST = Decimal(10) ** 12  # from here on as 1.23e+15: a column stays narrow
_CENTS_BELOW = 100_000  # in quote currency, so that a dozen columns of money fit a line
_DECIMALS_BELOW = 10  # as a ratio: from 1000 % on they tell nothing
_SPANS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))
_PRICE_DIGITS = Context(prec=8, rounding=ROUND_HALF_EVEN)


def percent(ratio: Figure | None, digits: int = 2) -> str:
    """A share: 0.625 is `62.50%`."""
    return _number(ratio, _digits(ratio, digits, _DECIMALS_BELOW), scale=100, unit="%")


def signed_percent(ratio: Figure | None, digits: int = 2) -> str:
    """A gain or loss: `+1.25%`, `-0.80%`, `0.00%`, `+1,250%`; a loss too small to show is `>-0.01%`."""
    return _number(ratio, _digits(ratio, digits, _DECIMALS_BELOW), scale=100, unit="%", sign=True)


def money(amount: Figure | None) -> str:
    """An amount of quote currency: `10,034.51`, and `123,457` from 100,000 on."""
    return _number(amount, _digits(amount, 2, _CENTS_BELOW))


def signed_money(amount: Figure | None) -> str:
    """A gain or loss in quote currency: `+34.51`, and `-123,457` from 100,000 on."""
    return _number(amount, _digits(amount, 2, _CENTS_BELOW), sign=True)


def ratio(value: Figure | None) -> str:
    """A plain ratio: `1.62`."""
    return _number(value, 2)


def signed_ratio(value: Figure | None) -> str:
    """A ratio that has two directions: `+0.21`."""
    return _number(value, 2, sign=True)


def price(value: Decimal | None) -> str:
    """Eight digits, without zeros at the end and without an exponent."""
    return ABSENT if value is None else f"{value.normalize(_PRICE_DIGITS):f}"


def moment(ts_ms: int) -> str:
    """`2026-01-31 12:02:00`, in UTC."""
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def minute(ts_ms: int) -> str:
    """`2026-01-31 12:02`, in UTC."""
    return moment(ts_ms)[:16]


def day(ts_ms: int) -> str:
    """`2026-01-31`, in UTC."""
    return moment(ts_ms)[:10]


def span(milliseconds: Figure) -> str:
    """In the largest unit that fits: `14.5 h`."""
    if isinstance(milliseconds, NotAvailable):
        return ABSENT
    for unit_ms, unit in _SPANS:
        if milliseconds >= unit_ms:
            return f"{float(milliseconds) / unit_ms:.1f} {unit}"
    return f"{float(milliseconds):.0f} ms"


def clean(text: str) -> str:
    """Without line breaks and other control characters, which could move a terminal's cursor or end a table's row."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _digits(value: Figure | None, digits: int, below: int) -> int:
    """So many decimals, and none from `below` on."""
    if value is None or isinstance(value, NotAvailable):
        return digits
    return 0 if abs(float(value)) >= below else digits


def _number(value: Figure | None, digits: int, *, scale: int = 1, unit: str = "", sign: bool = False) -> str:
    if value is None or isinstance(value, NotAvailable):
        return ABSENT
    exact = _WIDE.multiply(Decimal(value), Decimal(scale))
    if abs(exact) >= _LARGEST:
        return f"{float(exact):{'+' if sign else ''}.2e}{unit}"
    step = Decimal(1).scaleb(-digits)
    rounded = exact.quantize(step, context=_WIDE)
    if rounded == 0 and exact != 0:
        return f"<{'+' if sign else ''}{step}{unit}" if exact > 0 else f">-{step}{unit}"
    return f"{rounded + 0:{'+' if sign and rounded else ''},}{unit}"  # + 0: no negative zero
