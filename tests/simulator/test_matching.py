"""How orders fill, one rule at a time."""

from dataclasses import replace

import pytest

from livebot.core.inputs import OrderAccepted, OrderRejected
from livebot.core.order import OrderStatus
from livebot.errors import Rejected
from livebot.simulator.matching import FillModel
from tests.simulator.builders import BTC, EXACT, START_MS, D, Desk, flat, order

STILL = flat(100.0)
SLIPPING = FillModel(slippage=D("0.01"))
IN_PIECES = FillModel(slippage=D(0), partial_probability=1.0, partial_pieces=2)


def code_of(answer):
    assert isinstance(answer, OrderRejected), answer
    assert answer.text
    return answer.code


def test_a_market_order_fills_at_the_open_of_the_forming_candle():
    desk = Desk((100.0, 120.0, 90.0, 110.0))
    answer = desk.do(order("a", "buy", "2"))
    assert isinstance(answer, OrderAccepted)
    assert desk.fills() == [("a", D(2), D(100))]
    assert desk.ends() == [("a", "filled", D(2))]


def test_slippage_is_against_the_order_and_lands_on_the_tick():
    desk = Desk((99.97, 120.0, 90.0, 110.0), model=SLIPPING)
    desk.do(order("a", "buy", "2"))
    desk.do(order("b", "sell", "2"))
    assert [price for _, _, price in desk.fills()] == [D("101.0"), D("98.9")]


def test_fees_are_the_takers_at_the_market_and_the_makers_when_resting():
    desk = Desk((100.0, 101.0, 89.0, 95.0))
    desk.do(order("now", "buy", "1"))
    desk.do(order("rests", "buy", "1", limit="90"))
    desk.step()
    assert [fill.fee for fill in desk.trades()] == [D("0.05"), D("0.018")]


def test_a_limit_that_crosses_fills_at_once_at_the_better_price_as_taker():
    desk = Desk(STILL)
    desk.do(order("a", "buy", "1", limit="105"))
    assert desk.fills() == [("a", D(1), D(100))]
    assert desk.trades()[0].fee == D("0.05")


def test_a_resting_limit_fills_at_its_own_price_when_touched():
    desk = Desk((100.0, 100.0, 90.0, 95.0))
    desk.do(order("a", "buy", "1", limit="90"))
    assert desk.fills() == []
    desk.step()
    assert desk.fills() == [("a", D(1), D(90))]
    assert desk.events[0].ts_ms == START_MS + 60_000


def test_a_limit_may_be_asked_to_fill_only_when_passed():
    desk = Desk((100.0, 110.0, 90.0, 95.0), (95.0, 110.1, 89.9, 95.0), model=FillModel(slippage=D(0), through=True))
    desk.do(order("a", "buy", "1", limit="90"))
    desk.do(order("b", "sell", "1", limit="110"))
    desk.step()
    assert desk.fills() == []
    desk.step()
    assert sorted(name for name, _, _ in desk.fills()) == ["a", "b"]


def test_a_limit_that_a_gap_jumped_over_still_fills_at_its_own_price():
    desk = Desk(STILL, (80.0, 81.0, 79.0, 80.0))
    desk.do(order("a", "buy", "1", limit="90"))
    desk.step(2)
    assert desk.fills() == [("a", D(1), D(90))]


def test_a_stop_fills_at_its_trigger_with_slippage():
    desk = Desk((100.0, 101.0, 90.0, 95.0), model=SLIPPING)
    desk.do(order("in", "buy", "1"))
    desk.do(order("stop", "sell", "1", stop="95", reduce=True))
    desk.step()
    assert desk.fills()[-1] == ("stop", D(1), D("94.0"))


def test_a_stop_that_a_gap_jumped_over_fills_at_the_open():
    desk = Desk(STILL, (80.0, 81.0, 79.0, 80.0))
    desk.do(order("in", "buy", "1"))
    desk.do(order("stop", "sell", "1", stop="95", reduce=True))
    desk.step(2)
    assert desk.fills()[-1] == ("stop", D(1), D(80))


