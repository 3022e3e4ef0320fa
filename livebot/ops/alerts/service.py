"""Alerts at work: hears the bus and the problems, and sends over the channels, each at its own pace.

Rules of this file: hearing never waits; a channel that hangs or fails harms itself only, and becomes a problem that the
other channels tell; nothing is lost silently: what is not told when the daemon stops is in its log.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog

from livebot.core.facts import Fact
from livebot.errors import LivebotError
from livebot.ops.alerts.desk import Desk
from livebot.ops.alerts.kinds import CHANNEL, Kind
from livebot.ops.alerts.outbox import Message, Outbox
from livebot.ops.alerts.sentences import Alert
from livebot.ops.alerts.settings import AlertSettings
from livebot.ports import Clock, Decision

_log = structlog.get_logger(__name__)

TICK_S = 1.0
DRAIN_POLL_S = 0.02
DRAIN_RETRY_S = 1.0
SENTENCE_LENGTH_MAX = 300

# (source, sentence); None instead of a sentence says that it has passed
Report = Callable[[str, str | None], None]


class Channel(Protocol):
    """A way to the operator."""

    @property
    def name(self) -> str:
        """As the config calls it."""
        ...

    async def send(self, title: str, body: str, level: str) -> None:
        """Return once it arrived, after a bounded time.  Raises Transient with a sentence that holds no secret."""
        ...


class Alerts:
    """One for the whole system: a Listener of the bus, and whoever hears of problems passes them on to `problem`."""

    name = "alerts"

    def __init__(self, system: str, settings: AlertSettings, channels: Iterable[Channel], clock: Clock) -> None:
        """Nothing is sent before `run` runs; `clock` is the world's, whatever the market's time is."""
        self._settings = settings
        self._clock = clock
        self._desk = Desk(settings.desk)
        self._channels = {channel.name: channel for channel in channels}
        self._outboxes = {
            name: Outbox(system, settings.minimums[name], settings.outbox, settings.quiet, settings.zone)
            for name in self._channels
        }
        self._filled = {name: asyncio.Event() for name in self._channels}
        self._report: Report | None = None
        self._at_once = False
        self.sent = 0

    def report_to(self, report: Report) -> None:
        """Who hears of a channel that fails."""
        self._report = report

    # What has happened

    def hear(self, items: Iterable[Fact | Decision]) -> None:
        """What the bus publishes."""
        self._take(self._desk.heard(items, self._clock.now_ms()))

    def problem(self, source: str, sentence: str | None) -> None:
        """A problem arose, changed, or passed."""
        self._take(self._desk.problem(source, sentence, self._clock.now_ms()))

    def tell(self, kind: Kind, text: str, *, key: str = "") -> None:
        """Anything else."""
        self._take(self._desk.tell(kind, text, self._clock.now_ms(), key=key))

    def _take(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            for name, outbox in self._outboxes.items():
                if name != alert.not_over:
                    outbox.put(alert)
                    self._filled[name].set()

    # Sending

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass_time(), name="alerts:time")
            for name in self._channels:
                group.create_task(self._serve(name), name=f"alerts:{name}")

    async def drain(self, timeout_s: float) -> None:
        """Send what may be sent now, for a bounded time (`run` must be running); the rest goes into the log."""
        self._take(self._desk.rest(self._clock.now_ms()))
        self._at_once = True
        for filled in self._filled.values():
            filled.set()
        try:
            async with asyncio.timeout(timeout_s):
                while any(outbox.busy(self._clock.now_ms()) for outbox in self._outboxes.values()):  # noqa: ASYNC110
                    await asyncio.sleep(DRAIN_POLL_S)  # for a stop that comes once
        except TimeoutError:
            pass  # what is left is told below
        for name, outbox in self._outboxes.items():
            _log_not_sent(name, outbox.rest())

    async def _pass_time(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._take(self._desk.due(self._clock.now_ms()))
            for filled in self._filled.values():
                filled.set()  # what had to wait may have waited long enough

    async def _serve(self, name: str) -> None:
        outbox, filled = self._outboxes[name], self._filled[name]
        while True:
            await filled.wait()
            filled.clear()
            while (message := outbox.next(self._clock.now_ms(), at_once=self._at_once)) is not None:
                await self._send(self._channels[name], outbox, message)
                if self._at_once and outbox.failures:
                    await asyncio.sleep(DRAIN_RETRY_S)

    async def _send(self, channel: Channel, outbox: Outbox, message: Message) -> None:
        try:
            await channel.send(message.title, message.body, message.level.name.lower())
        except LivebotError as error:
            given_up = outbox.failed(self._clock.now_ms())
            text = str(error)[:SENTENCE_LENGTH_MAX]
            _log.warning("alert_failed", channel=channel.name, failures=outbox.failures, why=text)
            _log_not_sent(channel.name, given_up)
            if outbox.failing:
                self._say(channel.name, f"alerts to {channel.name} fail: {text}")
            return
        outbox.sent()
        self.sent += 1
        _log.info("alert_sent", channel=channel.name, alerts=len(message.alerts), level=message.level.name.lower())
        self._say(channel.name, None)

    def _say(self, name: str, sentence: str | None) -> None:
        if self._report is not None:
            self._report(f"{CHANNEL}{name}", sentence)


def _log_not_sent(channel: str, lines: Sequence[str]) -> None:
    for line in lines:
        _log.warning("alert_not_sent", channel=channel, what=line)
