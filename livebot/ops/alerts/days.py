"""The daily summary: one sentence for each UTC day of the market's time.

Rules of this file: a day is told once, soon after it is over, by whoever runs then; figures that cannot be had are told
to be missing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from livebot.core.market import MINUTE_MS
from livebot.errors import LivebotError
from livebot.ops.alerts.kinds import Kind
from livebot.ops.alerts.sentences import DayFigures, summary_text
from livebot.ops.alerts.service import Alerts
from livebot.ports import Clock

DAY_MS = 24 * 60 * MINUTE_MS
AFTER_MS = MINUTE_MS  # the ledger is a moment behind
LOOK_S = 5.0

# (first_ms, stop_ms) of the day
Summary = Callable[[int, int], Awaitable[DayFigures]]


async def tell_days(alerts: Alerts, market: Clock, summary: Summary) -> None:
    """Tell each day until cancelled; what `summary` raises as a LivebotError is told instead."""
    told = (market.now_ms() - AFTER_MS) // DAY_MS
    while True:
        await asyncio.sleep(LOOK_S)
        day = (market.now_ms() - AFTER_MS) // DAY_MS
        if day <= told:
            continue
        told = day
        first_ms = (day - 1) * DAY_MS
        name = datetime.fromtimestamp(first_ms / 1000, UTC).date().isoformat()
        try:
            text = summary_text(name, await summary(first_ms, first_ms + DAY_MS))
        except LivebotError as error:
            text = f"{name} (UTC): the day cannot be summed up ({error}); `livebot report --since 24h` does it"
        alerts.tell(Kind.DAILY_SUMMARY, text, key=f"day {name}")
