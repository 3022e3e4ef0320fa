"""Plain examples of core values; a test names only what it is about."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from livebot.core.candidate import Candidate
from livebot.core.denial import TradingState
from livebot.core.entry import NO_EXIT_PLAN, Entry
from livebot.core.facts import NO_EXPOSURE, SignalClosed
from livebot.core.limits import Usage
from livebot.core.market import Instrument, Side
from livebot.core.order import Fill, Leg, OrderKind, OrderRequest
from livebot.core.signal import CloseReason, Signal

INSTRUMENT = Instrument(
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_step=Decimal("0.001"),
    minimum_quantity=Decimal("0.001"),
    minimum_notional=Decimal(5),
    taker_fee=Decimal("0.001"),
    maker_fee=Decimal("0.001"),
    can_short=True,
)
ORDER = OrderRequest(
    client_order_id="lb1",
    symbol="BTC/USDT",
    leg=Leg.ENTRY,
    attempt=1,
    side=Side.LONG.entry_order,
    kind=OrderKind.MARKET,
    quantity=Decimal(1),
)
SIGNAL = Signal(
    number=1,
    side=Side.LONG,
    quantity=Decimal(1),
    reference_price=Decimal(100),
    limit_price=None,
    stop_loss=Decimal(95),
    take_profit=Decimal(110),
    lifetime_ms=3_600_000,
    created_ms=0,
    schedule_expires_ms=None,
    exits=NO_EXIT_PLAN,
)
CANDIDATE = Candidate(
    strategy="trend",
    symbol="BTC/USDT",
    side=Side.LONG,
    order=ORDER,
    signal=SIGNAL,
    price=Decimal(100),
    notional=Decimal(100),
    risk=Decimal(5),
    confidence=None,
    ts_ms=0,
)
USAGE = Usage(
    trading_state=TradingState.ACTIVE,
    blocks=(),
    symbol_side=None,
    open_signals=0,
    open_signals_of_strategy=0,
    gross_exposure=Decimal(0),
    symbol_exposure=Decimal(0),
    orders_last_minute=0,
    equity=Decimal(1000),
    day_start_equity=Decimal(1000),
    peak_equity=Decimal(1000),
)
LONG_ENTRY = Entry(side=Side.LONG, stop_loss=95.0, take_profit=110.0, lifetime_ms=3_600_000)
SHORT_ENTRY = replace(LONG_ENTRY, side=Side.SHORT, stop_loss=105.0, take_profit=90.0)


def fill(quantity: Decimal | int = 1, price: Decimal | int = 100, **others: Any) -> Fill:
    """A trade; its fee is 0 unless said."""
    values = {
        "trade_id": "t1",
        "client_order_id": "lb1",
        "ts_ms": 0,
        "side": Side.LONG.entry_order,
        "fee": Decimal(0),
        **others,
    }
    return Fill(price=Decimal(price), quantity=Decimal(quantity), **values)


def closed(pnl_net: Decimal | int | str, *, ts_ms: int = 0, pnl_ratio: Decimal | str = "0") -> SignalClosed:
    """A closed signal that made this much."""
    return SignalClosed(
        strategy="trend",
        symbol="BTC/USDT",
        sequence=1,
        ts_ms=ts_ms,
        signal_id="trend/BTC/USDT#1",
        side=Side.LONG,
        exposure=NO_EXPOSURE,
        reason=CloseReason.TAKE_PROFIT,
        opened_ms=0,
        quantity=Decimal(1),
        entry_price=Decimal(100),
        exit_price=Decimal(101),
        fees=Decimal(0),
        pnl_net=Decimal(pnl_net),
        pnl_ratio=Decimal(pnl_ratio),
    )
