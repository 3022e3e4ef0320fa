"""`risk.clusters`: what it becomes, and what is refused with which sentence."""

import pytest

from livebot.config.clusters import cluster_terms
from livebot.config.load import check
from livebot.core.clusters import CorrelationRule
from livebot.core.market import Timeframe
from tests.config.texts import MINIMAL, complaints

HOUR_MS = 3_600_000
HEAD = MINIMAL + "risk:\n  limits: {open_signals_per_cluster: 2}\n"


def of(section: str) -> list[str]:
    return complaints(f"{HEAD}  clusters: {section}\n")


def terms_of(section: str) -> object:
    return cluster_terms(check(f"{HEAD}  clusters: {section}\n", "config.yaml").config.risk.clusters)


def test_without_it_every_symbol_is_by_itself() -> None:
    assert cluster_terms(check(MINIMAL, "config.yaml").config.risk.clusters) is None


def test_named_ones_become_the_cluster_of_each_symbol() -> None:
    assert terms_of("{named: {majors: [BTC/USDT:USDT, ETH/USDT:USDT]}}") == {
        "BTC/USDT:USDT": "majors",
        "ETH/USDT:USDT": "majors",
    }


def test_correlation_has_careful_defaults_and_every_key_becomes_a_rule() -> None:
    assert terms_of("{correlation: {}}") == CorrelationRule(
        timeframe=Timeframe.H1, candles=720, minimum_candles=200, threshold=0.6, every_ms=24 * HOUR_MS
    )
    text = "{correlation: {timeframe: 4h, candles: 300, minimum_candles: 90, threshold: 0.75, every_hours: 12}}"
    assert terms_of(text) == CorrelationRule(
        timeframe=Timeframe.H4, candles=300, minimum_candles=90, threshold=0.75, every_ms=12 * HOUR_MS
    )


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ("{}", "risk.clusters: needs either named (a list of symbols for each cluster) or correlation"),
        (
            "{named: {a: [BTC/USDT:USDT]}, correlation: {}}",
            "risk.clusters: needs either named (a list of symbols for each cluster) or correlation",
        ),
        (
            "{named: {a: [BTC/USDT:USDT], b: [BTC/USDT:USDT]}}",
            "risk.clusters.named.b: BTC/USDT:USDT is in a already; keep it in one",
        ),
        (
            "{named: {a: [BTC/USDT:USDT, BTC/USDT:USDT]}}",
            "risk.clusters.named.a: BTC/USDT:USDT stands here twice; keep it in one",
        ),
        (
            "{named: {a: [BTC/USDT:USDT, ETC/USDT:USDT]}}",
            "risk.clusters.named.a[1]: ETC/USDT:USDT is not among the symbols; did you mean ETH/USDT:USDT?; add it there, or "
            "take it out",
        ),
        ("{named: {a: []}}", "risk.clusters.named.a: is empty; it must hold at least one"),
        (
            "{named: {My Cluster: [BTC/USDT:USDT]}}",
            "risk.clusters.named.My Cluster: the name of a cluster must be a name of at most 32 of a-z, 0-9, _ and -, the "
            "first a letter or digit, is 'My Cluster'",
        ),
        ("{correlation: {threshold: 1}}", "risk.clusters.correlation.threshold: must be a ratio above 0 and below 1"),
        ("{correlation: {candles: 20}}", "risk.clusters.correlation.candles: must be a whole number from 30 to 5000"),
        (
            "{correlation: {candles: 100}}",
            "risk.clusters.correlation.minimum_candles: 200 is above candles (100), so every symbol would be alone; lower it",
        ),
        (
            "{correlation: {timeframe: 4h, every_hours: 6}}",
            "risk.clusters.correlation.every_hours: 6 is no multiple of the timeframe (4h); its candles close at others",
        ),
        (
            "{correlation: {timeframe: 7m}}",
            "risk.clusters.correlation.timeframe: must be 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h or 1d, is '7m'",
        ),
        (
            "{correlation: {every_hours: 0.5}}",
            "risk.clusters.correlation.every_hours: must be whole hours from 1 to 8760",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(section: str, sentence: str) -> None:
    (said,) = of(section)
    assert sentence in said


def test_the_limit_without_clusters_is_refused_and_clusters_without_the_limit_are_not() -> None:
    assert complaints(HEAD) == [
        "config.yaml:7: risk.limits.open_signals_per_cluster: needs risk.clusters, or every symbol counts by itself; say there "
        "which symbols count together"
    ]
    assert complaints(MINIMAL + "risk:\n  clusters: {correlation: {}}\n") == []  # a reload may switch the limit off


def test_with_a_universe_any_symbol_may_be_named() -> None:
    text = HEAD.replace("symbols: [BTC/USDT:USDT, ETH/USDT:USDT]", "universe: {}")
    assert complaints(f"{text}  clusters: {{named: {{a: [XYZ/USDT:USDT]}}}}\n") == []
