"""Average linkage on correlations: against a plain reference, and what is told of symbols that say too little."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebot.adapters.correlation import correlated
from livebot.core.clusters import Closes, CorrelationRule, correlations, returns_of
from livebot.core.market import Timeframe

HOUR_MS = 3_600_000
AT_MS = 1_767_225_600_000
CANDLES = 60
RULE = CorrelationRule(
    timeframe=Timeframe.H1, candles=CANDLES, minimum_candles=20, threshold=0.6, every_ms=24 * HOUR_MS
)


def walk(returns: np.ndarray) -> Closes:
    """Closes of these returns, the last one at AT_MS."""
    close = 100 * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))
    return Closes(ts_ms=AT_MS - np.arange(len(close), 0, -1, dtype=np.int64) * HOUR_MS, close=close)


def market(seed: int, groups: list[int], own: float = 0.004, gaps: float = 0.0) -> dict[str, Closes]:
    """So many symbols in each group; each group has a course of its own."""
    random, found = np.random.default_rng(seed), {}
    for group, size in enumerate(groups):
        course = random.normal(0, 0.01, CANDLES)
        for place in range(size):
            whole = walk(course + random.normal(0, own, CANDLES))
            keep = random.random(CANDLES + 1) >= gaps
            found[f"{'abcdefgh'[place]}{group}"] = Closes(ts_ms=whole.ts_ms[keep], close=whole.close[keep])
    return found


def groups_of(names: tuple[tuple[str, str], ...]) -> set[frozenset[str]]:
    homes: dict[str, set[str]] = {}
    for symbol, name in names:
        homes.setdefault(name, set()).add(symbol)
    return {frozenset(each) for each in homes.values()}


def plainly(closes: dict[str, Closes], rule: CorrelationRule) -> set[frozenset[str]]:
    """Join the two clusters with the highest average correlation, pair by pair, as long as it is the threshold's."""
    symbols = sorted(closes)
    found = correlations(
        np.stack([returns_of(closes[symbol], rule, AT_MS) for symbol in symbols]), rule.minimum_candles
    )
    clusters = [frozenset([place]) for place in range(len(symbols))]
    while len(clusters) > 1:
        averages = {
            (one, other): np.mean([found[x, y] for x in one for y in other]) for one, other in combinations(clusters, 2)
        }
        one, other = max(averages, key=averages.__getitem__)
        if averages[one, other] < rule.threshold:
            break
        clusters = [each for each in clusters if each not in (one, other)] + [one | other]
    return {frozenset(symbols[place] for place in each) for each in clusters}


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.floats(0.001, 0.03),
    st.floats(0, 0.4),
)
@settings(max_examples=60, deadline=None)
def test_clusters_are_those_of_a_plain_reference(seed: int, groups: list[int], own: float, gaps: float) -> None:
    closes = market(seed, groups, own, gaps)
    fit = {
        symbol: each
        for symbol, each in closes.items()
        if np.isfinite(returns_of(each, RULE, AT_MS)).sum() >= RULE.minimum_candles
    }
    alone = {frozenset([symbol]) for symbol in closes.keys() - fit.keys()}
    assert groups_of(correlated(closes, RULE, AT_MS).names) == (plainly(fit, RULE) if fit else set()) | alone


def test_groups_are_found_and_named_by_their_first_symbol() -> None:
    found = correlated(market(1, [3, 2, 1]), RULE, AT_MS)
    assert dict(found.names) == {"a0": "a0", "b0": "a0", "c0": "a0", "a1": "a1", "b1": "a1", "a2": "a2"}
    assert (found.at_ms, found.rule, found.unmeasured) == (AT_MS, RULE.text, ())


def exactly(wanted: list[list[float]]) -> dict[str, Closes]:
    """Symbols A, B, ... whose returns correlate just so."""
    count = len(wanted)
    drawn = np.random.default_rng(5).normal(0, 1, (count, CANDLES))
    drawn -= drawn.mean(axis=1)[:, None]
    alone = np.linalg.solve(np.linalg.cholesky(np.cov(drawn)), drawn)
    rows = np.linalg.cholesky(np.array(wanted)) @ alone * 0.01
    return {symbol: walk(row) for symbol, row in zip("ABCDE", rows, strict=False)}


@pytest.mark.parametrize(
    ("one_two", "two_three", "one_three", "joined"),
    [
        (0.75, 0.7, 0.3, {"A": "A", "B": "A", "C": "C"}),  # a chain: the average to the third is 0.5
        (0.9, 0.7, 0.55, {"A": "A", "B": "A", "C": "A"}),  # the average to the third is 0.625
        (0.7, 0.6, 0.6, {"A": "A", "B": "A", "C": "A"}),  # just the threshold
        (0.7, 0.6, 0.599, {"A": "A", "B": "A", "C": "C"}),
        (0.7, 0.7, 0.1, {"A": "A", "B": "A", "C": "C"}),  # of two that are alike the first by name
    ],
)
def test_the_average_over_all_pairs_counts(
    one_two: float, two_three: float, one_three: float, joined: dict[str, str]
) -> None:
    closes = exactly([[1, one_two, one_three], [one_two, 1, two_three], [one_three, two_three, 1]])
    assert dict(correlated(closes, RULE, AT_MS).names) == joined
    assert dict(correlated(dict(reversed(closes.items())), RULE, AT_MS).names) == joined


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_candles_come_does_not_matter(seed: int) -> None:
    closes = market(seed, [4, 4, 3, 3], own=0.01, gaps=0.1)
    shuffled = dict(np.random.default_rng(seed).permutation(list(closes.items())).tolist())
    assert correlated(shuffled, RULE, AT_MS) == correlated(closes, RULE, AT_MS)


def test_who_says_too_little_is_alone_and_it_is_said_why() -> None:
    closes = market(1, [2])
    closes["still"] = walk(np.zeros(CANDLES))
    closes["young"] = Closes(ts_ms=closes["a0"].ts_ms[-10:], close=closes["a0"].close[-10:])
    closes["none"] = Closes(ts_ms=np.empty(0, np.int64), close=np.empty(0))
    found = correlated(closes, RULE, AT_MS, {"gone": "the venue does not list it"})
    assert dict(found.names) == {"a0": "a0", "b0": "a0"} | {each: each for each in ("still", "young", "none", "gone")}
    assert dict(found.unmeasured) == {
        "gone": "the venue does not list it",
        "none": "only 0 of its last 60 1h returns are known",
        "still": "its price did not move in the last 60 1h candles",
        "young": "only 9 of its last 60 1h returns are known",
    }


def test_one_symbol_or_none_is_no_error() -> None:
    assert correlated({}, RULE, AT_MS).names == ()
    assert correlated(market(1, [1]), RULE, AT_MS).names == (("a0", "a0"),)


def test_what_closes_after_the_moment_changes_nothing() -> None:
    closes = market(1, [3, 3], own=0.01)
    later = {
        symbol: Closes(
            ts_ms=np.concatenate([each.ts_ms, AT_MS + np.arange(30, dtype=np.int64) * HOUR_MS]),
            close=np.concatenate([each.close, np.full(30, 1 + place)]),
        )
        for place, (symbol, each) in enumerate(closes.items())
    }
    assert correlated(later, RULE, AT_MS) == correlated(closes, RULE, AT_MS)
