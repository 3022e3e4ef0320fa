"""Stop, target and exit race each other at a venue without OCO: the signal closes once, and nothing is over-closed."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.facts import Fact, PositionReduced, SignalClosed
from livebot.core.inputs import (
    Admitted,
    Amend,
    Cancel,
    CandleClosed,
    ExitRequested,
    Input,
    OrderEvent,
    OrderFilled,
    Submit,
    SymbolState,
)
from livebot.core.kernel import step
from livebot.core.market import OrderSide, Side
from livebot.core.rules import Rules
from livebot.core.signal import CloseReason, Idle
from livebot.errors import Rejected
from livebot.simulator.matching import FillModel
from tests.core.kernel_driver import RULES, approve, next_entry
from tests.simulator.builders import BTC, START_MS, D, Desk, WrittenMarket, candle, flat

MINUTES = 12
STATE = SymbolState(system="perp", strategy="trend", symbol=BTC, signal=Idle())
TERMS = Rules(
    system="perp",
    strategy="trend",
    instrument=WrittenMarket({BTC: [flat(100.0)]}).instrument(BTC),
    sizing=RULES.sizing,
    entry=RULES.entry,
    exits=RULES.exits,
    schedule_ms=RULES.schedule_ms,
)

wide = st.sampled_from([(100.0, 111.0, 94.0, 100.0), (100.0, 111.0, 100.0, 104.0), (100.0, 101.0, 94.0, 97.0)])
rows = st.lists(wide, min_size=MINUTES, max_size=MINUTES)
models = st.builds(
    FillModel,
    slippage=st.just(D(0)),
    partial_probability=st.sampled_from([0.0, 0.5, 1.0]),
    partial_pieces=st.integers(2, 4),
    oco=st.just(False),
    seed=st.integers(0, 5),
)


class Race:
    """One signal at a venue whose news come in an order that `choose` picks, now and then twice."""

    def __init__(self, prices, model: FillModel, choose) -> None:
        self.desk = Desk(*prices, model=model, wallet=1_000_000)
        self.prices = prices
        self.choose = choose
        self.state = STATE
        self.facts: list[Fact] = []
        self.heard = 0
        self.news: list[OrderEvent] = []

    def feed(self, event: Input) -> None:
        made = step(self.state, event, TERMS)
        self.state = made.state
        self.facts += made.facts
        for request in made.requests:
            self.carry_out(request)

    def carry_out(self, request) -> None:
        venue, now_ms = self.desk.venue, self.desk.venue.now_ms
        if isinstance(request, Submit):
            self.news.append(venue.submit(request.approved.order, now_ms))
        elif isinstance(request, Amend):
            self.news.append(venue.amend(request.approved.order, now_ms))
        elif isinstance(request, Cancel):
            with suppress(Rejected):  # it has ended, and that is among the news
                venue.cancel(request.symbol, request.client_order_id, now_ms)
        self.collect()

    def collect(self) -> None:
        self.news += self.desk.events[self.heard :]
        self.heard = len(self.desk.events)

    def tell(self, *, all_of_it: bool) -> None:
        """Some of the news, or all."""
        while self.news and (all_of_it or self.choose(st.booleans())):
            event = self.news[self.choose(st.integers(0, len(self.news) - 1))]
            if not self.choose(st.booleans()) or all_of_it:
                self.news.remove(event)
            order_id = event.fill.client_order_id if isinstance(event, OrderFilled) else event.client_order_id
            if order_id in {record.request.client_order_id for record in self.state.orders}:
                self.feed(event)

    def minute(self, number: int, *, all_of_it: bool) -> None:
        self.desk.step()
        self.collect()
        self.tell(all_of_it=all_of_it)
        self.feed(CandleClosed(candle(number, self.prices[number]), self.desk.venue.now_ms))
        self.tell(all_of_it=all_of_it)


def play(side: Side, quantity: Decimal, prices, model: FillModel, choose) -> Race:
    """Enter, let things happen in some order, then leave and let them settle."""
    race = Race([*prices, *[flat(100.0)] * (MINUTES + 2)], model, choose)
    candidate = next_entry(STATE, side=side, quantity=quantity, ts_ms=START_MS)
    race.feed(Admitted(approve(candidate), START_MS))
    race.tell(all_of_it=True)
    for number in range(MINUTES):
        race.minute(number, all_of_it=False)
    race.tell(all_of_it=True)
    race.feed(ExitRequested(CloseReason.OPERATOR, race.desk.venue.now_ms))
    for number in range(MINUTES, 2 * MINUTES + 2):
        race.minute(number, all_of_it=True)
    return race


@pytest.mark.untraced
@given(st.sampled_from(Side), st.sampled_from([D("0.1"), D(1), D("2.345")]), rows, models, st.data())
def test_a_signal_closes_once_whatever_fires_first(side, quantity, prices, model, data):
    """Whatever of stop, target and exit fills, in whatever order it is told: what came in went out, and no more."""
    race = play(side, quantity, prices, model, data.draw)
    assert isinstance(race.state.signal, Idle)
    closed = [fact for fact in race.facts if isinstance(fact, SignalClosed)]
    assert len(closed) == 1
    assert race.desk.position() == 0
    assert race.desk.venue.open_orders() == ()
    trades = race.desk.trades()
    entered = [trade.quantity for trade in trades if trade.side is side.entry_order]
    left = [trade.quantity for trade in trades if trade.side is side.exit_order]
    assert sum(entered) == sum(left) == closed[0].quantity
    assert sum(fact.quantity for fact in race.facts if isinstance(fact, PositionReduced)) == closed[0].quantity
    held = D(0)
    for trade in trades:
        held += trade.quantity * (1 if trade.side is OrderSide.BUY else -1)
        assert held * side.sign >= 0, "over-closed"


def test_stop_and_target_of_one_candle_both_fire_and_share_the_position():
    """In two pieces each: the stop takes half, the target the rest, and what is left of the stop finds nothing."""
    model = FillModel(slippage=D(0), partial_probability=1.0, partial_pieces=2, oco=False)
    race = Race([flat(100.0), flat(100.0), (100.0, 111.0, 94.0, 100.0), flat(100.0)], model, lambda _: False)
    race.feed(Admitted(approve(next_entry(STATE, ts_ms=START_MS)), START_MS))
    race.tell(all_of_it=True)
    for number in range(4):
        race.minute(number, all_of_it=True)
    exits = [(trade.client_order_id[22], trade.quantity) for trade in race.desk.trades()[2:]]
    assert exits == [("s", D("0.5")), ("t", D("0.5"))]
    assert isinstance(race.state.signal, Idle)
    assert (CloseReason.TAKE_PROFIT, D("2.5")) == (race.facts[-1].reason, race.facts[-1].pnl_net + race.facts[-1].fees)


def test_with_oco_the_same_candle_is_the_stops_alone():
    """The venue takes the target back when the stop has filled."""
    model = FillModel(slippage=D(0))
    race = Race([flat(100.0), (100.0, 111.0, 94.0, 100.0), flat(100.0)], model, lambda _: False)
    race.feed(Admitted(approve(next_entry(STATE, ts_ms=START_MS)), START_MS))
    race.tell(all_of_it=True)
    for number in range(2):
        race.minute(number, all_of_it=True)
    assert ("canceled", D(0)) in [end[1:] for end in race.desk.ends()]
    assert CloseReason.STOP_LOSS is race.facts[-1].reason
