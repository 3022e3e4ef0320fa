"""The universe in the status: over JSON without loss, and one line of the screen."""

import orjson

from livebot.core.universe_memory import UniverseStatus
from livebot.ops.status_json import decode_status, encode_status
from tests.cli.test_views import screen_of
from tests.ops.fake_control import a_status

UNIVERSE = UniverseStatus(
    asked_ms=1_767_225_600_000,
    next_ms=1_767_229_200_000,
    members=("A/USDT", "B/USDT"),
    departing=("C/USDT",),
    resting=("D/USDT",),
    problem="the venue is silent",
)


def test_it_survives_the_way_through_json() -> None:
    for universe in (UNIVERSE, None):
        status = a_status(universe=universe)
        assert decode_status(orjson.loads(encode_status(status))) == status


def test_a_status_of_a_daemon_that_knows_no_universe_is_read() -> None:
    data = orjson.loads(encode_status(a_status()))
    del data["universe"]
    assert decode_status(data) == a_status()


def test_the_screen_says_how_many_are_in_and_who_is_on_the_way_out() -> None:
    text = " ".join(" ".join(screen_of(a_status(universe=UNIVERSE), width=200)).split())
    assert "Universe 2 in, looked at 2026-01-01 00:00:00 UTC, next 2026-01-01 01:00:00 UTC" in text
    assert "leaving: C/USDT; no longer listed: D/USDT" in text
    assert "Universe" not in " ".join(screen_of(a_status()))
    calm = UniverseStatus(asked_ms=0, next_ms=1, members=("A/USDT",), departing=(), resting=(), problem=None)
    assert "leaving" not in " ".join(screen_of(a_status(universe=calm)))
