"""The alerts section: what it refuses, and that no URL that stands in it is ever repeated."""

from datetime import time
from pathlib import Path

import pytest

from livebot.config.alert_terms import URLS_MAX, alert_settings, channel_urls
from livebot.config.alerts import AlertsConfig, ChannelConfig, EventsConfig
from livebot.config.load import check
from livebot.errors import BadInput
from livebot.ops.alerts.kinds import Kind, Level
from tests.config.texts import MINIMAL, of

PLANTED = "Pl4ntedT0ken"
PHONE = "{name: phone, url_from: LIVEBOT_ALERT_PHONE}"
URL = (
    "a URL has no place in a config, for it holds the channel's password; take it out, change the password if this file was "
    "shared, and set LIVEBOT_ALERT_... in the environment (or a file of that name under $CREDENTIALS_DIRECTORY), then write "
    "that name under url_from"
)
SOURCE = (
    "must be the name of an environment variable or of a credential that holds the channel's URL; it begins with "
    "LIVEBOT_ALERT_, such as LIVEBOT_ALERT_PHONE"
)


def section(text: str) -> AlertsConfig:
    return check(MINIMAL + text, "config.yaml").config.alerts


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("alerts: []", "config.yaml:6: alerts: must be a mapping of keys, is a list"),
        ("alerts: {channel: []}", "config.yaml:6: alerts.channel: unknown key; did you mean channels?"),
        (
            "alerts: {channels: [{name: Phone, url_from: LIVEBOT_ALERT_PHONE}]}",
            (
                "config.yaml:6: alerts.channels[0].name: must be a name of at most 32 of a-z, 0-9, _ and -, the first a letter "
                "or digit, is 'Phone'"
            ),
        ),
        ("alerts: {channels: [{name: a, url_from: PHONE}]}", f"config.yaml:6: alerts.channels[0].url_from: {SOURCE}"),
        (
            f"alerts: {{channels: [{PHONE}, {PHONE}]}}",
            "config.yaml:6: alerts.channels: phone stands there twice; each channel needs a name of its own",
        ),
        (
            "alerts: {channels: [" + ", ".join([PHONE.replace("phone", f"p{n}") for n in range(21)]) + "]}",
            "config.yaml:6: alerts.channels: are 21; 20 is the most",
        ),
        (
            "alerts: {events: {opened: none}}",
            "config.yaml:6: alerts.events.opened: must be off, info, warning or critical, is 'none'",
        ),
        ("alerts: {events: {opned: off}}", "config.yaml:6: alerts.events.opned: unknown key; did you mean opened?"),
        (
            "alerts: {timezone: Europe/Berln}",
            (
                "config.yaml:6: alerts.timezone: must be a time zone such as Europe/Berlin or UTC, is 'Europe/Berln'; did you "
                "mean Europe/Berlin?"
            ),
        ),
        (
            "alerts: {timezone: 1}",
            "config.yaml:6: alerts.timezone: must be a time zone such as Europe/Berlin or UTC, is 1",
        ),
        (
            "alerts: {quiet_hours: {start: 24:00}}",
            "config.yaml:6: alerts.quiet_hours.start: must be a time of day such as 22:00, is '24:00'",
        ),
        (
            "alerts: {quiet_hours: {start: 7:00}}",
            "config.yaml:6: alerts.quiet_hours.start: must be a time of day such as 22:00, is '7:00'",
        ),
        (
            "alerts: {quiet_hours: {start: 07:00}}",
            "config.yaml:6: alerts.quiet_hours.until: is the same as start; leave quiet_hours out, or name another time",
        ),
        (
            "alerts: {backoff_seconds: 600}",
            "config.yaml:6: alerts.backoff_seconds: 600 is above backoff_maximum_seconds (300); lower it",
        ),
        ("alerts: {queue_size: 0}", "config.yaml:6: alerts.queue_size: must be a whole number from 1 to 1000000, is 0"),
    ],
)
def test_each_mistake_has_its_sentence(text: str, sentence: str):
    assert of(text) == [sentence]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("alerts: tgram://1:{}/2", "alerts"),
        ("alerts: [tgram://1:{}/2]", "alerts.[0]"),
        ("alerts: {{channels: tgram://1:{}/2}}", "alerts.channels"),
        ("alerts: {{channels: [tgram://1:{}/2]}}", "alerts.channels[0]"),
        ("alerts: {{channels: [{{name: a, url: tgram://1:{}/2}}]}}", "alerts.channels[0].url"),
        ("alerts: {{channels: [{{name: a, url_from: tgram://1:{}/2}}]}}", "alerts.channels[0].url_from"),
        ("alerts: {{channels: [{{name: mailto:/u:{}@h, url_from: A}}]}}", "alerts.channels[0].name"),
        ("alerts: {{timezone: json://{}}}", "alerts.timezone"),
    ],
)
def test_a_url_is_refused_and_not_repeated(text: str, key: str):
    """Wherever in the section it stands."""
    (said,) = of(text.format(PLANTED))
    assert said == f"config.yaml:6: {key}: {URL}"


