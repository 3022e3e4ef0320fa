"""Candidates, facts and decisions with sensible values, for tests of the runtime."""

from decimal import Decimal

from livebot.core.candidate import Candidate
from livebot.core.entry import NO_EXIT_PLAN
from livebot.core.facts import (
    NO_EXPOSURE,
    EntryCancelled,
    Exposure,
    OrderFailed,
    PositionIncreased,
    SignalClosed,
    SignalOpened,
    SignalOpening,
    StopMoved,
)
from livebot.core.market import Side
from livebot.core.order import Leg, OrderKind, OrderRequest, client_order_id
from livebot.core.signal import CancelReason, CloseReason, Signal
from livebot.ports import Decision

NOW_MS = 1_700_000_000_000
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
TREND = "trend"


def candidate(
    symbol: str = BTC,
    *,
    strategy: str = TREND,
    side: Side = Side.LONG,
    notional: Decimal | int = 100,
    number: int = 1,
    averaging: bool = False,
    ts_ms: int = NOW_MS,
) -> Candidate:
    price = Decimal(10)
    quantity = Decimal(notional) / price
    leg = Leg.AVERAGE if averaging else Leg.ENTRY
    signal = Signal(
        number=number,
        side=side,
        quantity=quantity,
        reference_price=price,
        limit_price=None,
        stop_loss=Decimal(9) if side is Side.LONG else Decimal(11),
        take_profit=Decimal(12) if side is Side.LONG else Decimal(8),
        lifetime_ms=3_600_000,
        created_ms=ts_ms,
        schedule_expires_ms=None,
        exits=NO_EXIT_PLAN,
    )
    order = OrderRequest(
        client_order_id=client_order_id("test", strategy, symbol, number=number, leg=leg, attempt=1),
        symbol=symbol,
        leg=leg,
        attempt=1,
        side=side.entry_order,
        kind=OrderKind.MARKET,
        quantity=quantity,
    )
    return Candidate(
        strategy=strategy,
        symbol=symbol,
        side=side,
        order=order,
        signal=None if averaging else signal,
        price=price,
        notional=Decimal(notional),
        risk=quantity,
        confidence=None,
        ts_ms=ts_ms,
    )


def pending(notional: Decimal | int = 100, side: Side = Side.LONG) -> Exposure:
    return Exposure(side=side, pending_notional=Decimal(notional))


def held(
    quantity: Decimal | int = 10,
    entry_price: Decimal | int = 10,
    *,
    side: Side = Side.LONG,
    pending_notional: Decimal | int = 0,
    booked: Decimal | int = 0,
) -> Exposure:
    return Exposure(
        side=side,
        quantity=Decimal(quantity),
        entry_price=Decimal(entry_price),
        open_notional=Decimal(quantity) * Decimal(entry_price),
        pending_notional=Decimal(pending_notional),
        booked=Decimal(booked),
    )


class Teller:
    """Tells the facts of one (strategy, symbol), numbered."""

    def __init__(self, symbol: str = BTC, *, strategy: str = TREND, side: Side = Side.LONG) -> None:
        self.symbol = symbol
        self.strategy = strategy
        self.side = side
        self.sequence = 0
        self.number = 1
        self.ts_ms = NOW_MS

    def _shared(self, exposure: Exposure) -> dict:
        self.sequence += 1
        return {
            "strategy": self.strategy,
            "symbol": self.symbol,
            "sequence": self.sequence,
            "ts_ms": self.ts_ms,
            "signal_id": f"{self.strategy}/{self.symbol}#{self.number}",
            "side": self.side,
            "exposure": exposure,
        }

    def opening(self, notional: Decimal | int = 100) -> SignalOpening:
        return SignalOpening(
            **self._shared(pending(notional, self.side)),
            quantity=Decimal(notional) / 10,
            reference_price=Decimal(10),
            stop_loss=Decimal(9),
            take_profit=Decimal(12),
            confidence=None,
            reason="",
        )

    def opened(self, exposure: Exposure | None = None) -> SignalOpened:
        return SignalOpened(
            **self._shared(held(side=self.side) if exposure is None else exposure),
            quantity=Decimal(10),
            price=Decimal(10),
            stop_loss=Decimal(9),
            take_profit=Decimal(12),
        )

    def increased(self, exposure: Exposure) -> PositionIncreased:
        return PositionIncreased(**self._shared(exposure), leg=Leg.AVERAGE, quantity=Decimal(10), price=Decimal(10))

    def stop_moved(self, exposure: Exposure | None = None) -> StopMoved:
        exposure = held(side=self.side) if exposure is None else exposure
        return StopMoved(**self._shared(exposure), stop_loss=Decimal("9.5"), cause="trailing")

    def failed(self, exposure: Exposure | None = None) -> OrderFailed:
        return OrderFailed(
            **self._shared(held(side=self.side) if exposure is None else exposure),
            leg=Leg.AVERAGE,
            client_order_id="lb1",
            code="insufficient_funds",
            text="no",
        )

    def closed(self, pnl: Decimal | int = 1) -> SignalClosed:
        fact = SignalClosed(
            **self._shared(NO_EXPOSURE),
            reason=CloseReason.TAKE_PROFIT if pnl > 0 else CloseReason.STOP_LOSS,
            opened_ms=self.ts_ms,
            quantity=Decimal(10),
            entry_price=Decimal(10),
            exit_price=Decimal(11),
            fees=Decimal(0),
            pnl_net=Decimal(pnl),
            pnl_ratio=Decimal(pnl) / 100,
        )
        self.number += 1
        return fact

    def cancelled(self) -> EntryCancelled:
        fact = EntryCancelled(**self._shared(NO_EXPOSURE), reason=CancelReason.REJECTED, text="no")
        self.number += 1
        return fact


def decision(symbol: str = BTC, close_ms: int = NOW_MS) -> Decision:
    return Decision(
        strategy=TREND,
        symbol=symbol,
        close_ms=close_ms,
        ts_ms=close_ms,
        outcome="denied",
        code="open_signals",
        text="no",
        side="long",
        confidence=None,
    )
