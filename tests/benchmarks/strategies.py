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