def test_a_buy_stop_over_a_gap_fills_at_the_higher_open():
    desk = Desk(STILL, (120.0, 121.0, 119.0, 120.0))
    desk.do(order("in", "sell", "1"))
    desk.do(order("stop", "buy", "1", stop="105", reduce=True))
    desk.step(2)
    assert desk.fills()[-1] == ("stop", D(1), D(120))


def test_stop_comes_before_target_when_both_are_inside_one_candle():
    desk = Desk((100.0, 111.0, 89.0, 105.0))
    desk.do(order("in", "buy", "1"))
    desk.do(order("target", "sell", "1", limit="110", reduce=True, group="g"))
    desk.do(order("stop", "sell", "1", stop="90", reduce=True, group="g"))
    desk.step()
    assert desk.fills()[-1] == ("stop", D(1), D(90))
    assert desk.ends()[-2:] == [("stop", "filled", D(1)), ("target", "canceled", D(0))]
    assert desk.position() == 0


def test_the_stop_nearer_to_the_open_comes_first():
    desk = Desk((100.0, 101.0, 80.0, 85.0))
    desk.do(order("in", "buy", "2"))
    desk.do(order("far", "sell", "1", stop="85", reduce=True))
    desk.do(order("near", "sell", "1", stop="95", reduce=True))
    desk.step()
    assert [name for name, _, _ in desk.fills()] == ["in", "near", "far"]


def test_an_order_placed_in_a_gap_waits_for_the_next_candle():
    desk = Desk(STILL, None, (100.0, 100.0, 89.0, 95.0))
    desk.step()
    desk.do(order("a", "buy", "1", limit="90"))
    desk.step()
    assert desk.fills() == []
    assert desk.venue.price(BTC) == D(100)
    desk.step()
    assert desk.fills() == [("a", D(1), D(90))]


def test_a_market_order_in_pieces_does_one_at_each_close():
    desk = Desk((100.0, 102.0, 99.0, 101.0), (101.0, 104.0, 100.0, 103.0), model=IN_PIECES)
    desk.do(order("a", "buy", "0.105"))
    assert desk.fills() == [("a", D("0.052"), D(100))]
    assert desk.ends() == []
    desk.step()
    assert desk.fills() == [("a", D("0.052"), D(100)), ("a", D("0.053"), D(101))]
    assert desk.ends() == [("a", "filled", D("0.105"))]


def test_a_limit_in_pieces_does_one_with_each_candle_that_reaches_it():
    reaching = (100.0, 101.0, 89.0, 95.0)
    desk = Desk(reaching, STILL, reaching, model=IN_PIECES)
    desk.do(order("a", "buy", "2", limit="90"))
    desk.step(2)
    assert desk.fills() == [("a", D(1), D(90))]
    desk.step()
    assert desk.fills() == [("a", D(1), D(90))] * 2


def test_a_triggered_stop_in_pieces_runs_on_whatever_the_price_and_takes_from_its_target():
    desk = Desk((100.0, 101.0, 94.0, 99.0), (99.0, 100.0, 98.0, 98.0), STILL, model=IN_PIECES)
    desk.do(order("in", "buy", "0.100"))
    desk.step()  # the entry is whole
    desk.do(order("stop", "sell", "0.100", stop="98.5", reduce=True, group="g"))
    desk.do(order("target", "sell", "0.100", limit="120", reduce=True, group="g"))
    desk.step()
    assert desk.fills()[-1] == ("stop", D("0.050"), D("98.5"))
    target = desk.order("target")
    assert (target.quantity, target.filled) == (D("0.050"), D(0))
    refused = desk.venue.amend(order("stop", "sell", "0.100", stop="90", reduce=True, group="g"), desk.venue.now_ms)
    assert code_of(refused) == "already_triggered"
    desk.step()
    assert desk.fills()[-1] == ("stop", D("0.050"), D(100))
    assert desk.ends()[-2:] == [("stop", "filled", D("0.100")), ("target", "canceled", D(0))]