def test_a_careful_operator_needs_no_key_but_the_channel():
    config = section(f"alerts: {{channels: [{PHONE}]}}")
    settings = alert_settings(config)
    assert settings.minimums == {"phone": Level.INFO}
    assert settings.desk.levels[Kind.UNPROTECTED] is Level.CRITICAL
    assert settings.desk.levels[Kind.HALTED] is Level.CRITICAL
    assert set(settings.desk.levels) == set(Kind)
    assert settings.quiet is None


@pytest.mark.parametrize("text", ["alerts:", "alerts: null", "alerts: {}", ""])
def test_without_channels_nobody_is_told(text: str):
    assert section(text).channels == ()


def test_what_is_written_is_what_holds():
    config = section(
        "alerts:\n"
        "  channels: [{name: mail, url_from: LIVEBOT_ALERT_MAIL, minimum: critical}]\n"
        "  events: {opened: off, feed: critical}\n"
        "  timezone: Europe/Berlin\n"
        "  quiet_hours: {start: 23:30, until: 06:15}\n"
        "  repeat_minutes: 5\n"
        "  grace_seconds: 0\n"
    )
    settings = alert_settings(config)
    assert settings.minimums == {"mail": Level.CRITICAL}
    assert Kind.OPENED not in settings.desk.levels
    assert settings.desk.levels[Kind.FEED] is Level.CRITICAL
    assert settings.quiet is not None
    assert (settings.quiet.start, settings.quiet.end) == (time(23, 30), time(6, 15))
    assert settings.zone.key == "Europe/Berlin"
    assert (settings.desk.repeat_ms, settings.desk.grace_ms) == (300_000, 0)


def test_every_kind_of_event_has_its_key():
    assert set(EventsConfig.model_fields) == {kind.value for kind in Kind}


CHANNEL = ChannelConfig(name="phone", url_from="LIVEBOT_ALERT_PHONE")


def test_the_urls_come_from_the_environment_or_from_a_credential(tmp_path: Path):
    (tmp_path / "LIVEBOT_ALERT_PHONE").write_text("json://one\njson://two\n")
    assert channel_urls(CHANNEL, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == ("json://one", "json://two")
    assert channel_urls(CHANNEL, {"LIVEBOT_ALERT_PHONE": " json://three "}) == ("json://three",)


def test_a_channel_without_its_url_is_told_where_to_put_it():
    with pytest.raises(BadInput, match="channel phone has no URL; set LIVEBOT_ALERT_PHONE in the environment"):
        channel_urls(CHANNEL, {})


def test_a_credential_with_too_many_urls_is_not_one():
    with pytest.raises(BadInput, match=f"holds {URLS_MAX + 1} URLs"):
        channel_urls(CHANNEL, {"LIVEBOT_ALERT_PHONE": f"json://{PLANTED} " * (URLS_MAX + 1)})
