"""What says the same again and again is told once, and then how often.

Rules of this file: pure; within its window each variant of a key is told once, what comes beyond that is counted, and the
latest of it is told when the window ends; at most so many keys are known, beyond that the oldest window ends early.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from livebot.ops.alerts.sentences import Alert, repeated_text


@dataclass(slots=True)
class _Window:
    begun_ms: int
    told: set[str] = field(default_factory=set)
    latest: Alert | None = None
    count: int = 0


class Repeats:
    """One for all channels."""

    def __init__(self, window_ms: int, known_max: int) -> None:
        """Nothing was told."""
        self._window_ms = window_ms
        self._known_max = known_max
        self._windows: dict[str, _Window] = {}  # in the order of their beginnings

    def see(self, alert: Alert, now_ms: int) -> list[Alert]:
        """What is to be told now: the alert if it is the first of its variant, and what made way for it."""
        due: list[Alert] = []
        window = self._windows.get(alert.key)
        if window is not None and self._over(window, now_ms):
            due += self._end(alert.key)
            window = None
        if window is None:
            if len(self._windows) >= self._known_max:
                due += self._end(next(iter(self._windows)))
            window = self._windows[alert.key] = _Window(now_ms)
        if alert.variant in window.told:
            window.latest = alert
            window.count += 1
            return due
        window.told.add(alert.variant)
        return [*due, alert]

    def due(self, now_ms: int) -> list[Alert]:
        """What was counted in the windows that have ended."""
        ended = [key for key, window in self._windows.items() if self._over(window, now_ms)]
        return [alert for key in ended for alert in self._end(key)]

    def rest(self) -> list[Alert]:
        """What was counted so far, in all windows; they end."""
        return [alert for key in tuple(self._windows) for alert in self._end(key)]

    def _over(self, window: _Window, now_ms: int) -> bool:
        # a clock that was set back must not keep a window open for ever
        return not window.begun_ms <= now_ms < window.begun_ms + self._window_ms

    def _end(self, key: str) -> Iterator[Alert]:
        window = self._windows.pop(key)
        if window.latest is not None:
            text = repeated_text(window.latest.text, window.count, self._window_ms)
            yield replace(window.latest, text=text)
