"""The terms under which alerts are told, as the config sets them.

Rules of this file: every bound has a name here and a key in the config; times of day are of the configured time zone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from zoneinfo import ZoneInfo

from livebot.ops.alerts.kinds import Kind, Level


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end`, local time of day; `end` before `start` is on the next day."""

    start: time
    end: time


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskSettings:
    """What is told and when.

    `levels` lacks what is off.  A problem below critical is told once it has stood for `grace_ms`.  What repeats within
    `repeat_ms` is counted; that, and which problems stand, is remembered of at most `repeats_known` things.  Denials are
    summed up every `denied_ms`; `recoveries` says whether it is told that a problem has passed.
    """

    levels: Mapping[Kind, Level]
    grace_ms: int
    repeat_ms: int
    repeats_known: int
    denied_ms: int
    recoveries: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSettings:
    """How one channel is spared.

    At most `queue_size` alerts wait; those that come within `gather_ms` are told in one message of at most `lines`, and
    beyond the first line of at most `characters`; at most `messages_per_minute` messages are begun.  A message that fails
    is tried `attempts` times, waiting from `backoff_ms`, doubled each time, to `backoff_maximum_ms`; the operator is told
    from `failures_told` failures in a row on.
    """

    queue_size: int
    lines: int
    characters: int
    gather_ms: int
    messages_per_minute: int
    attempts: int
    backoff_ms: int
    backoff_maximum_ms: int
    failures_told: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """All of it; `minimums` is by channel, `drain_s` how long a stop may wait for what is still to be sent."""

    desk: DeskSettings
    outbox: OutboxSettings
    minimums: Mapping[str, Level]
    quiet: QuietHours | None
    zone: ZoneInfo
    drain_s: float