def test_a_quantity_of_one_lot_is_not_cut_into_pieces():
    desk = Desk(STILL, STILL, model=FillModel(slippage=D(0), partial_probability=1.0, partial_pieces=5))
    desk.do(order("a", "buy", "0.060"))
    desk.step(2)
    assert sum(quantity for _, quantity, _ in desk.fills()) <= D("0.060")
    small = Desk(flat(5_000.0), model=IN_PIECES)
    small.do(order("a", "buy", "0.001"))
    assert small.fills() == [("a", D("0.001"), D(5_000))]


def test_only_a_share_of_the_orders_fills_in_pieces():
    desk = Desk(STILL, model=FillModel(slippage=D(0), partial_probability=0.5), wallet=10_000_000)
    for number in range(200):
        desk.do(order(f"o{number}", "buy", "1"))
    assert 60 < len(desk.ends()) < 140


def test_which_orders_fill_in_pieces_does_not_depend_on_the_order_in_which_they_come():
    names = [f"o{number}" for number in range(20)]
    whole = []
    for turn in (names, names[::-1]):
        desk = Desk(STILL, model=FillModel(slippage=D(0), partial_probability=0.5), wallet=10_000_000)
        for name in turn:
            desk.do(order(name, "buy", "1"))
        whole.append({name for name, *_ in desk.ends()})
    assert whole[0] == whole[1]


def test_what_an_oco_order_fills_is_taken_off_the_others():
    reaching = (100.0, 111.0, 99.0, 105.0)
    desk = Desk(STILL, reaching, reaching, model=IN_PIECES)
    desk.do(order("in", "buy", "1"))
    desk.step()
    desk.do(order("target", "sell", "1", limit="110", reduce=True, group="g"))
    desk.do(order("stop", "sell", "1", stop="90", reduce=True, group="g"))
    desk.do(order("other", "sell", "1", stop="80", reduce=True, group="h"))
    desk.step()
    assert desk.order("target").filled == D("0.5")
    assert desk.order("stop").quantity == D("0.5")
    assert desk.order("other").quantity == D(1)
    desk.step()
    assert desk.ends()[-2:] == [("target", "filled", D(1)), ("stop", "canceled", D(0))]


def test_a_reduce_only_order_is_clipped_to_the_position_and_its_rest_cancelled():
    desk = Desk(STILL)
    desk.do(order("in", "buy", "1"))
    desk.do(order("out", "sell", "3", reduce=True))
    assert desk.fills()[-1] == ("out", D(1), D(100))
    assert desk.ends()[-1] == ("out", "canceled", D(1))
    assert desk.position() == 0


def test_a_reduce_only_order_without_a_position_is_refused():
    desk = Desk(STILL)
    assert code_of(desk.do(order("out", "sell", "1", reduce=True))) == "reduce_only"
    desk.do(order("in", "sell", "1"))
    assert code_of(desk.do(order("out", "sell", "1", reduce=True))) == "reduce_only"


def test_a_resting_reduce_only_order_is_cancelled_when_its_turn_comes_and_nothing_is_left():
    desk = Desk(STILL, (100.0, 111.0, 99.0, 105.0))
    desk.do(order("in", "buy", "1"))
    desk.do(order("target", "sell", "1", limit="110", reduce=True))
    desk.do(order("out", "sell", "1", reduce=True))
    desk.step(2)
    assert desk.ends()[-1] == ("target", "canceled", D(0))


def test_orders_that_add_may_turn_a_position_around():
    desk = Desk(STILL, flat(110.0))
    desk.do(order("in", "buy", "1"))
    desk.step()
    desk.do(order("turn", "sell", "3"))
    assert desk.position() == D(-2)
    assert desk.venue.positions()[0].average_price == D(110)
    assert desk.venue.totals()[0] == D(10)


