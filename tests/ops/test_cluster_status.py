"""Clusters in the status: over JSON without loss, and one line of the screen."""

from dataclasses import replace

import orjson

from livebot.core.clusters import ClusterStatus
from livebot.ops.status_json import decode_status, encode_status
from tests.cli.test_views import screen_of
from tests.ops.fake_control import a_status

HOUR_MS = 3_600_000
CLUSTERS = ClusterStatus(
    known=True,
    at_ms=1_767_225_600_000,
    next_ms=1_767_225_600_000 + 24 * HOUR_MS,
    shared=2,
    largest=(("BTC/USDT", 12), ("ADA/USDT", 3)),
    alone=5,
    unmeasured=2,
    problem=None,
)


def line_of(clusters: ClusterStatus | None) -> str:
    return " ".join(" ".join(screen_of(a_status(clusters=clusters), width=200)).split())


def test_it_travels_without_loss() -> None:
    for clusters in (CLUSTERS, None):
        status = a_status(clusters=clusters)
        assert decode_status(orjson.loads(encode_status(status))) == status


def test_a_status_of_a_daemon_that_knows_no_clusters_is_read() -> None:
    data = orjson.loads(encode_status(a_status()))
    del data["clusters"]
    assert decode_status(data).clusters is None


def test_one_line_tells_how_many_the_largest_and_when() -> None:
    assert (
        "Clusters 2 of two or more symbols (BTC/USDT 12, ADA/USDT 3); 5 alone (2 for lack of candles); "
        "as of 2026-01-01 00:00:00 UTC, next 2026-01-02 00:00:00 UTC"
    ) in line_of(CLUSTERS)
    assert "(BTC/USDT 12, ADA/USDT 3, ...)" in line_of(replace(CLUSTERS, shared=9))


def test_named_ones_have_no_time_and_none_is_no_line() -> None:
    named = replace(CLUSTERS, at_ms=None, next_ms=None, shared=0, largest=(), unmeasured=0)
    text = line_of(named)
    assert "Clusters 0 of two or more symbols; 5 alone" in text
    assert "as of" not in text
    assert "Clusters" not in line_of(None)


def test_what_is_not_known_yet_is_said() -> None:
    text = line_of(replace(CLUSTERS, known=False, at_ms=None))
    assert "Clusters not known yet, and nothing opens until they are" in text
