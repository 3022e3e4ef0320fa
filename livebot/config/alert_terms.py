"""From the `alerts` section to the terms that alerts are told under, and to the URLs that it only names."""

from collections.abc import Mapping
from decimal import Decimal

from livebot.config.alerts import AlertsConfig, ChannelConfig
from livebot.config.secrets import read_secret
from livebot.core.market import MINUTE_MS
from livebot.errors import BadInput
from livebot.ops.alerts.kinds import Kind, Level
from livebot.ops.alerts.settings import AlertSettings, DeskSettings, OutboxSettings, QuietHours

URLS_MAX = 20
_OFF = "off"


def alert_settings(section: AlertsConfig) -> AlertSettings:
    """How alerts are told."""
    weights = {kind: str(getattr(section.events, kind.value)) for kind in Kind}
    quiet = section.quiet_hours
    return AlertSettings(
        desk=DeskSettings(
            levels={kind: _level(weight) for kind, weight in weights.items() if weight != _OFF},
            grace_ms=_ms(section.grace_seconds),
            repeat_ms=section.repeat_minutes * MINUTE_MS,
            repeats_known=section.repeats_known,
            denied_ms=section.denied_minutes * MINUTE_MS,
            recoveries=section.recoveries,
        ),
        outbox=OutboxSettings(
            queue_size=section.queue_size,
            lines=section.lines_per_message,
            characters=section.characters_per_message,
            gather_ms=_ms(section.gather_seconds),
            messages_per_minute=section.messages_per_minute,
            attempts=section.attempts,
            backoff_ms=_ms(section.backoff_seconds),
            backoff_maximum_ms=_ms(section.backoff_maximum_seconds),
            failures_told=section.failures_told,
        ),
        minimums={channel.name: _level(channel.minimum) for channel in section.channels},
        quiet=None if quiet is None else QuietHours(quiet.start, quiet.until),
        zone=section.zone,
        drain_s=float(section.drain_seconds),
    )


def channel_urls(channel: ChannelConfig, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The URLs of a channel; several stand apart by spaces or line ends.

    Raises:
        BadInput: there is none, there are too many, or the credential cannot be read.

    """
    urls = tuple(read_secret(channel.url_from, environ).split())
    if not urls:
        raise BadInput(
            f"alerts: channel {channel.name} has no URL; set {channel.url_from} in the environment, or as a credential of "
            "the service (systemd LoadCredential=); never write it into the config"
        )
    if len(urls) > URLS_MAX:
        raise BadInput(f"alerts: {channel.url_from} holds {len(urls)} URLs; {URLS_MAX} is the most for one channel")
    return urls


def _level(weight: str) -> Level:
    return Level[weight.upper()]


def _ms(seconds: Decimal) -> int:
    return int(seconds * 1000)
