"""When nobody wants to be woken.

Rules of this file: pure; the time of day is the local one, whatever the clocks were set to that night.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from livebot.ops.alerts.settings import QuietHours


def local(now_ms: int, zone: ZoneInfo) -> datetime:
    """The moment (UTC milliseconds) as a clock on that wall shows it."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)


def is_quiet(quiet: QuietHours | None, zone: ZoneInfo, now_ms: int) -> bool:
    """Whether quiet hours are on; their first minute belongs to them, their last does not."""
    if quiet is None:
        return False
    clock = local(now_ms, zone).time()
    if quiet.start <= quiet.end:
        return quiet.start <= clock < quiet.end
    return clock >= quiet.start or clock < quiet.end
