"""Fees that a venue takes in the bought coin: what is held, what can be sold, what is left, and what was earned."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from livebot.core.adoption import Adoption, adopt
from livebot.core.candidate import Refused
from livebot.core.exposure import exposure_of, protected
from livebot.core.inputs import OrderFilled, Step
from livebot.core.market import Side
from livebot.core.order import Leg, VenuePosition
from livebot.core.position import Position
from livebot.core.rebuild import rebuild
from livebot.core.rules import FixedNotional
from livebot.core.signal import CloseReason, Open
from livebot.core.sizing import size
from tests.core.examples import INSTRUMENT, fill
from tests.core.kernel_driver import EMPTY, RULES
from tests.core.signal_story import LEVELS, D, Story
from tests.core.test_rebuild import BTC, NOW_MS, STOP
from tests.core.test_rebuild import EMPTY as LOST

COIN = replace(INSTRUMENT, can_short=False, fee_in_base=True)  # lots of 0.001, a fee of 0.1 %
SPOT = replace(RULES, instrument=COIN, resting_target=False)
CENTS = st.integers(1, 10**6).map(lambda number: D(number) / 1000)


class SpotStory(Story):
    """Purchases pay their fee in what they buy, sales in quote; nothing stands beside a stop."""

    def fill(self, leg, quantity, price, *, fee="0", base_fee="0", **values):
        told = self.trade(self.record(leg).request, quantity, price, fee=fee, ts_ms=self.ts_ms, **values)
        return self.feed(OrderFilled(replace(told.fill, base_fee=D(base_fee)), self.ts_ms))


def bought(quantity="1", base_fee="0.0015", price=100, **more) -> SpotStory:
    """An open position."""
    story = SpotStory(rules=SPOT, **more).enter(quantity=D(quantity)).accept(Leg.ENTRY)
    return story.fill(Leg.ENTRY, quantity, price, base_fee=base_fee)


@given(
    st.lists(st.tuples(CENTS, CENTS, st.integers(0, 9)), min_size=1, max_size=4),
    st.lists(CENTS, min_size=1, max_size=3),
)
def test_what_was_earned_is_the_money_that_came_less_the_money_that_went_and_what_is_left(buys, prices):
    """To the last digit that 28 can hold, whatever the fees of the single trades were."""
    position = Position(Side.LONG, lot_step=D("0.001"))
    for quantity, price, share in buys:
        trade = fill(quantity, price, base_fee=quantity * share / 1000)
        position = position.with_entry(trade)
    came = Fraction(0)
    for price in prices:
        sold = position.closable / 2 // D("0.001") * D("0.001")
        position = position.with_exit(fill(sold, price, fee=D("0.01")))
        came += Fraction(sold) * Fraction(price) - Fraction(D("0.01"))
    spent = sum(Fraction(quantity) * Fraction(price) for quantity, price, _ in buys)
    made = came - spent + Fraction(position.cost)
    assert abs(made - Fraction(position.net)) < Fraction(1, 10**15)
    gross = position.side.sign * (position.exit_notional - position._cost_of(position.exit_quantity))
    assert abs(gross - position.all_fees - position.net) < D("1e-15")
    assert position.realised == gross
    assert 0 <= position.quantity - position.closable < D("0.001")
    # what the portfolio counts is the money that moved
    exposed = position.net - position.quantity * position.entry_price
    assert abs(Fraction(exposed) - (came - spent)) < Fraction(1, 10**15)


def test_stops_and_exits_are_for_whole_lots_of_what_is_held():
    """Of 1 bought less 0.0015 it is 0.998."""
    story = bought()
    assert [("Submit", Leg.STOP, D("0.998"), D(95))] == story.asked
    assert D("0.9985") == story.signal.position.quantity
    story.accept(Leg.STOP)
    assert protected(story.signal, story.state.orders)
    assert D("0.9985") == exposure_of(story.signal, story.state.orders).quantity
    story.leave()
    assert ("Submit", Leg.EXIT, D("0.998"), None) in story.asked


def test_what_is_left_is_told_and_goes_into_the_next_position():
    """At what it cost; the signal that left it has neither won nor lost by it."""
    story = bought().accept(Leg.STOP).fill(Leg.STOP, "0.998", 110, fee="0.1")
    assert story.idle
    kept, closed = story.fact("RemainderKept"), story.fact("SignalClosed")
    assert (kept.quantity, kept.cost) == (D("0.0005"), D("0.05")) == (story.state.remainder, story.state.remainder_cost)
    assert (closed.reason, closed.quantity) == (CloseReason.STOP_LOSS, 1)
    assert closed.pnl_net == D("0.998") * 110 - D("0.1") - 100 + D("0.05")
    assert closed.fees == D("0.1") + D("0.15")  # 0.0015 of a coin of 100
    again = SpotStory(state=story.state, rules=SPOT).enter(quantity=D(1)).accept(Leg.ENTRY)
    again.fill(Leg.ENTRY, 1, 200, base_fee="0.001")
    assert [("Submit", Leg.STOP, D("0.999"), D(95))] == again.asked
    assert (again.state.remainder, again.signal.position.quantity) == (0, D("0.9995"))
    again.accept(Leg.STOP).fill(Leg.STOP, "0.999", 200)
    assert again.fact("SignalClosed").quantity == 1
    both = closed.pnl_net + again.fact("SignalClosed").pnl_net
    moved = -100 + D("0.998") * 110 - D("0.1") - 200 + D("0.999") * 200
    assert abs(both - again.state.remainder_cost - moved) < D("1e-20")


def test_what_the_venue_refuses_to_take_goes_into_the_next_position_too():
    """Nothing of it is anybody else's, so that the symbol trades on."""
    story = bought().accept(Leg.STOP).leave().end(Leg.STOP).accept(Leg.EXIT)
    story.fill(Leg.EXIT, "0.995", 100).end(Leg.EXIT, "0.995")
    while story.record(Leg.EXIT).request.attempt < SPOT.protection_attempts:
        story.reject(Leg.EXIT).candle()
        if story.record(Leg.STOP).status.live:
            story.end(Leg.STOP)
    story.reject(Leg.EXIT)
    while not story.idle:
        for record in story.state.orders:
            if record.status.live and record.request.leg is Leg.STOP:
                story.end(Leg.STOP)
        story.candle()
    assert "OrderFailed" not in story.said
    assert story.state.remainder == D("0.0035")


