"""Figures on a screen."""

from decimal import Decimal

import pytest

from livebot.cli import figures
from livebot.cli.since import since_ms
from livebot.errors import BadInput

NOT_A_NUMBER = Decimal("nan")


@pytest.mark.parametrize(
    ("amount", "plain", "signed"),
    [
        ("10034.505", "10,034.50", "+10,034.50"),
        ("-0.001", "0.00", "+0.00"),
        ("-3.456", "-3.46", "-3.46"),
        ("1E+20", "100,000,000,000,000,000,000.00", "+100,000,000,000,000,000,000.00"),
        ("nan", "NaN", "NaN"),
    ],
)
def test_money(amount, plain, signed):
    """To the cent, and never a negative nothing."""
    assert figures.money(Decimal(amount)) == plain
    assert figures.signed_money(Decimal(amount)) == signed


def test_what_is_absent_is_a_dash():
    """Not a zero."""
    assert figures.signed_money(None) == figures.price(None) == figures.age(None) == "-"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("61234.50", "61234.5"),
        ("0.00001234", "0.00001234"),
        ("65719.31234567890123", "65719.31"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("inf", "Infinity"),
    ],
)
def test_prices(value, shown):
    """Seven digits and no exponent."""
    assert figures.price(Decimal(value)) == shown


def test_ratios_and_percents():
    """Three digits; a part of nothing is not said."""
    assert figures.ratio(Decimal("0.6812345")) == "0.681"
    assert figures.percent_of(Decimal("34.51"), Decimal(10_000)) == "+0.35 %"
    assert figures.percent_of(Decimal(1), Decimal(0)) == "-"
    assert figures.percent_of(NOT_A_NUMBER, Decimal(1)) == "-"


@pytest.mark.parametrize(
    ("milliseconds", "short", "long"),
    [
        (-5, "0s", "0 s"),
        (59_999, "59s", "59 s"),
        (60_000, "1m", "1 min"),
        (8_040_000, "2h", "2 h 14 min"),
        (266_400_000, "3d", "3 d 2 h"),
    ],
)
def test_times(milliseconds, short, long):
    """In the unit a person would use."""
    assert figures.age(milliseconds) == short
    assert figures.span(milliseconds) == long


def test_a_moment_is_in_utc():
    """And says so."""
    assert figures.moment(1_767_268_800_000) == "2026-01-01 12:00:00 UTC"


def test_text_stays_on_its_line():
    """And moves no cursor."""
    assert figures.clean("a\x1b[2J\nb") == "a [2J b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01", 1_767_225_600_000),
        ("2026-01-01T12:00", 1_767_268_800_000),
        (" 2026-01-01 12:00:00 ", 1_767_268_800_000),
        ("2026-01-01T12:00+02:00", 1_767_261_600_000),
        ("90m", 2_000_000_000_000 - 90 * 60_000),
        ("24h", 2_000_000_000_000 - 86_400_000),
        ("7d", 2_000_000_000_000 - 7 * 86_400_000),
        ("2w", 2_000_000_000_000 - 14 * 86_400_000),
        ("999999w", 0),
    ],
)
def test_points_in_time(text, expected):
    """UTC unless it says otherwise, or so long before now."""
    assert since_ms(text, 2_000_000_000_000) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "24", "-1h", "2026-13-01", "1.5h", "0x10h", "9999999999h"])
def test_what_is_no_point_in_time_is_refused(text):
    """With examples of what is."""
    with pytest.raises(BadInput, match="write a date such as"):
        since_ms(text, 0)
