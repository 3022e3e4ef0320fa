"""The choice of a universe: filters, hysteresis, and the words for each verdict."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebot.core.market import DAY_MS, MINUTE_MS
from livebot.core.universe import Membership, Selection, choose
from livebot.core.universe_rules import (
    FactKind,
    Listing,
    Threshold,
    UniverseRules,
    first_match,
    matches,
    wanted_facts,
)

NOW = 1_700_000_000_000
HOUR_MS = 60 * MINUTE_MS
RULES = UniverseRules(market="perpetual", top=3)


def listing(base: str, **facts: object) -> Listing:
    given = {"volume": 1e6, "price": 10.0, "listed_ms": NOW - 100 * DAY_MS, "spread": 0.0005, "quote": "USDT"}
    given |= facts
    quote = given["quote"]
    return Listing(symbol=f"{base}/{quote}:{quote}", base=base, **({"market": "perpetual"} | given))


def name(base: str) -> str:
    return f"{base}/USDT:USDT"


def members(*bases: str, since_ms: int = NOW - 10 * DAY_MS) -> Membership:
    return Membership({name(base): since_ms for base in bases})


def verdict(selection: Selection, base: str):
    return next(each for each in selection.verdicts if each.symbol == name(base))


def test_the_largest_by_volume_are_in_and_equals_go_by_name() -> None:
    listings = [listing("C", volume=5e6), listing("B", volume=5e6), listing("A", volume=9e6), listing("D", volume=5e6)]
    selection = choose(RULES, listings, Membership(), NOW)
    assert selection.membership.symbols == (name("A"), name("B"), name("C"))
    assert selection.entered == selection.membership.symbols
    out = verdict(selection, "D")
    assert (out.decided_by, out.place) == ("top", 4)
    assert out.text == "is number 4 by volume (5 million), outside the top 3"
    assert [each.symbol for each in selection.verdicts] == [name(base) for base in "ABCD"]
    assert verdict(selection, "A").text == "is number 1 by volume (9 million), inside the top 3"


@pytest.mark.parametrize(
    ("rules", "facts", "decided_by", "said"),
    [
        ({"minimum_volume": Threshold(2e6, 1e6)}, {"volume": 1.5e6}, "minimum_volume", "24 h volume of 1.5 million"),
        ({"minimum_price": Threshold(1.0, 0.5)}, {"price": 0.9}, "minimum_price", "a price of 0.9, 1 lets in"),
        ({"maximum_price": Threshold(50_000, 60_000)}, {"price": 55_000.0}, "maximum_price", "55,000, up to 50,000"),
        (
            {"minimum_age_ms": 30 * DAY_MS},
            {"listed_ms": NOW - 12 * HOUR_MS},
            "minimum_age",
            "12 hours, wanted are 30 d",
        ),
        ({"minimum_age_ms": 30 * DAY_MS}, {"listed_ms": NOW - 5 * MINUTE_MS}, "minimum_age", "for 5 minutes"),
        ({"maximum_spread": Threshold(0.001, 0.002)}, {"spread": 0.0015}, "maximum_spread", "0.0015, up to 0.001"),
        ({"minimum_volume": Threshold(2e6, 1e6)}, {"volume": None}, "minimum_volume", "nobody tells a 24 h volume"),
        ({"maximum_spread": Threshold(0.001, 0.002)}, {"spread": None}, "maximum_spread", "nobody tells a spread"),
        ({"minimum_age_ms": 30 * DAY_MS}, {"listed_ms": None}, "minimum_age", "nobody tells an age"),
        ({"quotes": ("USDT", "USDC")}, {"quote": "BTC"}, "quote", "is quoted in BTC, wanted is USDT or USDC"),
        ({"market": "spot"}, {}, "market", "is a perpetual symbol, wanted are those of spot"),
        ({"allow": ("BTC", "ETH/*")}, {}, "allow", "is not among what is allowed"),
        ({"deny": ("X*",)}, {}, "deny", "is denied by X*"),
        ({"deny": ("XRP/USDT:USDT",)}, {}, "deny", "is denied"),
        ({}, {"obstacle": "is counted in contracts"}, "status", "is counted in contracts"),
    ],
)
def test_each_filter_keeps_a_stranger_out_and_says_why(rules, facts, decided_by, said) -> None:
    one = listing("XRP", **facts)
    selection = choose(replace(RULES, **rules), [one], Membership(), NOW)
    (found,) = selection.verdicts
    assert not found.inside
    assert found.decided_by == decided_by
    assert said in found.text
    assert found.place is None
    assert found.hard == (decided_by in {"deny", "market", "quote", "status", "allow"})


@pytest.mark.parametrize(
    ("rules", "facts"),
    [
        ({"minimum_volume": Threshold(2e6, 1e6)}, {"volume": 1.5e6}),
        ({"minimum_price": Threshold(1.0, 0.5)}, {"price": 0.9}),
        ({"maximum_price": Threshold(50_000, 60_000)}, {"price": 55_000.0}),
        ({"maximum_spread": Threshold(0.001, 0.002)}, {"spread": 0.0015}),
        ({"minimum_volume": Threshold(2e6, 1e6)}, {"volume": None}),
    ],
)
def test_between_the_two_sides_of_a_bound_a_member_stays(rules, facts) -> None:
    selection = choose(replace(RULES, **rules), [listing("XRP", **facts)], members("XRP"), NOW)
    (found,) = selection.verdicts
    assert found.inside
    assert found.decided_by == "hysteresis"
    assert selection.left == selection.entered == ()


def test_beyond_both_sides_a_member_leaves_and_is_remembered_for_the_minimum_stay() -> None:
    rules = replace(RULES, minimum_volume=Threshold(2e6, 1e6), minimum_stay_ms=HOUR_MS)
    selection = choose(rules, [listing("XRP", volume=0.5e6)], members("XRP"), NOW)
    assert selection.left == (name("XRP"),)
    assert selection.membership == Membership({}, {name("XRP"): NOW})
    back = choose(rules, [listing("XRP", volume=9e6)], selection.membership, NOW + HOUR_MS // 2)
    assert not back.entered
    assert verdict(back, "XRP").decided_by == "minimum_stay"
    assert verdict(back, "XRP").text == "left a short time ago and may come back in 30 minutes"
    again = choose(rules, [listing("XRP", volume=9e6)], back.membership, NOW + HOUR_MS)
    assert again.entered == (name("XRP"),)
    assert again.membership.left_ms == {}


def test_who_came_a_short_time_ago_stays_whatever_the_numbers() -> None:
    rules = replace(RULES, top=1, minimum_volume=Threshold(2e6, 1e6), minimum_stay_ms=HOUR_MS)
    before = members("XRP", since_ms=NOW - HOUR_MS // 4)
    weak = choose(rules, [listing("XRP", volume=0.5e6)], before, NOW)
    assert verdict(weak, "XRP").decided_by == "minimum_stay"
    assert "has a 24 h volume of 500,000" in verdict(weak, "XRP").text
    assert "stays for 45 minutes more" in verdict(weak, "XRP").text
    outdone = choose(rules, [listing("XRP", volume=3e6), listing("ADA", volume=9e6)], before, NOW)
    assert outdone.membership.symbols == (name("XRP"),)
    assert verdict(outdone, "XRP").decided_by == "minimum_stay"
    later = choose(rules, [listing("XRP", volume=3e6), listing("ADA", volume=9e6)], before, NOW + HOUR_MS)
    assert later.membership.symbols == (name("ADA"),)
    assert "outside the top 1, and members stay down to place 1" in verdict(later, "XRP").text


def test_a_member_stays_down_to_the_end_of_the_rank_band() -> None:
    rules = replace(RULES, top=2, rank_band=1)
    listings = [listing("A", volume=4e6), listing("B", volume=3e6), listing("C", volume=2e6), listing("D", volume=1e6)]
    kept = choose(rules, listings, members("A", "C"), NOW)
    assert kept.membership.symbols == (name("A"), name("C"))
    assert verdict(kept, "C").decided_by == "rank_band"
    assert verdict(kept, "B").decided_by == "top"
    gone = choose(rules, listings, members("A", "D"), NOW)
    assert gone.membership.symbols == (name("A"), name("B"))


def test_what_is_denied_or_not_traded_leaves_at_once_and_what_is_always_in_passes_the_numbers() -> None:
    rules = replace(RULES, top=2, minimum_stay_ms=HOUR_MS, minimum_volume=Threshold(2e6, 1e6), always=(name("BTC"),))
    fresh = members("BTC", "ADA", since_ms=NOW - 1)
    listings = [listing("BTC", volume=None), listing("ADA", volume=9e6)]
    first = choose(replace(rules, allow=("ADA",)), listings, fresh, NOW)
    assert first.membership.symbols == (name("ADA"), name("BTC"))
    assert verdict(first, "BTC").decided_by == "always"
    second = choose(replace(rules, deny=("BTC",)), [listings[0], replace(listings[1], obstacle="rests")], fresh, NOW)
    assert second.left == (name("ADA"), name("BTC"))
    third = choose(rules, [listings[0]], fresh, NOW)
    assert third.left == (name("ADA"),)
    assert verdict(third, "ADA").text == "is not listed any more"
    assert verdict(third, "ADA").hard


def test_a_smaller_top_lets_the_last_go_even_of_those_that_came_a_short_time_ago() -> None:
    rules = replace(RULES, top=2, minimum_stay_ms=HOUR_MS)
    listings = [listing(base, volume=volume) for base, volume in (("A", 4e6), ("B", 3e6), ("C", 2e6))]
    before = members("A", "B", "C", since_ms=NOW - 1)
    assert choose(rules, listings, before, NOW).membership.symbols == (name("A"), name("B"))


def test_volume_that_nobody_tells_is_the_smallest() -> None:
    listings = [listing("A", volume=None), listing("B", volume=0.0)]
    selection = choose(replace(RULES, top=1), listings, Membership(), NOW)
    assert selection.membership.symbols == (name("B"),)
    assert "of unknown size" in verdict(selection, "A").text


@pytest.mark.parametrize(
    ("pattern", "symbol", "meant"),
    [
        ("BTC", "BTC/USDT:USDT", True),
        ("BTC", "BTCDOM/USDT:USDT", False),
        ("BTC*", "BTCDOM/USDT:USDT", True),
        ("*UP/USDT", "BTCUP/USDT", True),
        ("*/USDC", "BTC/USDT", False),
        ("btc", "BTC/USDT", False),
        ("BTC/USDT:USDT", "BTC/USDT:USDT", True),
    ],
)
def test_patterns(pattern: str, symbol: str, meant: bool) -> None:
    assert matches(pattern, symbol) is meant
    assert first_match(["nothing", pattern], symbol) == (pattern if meant else None)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"minimum_volume": Threshold(1.0, 2.0)}, "minimum_volume"),
        ({"minimum_price": Threshold(1.0, 2.0)}, "minimum_price"),
        ({"maximum_price": Threshold(2.0, 1.0)}, "maximum_price"),
        ({"maximum_spread": Threshold(2.0, 1.0)}, "maximum_spread"),
        ({"top": 0}, "top"),
        ({"top": 1, "always": ("A/B", "C/B")}, "always"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(wrong, named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}:"):
        replace(RULES, **wrong)


def test_which_facts_the_rules_want() -> None:
    rules = replace(RULES, maximum_spread=Threshold(1.0, 1.0), minimum_age_ms=1)
    assert wanted_facts(rules) == {
        "maximum_spread": FactKind.SPREAD,
        "minimum_age_ms": FactKind.AGE,
        "top": FactKind.VOLUME,
    }


# ------------------------------------------------------------------ whatever the numbers

STAY_MS = 6 * HOUR_MS
HARD = UniverseRules(
    market="perpetual",
    top=3,
    quotes=("USDT",),
    rank_band=1,
    always=(name("A"),),
    deny=("F",),
    minimum_volume=Threshold(50.0, 40.0),
    maximum_spread=Threshold(0.5, 0.6),
    minimum_stay_ms=STAY_MS,
)
MAYBE = st.one_of(st.none(), st.floats(0, 100, allow_nan=False).map(lambda value: round(value)))
FACTS = st.fixed_dictionaries(
    {"volume": MAYBE, "spread": st.one_of(st.none(), st.floats(0, 1)), "obstacle": st.sampled_from([None, None, "x"])}
)
SCENE = st.dictionaries(st.sampled_from("ABCDEFGH"), FACTS)
STORY = st.lists(st.tuples(st.integers(1, 8 * HOUR_MS), SCENE), min_size=1, max_size=8)


def scene_of(scene: dict[str, dict[str, object]]) -> list[Listing]:
    return [listing(base, **facts) for base, facts in scene.items()]


@pytest.mark.untraced
@given(STORY, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_any_story_keeps_the_promises(story, random) -> None:
    now_ms, membership = NOW, Membership()
    for wait_ms, scene in story:
        now_ms += wait_ms
        listings = scene_of(scene)
        selection = choose(HARD, listings, membership, now_ms)
        shuffled = random.sample(listings, len(listings))
        assert choose(HARD, shuffled, membership, now_ms) == selection
        inside = set(selection.membership.symbols)
        assert len(inside) <= HARD.top
        assert name("F") not in inside
        tradable = {each.symbol for each in listings if each.obstacle is None}
        assert inside <= tradable
        assert {each.symbol for each in selection.verdicts if each.inside} == inside
        assert inside - set(selection.entered) | set(selection.left) == set(membership.symbols)
        for symbol in selection.left:  # nobody who came a short time ago leaves, but for a hard reason
            stayed = now_ms - membership.since_ms[symbol] >= STAY_MS
            assert stayed or symbol not in tradable or name("A") in selection.entered
        for symbol in selection.entered:  # nobody who left a short time ago comes back, but who is always in
            assert now_ms - membership.left_ms.get(symbol, 0) >= STAY_MS or symbol in HARD.always
        membership = selection.membership


@given(st.lists(st.floats(30, 60), min_size=2, max_size=12), st.integers(1, STAY_MS // 2))
@settings(max_examples=100, deadline=None)
def test_moves_across_a_threshold_toggle_at_most_once_within_the_minimum_stay(volumes, wait_ms) -> None:
    now_ms, membership = NOW, Membership()
    toggles: list[int] = []
    for volume in volumes:
        now_ms += wait_ms
        selection = choose(HARD, [listing("B", volume=volume, spread=0.1)], membership, now_ms)
        toggles += [now_ms] * (len(selection.entered) + len(selection.left))
        membership = selection.membership
    assert all(later - sooner >= STAY_MS for sooner, later in zip(toggles, toggles[1:], strict=False))
