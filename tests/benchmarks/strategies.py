"""Strategies that do the work of the shipped one and then open when the benchmark needs it."""

from livebot.core.entry import Entry
from livebot.core.market import MINUTE_MS, Side
from livebot.strategies.ema_cross import EmaCross
from livebot.strategies.interface import View

GROUPS = 10
_STAYS_MINUTES = 10_000


class Burst(EmaCross):
    """At each close a tenth of the symbols opens, another tenth each time; out again after two minutes."""

    name = "burst"

    def decide(self, view: View) -> Entry | None:
        super().decide(view)
        if _number(view) % GROUPS != view.close_ms // self.timeframe.ms % GROUPS:
            return None
        return _entry(view, minutes=2)


class Half(EmaCross):
    """All open; those with an even number stay for days, the others leave after a minute."""

    name = "half"

    def decide(self, view: View) -> Entry | None:
        return _entry(view, minutes=1 if _number(view) % 2 else _STAYS_MINUTES)


class OneAtATime(EmaCross):
    """One symbol of ten opens every second minute, and is out again at a minute at which none opens."""

    name = "one_at_a_time"

    def decide(self, view: View) -> Entry | None:
        super().decide(view)
        turn, rest = divmod(view.close_ms // MINUTE_MS, 2)
        return None if rest or turn % GROUPS != _number(view) else _entry(view, minutes=2)


class TenAtOnce(EmaCross):
    """Ten symbols open on one candle, and are out again long before the next one."""

    name = "ten_at_once"

    def decide(self, view: View) -> Entry | None:
        super().decide(view)
        return None if view.close_ms // MINUTE_MS % 40 else _entry(view, minutes=8)


class Wants(EmaCross):
    """Every symbol wants in at every close at which it holds nothing."""

    name = "wants"

    def decide(self, view: View) -> Entry | None:
        super().decide(view)
        return _entry(view, minutes=_STAYS_MINUTES)


class Keeps(EmaCross):
    """All open at the first close, one after another as the venue takes them, and stay for days."""

    name = "keeps"

    def decide(self, view: View) -> Entry | None:
        super().decide(view)
        return _entry(view, minutes=_STAYS_MINUTES)


def _number(view: View) -> int:
    return int(view.symbol[1:4])


def _entry(view: View, *, minutes: int) -> Entry:
    return Entry(
        side=Side.LONG,
        stop_loss=view.close * 0.8,
        take_profit=view.close * 1.4,
        lifetime_ms=minutes * MINUTE_MS,
        reason="the benchmark wants it",
    )
