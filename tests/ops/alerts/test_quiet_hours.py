"""Quiet hours follow the clock on the wall, also in the nights in which it is set anew."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from livebot.ops.alerts.quiet_hours import is_quiet
from livebot.ops.alerts.settings import QuietHours

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(time(22), time(7))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "quiet"),
    [
        ("2026-01-10T20:59:59", False),  # winter: UTC+1
        ("2026-01-10T21:00:00", True),
        ("2026-01-11T05:59:59", True),
        ("2026-01-11T06:00:00", False),
        ("2026-07-10T19:59:59", False),  # summer: UTC+2
        ("2026-07-10T20:00:00", True),
        ("2026-07-11T05:00:00", False),
    ],
)
def test_they_are_local_time(moment: str, quiet: bool):
    assert is_quiet(NIGHT, BERLIN, at(moment)) is quiet


@pytest.mark.parametrize(
    ("moment", "quiet"),
    [
        ("2026-03-29T00:59:00", True),  # 01:59, the next minute is 03:00
        ("2026-03-29T01:00:00", False),  # 03:00
        ("2026-10-25T00:30:00", True),  # 02:30 for the first time
        ("2026-10-25T01:30:00", True),  # 02:30 again
        ("2026-10-25T01:59:00", True),
        ("2026-10-25T02:00:00", False),  # 03:00
    ],
)
def test_a_night_in_which_the_clocks_change_is_as_long_as_it_is(moment: str, quiet: bool):
    """02:00 to 03:00 does not exist in March, and is there twice in October."""
    assert is_quiet(QuietHours(time(1), time(3)), BERLIN, at(moment)) is quiet


def test_without_quiet_hours_it_is_never_quiet():
    assert not is_quiet(None, BERLIN, at("2026-01-11T03:00:00"))
