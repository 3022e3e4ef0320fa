"""A SystemControl without a system: it remembers what it was asked, and statuses of any size."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

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


@dataclass
class FakeControl:
    """Answers each command with a sentence, unless told to fail or to wait."""

    present: SystemStatus = field(default_factory=a_status)
    asked: list[tuple[str, object]] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    raises: Exception | None = None
    waits: asyncio.Event | None = None

    def status(self) -> SystemStatus:
        if self.raises:
            raise self.raises
        return self.present

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


REFUSAL = Rejected("BTC/USDT is not traded here; `livebot status` lists the symbols")
TROUBLE = Fatal("the disk is full; free some space, then try again")
