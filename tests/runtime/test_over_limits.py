"""Limits that were lowered below what is open."""

from decimal import Decimal

from livebot.ports import LimitUse
from livebot.runtime.portfolio.over_limits import OverLimits

D = Decimal


def use(name: str, used: str, allowed: str | None) -> LimitUse:
    return LimitUse(name=name, used=D(used), allowed=None if allowed is None else D(allowed))


BEFORE = [use("open_signals", "2", "5"), use("gross_exposure", "2", None)]


def test_each_exceeded_limit_is_named_with_its_figures():
    """Counts as counts, exposures as percent; what fits, has no limit or is no size is left out."""
    uses = [
        use("open_signals", "12", "5"),
        use("open_signals_per_strategy", "3", "3"),
        use("gross_exposure", "1.80004", "1.5"),
        use("net_exposure", "9", None),
        use("orders_per_minute", "9", "2"),
        use("daily_loss", "0.2", "0.1"),
    ]
    over = OverLimits()
    over.begin([], uses)
    assert over.sentence(uses) == (
        "more is open than the lowered limits allow: open_signals 12 of 5, gross_exposure 180 % of 150 %; "
        "entries begin again when it fits"
    )
    assert over.stands


def test_it_has_passed_when_all_fits_again():
    over = OverLimits()
    over.begin(BEFORE, [use("open_signals", "2", "1"), use("gross_exposure", "2", "1")])
    assert "open_signals 2 of 1;" in (
        over.sentence([use("open_signals", "2", "1"), use("gross_exposure", "1", "1")]) or ""
    )
    assert over.sentence([use("open_signals", "1", "1"), use("gross_exposure", "1", "1")]) is None
    assert not over.stands


def test_what_exceeds_a_limit_later_does_not_count():
    """A price that rises makes an exposure larger; nobody has lowered anything."""
    over = OverLimits()
    over.begin(BEFORE, [use("open_signals", "2", "1"), use("gross_exposure", "1", "1")])
    text = over.sentence([use("open_signals", "2", "1"), use("gross_exposure", "1.2", "1")])
    assert text is not None
    assert "gross_exposure" not in text
    assert over.sentence([use("open_signals", "1", "1"), use("gross_exposure", "1.2", "1")]) is None


def test_limits_that_are_raised_again_end_it():
    over = OverLimits()
    over.begin(BEFORE, [use("open_signals", "2", "1")])
    over.begin([use("open_signals", "2", "1")], [use("open_signals", "2", "3")])
    assert over.stands
    assert over.sentence([use("open_signals", "2", "3")]) is None


def test_limits_that_are_replaced_by_the_same_or_higher_ones_are_not_lowered():
    """Though an exposure has grown beyond one of them meanwhile."""
    over, used = OverLimits(), [use("gross_exposure", "1.2", "1.1")]
    over.begin([use("gross_exposure", "1.2", "1.1")], used)
    assert over.sentence(used) is None
    over.begin([use("gross_exposure", "1.2", "1")], used)
    assert over.sentence(used) is None


def test_a_second_reload_forgets_nothing_that_is_still_exceeded():
    over, used = OverLimits(), [use("open_signals", "2", "1")]
    over.begin(BEFORE, used)
    over.begin(used, used)
    assert over.sentence(used) is not None
