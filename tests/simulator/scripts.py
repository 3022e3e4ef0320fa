"""Random sessions at a venue: what people ask of it, minute by minute."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from livebot.errors import Rejected
from livebot.simulator.matching import FillModel
from livebot.simulator.venue import SimulatedVenue
from tests.simulator.builders import BTC, ETH, D, Prices, WrittenMarket, order

SYMBOLS = (BTC, ETH)
MINUTES = 12


@dataclass(frozen=True)
class Act:
    """`verb` is submit, again, amend, cancel, minute or hand; the rest says what, in relation to the present price."""

    verb: str
    symbol: str
    back: int  # which earlier order is meant
    side: str
    quantity: str
    kind: str
    distance: int  # ticks from the price
    reduce: bool
    group: str | None


quantities = st.sampled_from(["0.001", "0.05", "0.3", "1", "1.7", "2.345"])

acts = st.builds(
    Act,
    verb=st.sampled_from([*["submit"] * 10, "again", *["amend"] * 3, *["cancel"] * 2, *["minute"] * 4, "hand"]),
    symbol=st.sampled_from(SYMBOLS),
    back=st.integers(1, 6),
    side=st.sampled_from(["buy", "sell"]),
    quantity=quantities,
    kind=st.sampled_from(["market", "market", "limit", "stop"]),
    distance=st.integers(-60, 60),
    reduce=st.sampled_from([False, False, True]),
    group=st.sampled_from([None, None, "g", "h"]),
)
sessions = st.lists(acts, min_size=8, max_size=40)


@st.composite
def prices(draw):
    """Candles of a walk, sometimes with a gap in price or in time."""
    rows: list[Prices | None] = []
    last = draw(st.integers(500, 1500))
    for _ in range(MINUTES):
        begin = max(last + draw(st.sampled_from([0, 0, 0, -40, 40])), 100)
        end = max(begin + draw(st.integers(-50, 50)), 100)
        high, low = max(begin, end) + draw(st.integers(0, 30)), min(begin, end) - draw(st.integers(0, 30))
        row = (begin / 10, high / 10, low / 10, end / 10)
        rows.append(None if rows and draw(st.integers(0, 9)) == 0 else row)
        last = end
    return rows


markets = st.fixed_dictionaries({symbol: prices() for symbol in SYMBOLS})
models = st.builds(
    FillModel,
    slippage=st.sampled_from([D(0), D("0.0003"), D("0.01")]),
    through=st.booleans(),
    partial_probability=st.sampled_from([0.0, 0.5, 1.0]),
    partial_pieces=st.integers(2, 4),
    seed=st.integers(0, 3),
)


def perform(venue: SimulatedVenue, act: Act, number: int) -> object:
    """Ask it of the venue as the session's act of that number; what it says."""
    now_ms = venue.now_ms + 7
    symbol, name = act.symbol, f"o{number}"
    if act.verb in ("amend", "cancel", "again"):
        earlier = venue._engine.book.everything()[-act.back :]
        if earlier:
            symbol, name = earlier[0].request.symbol, earlier[0].request.client_order_id
    try:
        if act.verb == "minute":
            return None if venue.ended else venue.step()
        if act.verb == "cancel":
            venue.cancel(symbol, name, now_ms)
            return "cancelled"
        if act.verb == "hand":
            return venue.close_by_hand(symbol, now_ms)
        level = str(max(venue.price(symbol) + D(act.distance) / 10, D("0.1")))
        request = order(
            name,
            act.side,
            act.quantity,
            limit=level if act.kind == "limit" else None,
            stop=level if act.kind == "stop" else None,
            reduce=act.reduce,
            group=act.group,
            symbol=symbol,
        )
        if act.verb != "amend":
            return venue.submit(request, now_ms)
        if earlier:  # of the same kind and side, else it is always refused
            present = earlier[0].request
            price = request.price or request.trigger_price or venue.price(symbol)
            request = replace(
                present,
                quantity=request.quantity,
                price=present.price and price,
                trigger_price=present.trigger_price and price,
            )
        return venue.amend(request, now_ms)
    except Rejected as refusal:
        return str(refusal)


def market_of(candles) -> WrittenMarket:
    """The market of drawn candles."""
    return WrittenMarket(candles)