def test_an_entry_that_fills_by_less_than_a_lot_holds_nothing_that_could_be_protected():
    story = SpotStory(rules=SPOT).enter(quantity=D(1)).accept(Leg.ENTRY)
    story.fill(Leg.ENTRY, "0.001", 100, base_fee="0.000001").end(Leg.ENTRY)
    assert story.asked == []
    assert story.signal.position.flat and protected(story.signal, story.state.orders)
    story.leave().candle()
    assert story.idle
    assert story.state.remainder == D("0.000999")


def test_of_what_somebody_took_away_nothing_is_carried_on():
    story = bought().accept(Leg.STOP).fill(Leg.STOP, "0.998", 110)
    assert story.outside("0.0002").state.remainder == D("0.0003")
    assert story.state.remainder_cost == D("0.03")
    assert story.outside(1).state.remainder == 0
    before = story.state
    assert story.outside(1).state is before


def test_a_partial_exit_leaves_no_less_than_the_venue_takes():
    story = SpotStory(rules=SPOT).enter(quantity=D("0.2"), exits=LEVELS).accept(Leg.ENTRY)
    story.fill(Leg.ENTRY, "0.2", 100, base_fee="0.0002").accept(Leg.STOP).candle(102.0)
    assert [asked[:3] for asked in story.asked] == [("Amend", Leg.STOP, D("0.139")), ("Submit", Leg.PARTIAL, D("0.06"))]


def test_a_size_is_large_enough_only_if_it_is_so_after_the_fee():
    """Else its stop would be refused."""
    least = {"price": D(100), "stop_loss": D(95), "equity": D(1000)}
    assert size(FixedNotional(D(5)), instrument=INSTRUMENT, **least) == D("0.05")
    refused = size(FixedNotional(D(5)), instrument=COIN, **least)
    assert isinstance(refused, Refused) and refused.code == "minimum_notional"
    assert size(FixedNotional(D("5.2")), instrument=COIN, **least) == D("0.052")


def test_coins_of_unknown_cost_are_rebuilt_at_the_price_of_their_stop():
    """A venue does not say what coins cost."""
    held = VenuePosition(symbol=BTC, quantity=D(2), average_price=D(0))
    present = rebuild(LOST, (STOP,), held, COIN, now_ms=NOW_MS).signal
    assert isinstance(present, Open)
    assert present.position.entry_price == D(90)


