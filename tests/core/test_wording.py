"""Numbers as a person reads them."""

from decimal import Decimal

import pytest

from livebot.core.wording import about, duration, number, percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("100.00", "100"),
        ("1E+5", "100000"),
        ("0", "0"),
        ("-0.50", "-0.5"),
        ("0.00000001", "0.00000001"),
        ("0.3333333333333333333333333333", "0.333333333333"),
    ],
)
def test_a_number_has_plain_digits(value, text):
    """No exponent, no trailing zeros, no tail of a division."""
    assert text == number(Decimal(value))


@pytest.mark.parametrize(("ratio", "text"), [("0.0125", "1.25 %"), ("1.5", "150 %"), ("0.0005", "0.05 %")])
def test_a_ratio_is_told_in_percent(ratio, text):
    """0.0125 is 1.25 %."""
    assert text == percent(Decimal(ratio))


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (999, "999 ms"),
        (-5, "-5 ms"),
        (1_000, "1 s"),
        (90_000, "1.5 min"),
        (7_200_000, "2 h"),
        (2_592_000_000, "30 d"),
    ],
)
def test_a_duration_is_told_in_the_largest_unit_that_fits(milliseconds, text):
    """90000 ms is 1.5 min."""
    assert text == duration(milliseconds)


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(999, "999 ms"), (236_941, "3.9 min"), (7_200_000, "2 h"), (100_000_000, "1.2 d")]
)
def test_a_measured_duration_is_told_to_a_tenth(milliseconds, text):
    assert text == about(milliseconds)