def test_wallet_and_equity():
    desk = Desk(STILL, flat(110.0), wallet=1_000)
    desk.do(order("in", "buy", "2"))
    desk.step()
    account = desk.venue.account()
    assert account.wallet == D("999.9")
    assert account.equity == D("1019.9")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (order("a", "buy", "1", symbol="XRP/USDT:USDT"), "unknown_symbol"),
        (order("a", "buy", "1.0005"), "invalid_quantity_step"),
        (order("a", "buy", "0.04"), "below_minimum_notional"),
        (order("a", "buy", "1", limit="90.05"), "invalid_price_step"),
        (order("a", "buy", "1", limit="100", post=True), "post_only_would_cross"),
        (order("a", "sell", "1", limit="100", post=True), "post_only_would_cross"),
        (order("a", "buy", "1", stop="100"), "would_trigger_immediately"),
        (order("a", "sell", "1", stop="100"), "would_trigger_immediately"),
        (order("a", "buy", "1001"), "insufficient_funds"),
    ],
)
def test_what_a_venue_refuses(wrong, code):
    desk = Desk(STILL)
    assert code_of(desk.do(wrong)) == code
    assert desk.events == []
    assert desk.venue.order(wrong.symbol, "a") is None


def test_a_quantity_below_the_minimum_is_refused(monkeypatch):
    desk = Desk(STILL)
    desk.venue._instruments[BTC] = replace(desk.venue._instruments[BTC], minimum_quantity=D(1))
    assert code_of(desk.do(order("a", "buy", "0.5"))) == "below_minimum_quantity"


def test_what_reduces_may_be_below_the_minimum_notional():
    desk = Desk(STILL)
    desk.do(order("in", "buy", "1"))
    assert isinstance(desk.do(order("out", "sell", "0.001", reduce=True)), OrderAccepted)


def test_a_client_order_id_is_used_once_even_after_the_order_ended():
    desk = Desk(STILL)
    desk.do(order("a", "buy", "1"))
    assert code_of(desk.do(order("a", "buy", "1"))) == "duplicate_client_order_id"


def test_the_oldest_ended_orders_are_forgotten():
    desk = Desk(STILL, remember_ended=2)
    for name in "abc":
        desk.do(order(name, "buy", "1"))
    assert [desk.venue.order(BTC, name) is None for name in "abc"] == [True, False, False]


def test_open_orders_count_against_the_funds():
    desk = Desk(STILL, wallet=100)
    assert isinstance(desk.do(order("a", "buy", "5", limit="90")), OrderAccepted)
    assert isinstance(desk.do(order("b", "buy", "5", limit="90")), OrderAccepted)
    assert code_of(desk.do(order("c", "buy", "5", limit="90"))) == "insufficient_funds"
    desk.venue.cancel(BTC, "a", desk.venue.now_ms)
    assert isinstance(desk.do(order("d", "buy", "5", limit="90")), OrderAccepted)
    bigger = order("d", "buy", "7", limit="90")
    assert code_of(desk.venue.amend(bigger, desk.venue.now_ms)) == "insufficient_funds"


def test_what_closes_the_other_side_first_needs_no_funds_for_that_part():
    desk = Desk(STILL, wallet=100)
    desk.do(order("in", "buy", "9"))
    assert isinstance(desk.do(order("turn", "sell", "9")), OrderAccepted)


def test_without_shorting_a_sale_needs_and_never_exceeds_what_is_held():
    desk = Desk(STILL, can_short=False)
    assert code_of(desk.do(order("short", "sell", "1"))) == "insufficient_funds"
    assert code_of(desk.do(order("too much", "buy", "101"))) == "insufficient_funds"
    desk.do(order("in", "buy", "1"))
    desk.do(order("out", "sell", "2"))
    assert desk.position() == 0
    assert desk.ends()[-1] == ("out", "canceled", D(1))


