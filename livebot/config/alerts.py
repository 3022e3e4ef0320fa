"""The `alerts` section: over which channels the operator is told of what, and how he is spared.

Rules of this file: a URL of a channel is a secret: the section names where it stands, and one that stands here is refused
without being repeated; without channels nothing is told and nothing is loaded.
"""

import re
from collections.abc import Iterator
from datetime import time
from decimal import Decimal
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, model_validator

from livebot.config.problems import Mismatch, Place, did_you_mean, key_text, shown
from livebot.config.section import Section
from livebot.config.values import Count, Flag, Minutes, Name, Seconds, SecondsOrZero

CHANNELS_MAX = 20
URL_SOURCE_PREFIX = "LIVEBOT_ALERT_"
_URL_SOURCE = re.compile(rf"{URL_SOURCE_PREFIX}[A-Z0-9_]{{1,64}}")
_CLOCK = re.compile(r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)")
_URL_TEXT = (
    "a URL has no place in a config, for it holds the channel's password; take it out, change the password if this file was "
    f"shared, and set {URL_SOURCE_PREFIX}... in the environment (or a file of that name under $CREDENTIALS_DIRECTORY), "
    "then write that name under url_from"
)


def _url_source(value: object) -> str:
    if not isinstance(value, str) or not _URL_SOURCE.fullmatch(value):
        raise ValueError(
            f"must be the name of an environment variable or of a credential that holds the channel's URL; it begins with "
            f"{URL_SOURCE_PREFIX}, such as {URL_SOURCE_PREFIX}PHONE"
        )
    return value


def _clock(value: object) -> time:
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"must be a time of day such as 22:00, is {shown(value)}")
    return time(int(match["hour"]), int(match["minute"]))


def _zone(value: object) -> str:
    known = available_timezones()
    if not isinstance(value, str) or value not in known:
        hint = did_you_mean(value, known) if isinstance(value, str) else ""
        raise ValueError(f"must be a time zone such as Europe/Berlin or UTC, is {shown(value)}{hint}")
    return value


UrlSource = Annotated[str, BeforeValidator(_url_source)]
Clock = Annotated[time, BeforeValidator(_clock)]
Zone = Annotated[str, BeforeValidator(_zone)]
Weight = Literal["info", "warning", "critical"]
EventWeight = Literal["off", "info", "warning", "critical"]


class ChannelConfig(Section):
    """One way to the operator; `url_from` names where its apprise URLs stand, `minimum` is the least that it is told."""

    name: Name
    url_from: UrlSource
    minimum: Weight = "info"


class EventsConfig(Section):
    """How much each kind of event weighs; `off` is never told."""

    opened: EventWeight = "info"
    closed: EventWeight = "info"
    denied: EventWeight = "info"
    quarantined: EventWeight = "critical"
    halted: EventWeight = "critical"
    reducing: EventWeight = "warning"
    lifted: EventWeight = "warning"
    unprotected: EventWeight = "critical"
    foreign: EventWeight = "warning"
    feed: EventWeight = "warning"
    venue: EventWeight = "warning"
    restart: EventWeight = "warning"
    daemon: EventWeight = "warning"
    model_stale: EventWeight = "warning"
    daily_summary: EventWeight = "info"
    channel: EventWeight = "warning"
    started: EventWeight = "info"
    stopped: EventWeight = "warning"
    failed: EventWeight = "critical"


class QuietHoursConfig(Section):
    """From `start` on only what is critical is told at once; the rest waits until `until`."""

    start: Clock = time(22, 0)
    until: Clock = time(7, 0)

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        if self.start == self.until:
            raise Mismatch(("until", "is the same as start; leave quiet_hours out, or name another time"))
        return self


class AlertsConfig(Section):
    """What the operator is told.

    A problem below critical is told once it has stood for `grace_seconds`, and with `recoveries` also that it has passed.
    What repeats within `repeat_minutes` is told once and then counted, for at most `repeats_known` things at a time;
    denied entries are told as a sum every `denied_minutes`.

    For each channel at most `queue_size` alerts wait (beyond that the least important make way, and their number is
    told); those within `gather_seconds` go into one message of at most `lines_per_message` and `characters_per_message`
    (a service that takes less gets it in parts), and at most `messages_per_minute` are begun.  A message may take
    `timeout_seconds`; one that fails is tried `attempts` times, waiting from `backoff_seconds`, doubled each time, to
    `backoff_maximum_seconds`; after `failures_told` failures in a row the other channels tell it.  A stop waits
    `drain_seconds` for what is still to be sent.
    """

    channels: tuple[ChannelConfig, ...] = ()
    events: EventsConfig = EventsConfig()
    timezone: Zone = "UTC"
    quiet_hours: QuietHoursConfig | None = None
    recoveries: Flag = True
    grace_seconds: SecondsOrZero = Decimal(20)
    repeat_minutes: Minutes = 10
    repeats_known: Count = 2000
    denied_minutes: Minutes = 60
    queue_size: Count = 500
    lines_per_message: Count = 20
    characters_per_message: Count = 3500
    gather_seconds: SecondsOrZero = Decimal(2)
    messages_per_minute: Count = 6
    timeout_seconds: Seconds = Decimal(30)
    attempts: Count = 12
    backoff_seconds: Seconds = Decimal(2)
    backoff_maximum_seconds: Seconds = Decimal(300)
    failures_told: Count = 2
    drain_seconds: SecondsOrZero = Decimal(5)

    @model_validator(mode="before")
    @classmethod
    def _no_urls(cls, data: object) -> object:
        if data is None:
            return {}
        places = list(_urls(data, ()))
        if places and places[0]:
            raise Mismatch(*((key_text(place), _URL_TEXT) for place in places))
        if places:
            raise ValueError(_URL_TEXT)
        return data

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        found = []
        names = [channel.name for channel in self.channels]
        if len(names) > CHANNELS_MAX:
            found.append(("channels", f"are {len(names)}; {CHANNELS_MAX} is the most"))
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            found.append(("channels", f"{', '.join(double)} stands there twice; each channel needs a name of its own"))
        if self.backoff_seconds > self.backoff_maximum_seconds:
            text = f"{self.backoff_seconds} is above backoff_maximum_seconds ({self.backoff_maximum_seconds}); lower it"
            found.append(("backoff_seconds", text))
        if found:
            raise Mismatch(*found)
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of quiet hours and of the times in messages."""
        return ZoneInfo(self.timezone)


def _urls(data: object, place: Place) -> Iterator[Place]:
    """Where in the section a URL stands."""
    if isinstance(data, str) and ":/" in data:
        yield place
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _urls(value, (*place, str(key)))
    elif isinstance(data, list | tuple):
        for position, value in enumerate(data):
            yield from _urls(value, (*place, position))
