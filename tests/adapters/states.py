"""Example states, and Hypothesis strategies for every state there can be."""

from decimal import Decimal
from typing import Any, get_type_hints

from hypothesis import strategies as st

from livebot.core.entry import Averaging, BreakEven, ExitPlan, PartialLevel, Trailing
from livebot.core.facts import FACT_KINDS, NO_EXPOSURE, Exposure, Fact, SignalClosed, SignalOpened, SignalOpening
from livebot.core.inputs import SymbolState
from livebot.core.market import OrderSide, Side
from livebot.core.order import Fill, Leg, OrderKind, OrderRecord, OrderRequest, OrderStatus
from livebot.core.position import Position
from livebot.core.signal import CancelReason, CloseReason, Closing, Idle, Open, Opening, Scheduled, Signal
from livebot.ports import Decision

SYSTEM = "perpetual"
STRATEGY = "ema_cross"
SYMBOL = "BTC/USDT:USDT"
NOW_MS = 1_750_000_000_000


def idle(symbol: str = SYMBOL, *, strategy: str = STRATEGY, system: str = SYSTEM, sequence: int = 0) -> SymbolState:
    """A state without a signal."""
    return SymbolState(system=system, strategy=strategy, symbol=symbol, sequence=sequence, signal=Idle())


def a_fact(symbol: str = SYMBOL, sequence: int = 1, *, price: str = "65000.1") -> SignalOpened:
    """A fact of the most usual kind."""
    return SignalOpened(
        strategy=STRATEGY,
        symbol=symbol,
        sequence=sequence,
        ts_ms=NOW_MS + sequence,
        signal_id=f"{STRATEGY}/{symbol}#1",
        side=Side.LONG,
        exposure=NO_EXPOSURE,
        quantity=Decimal("0.015"),
        price=Decimal(price),
        stop_loss=Decimal(64000),
        take_profit=Decimal(67000),
    )


def an_opening(symbol: str = SYMBOL, sequence: int = 1) -> SignalOpening:
    """What tells of an entry at the market."""
    return SignalOpening(
        strategy=STRATEGY,
        symbol=symbol,
        sequence=sequence,
        ts_ms=NOW_MS + sequence,
        signal_id=f"{STRATEGY}/{symbol}#1",
        side=Side.LONG,
        exposure=NO_EXPOSURE,
        quantity=Decimal("0.015"),
        reference_price=Decimal("65000.1"),
        stop_loss=Decimal(64000),
        take_profit=Decimal(67000),
        confidence=None,
        reason="",
    )


def a_close(symbol: str = SYMBOL, sequence: int = 1, *, pnl_net: str = "1.50", ts_ms: int = NOW_MS) -> SignalClosed:
    """A closed signal."""
    return SignalClosed(
        strategy=STRATEGY,
        symbol=symbol,
        sequence=sequence,
        ts_ms=ts_ms,
        signal_id=f"{STRATEGY}/{symbol}#1",
        side=Side.LONG,
        exposure=NO_EXPOSURE,
        reason=CloseReason.TAKE_PROFIT,
        opened_ms=ts_ms - 60_000,
        quantity=Decimal("0.015"),
        entry_price=Decimal(65000),
        exit_price=Decimal(65100),
        fees=Decimal("0.20"),
        pnl_net=Decimal(pnl_net),
        pnl_ratio=Decimal("0.0015"),
    )


def a_decision(symbol: str = SYMBOL, close_ms: int = NOW_MS, *, text: str = "") -> Decision:
    """A denial."""
    return Decision(
        strategy=STRATEGY,
        symbol=symbol,
        close_ms=close_ms,
        ts_ms=close_ms + 5,
        outcome="denied",
        code="open_signals",
        text=text,
        side="long",
        confidence=0.5,
    )


def open_state(symbol: str = SYMBOL, *, system: str = SYSTEM, sequence: int = 41) -> SymbolState:
    """A typical open position: two fills, entry, stop and target, one fact on its way to the ledger."""
    signal = Signal(
        number=12,
        side=Side.LONG,
        quantity=Decimal("0.015"),
        reference_price=Decimal("65000.1"),
        limit_price=None,
        stop_loss=Decimal("64000.1"),
        take_profit=Decimal(67000),
        lifetime_ms=3_600_000,
        created_ms=NOW_MS,
        schedule_expires_ms=None,
        exits=ExitPlan(
            trailing=Trailing(distance=Decimal("0.01")),
            break_even=BreakEven(after=Decimal("0.01")),
            partial_levels=(PartialLevel(gain=Decimal("0.01"), fraction=Decimal("0.5")),),
        ),
        confidence=0.73,
        reason="fast average crossed the slow one",
    )
    fills = [
        Fill(
            trade_id=f"2290000000{number}",
            client_order_id="lb0123450123456700000ce01",
            ts_ms=NOW_MS + number,
            side=OrderSide.BUY,
            price=Decimal("65000.1"),
            quantity=Decimal("0.0075"),
            fee=Decimal("0.26812541"),
        )
        for number in range(2)
    ]
    return SymbolState(
        system=system,
        strategy=STRATEGY,
        symbol=symbol,
        sequence=sequence,
        number=12,
        signal=Open(
            signal=signal,
            position=Position(Side.LONG).with_entry(fills[0]).with_entry(fills[1]),
            opened_ms=NOW_MS,
            stop_loss=Decimal("64000.1"),
            take_profit=Decimal(67000),
        ),
        orders=(
            _record(Leg.ENTRY, OrderKind.MARKET, OrderStatus.FILLED),
            _record(Leg.STOP, OrderKind.STOP_MARKET, OrderStatus.WORKING, trigger_price=Decimal("64000.1")),
            _record(Leg.TARGET, OrderKind.LIMIT, OrderStatus.WORKING, price=Decimal(67000)),
        ),
        outbox=(a_fact(symbol, sequence),),
        decided_ms=NOW_MS,
    )


