"""What a signal puts at stake, and whether it is protected."""

from decimal import Decimal

import pytest

from livebot.core.exposure import exposure_of, held, leaving_too_much, protected
from livebot.core.facts import NO_EXPOSURE, Exposure
from livebot.core.market import MINUTE_MS, Side
from livebot.core.order import Leg, OrderStatus
from tests.core.kernel_driver import EMPTY, next_entry
from tests.core.signal_story import AVERAGING, Story

D = Decimal
LIMIT = {"limit_price": D(98), "schedule_ms": 3 * MINUTE_MS}


def exposure(story):
    """As the kernel would write it on a fact."""
    return exposure_of(story.state.signal, story.state.orders)


def is_protected(story):
    """As the daemon asks it."""
    return protected(story.state.signal, story.state.orders)


def test_idle_puts_nothing_at_stake():
    """Not even a side."""
    assert NO_EXPOSURE == exposure_of(EMPTY.signal, ())


@pytest.mark.parametrize(("values", "price", "risk"), [({}, 100, 5), (LIMIT, 98, "4.9")])
def test_an_entry_on_its_way_is_pending_at_the_price_it_was_sized_at(values, price, risk):
    """With the loss at its stop."""
    story = Story().enter(quantity=D(2), **values)
    assert Exposure(side=Side.LONG, pending_notional=D(2 * price), risk_to_stop=2 * D(risk)) == exposure(story)


def test_a_part_filled_entry_is_open_in_part():
    """The rest is still pending; both are at risk."""
    story = Story().enter(quantity=D(2)).fill(Leg.ENTRY, "0.5", 102, fee="0.1")
    assert Exposure(
        side=Side.LONG,
        quantity=D("0.5"),
        entry_price=D(102),
        open_notional=D(51),
        pending_notional=D(150),
        risk_to_stop=D(11),
        booked=D("-0.1"),
    ) == exposure(story)


def test_only_what_may_still_fill_is_pending():
    """An order that ended with fills to come pends by those; one that is settled not at all."""
    story = Story().enter(quantity=D(2)).fill(Leg.ENTRY, "0.5", 100).end(Leg.ENTRY, "0.7")
    assert 20 == exposure(story).pending_notional
    story.fill(Leg.ENTRY, "0.2", 100)
    assert 0 == exposure(story).pending_notional


def test_a_stop_beyond_the_entry_price_risks_nothing():
    """Never below zero."""
    story = Story().open(side=Side.SHORT).adjust(price=97, stop_loss=99.0)
    assert 0 == exposure(story).risk_to_stop


def test_realised_profit_of_an_open_signal_is_booked():
    """Less the fees."""
    story = Story().open().fill(Leg.TARGET, "0.5", 110, fee="0.5")
    assert D("4.5") == exposure(story).booked


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (lambda story: story, True),
        (lambda story: story.fill(Leg.TARGET, "0.4", 110), False),  # the smaller stop is not confirmed yet
        (lambda story: story.fill(Leg.TARGET, "0.4", 110).accept(Leg.STOP), True),
        (lambda story: story.end(Leg.STOP), False),
        (lambda story: story.end(Leg.STOP).accept(Leg.STOP), True),
        (lambda story: story.accept(Leg.STOP, quantity=D("0.9")), False),
        (lambda story: story.accept(Leg.STOP, trigger_price=D(94)), False),
        (lambda story: story.adjust(stop_loss=97.0), False),
        (lambda story: story.fill(Leg.STOP, "0.4", 95), True),
        (lambda story: story.end(Leg.STOP, 1, OrderStatus.FILLED), True),  # closed, its fills are on the way
        (lambda story: story.fill(Leg.STOP, 1, 95), True),
        (lambda story: story.leave(), True),
        (lambda story: story.leave().end(Leg.STOP), False),
    ],
)
def test_protected_means_a_confirmed_stop_of_all_that_is_open(what, expected):
    """At the present stop price."""
    assert expected is is_protected(what(Story().open()))


