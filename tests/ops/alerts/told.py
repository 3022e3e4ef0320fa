"""Plain settings, events and channels of alerts; a test names only what it is about."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from livebot.core.facts import NO_EXPOSURE, SignalClosed, SignalOpened
from livebot.core.market import Side
from livebot.core.signal import CloseReason
from livebot.errors import Transient
from livebot.ops.alerts.kinds import Kind, Level
from livebot.ops.alerts.sentences import Alert
from livebot.ops.alerts.settings import AlertSettings, DeskSettings, OutboxSettings
from livebot.ports import Decision

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00Z
SECOND_MS, MINUTE_MS = 1_000, 60_000
UTC = ZoneInfo("UTC")
LEVELS = {
    **dict.fromkeys(Kind, Level.WARNING),
    **dict.fromkeys((Kind.OPENED, Kind.CLOSED, Kind.DENIED, Kind.DAILY_SUMMARY), Level.INFO),
    **dict.fromkeys((Kind.HALTED, Kind.UNPROTECTED, Kind.QUARANTINED), Level.CRITICAL),
}
DESK = DeskSettings(
    levels=LEVELS,
    grace_ms=20 * SECOND_MS,
    repeat_ms=10 * MINUTE_MS,
    repeats_known=100,
    denied_ms=60 * MINUTE_MS,
    recoveries=True,
)
OUTBOX = OutboxSettings(
    queue_size=50,
    lines=5,
    characters=3500,
    gather_ms=0,
    messages_per_minute=6,
    attempts=3,
    backoff_ms=2_000,
    backoff_maximum_ms=60_000,
    failures_told=2,
)


def settings(*channels: str, minimum: Level = Level.INFO, **changes: Any) -> AlertSettings:
    plain = AlertSettings(
        desk=DESK, outbox=OUTBOX, minimums=dict.fromkeys(channels, minimum), quiet=None, zone=UTC, drain_s=5.0
    )
    return replace(plain, **changes)


def alert(text: str = "it happened", level: Level = Level.INFO, **changes: Any) -> Alert:
    plain = Alert(kind=Kind.DAEMON, level=level, text=text, key=text, wakes=level is Level.CRITICAL, at_ms=NOW_MS)
    return replace(plain, **changes)


def closed(symbol: str = "BTC/USDT", number: int = 1, pnl: str = "12.34") -> SignalClosed:
    return SignalClosed(
        strategy="ema_cross",
        symbol=symbol,
        sequence=number,
        ts_ms=NOW_MS,
        signal_id=f"ema_cross/{symbol}#{number}",
        side=Side.LONG,
        exposure=NO_EXPOSURE,
        reason=CloseReason.TAKE_PROFIT,
        opened_ms=NOW_MS - 90 * MINUTE_MS,
        quantity=Decimal("0.5"),
        entry_price=Decimal(61000),
        exit_price=Decimal(61500),
        fees=Decimal("0.3"),
        pnl_net=Decimal(pnl),
        pnl_ratio=Decimal(pnl) / 1000,
    )


def opened(symbol: str = "BTC/USDT", number: int = 1) -> SignalOpened:
    return SignalOpened(
        strategy="ema_cross",
        symbol=symbol,
        sequence=number,
        ts_ms=NOW_MS,
        signal_id=f"ema_cross/{symbol}#{number}",
        side=Side.SHORT,
        exposure=NO_EXPOSURE,
        quantity=Decimal("0.5"),
        price=Decimal(61000),
        stop_loss=Decimal(62000),
        take_profit=Decimal(58000),
    )


def denied(symbol: str = "BTC/USDT", code: str = "open_signals", outcome: str = "denied") -> Decision:
    return Decision(
        strategy="ema_cross",
        symbol=symbol,
        close_ms=NOW_MS,
        ts_ms=NOW_MS,
        outcome=outcome,
        code=code,
        text="no room",
        side="long",
        confidence=None,
    )


class FakeChannel:
    """Keeps what it is given; `fails` says why it does not take it, `hangs` for how many seconds it does not answer."""

    def __init__(self, name: str = "phone") -> None:
        self.name = name
        self.fails: Callable[[], str | None] = lambda: None
        self.hangs_s = 0.0
        self.messages: list[tuple[str, str, str]] = []
        self.tries = 0

    async def send(self, title: str, body: str, level: str) -> None:
        self.tries += 1
        await asyncio.sleep(self.hangs_s)
        why = self.fails()
        if why is not None:
            raise Transient(why)
        self.messages.append((title, body, level))

    @property
    def text(self) -> str:
        return "\n".join(body for _, body, _ in self.messages)