def test_amending_changes_quantity_and_price_and_keeps_what_filled():
    reaching = (100.0, 101.0, 89.0, 95.0)
    desk = Desk(reaching, STILL, (100.0, 101.0, 84.0, 95.0), model=IN_PIECES)
    desk.do(order("a", "buy", "2", limit="90"))
    desk.step()
    answer = desk.venue.amend(order("a", "buy", "4", limit="85"), desk.venue.now_ms)
    assert isinstance(answer, OrderAccepted)
    assert (answer.quantity, answer.price) == (D(4), D(85))
    desk.step(2)
    assert desk.fills() == [("a", D(1), D(90)), ("a", D(3), D(85))]


def test_an_amended_limit_that_now_crosses_trades_at_once():
    desk = Desk(STILL)
    desk.do(order("a", "buy", "1", limit="90"))
    assert isinstance(desk.venue.amend(order("a", "buy", "1", limit="101"), desk.venue.now_ms), OrderAccepted)
    assert desk.fills() == [("a", D(1), D(100))]


def test_amending_to_the_same_changes_nothing():
    desk = Desk(STILL)
    desk.do(order("in", "buy", "1"))
    request = order("stop", "sell", "1", stop="95", reduce=True)
    desk.do(request)
    before = desk.venue.open_orders()
    assert isinstance(desk.venue.amend(request, desk.venue.now_ms), OrderAccepted)
    assert desk.venue.open_orders() == before


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (order("b", "sell", "1", stop="95", reduce=True), "unknown_order"),
        (order("in", "buy", "1"), "unknown_order"),
        (order("stop", "buy", "1", stop="105", reduce=True), "invalid_amendment"),
        (order("stop", "sell", "1", stop="101", reduce=True), "would_trigger_immediately"),
        (order("stop", "sell", "1.0001", stop="95", reduce=True), "invalid_quantity_step"),
    ],
)
def test_an_amendment_that_is_refused_leaves_the_order_as_it_was(wanted, code):
    desk = Desk(STILL)
    desk.do(order("in", "buy", "1"))
    desk.do(order("stop", "sell", "1", stop="95", reduce=True))
    before = desk.order("stop")
    assert code_of(desk.venue.amend(wanted, desk.venue.now_ms)) == code
    assert desk.order("stop") == before


def test_a_quantity_cannot_be_amended_to_what_has_filled():
    desk = Desk((100.0, 101.0, 89.0, 95.0), model=IN_PIECES)
    desk.do(order("a", "buy", "2", limit="90"))
    desk.step()
    assert code_of(desk.venue.amend(order("a", "buy", "1", limit="90"), desk.venue.now_ms)) == "quantity_below_filled"


def test_a_running_order_may_change_its_quantity():
    desk = Desk(STILL, STILL, model=IN_PIECES)
    desk.do(order("a", "buy", "2"))
    assert isinstance(desk.venue.amend(order("a", "buy", "3"), desk.venue.now_ms), OrderAccepted)
    desk.step()
    assert desk.fills() == [("a", D(1), D(100)), ("a", D(2), D(100))]


def test_cancelling():
    desk = Desk((100.0, 101.0, 80.0, 95.0))
    desk.do(order("a", "buy", "1", limit="90"))
    desk.venue.cancel(BTC, "a", desk.venue.now_ms)
    desk.step()
    assert desk.fills() == []
    assert desk.ends() == [("a", "canceled", D(0))]
    assert desk.order("a").status is OrderStatus.CANCELED
    for name in ("a", "never"):
        with pytest.raises(Rejected, match=name):
            desk.venue.cancel(BTC, name, desk.venue.now_ms)


def test_a_sale_slips_no_lower_than_one_tick():
    desk = Desk((0.1, 0.1, 0.1, 0.1), model=replace(EXACT, slippage=D("0.5")))
    desk.do(order("a", "buy", "100"))
    desk.do(order("b", "sell", "100"))
    assert [price for _, _, price in desk.fills()] == [D("0.2"), D("0.1")]