def test_what_is_held_leaves_out_what_ended_orders_took():
    """Though their fills have not reached us; an entry's fills to come do not count."""
    story = Story().enter().fill(Leg.ENTRY, "0.5", 100).end(Leg.ENTRY, "0.9").accept(Leg.TARGET)
    assert D("0.5") == held(story.signal.position, story.state.orders)
    story.end(Leg.TARGET, "0.2")
    assert D("0.3") == held(story.signal.position, story.state.orders)


@pytest.mark.parametrize("side", list(Side))
def test_averaging_is_pending_at_the_price_it_was_admitted_at(side):
    """A short averages at a higher price than it began with: what was reserved, what pends and what opens are one."""
    price = 100 - side.sign * 2
    story = Story().open(side=side, exits=AVERAGING).candle(float(price))
    candidate = story.requests[0].candidate
    assert D(price) / 2 == candidate.notional
    story.admit(candidate)
    after = exposure(story)
    assert (D(100), candidate.notional) == (after.open_notional, after.pending_notional)
    assert after.risk_to_stop == 5 + candidate.risk
    story.fill(Leg.AVERAGE, "0.2", price)
    assert 100 + candidate.notional == exposure(story).open_notional + exposure(story).pending_notional
    story.fill(Leg.AVERAGE, "0.3", price)
    after = exposure(story)
    assert (100 + candidate.notional, 0) == (after.open_notional, after.pending_notional)
    assert after.open_notional == after.quantity * after.entry_price == story.signal.position.entry_notional


@pytest.mark.parametrize("values", [{}, LIMIT])
def test_what_was_reserved_is_what_pends_and_what_fills_is_what_is_open(values):
    """At the price that the portfolio was asked about; a fill at another price is what it was."""
    story = Story()
    candidate = next_entry(story.state, quantity=D(2), **values)
    story.admit(candidate)
    assert (candidate.notional, candidate.risk) == (exposure(story).pending_notional, exposure(story).risk_to_stop)
    story.fill(Leg.ENTRY, "0.5", 97)
    assert (D("48.5"), candidate.notional * 3 / 4) == (exposure(story).open_notional, exposure(story).pending_notional)
    story.fill(Leg.ENTRY, "1.5", 97)
    assert (D(194), 0) == (exposure(story).open_notional, exposure(story).pending_notional)


def too_much(story):
    """The legs of what has left, if it may close more than there is."""
    return [record.request.leg for record in leaving_too_much(story.state.signal, story.state.orders)]


def test_one_stop_for_all_of_a_position_leaves_nothing_of_anothers_to_be_closed():
    """Nor does an exit that has not left yet: it is not sent before the stop's end is known."""
    assert [] == too_much(Story()) == too_much(Story().enter())
    story = Story().open(accepted=False).accept(Leg.STOP).reject(Leg.TARGET)
    assert [] == too_much(story)
    assert [] == too_much(story.leave())


@pytest.mark.parametrize("sent", [lambda story: story.accept(Leg.EXIT), lambda story: story.lose(Leg.EXIT)])
def test_a_stop_and_an_exit_may_close_more_than_there_is_until_one_of_them_has_ended(sent):
    """Whoever had a share of it, the venue would take that."""
    story = sent(Story().open(accepted=False).accept(Leg.STOP).reject(Leg.TARGET).leave())
    assert [Leg.STOP, Leg.EXIT] == too_much(story)
    assert [Leg.STOP] == too_much(story.fill(Leg.EXIT, 1, 99))
    assert [] == too_much(story.end(Leg.STOP))


def test_of_an_order_that_has_ended_no_more_comes_than_the_venue_has_said():
    """Its fills are on their way, and are part of what there is."""
    story = Story().open(accepted=False).accept(Leg.STOP).reject(Leg.TARGET).leave().accept(Leg.EXIT)
    story.end(Leg.EXIT, "0.4").accept(Leg.EXIT)  # the next one, of the rest
    assert [Leg.STOP, Leg.EXIT, Leg.EXIT] == too_much(story)
    assert [] == too_much(story.end(Leg.STOP))