def test_an_adopted_position_leaves_what_is_carried_where_it_is():
    carrying = replace(EMPTY, remainder=D("0.0005"), remainder_cost=D("0.05"))
    wish = Adoption(quantity=D(1), entry_price=D(100), price=D(100), stop_loss=D(95), take_profit=None, ts_ms=0)
    made = adopt(carrying, wish, SPOT)
    assert isinstance(made, Step)
    assert (made.state.remainder, made.state.signal.position.quantity) == (D("0.0005"), 1)


def test_what_an_adopted_position_leaves_is_added_to_what_was_carried():
    carrying = replace(EMPTY, remainder=D("0.0005"), remainder_cost=D("0.05"))
    wish = Adoption(quantity=D(1), entry_price=D(100), price=D(100), stop_loss=D(95), take_profit=None, ts_ms=0)
    made = adopt(carrying, wish, SPOT)
    assert isinstance(made, Step)
    story = SpotStory(made.state, SPOT).accept(Leg.STOP).leave().end(Leg.STOP).accept(Leg.EXIT)
    story.fill(Leg.EXIT, "0.998", 100).end(Leg.EXIT, "0.998")
    for _ in range(4 * SPOT.protection_attempts):
        for record in story.state.orders:
            if record.status.live:
                (story.reject if record.request.leg is Leg.EXIT else story.end)(record.request.leg)
        if story.idle:
            break
        story.candle()
    assert (story.state.remainder, story.state.remainder_cost) == (D("0.0025"), D("0.25"))


# Every coin that was bought ends in one fact's PnL


def left_behind() -> SpotStory:
    """0.0005 coins that cost 0.05, of signal 1."""
    return bought().accept(Leg.STOP).fill(Leg.STOP, "0.998", 110)


def test_what_is_taken_into_the_next_position_is_told_with_it():
    again = left_behind().enter(quantity=D(1)).accept(Leg.ENTRY)
    assert again.said == []
    again.fill(Leg.ENTRY, 1, 200, base_fee="0.001")
    assert again.said == ["RemainderTaken", "SignalOpened"]
    taken = again.fact("RemainderTaken")
    assert (taken.quantity, taken.cost, taken.signal_id[-2:]) == (D("0.0005"), D("0.05"), "#2")


def test_nothing_is_told_of_a_remainder_where_none_is():
    assert bought().said == ["SignalOpened"]


def test_what_somebody_took_away_is_told_with_what_it_had_cost():
    story = left_behind().outside("0.0002", 120, fee=D("0.001"))
    gone = story.fact("RemainderGone")
    assert (gone.quantity, gone.cost, gone.price, gone.fee) == (D("0.0002"), D("0.02"), D(120), D("0.001"))
    assert gone.pnl_net == D("0.024") - D("0.001") - D("0.02")
    assert (gone.signal_id[-2:], gone.side) == ("#1", Side.LONG)
    assert story.outside(1, 120).fact("RemainderGone").cost == D("0.03")
    assert story.outside(1, 120).said == []


def carrying_beside_a_position() -> SpotStory:
    """0.0005 coins beside an adopted position of 1 that has a stop."""
    carrying = replace(EMPTY, remainder=D("0.0005"), remainder_cost=D("0.05"))
    wish = Adoption(quantity=D(1), entry_price=D(100), price=D(100), stop_loss=D(95), take_profit=None, ts_ms=0)
    made = adopt(carrying, wish, SPOT)
    assert isinstance(made, Step)
    return SpotStory(made.state, SPOT).accept(Leg.STOP)


def test_so_little_that_the_remainder_explains_it_is_not_taken_off_a_position():
    story = carrying_beside_a_position().outside("0.0004", 100)
    assert story.said == ["RemainderGone"]
    assert (story.state.remainder, story.signal.position.quantity) == (D("0.0001"), 1)


def test_what_is_more_than_the_position_was_of_the_remainder():
    story = carrying_beside_a_position().outside("1.0003", 110)
    assert story.fact("PositionReduced").quantity == 1
    assert story.fact("RemainderGone").quantity == D("0.0003")
    assert story.state.remainder == D("0.0002")


def test_a_trade_that_is_known_was_of_the_position():
    story = carrying_beside_a_position().outside("0.0004", 110, trade_id="theirs")
    assert story.said == ["PositionReduced"]
    assert story.state.remainder == D("0.0005")
