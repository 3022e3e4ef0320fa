"""Alerts, put together: the channels of the config, what the daemon has to tell, and the test of all channels.

Rules of this file: without channels nothing is loaded and nothing happens; what fails in here is told and never ends the
daemon.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2s
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from livebot.adapters.clock import SystemClock
from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.config.alert_terms import alert_settings, channel_urls
from livebot.config.alerts import AlertsConfig
from livebot.core.facts import SignalClosed
from livebot.core.order import ZERO
from livebot.errors import BadInput, LivebotError
from livebot.ops.alerts import sentences
from livebot.ops.alerts.days import tell_days
from livebot.ops.alerts.kinds import Kind
from livebot.ops.alerts.sentences import DayFigures
from livebot.ops.alerts.service import Alerts, Channel, Report
from livebot.ports import Listener
from livebot.runtime.shutdown import Shutdown
from livebot.runtime.system import System

_log = structlog.get_logger(__name__)

AGAIN_S = 60.0
LOOK_S = 1.0
HURRIED_DRAIN_S = 0.5
PROBLEM = "alerts"


def channels_of(section: AlertsConfig, environ: Mapping[str, str]) -> list[Channel]:
    """Every channel of the config.

    Raises:
        BadInput: a URL is missing or not understood; all that is wrong, a line each.

    """
    if not section.channels:
        return []
    # Here because apprise takes two seconds to load, and who has no channels has no use for it.
    from livebot.adapters.apprise_channel import AppriseChannel  # noqa: PLC0415

    found: list[Channel] = []
    wrong: list[str] = []
    for channel in section.channels:
        try:
            urls = channel_urls(channel, environ)
            found.append(AppriseChannel(channel.name, urls, timeout_s=float(section.timeout_seconds)))
        except BadInput as error:
            wrong.append(str(error))
    if wrong:
        raise BadInput("\n".join(wrong))
    return found


class DaemonAlerts:
    """The daemon's alerts, from before its first part is made until after its last one is gone."""

    def __init__(self, system: str, section: AlertsConfig, environ: Mapping[str, str], memory: Path) -> None:
        """Nothing is sent before it is entered; `memory` is a file that outlives it.  Raises BadInput as `channels_of`."""
        channels = channels_of(section, environ)
        settings = alert_settings(section)
        self._alerts = Alerts(system, settings, channels, SystemClock()) if channels else None
        self._drain_s = settings.drain_s
        self._failure = _LastFailure(memory, settings.desk.repeat_ms)
        self._report: Report | None = None
        self._system: System | None = None
        self._shutdown: Shutdown | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Who is to hear the bus."""
        return () if self._alerts is None else (self._alerts,)

    def changed(self, log: Report) -> Report:
        """Who is to hear of problems, the log first."""
        alerts = self._alerts
        if alerts is None:
            return log

        def both(source: str, sentence: str | None) -> None:
            log(source, sentence)
            alerts.problem(source, sentence)

        return both

    def watch(self, system: System, shutdown: Shutdown, ledger: Path) -> None:
        """The system is made: its failures, its days and its end are told from here on."""
        alerts = self._alerts
        if alerts is None:
            return
        self._system, self._shutdown, self._report = system, shutdown, system.problems.report
        alerts.report_to(self._report)
        summary = _Days(system, ledger).figures
        self._begin("alerts:ready", lambda: _tell_ready(alerts, system))
        self._begin("alerts:failures", lambda: _tell_failures(alerts, system))
        self._begin("alerts:days", lambda: tell_days(alerts, system.parts.clock, summary))

    async def __aenter__(self) -> Self:
        if self._alerts is not None:
            self._begin("alerts", self._alerts.run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._alerts is None:
            return
        if error is not None:
            why = str(error) if isinstance(error, LivebotError) else f"{type(error).__name__}: {error}"
            if self._failure.is_news(why):
                self._alerts.tell(Kind.FAILED, sentences.failed_text(why))
        elif self._system is not None and self._shutdown is not None:
            cause, left = self._shutdown.cause, self._system.portfolio.open_signals
            self._alerts.tell(Kind.STOPPED, sentences.stopped_text(cause, left))
        hurried = self._shutdown is not None and self._shutdown.hurry.is_set()
        await self._alerts.drain(min(self._drain_s, HURRIED_DRAIN_S) if hurried else self._drain_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self._again_and_again(work), name=name))

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
                return
            except Exception as error:  # noqa: BLE001 - what tells of failures must not be one that nobody sees
                _log.error("alerts_failed", exc_info=error)
                self._say(f"alerts have failed ({type(error).__name__}, see the log); they begin anew in {AGAIN_S:g} s")
            await asyncio.sleep(AGAIN_S)
            self._say(None)

    def _say(self, sentence: str | None) -> None:
        if self._report is not None:
            self._report(PROBLEM, sentence)


class _LastFailure:
    """How the last process ended: one that is started again and again, and fails each time, tells it now and then only.

    The file holds a digest, since the text of an error may hold anything, and when it was told.
    """

    def __init__(self, file: Path, repeat_ms: int) -> None:
        self._file = file
        self._repeat_ms = repeat_ms

    def is_news(self, why: str) -> bool:
        """Whether it is to be told; then it was.  A file that cannot be read or written makes everything news."""
        now_ms = SystemClock().now_ms()
        digest = blake2s(why.encode()).hexdigest()
        try:
            known, told_ms = self._file.read_text(encoding="ascii").split()
            if known == digest and 0 <= now_ms - int(told_ms) < self._repeat_ms:
                _log.info("alert_repeats", what="the daemon has ended as the one before, which was told")
                return False
        except (OSError, ValueError):
            pass  # there is none, or it is damaged
        with suppress(OSError):
            self._file.write_text(f"{digest} {now_ms}\n", encoding="ascii")
        return True


async def _tell_ready(alerts: Alerts, system: System) -> None:
    await system.ready.wait()
    parts, portfolio = system.parts, system.portfolio
    where = f"{parts.market} on {parts.exchange.name} ({parts.mode})"
    symbols, state = len(system.workers.strategies), portfolio.trading_state.value
    alerts.tell(Kind.STARTED, sentences.started_text(where, symbols, portfolio.open_signals, state))


async def _tell_failures(alerts: Alerts, system: System) -> None:
    """Each failure of a worker that comes back; one that goes into quarantine is told as that."""
    seen: dict[str, str] = {}
    while True:
        await asyncio.sleep(LOOK_S)
        for symbol, error in system.observations.last_errors.items():
            if seen.get(symbol) is error:  # the same text, of the same failure
                continue
            seen[symbol] = error
            if symbol not in system.portfolio.blocks.quarantined:
                alerts.tell(Kind.RESTART, sentences.restart_text(symbol, error), key=f"restart {symbol}")


class _Days:
    """The figures of a UTC day, from the ledger and from what the portfolio is worth now."""

    def __init__(self, system: System, ledger: Path) -> None:
        self._system = system
        self._ledger = ledger

    async def figures(self, first_ms: int, stop_ms: int) -> DayFigures:
        """Of [first_ms, stop_ms).  Raises BadInput, Transient."""
        closes, denials = await asyncio.to_thread(self._read, first_ms, stop_ms)
        made = [close.pnl_net for close in closes]
        portfolio = self._system.portfolio
        return DayFigures(
            trades=len(made),
            wins=sum(each > 0 for each in made),
            pnl_net=sum(made, ZERO),
            best=max(made, default=Decimal(0)),
            worst=min(made, default=Decimal(0)),
            denials=denials,
            equity=portfolio.equity,
            open_signals=portfolio.open_signals,
            trading_state=portfolio.trading_state.value,
        )

    def _read(self, first_ms: int, stop_ms: int) -> tuple[list[SignalClosed], Mapping[str, int]]:
        with LedgerReader(self._ledger) as reader:
            closes = [close for close in reader.closed_signals(since_ms=first_ms) if close.ts_ms < stop_ms]
            return closes, reader.denials(first_ms, stop_ms)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a channel's test message; `why` is None if it arrived."""

    channel: str
    why: str | None
    seconds: float


