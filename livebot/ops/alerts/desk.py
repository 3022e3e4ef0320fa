"""What is worth telling: from facts, decisions and problems to alerts.

Rules of this file: pure, times come as arguments (UTC milliseconds); a problem that passes at once is never told, one that
was told is told to have passed; denials are told as a sum; what is off is nothing at all.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from livebot.core.facts import Fact
from livebot.ops.alerts import sentences
from livebot.ops.alerts.kinds import CHANNEL, TRADING_STATE, Kind, Level, Source, source_of
from livebot.ops.alerts.repeats import Repeats
from livebot.ops.alerts.sentences import Alert
from livebot.ops.alerts.settings import DeskSettings
from livebot.ports import Decision

SYMBOLS_COUNTED_MAX = 500  # of denials, until their digest is told
SECOND_MS = 1_000
_FIGURES = re.compile(r"[\d.,]+")
DENIED = "denied"


@dataclass(slots=True)
class _Standing:
    """A problem: since when, and whether it was told."""

    source: Source
    sentence: str
    since_ms: int
    told: bool = False


class Desk:
    """One for the whole system; whatever it returns is for the channels."""

    def __init__(self, settings: DeskSettings) -> None:
        """Nothing has happened."""
        self._settings = settings
        self._repeats = Repeats(settings.repeat_ms, settings.repeats_known)
        self._problems: dict[str, _Standing] = {}
        self._state: str | None = None
        self._told_always = 0  # numbers what is never taken for a repetition
        self._codes: Counter[str] = Counter()
        self._symbols: Counter[str] = Counter()
        self._denied_since_ms = 0

    def heard(self, items: Iterable[Fact | Decision], now_ms: int) -> list[Alert]:
        """What the bus publishes."""
        found: list[Alert] = []
        for item in items:
            if isinstance(item, Decision):
                self._count(item, now_ms)
            elif (told := sentences.fact_text(item)) is not None:
                found += self.tell(*told, now_ms, key=f"{item.signal_id} {told[0].value}")
        return found

    def problem(self, name: str, sentence: str | None, now_ms: int) -> list[Alert]:
        """A problem has arisen, changed its sentence, or passed (None)."""
        if name == TRADING_STATE:
            return self._trading_state(sentence, now_ms)
        if sentence is None:
            return self._passed(name, now_ms)
        standing = self._problems.get(name)
        if standing is None:
            standing = _Standing(source_of(name), sentence, now_ms)
            if len(self._problems) >= self._settings.repeats_known:
                return self._tell_problem(name, standing, now_ms)  # too many to wait for
            self._problems[name] = standing
        known, standing.sentence = standing.sentence, sentence
        if standing.told and known == sentence:
            return []
        if standing.told or self._urgent(standing.source.kind):
            return self._tell_problem(name, standing, now_ms)
        return []

    def tell(
        self, kind: Kind, text: str, now_ms: int, *, key: str = "", variant: str = "", not_over: str | None = None
    ) -> list[Alert]:
        """An event of this kind, unless it is off or has just been told."""
        level = self._settings.levels.get(kind)
        if level is None:
            return []
        alert = Alert(
            kind=kind,
            level=level,
            text=sentences.line(text),
            key=key or kind.value,
            variant=variant,
            wakes=level is Level.CRITICAL and kind is not Kind.LIFTED,
            not_over=not_over,
            at_ms=now_ms,
        )
        return self._repeats.see(alert, now_ms)

    def due(self, now_ms: int) -> list[Alert]:
        """What has become worth telling by the passing of time."""
        found: list[Alert] = []
        for name, standing in self._problems.items():
            if not standing.told and not 0 <= now_ms - standing.since_ms < self._settings.grace_ms:
                found += self._tell_problem(name, standing, now_ms)
        if self._codes and not 0 <= now_ms - self._denied_since_ms < self._settings.denied_ms:
            found += self._denied(now_ms)
        return found + self._repeats.due(now_ms)

    def rest(self, now_ms: int) -> list[Alert]:
        """What was counted and waits for its time: the daemon stops."""
        digest = self._denied(now_ms) if self._codes else []
        return digest + self._repeats.rest()

    # One after the other

    def _urgent(self, kind: Kind) -> bool:
        return self._settings.levels.get(kind) is Level.CRITICAL or self._settings.grace_ms == 0

    def _tell_problem(self, name: str, standing: _Standing, now_ms: int) -> list[Alert]:
        standing.told = True
        kind, text = standing.source.kind, sentences.problem_text(standing.source, standing.sentence)
        # what is critical is told with each new sentence, what is not may wait until it has settled
        variant = text if self._settings.levels.get(kind) is Level.CRITICAL else "arose"
        not_over = name.removeprefix(CHANNEL) if kind is Kind.CHANNEL else None
        return self.tell(kind, text, now_ms, key=name, variant=variant, not_over=not_over)

    def _passed(self, name: str, now_ms: int) -> list[Alert]:
        standing = self._problems.pop(name, None)
        if standing is None or not standing.told or not self._settings.recoveries:
            return []
        text = sentences.passed_text(standing.sentence)
        found = self.tell(standing.source.kind, text, now_ms, key=name, variant="passed")
        return [_without_waking(alert) for alert in found]

    def _trading_state(self, sentence: str | None, now_ms: int) -> list[Alert]:
        if sentence == self._state:
            return []
        before, self._state = self._state, sentence
        kind, text = sentences.state_text(sentence)
        if kind is Kind.HALTED or (before is not None and sentences.state_text(before)[0] is Kind.HALTED):
            return self._tell_always(kind, text, now_ms)  # one that somebody or a limit made
        # A cause may come and go, again and again: with other figures it is the same.
        variant = _FIGURES.sub("#", sentence or "")
        return self.tell(kind, text, now_ms, key=TRADING_STATE, variant=variant)

    def _tell_always(self, kind: Kind, text: str, now_ms: int) -> list[Alert]:
        self._told_always += 1
        return self.tell(kind, text, now_ms, key=f"{kind.value} {self._told_always}")

    def _count(self, decision: Decision, now_ms: int) -> None:
        if decision.outcome != DENIED or Kind.DENIED not in self._settings.levels:
            return
        if not self._codes:
            self._denied_since_ms = now_ms
        self._codes[decision.code] += 1
        if decision.symbol in self._symbols or len(self._symbols) < SYMBOLS_COUNTED_MAX:
            self._symbols[decision.symbol] += 1

    def _denied(self, now_ms: int) -> list[Alert]:
        span_ms = max(1, round((now_ms - self._denied_since_ms) / SECOND_MS)) * SECOND_MS
        text = sentences.denied_text(self._codes, self._symbols, span_ms)
        self._codes, self._symbols = Counter(), Counter()
        return self._tell_always(Kind.DENIED, text, now_ms)


def _without_waking(alert: Alert) -> Alert:
    return replace(alert, wakes=False)