def _record(leg: Leg, kind: OrderKind, status: OrderStatus, **prices: Any) -> OrderRecord:
    request = OrderRequest(
        client_order_id="lb0123450123456700000ce01",
        symbol=SYMBOL,
        leg=leg,
        attempt=1,
        side=OrderSide.BUY if leg.opens else OrderSide.SELL,
        kind=kind,
        quantity=Decimal("0.015"),
        reduce_only=not leg.opens,
        **prices,
    )
    return OrderRecord(request=request, status=status, sent_ms=NOW_MS, venue_order_id="e5f1", confirmed=True)


# ---------------------------------------------------------------- any state

WHOLE_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_DIGITS = st.integers(-(10**20), 10**20)
# of every size and exponent, 0E-5 and 1E+9 too; st.decimals() is far slower to draw from, and there are many to draw
DECIMALS = st.builds(lambda digits, exponent: Decimal(digits).scaleb(exponent), _DIGITS, st.integers(-15, 9))
POSITIVE = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent), st.integers(1, 10**9), st.integers(-9, 3)
)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def _optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


# shared objects: Hypothesis would be slow with a strategy of its own for each of a hundred fields
BY_HINT: dict[Any, st.SearchStrategy[Any]] = {
    str: WHOLE_TEXT,
    int: INTEGERS,
    bool: st.booleans(),
    Decimal: DECIMALS,
    float | None: _optional(FLOATS),
    int | None: _optional(INTEGERS),
    Decimal | None: _optional(DECIMALS),
    str | None: _optional(WHOLE_TEXT),
    Side | None: _optional(st.sampled_from(Side)),
    CancelReason | None: _optional(st.sampled_from(CancelReason)),
    **{kind: st.sampled_from(kind) for kind in (Side, OrderSide, OrderStatus, Leg, CloseReason, CancelReason)},
}


def _built(built: type, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The class with every field drawn at random, those of a plain type by their hint."""
    hints = get_type_hints(built).items()
    return st.builds(built, **{name: BY_HINT[hint] for name, hint in hints if name not in given}, **given)


def _requests(order: OrderKind, **prices: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    given = {"price": st.none(), "trigger_price": st.none(), **prices}
    return _built(OrderRequest, kind=st.just(order), quantity=POSITIVE, **given)


BY_HINT[Exposure] = _built(Exposure)
FILLS = _built(Fill)
LEVELS = (
    PartialLevel(gain=Decimal("0.01"), fraction=Decimal("0.3")),
    PartialLevel(gain=Decimal("0.020"), fraction=Decimal("0.30")),
)
PLANS = st.builds(
    ExitPlan,
    trailing=_optional(st.builds(Trailing, distance=POSITIVE, after=POSITIVE)),
    break_even=_optional(st.builds(BreakEven, after=POSITIVE)),
    averaging=_optional(st.builds(Averaging, step=POSITIVE, fraction=POSITIVE, times=st.integers(1, 9))),
    partial_levels=st.sampled_from([(), LEVELS[:1], LEVELS]),
)
SIGNALS = _built(Signal, exits=PLANS)
POSITIONS = _built(
    Position, entries=st.lists(FILLS, max_size=2).map(tuple), exits=st.lists(FILLS, max_size=2).map(tuple)
)
FACTS: st.SearchStrategy[Fact] = st.one_of(*(_built(kind) for kind in FACT_KINDS))
SIGNAL_STATES = st.one_of(
    st.just(Idle()),
    _built(Scheduled, signal=SIGNALS),
    _built(Opening, signal=SIGNALS),
    _built(Open, signal=SIGNALS, position=POSITIONS),
    _built(Closing, signal=SIGNALS, position=POSITIONS),
)
REQUESTS = st.one_of(
    _requests(OrderKind.MARKET),
    _requests(OrderKind.LIMIT, price=POSITIVE),
    _requests(OrderKind.STOP_MARKET, trigger_price=POSITIVE),
)
ORDERS = _built(OrderRecord, request=REQUESTS)
_ANY_STATE = _built(
    SymbolState,
    signal=SIGNAL_STATES,
    orders=st.lists(ORDERS, max_size=2).map(tuple),
    outbox=st.lists(FACTS, max_size=2).map(tuple),
)


@st.composite
def states(draw: st.DrawFn) -> SymbolState:
    """Any state.  (A composite, because on a failure Hypothesis would print the whole of what it is made from.)"""
    state: SymbolState = draw(_ANY_STATE)
    return state
