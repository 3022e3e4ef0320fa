"""What holds of the matching engine whatever is asked of it."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.inputs import OrderAccepted, OrderEnded, OrderEvent, OrderFilled
from livebot.core.market import OrderSide
from livebot.core.order import OrderStatus
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.simulator.builders import BTC, EXACT, D, Desk, order
from tests.simulator.scripts import SYMBOLS, market_of, markets, models, perform, sessions

WALLET = D(10_000)


class Books:
    """A second set of books, kept from the events alone."""

    def __init__(self, venue: SimulatedVenue) -> None:
        self.venue = venue
        self.positions: dict[str, D] = defaultdict(D)
        self.paid = D(0)
        self.fees = D(0)
        self.trade_ids: list[str] = []
        self.filled: dict[str, D] = defaultdict(D)
        self.ended: dict[str, OrderStatus] = {}
        venue.subscribe(self.hear)

    def hear(self, symbol, event):
        if isinstance(event, OrderFilled):
            fill = event.fill
            signed = fill.quantity if fill.side is OrderSide.BUY else -fill.quantity
            before = self.positions[symbol]
            self.positions[symbol] += signed
            self.paid += signed * fill.price
            self.fees += fill.fee
            self.trade_ids.append(fill.trade_id)
            assert fill.client_order_id not in self.ended
            self.filled[fill.client_order_id] += fill.quantity
            known = self.venue._engine.book.find(symbol, fill.client_order_id)
            assert known is not None
            if known.request.reduce_only:
                after = self.positions[symbol]
                assert before * after >= 0, "a reduce-only order turned the position"
                assert abs(after) < abs(before), "a reduce-only order did not reduce"
        elif isinstance(event, OrderEnded):
            assert event.client_order_id not in self.ended
            assert event.filled == self.filled[event.client_order_id]
            self.ended[event.client_order_id] = event.status

    def check(self):
        venue = self.venue
        held = {each.symbol: each.quantity for each in venue.positions()}
        assert held == {symbol: quantity for symbol, quantity in self.positions.items() if quantity}
        open_cost = sum((each.cost for each in venue._engine.holdings.positions.values()), D(0))
        assert venue.account().wallet == WALLET - self.paid - self.fees + open_cost
        realised, fees = venue.totals()
        assert (venue.account().wallet, fees) == (WALLET + realised - fees, self.fees)
        worth = sum((quantity * venue.price(symbol) for symbol, quantity in held.items()), D(0))
        assert venue.account().equity == WALLET - self.paid - self.fees + worth
        assert self.trade_ids == sorted(set(self.trade_ids))
        working = {each.client_order_id for each in venue.open_orders()}
        assert not working & set(self.ended)
        for order_id in self.filled:
            self.check_order(order_id)

    def check_order(self, order_id):
        known = next(filter(None, (self.venue._engine.book.find(each, order_id) for each in SYMBOLS)))
        assert known.filled == sum((fill.quantity for fill in known.fills), D(0)) == self.filled[order_id]
        assert known.filled <= known.request.quantity
        assert (known.status is OrderStatus.FILLED) == (known.filled == known.request.quantity)


@pytest.mark.untraced
@given(markets, models, sessions)
def test_the_books_add_up_after_every_act(candles, model, session):
    """Wallet, positions and orders are exactly the sum of the trades told; reduce-only never turns a position."""
    venue = SimulatedVenue(market_of(candles), VenueSettings(wallet=WALLET, fills=model))
    books = Books(venue)
    for number, act in enumerate(session):
        perform(venue, act, number)
        books.check()


@pytest.mark.untraced
@given(markets, models, sessions)
def test_the_same_session_gives_the_same_trades(candles, model, session):
    told = []
    for _ in range(2):
        venue = SimulatedVenue(market_of(candles), VenueSettings(fills=model))
        heard: list[tuple[str, OrderEvent]] = []
        venue.subscribe(_into(heard))
        told.append(([perform(venue, act, number) for number, act in enumerate(session)], heard))
    assert told[0] == told[1]


def _into(heard):
    return lambda symbol, event: heard.append((symbol, event))


@pytest.mark.untraced
@given(
    markets,
    models,
    st.lists(st.tuples(st.sampled_from(["limit", "stop"]), st.integers(1, 60)), min_size=2, max_size=4),
)
def test_an_oco_group_never_trades_more_than_one_of_its_orders(candles, model, members):
    """All members have the same quantity; together they sell no more than that, although more is held."""
    venue = SimulatedVenue(market_of(candles), VenueSettings(wallet=D(10_000_000), fills=model))
    heard: list[tuple[str, OrderEvent]] = []
    venue.subscribe(_into(heard))
    venue.submit(order("in", "buy", "9"), venue.now_ms)
    price = venue.price(BTC)
    for number, (kind, distance) in enumerate(members):
        level = price + D(distance) / 10 if kind == "limit" else max(price - D(distance) / 10, D("0.1"))
        limit, stop = (str(level), None) if kind == "limit" else (None, str(level))
        request = order(f"m{number}", "sell", "2", limit=limit, stop=stop, reduce=True, group="g")
        assert isinstance(venue.submit(request, venue.now_ms), OrderAccepted)
    while not venue.ended:
        venue.step()
        fills = [event.fill for _, event in heard if isinstance(event, OrderFilled)]
        assert sum((fill.quantity for fill in fills if fill.client_order_id != "in"), D(0)) <= 2


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5_000), st.integers(1, 9_999)), max_size=60))
def test_money_is_exact_also_where_a_division_does_not_come_out(trades):
    """Closing a third of a position at odd prices loses nothing to rounding."""
    desk = Desk((1.0, 1.0, 1.0, 1.0), model=EXACT)
    held = desk.venue._engine.holdings
    paid = D(0)
    for bought, quantity, price in trades:
        signed = D(quantity if bought else -quantity) / 1000
        held.trade(BTC, signed, D(price) / 10, D(0))
        paid += signed * D(price) / 10
        cost = held.positions[BTC].cost if BTC in held.positions else D(0)
        assert held.wallet == 10_000 - paid + cost
