"""Point-in-time membership over many days equals choosing day by day."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebot.core.market import DAY_MS
from livebot.core.universe import Membership, choose
from livebot.core.universe_rules import Listing, Threshold, UniverseRules
from livebot.core.universe_spans import CandleFacts, Span, universe_at

RULES = UniverseRules(
    market="spot",
    top=3,
    quotes=("USDT",),
    rank_band=1,
    always=("B/USDT",),
    deny=("D",),
    minimum_volume=Threshold(40.0, 30.0),
    minimum_price=Threshold(2.0, 1.0),
    maximum_price=Threshold(90.0, 95.0),
    minimum_age_ms=2 * DAY_MS,
    minimum_stay_ms=3 * DAY_MS,
)
SYMBOLS = (*(f"{base}/USDT" for base in "ABCDEF"), "G/BTC")


def facts_of(volume: np.ndarray, price: np.ndarray) -> CandleFacts:
    there = np.isfinite(price)
    times = np.arange(len(price), dtype=np.int64) * DAY_MS
    listed = np.where(there.any(axis=0), times[there.argmax(axis=0)], 0)
    volume = np.where(there, volume, np.nan)
    return CandleFacts(market="spot", symbols=SYMBOLS, times_ms=times, volume=volume, price=price, listed_ms=listed)


def day_by_day(rules: UniverseRules, facts: CandleFacts) -> list[set[str]]:
    membership, found = Membership(), []
    for step, now_ms in enumerate(facts.times_ms[:-1].tolist()):
        listings = [
            Listing(
                symbol=symbol,
                base=symbol.partition("/")[0],
                quote=symbol.partition("/")[2],
                market="spot",
                volume=float(facts.volume[step, column]),
                price=float(facts.price[step, column]),
                listed_ms=int(facts.listed_ms[column]),
            )
            for column, symbol in enumerate(facts.symbols)
            if np.isfinite(facts.price[step, column])
        ]
        membership = choose(rules, listings, membership, now_ms).membership
        found.append(set(membership.symbols))
    return found


@given(st.integers(0, 2**32 - 1), st.integers(1, 25))
@settings(max_examples=80, deadline=None)
def test_equals_choosing_day_by_day(seed: int, days: int) -> None:
    random = np.random.default_rng(seed)
    shape = (days, len(SYMBOLS))
    price = np.abs(np.cumsum(random.normal(0, 8, shape), axis=0) + 20)
    price[random.random(shape) < 0.1] = np.nan
    facts = facts_of(np.round(random.random(shape) * 80), price)
    spans = universe_at(RULES, facts)
    expected = day_by_day(RULES, facts)
    for step, now_ms in enumerate(facts.times_ms[:-1].tolist()):
        inside = {
            symbol for symbol, each in spans.items() if any(span.first_ms <= now_ms < span.stop_ms for span in each)
        }
        assert inside == expected[step]


def test_the_future_changes_nothing_of_the_past() -> None:
    random = np.random.default_rng(5)
    volume, price = random.random((30, 7)) * 80, random.random((30, 7)) * 80 + 2
    whole = universe_at(RULES, facts_of(volume, price))
    volume[20:], price[20:] = 1e9, 1e-9
    changed = universe_at(RULES, facts_of(volume, price))

    def before(spans: dict[str, tuple[Span, ...]]) -> dict[str, list[Span]]:
        cut = 20 * DAY_MS
        clipped = {
            symbol: [replace(span, stop_ms=min(span.stop_ms, cut)) for span in each if span.first_ms < cut]
            for symbol, each in spans.items()
        }
        return {symbol: each for symbol, each in clipped.items() if each}

    assert before(whole) == before(changed)


def test_a_span_ends_at_the_time_of_the_choice_that_ended_it_and_the_last_time_ends_all() -> None:
    rules = UniverseRules(market="spot", top=1)
    price = np.ones((4, 7))
    volume = np.zeros((4, 7))
    volume[:2, 0], volume[2:, 1] = 5.0, 5.0
    spans = universe_at(rules, facts_of(volume, price))
    assert spans == {"A/USDT": (Span(0, 2 * DAY_MS),), "B/USDT": (Span(2 * DAY_MS, 3 * DAY_MS),)}
    assert universe_at(rules, facts_of(volume[:1], price[:1])) == {}


def test_the_spread_is_not_known_of_the_past() -> None:
    rules = replace(RULES, maximum_spread=Threshold(0.1, 0.1))
    with pytest.raises(ValueError, match=r"^maximum_spread: candles do not tell"):
        universe_at(rules, facts_of(np.ones((2, 7)), np.ones((2, 7))))


def test_two_years_of_five_hundred_symbols_take_a_moment() -> None:
    symbols = tuple(sorted(f"C{number:03d}/USDT" for number in range(500)))
    random = np.random.default_rng(1)
    facts = CandleFacts(
        market="spot",
        symbols=symbols,
        times_ms=np.arange(731, dtype=np.int64) * DAY_MS,
        volume=random.random((731, 500)) * 80,
        price=random.random((731, 500)) + 5,
        listed_ms=np.zeros(500, dtype=np.int64),
    )
    began = time.process_time()
    assert universe_at(replace(RULES, top=50, always=()), facts)
    assert time.process_time() - began < 2.0
