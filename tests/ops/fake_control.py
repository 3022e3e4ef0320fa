"""A SystemControl without a system: it remembers what it was asked, and statuses of any size."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from livebot.control_ports import OrderLine, PortfolioStatus
from livebot.errors import Fatal, Rejected
from livebot.ports import LimitUse, SignalStatus, SymbolStatus, SystemStatus

NOON_MS = 1_767_268_800_000


def a_signal(number: int = 1, **changes: object) -> SignalStatus:
    """An open, protected long of ema_cross, with changes."""
    values: dict = {
        "strategy": "ema_cross",
        "state": "Open",
        "signal_id": f"ema_cross/BTC/USDT:USDT#{number}",
        "side": "long",
        "quantity": Decimal("0.0130"),
        "entry_price": Decimal("61234.50"),
        "stop_loss": Decimal("60622.2"),
        "take_profit": Decimal("62459.2"),
        "unrealised": Decimal("12.3456"),
        "protected": True,
        "opened_ms": NOON_MS - 600_000,
    }
    return SignalStatus(**{**values, **changes})


IDLE = SignalStatus(
    strategy="ema_cross",
    state="Idle",
    signal_id=None,
    side=None,
    quantity=None,
    entry_price=None,
    stop_loss=None,
    take_profit=None,
    unrealised=None,
    protected=None,
    opened_ms=None,
)


def a_symbol(name: str = "BTC/USDT:USDT", **changes: object) -> SymbolStatus:
    """A running symbol with nothing open, with changes."""
    values: dict = {
        "symbol": name,
        "worker": "running",
        "restarts": 0,
        "blocks": (),
        "last_error": None,
        "last_close_ms": NOON_MS - 12_000,
        "last_price": 61500.25,
        "signals": (IDLE,),
    }
    return SymbolStatus(**{**values, **changes})


def a_status(**changes: object) -> SystemStatus:
    """A quiet system of one symbol, with changes."""
    values: dict = {
        "system": "demo",
        "market": "perpetual",
        "mode": "paper",
        "exchange": "simulator",
        "pid": 4242,
        "started_ms": NOON_MS - 8_040_000,
        "now_ms": NOON_MS,
        "ready": True,
        "trading_state": "ACTIVE",
        "state_reason": "",
        "equity": Decimal("10034.51"),
        "day_pnl": Decimal("34.51"),
        "open_signals": 0,
        "unprotected": (),
        "problems": (),
        "limits": (
            LimitUse(name="open_signals", used=Decimal(0), allowed=Decimal(5)),
            LimitUse(name="gross_exposure", used=Decimal("0.25"), allowed=Decimal("1.5")),
            LimitUse(name="drawdown", used=Decimal("0.004"), allowed=None),
        ),
        "instances": {"created": 4, "evicted": 1, "live": 3},
        "counts": {"opened": 12, "closed": 9, "denied": 44},
        "slow_calls": {},
        "symbols": (a_symbol(),),
    }
    return SystemStatus(**{**values, **changes})


def a_crowd(size: int, *, open_every: int = 10) -> tuple[SymbolStatus, ...]:
    """Many symbols, every `open_every`-th with an open signal."""
    return tuple(
        a_symbol(
            f"S{number:03}/USDT:USDT",
            signals=(a_signal(number, signal_id=f"ema_cross/S{number:03}/USDT:USDT#1"),)
            if number % open_every == 0
            else (IDLE,),
        )
        for number in range(size)
    )


def an_order(symbol: str = "BTC/USDT:USDT", **changes: object) -> OrderLine:
    """A stop that rests at the venue, with changes."""
    values: dict = {
        "symbol": symbol,
        "strategy": "ema_cross",
        "signal_id": f"ema_cross/{symbol}#1",
        "client_order_id": "lb0123456789abc000001s00",
        "venue_order_id": "77",
        "leg": "stop",
        "side": "sell",
        "kind": "stop_market",
        "status": "working",
        "quantity": Decimal("0.0130"),
        "filled": Decimal(0),
        "price": None,
        "trigger_price": Decimal("60622.20"),
        "reduce_only": True,
        "confirmed": True,
        "cancel_requested": False,
        "sent_ms": NOON_MS - 599_000,
    }
    return OrderLine(**{**values, **changes})


def a_portfolio(**changes: object) -> PortfolioStatus:
    """One that trades, with changes."""
    values: dict = {
        "trading_state": "ACTIVE",
        "state_reason": "",
        "causes": (),
        "equity": Decimal("10034.510"),
        "day_pnl": Decimal("34.51"),
        "open_signals": 0,
        "reservations": 1,
        "reserved": Decimal("1E+3"),
    }
    return PortfolioStatus(**{**values, **changes})


@dataclass
class FakeControl:
    """Answers each command with a sentence, unless told to fail or to wait."""

    present: SystemStatus = field(default_factory=a_status)
    worth: PortfolioStatus = field(default_factory=a_portfolio)
    working: list[OrderLine] = field(default_factory=lambda: [an_order()])
    asked: list[tuple[str, object]] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    raises: Exception | None = None
    waits: asyncio.Event | None = None

    def status(self) -> SystemStatus:
        if self.raises:
            raise self.raises
        return self.present

    async def look(self) -> SystemStatus:
        return self.status()

    def portfolio(self) -> PortfolioStatus:
        return self.worth

    def limits(self) -> tuple[LimitUse, ...]:
        return self.present.limits

    def knows(self, symbol: str) -> bool:
        return any(each.symbol == symbol for each in self.present.symbols)

    def orders(self, symbol: str | None) -> Iterator[OrderLine]:
        return (each for each in self.working if symbol in (None, each.symbol))

    async def _do(self, name: str, argument: object) -> str:
        self.asked.append((name, argument))
        if self.raises:
            raise self.raises
        if self.waits and name not in {"halt", "unhalt"}:
            await self.waits.wait()
        self.finished.append(name)
        return f"{name} done"

    async def pause(self, symbols: Sequence[str] | None) -> str:
        return await self._do("pause", symbols)

    async def resume(self, symbols: Sequence[str] | None) -> str:
        return await self._do("resume", symbols)

    async def restart(self, symbols: Sequence[str] | None) -> str:
        return await self._do("restart", symbols)

    async def flatten(self, symbols: Sequence[str] | None) -> str:
        return await self._do("flatten", symbols)

    async def adopt(self, symbols: Sequence[str] | None, **wishes: object) -> str:
        return await self._do("adopt", (symbols, {name: wish for name, wish in wishes.items() if wish is not None}))

    async def dismiss(self, symbols: Sequence[str] | None) -> str:
        return await self._do("dismiss", symbols)

    async def halt(self, reason: str) -> str:
        return await self._do("halt", reason)

    async def unhalt(self, reason: str) -> str:
        return await self._do("unhalt", reason)

    async def reload(self) -> str:
        return await self._do("reload", None)

    async def log_level(self, level: str) -> str:
        return await self._do("log_level", level)


REFUSAL = Rejected("BTC/USDT is not traded here; `livebot status` lists the symbols")
TROUBLE = Fatal("the disk is full; free some space, then try again")