def send_tests(
    system: str, section: AlertsConfig, channel: str | None, environ: Mapping[str, str]
) -> Sequence[Outcome]:
    """Send one message over each channel, or over this one.

    Raises:
        BadInput: there is no (such) channel, or a URL is missing or not understood.

    """
    known = [each.name for each in section.channels]
    if not known:
        raise BadInput("alerts.channels is empty: nobody would be told anything; the README says how to name a channel")
    if channel is not None and channel not in known:
        raise BadInput(f"alerts: there is no channel {channel}; there is {', '.join(known)}")
    chosen = tuple(each for each in section.channels if channel in (None, each.name))
    channels = channels_of(section.model_copy(update={"channels": chosen}), environ)
    return asyncio.run(_send_tests(system, channels))


async def _send_tests(system: str, channels: Sequence[Channel]) -> Sequence[Outcome]:
    return await asyncio.gather(*(_send_test(system, each) for each in channels))


async def _send_test(system: str, channel: Channel) -> Outcome:
    loop = asyncio.get_running_loop()
    begun, why = loop.time(), None
    body = f"This is a test of the channel {channel.name}.  Nothing has happened, nothing needs to be done."
    try:
        await channel.send(f"livebot {system}: test", body, "info")
    except LivebotError as error:
        why = str(error)
    return Outcome(channel.name, why, loop.time() - begun)
