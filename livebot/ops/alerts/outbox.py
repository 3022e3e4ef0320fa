"""What waits to be told over one channel, and when it may be.

Rules of this file: pure, times come as arguments (UTC milliseconds); what is critical goes first and is the last to make
way; nothing is dropped without being counted, and the count is told; one message is on its way at a time.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from livebot.core.market import MINUTE_MS
from livebot.ops.alerts.kinds import TITLES, Kind, Level
from livebot.ops.alerts.quiet_hours import is_quiet, local
from livebot.ops.alerts.sentences import Alert, left_out_text
from livebot.ops.alerts.settings import OutboxSettings, QuietHours


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent in one go; a repeated attempt sends the very same."""

    title: str
    body: str
    level: Level
    alerts: tuple[Alert, ...]
    left_out: Counter[Kind]


class Outbox:
    """One channel's."""

    def __init__(
        self, system: str, minimum: Level, settings: OutboxSettings, quiet: QuietHours | None, zone: ZoneInfo
    ) -> None:
        """Empty.  Nothing below `minimum` gets in."""
        self._system = system
        self._minimum = minimum
        self._settings = settings
        self._quiet = quiet
        self._zone = zone
        self._waiting: deque[Alert] = deque()
        self._left_out: Counter[Kind] = Counter()
        self._begun_ms: deque[int] = deque(maxlen=settings.messages_per_minute)
        self._current: Message | None = None
        self._attempts = 0
        self._retry_ms = 0
        self.failures = 0  # in a row, whatever the message

    def put(self, alert: Alert) -> None:
        """It waits from now on; if there is no room, the oldest of the least level makes way and is counted."""
        if alert.level < self._minimum:
            return
        self._waiting.append(alert)
        if len(self._waiting) > self._settings.queue_size:
            least = min(self._waiting, key=lambda each: each.level)
            self._waiting.remove(least)
            self._left_out[least.kind] += 1

    def next(self, now_ms: int, *, at_once: bool = False) -> Message | None:
        """The message to be sent now, None if nothing may be.  `at_once`: the daemon stops, nothing is waited for."""
        if self._current is not None:
            return self._current if at_once or now_ms >= self._retry_ms else None
        ready, left_out = self._ready(now_ms)
        if not (ready or left_out) or not (at_once or (self._gathered(ready, now_ms) and self._allowed(now_ms))):
            return None
        ready.sort(key=lambda each: -each.level)  # stable: of one level the oldest first
        chosen = self._that_fit(ready)
        for each in chosen:
            self._waiting.remove(each)
        self._begun_ms.append(now_ms)
        self._attempts = 0
        self._current = self._message(chosen, left_out)
        self._left_out -= left_out
        return self._current

    def sent(self) -> Message:
        """The message arrived."""
        message, self._current = self._current, None
        assert message is not None
        self.failures = 0
        return message

    def failed(self, now_ms: int) -> Sequence[str]:
        """It did not, as far as anybody knows; it is tried again a bounded number of times.

        Then it is counted and given up: the lines of what will not be told any more, for the log.
        """
        assert self._current is not None
        self.failures += 1
        self._attempts += 1
        settings = self._settings
        wait_ms = min(settings.backoff_maximum_ms, settings.backoff_ms * 2 ** min(self._attempts - 1, 30))
        self._retry_ms = now_ms + wait_ms
        if self._attempts < settings.attempts:
            return ()
        given_up, self._current = self._current, None
        self._left_out += given_up.left_out
        self._left_out.update(alert.kind for alert in given_up.alerts)
        return [self._line(alert) for alert in given_up.alerts]

    def busy(self, now_ms: int) -> bool:
        """Whether something is on its way or may be sent, were there no pace to be kept."""
        return self._current is not None or any(self._ready(now_ms))

    @property
    def failing(self) -> bool:
        """Whether it has failed often enough for the operator to be told."""
        return self.failures >= self._settings.failures_told

    def rest(self) -> Sequence[str]:
        """What was not told, line by line; for the log."""
        held = [*(self._current.alerts if self._current is not None else ()), *self._waiting]
        left_out = self._left_out + (self._current.left_out if self._current is not None else Counter())
        lines = [self._line(alert) for alert in held]
        return [*lines, left_out_text(left_out)] if left_out else lines

    def _ready(self, now_ms: int) -> tuple[list[Alert], Counter[Kind]]:
        """What may be told now as far as quiet hours go."""
        if not is_quiet(self._quiet, self._zone, now_ms):
            return list(self._waiting), self._left_out
        return [each for each in self._waiting if each.wakes], Counter()

    def _that_fit(self, ready: Sequence[Alert]) -> tuple[Alert, ...]:
        """The first of them that make one message."""
        chosen: list[Alert] = []
        left = self._settings.characters
        for each in ready[: self._settings.lines]:
            left -= len(self._line(each)) + 1
            if left < 0 and chosen:
                break
            chosen.append(each)
        return tuple(chosen)

    def _gathered(self, ready: Sequence[Alert], now_ms: int) -> bool:
        """Whether what comes together has had time to come."""
        if len(ready) >= self._settings.lines or not ready:
            return True
        oldest_ms = min(each.at_ms for each in ready)
        return any(each.wakes for each in ready) or not 0 <= now_ms - oldest_ms < self._settings.gather_ms

    def _allowed(self, now_ms: int) -> bool:
        begun = self._begun_ms
        return len(begun) < (begun.maxlen or 1) or not 0 <= now_ms - begun[0] < MINUTE_MS

    def _message(self, alerts: tuple[Alert, ...], left_out: Counter[Kind]) -> Message:
        level = max((alert.level for alert in alerts), default=Level.WARNING)
        first = TITLES[alerts[0].kind] if alerts else "alerts were left out"
        more = f" and {len(alerts) - 1} more" if len(alerts) > 1 else ""
        mark = f"{level.name}: " if level > Level.INFO else ""
        lines = [self._line(alert) for alert in alerts]
        lines += [left_out_text(left_out)] if left_out else []
        title = f"livebot {self._system}: {mark}{first}{more}"
        return Message(title, "\n".join(lines), level, alerts, Counter(left_out))

    def _line(self, alert: Alert) -> str:
        mark = f"{alert.level.name} " if alert.level > Level.INFO else ""
        return f"{local(alert.at_ms, self._zone):%H:%M} {mark}{alert.text}"
