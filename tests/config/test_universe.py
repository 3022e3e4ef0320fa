"""The `universe` section: what it becomes, what does not go together, and that all of it is told at once."""

from decimal import Decimal

import pytest

from livebot.config.load import check
from livebot.config.universe import universe_rules
from livebot.core.market import DAY_MS, MINUTE_MS
from livebot.core.universe_rules import Threshold
from tests.config.texts import complaints

HEAD = "system: demo\nmarket: perpetual\nstrategies: [{name: ema_cross}]\n"


def of(section: str, head: str = HEAD) -> list[str]:
    return complaints(f"{head}universe: {section}\n")


def test_every_key_becomes_a_rule() -> None:
    text = f"""{HEAD}
universe:
  quote: USDC
  top: 7
  minimum_volume: 1000
  minimum_price: 2
  maximum_price: 10
  maximum_spread: 0.002
  minimum_age_days: 3
  always: [BTC/USDC:USDC]
  allow: ["B*", ETH]
  deny: [BNB]
  refresh_minutes: 30
  hysteresis: {{volume: 0.5, price: 0.25, spread: 0.5, rank: 2, minimum_stay_minutes: 60}}
"""
    loaded = check(text, "config.yaml")
    section = loaded.config.universe
    assert section is not None
    assert section.refresh_minutes == 30
    rules = universe_rules(section, "perpetual")
    assert (rules.market, rules.quotes, rules.top, rules.rank_band) == ("perpetual", ("USDC",), 7, 2)
    assert (rules.always, rules.allow, rules.deny) == (("BTC/USDC:USDC",), ("B*", "ETH"), ("BNB",))
    assert rules.minimum_volume == Threshold(1000.0, 500.0)
    assert rules.minimum_price == Threshold(2.0, 1.5)
    assert rules.maximum_price == Threshold(10.0, 12.5)
    assert rules.maximum_spread == Threshold(0.002, 0.003)
    assert (rules.minimum_age_ms, rules.minimum_stay_ms) == (3 * DAY_MS, 60 * MINUTE_MS)
    (plan,) = loaded.strategies
    assert plan.everywhere
    assert plan.runs_on("X/USDC:USDC")


def test_the_defaults_are_a_universe() -> None:
    loaded = check(f"{HEAD}universe: {{}}\n", "config.yaml")
    rules = universe_rules(loaded.config.universe, "perpetual")
    assert (rules.top, rules.quotes, rules.minimum_volume, rules.minimum_age_ms) == (20, ("USDT",), None, None)
    assert loaded.config.symbols == ()
    assert loaded.config.universe.hysteresis.volume == Decimal("0.2")


def test_one_name_stands_for_a_list_of_one() -> None:
    loaded = check(f"{HEAD}universe: {{allow: BTC}}\n", "config.yaml")
    assert loaded.config.universe.allow == ("BTC",)


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ("{top: 0}", "config.yaml:4: universe.top: must be a whole number from 1 to 1000000, is 0"),
        ("{minimum_volum: 5}", "config.yaml:4: universe.minimum_volum: unknown key; did you mean minimum_volume?"),
        ("{allow: []}", "config.yaml:4: universe.allow: is empty; it must hold at least one"),
        (
            "{minimum_price: 5, maximum_price: 4}",
            "config.yaml:4: universe.minimum_price: 5 is above maximum_price (4); lower it",
        ),
        (
            "{top: 1, always: [A/USDT:USDT, B/USDT:USDT]}",
            "config.yaml:4: universe.always: 2 symbols do not fit into top (1); raise it",
        ),
        ("{always: [A/USDT]}", "config.yaml:4: universe.always[0]:"),
        (
            "{hysteresis: {volume: 1}}",
            "config.yaml:4: universe.hysteresis.volume: must be a ratio of at least 0 and below 1",
        ),
        (
            "{hysteresis: {minimum_stay_minutes: -1}}",
            "config.yaml:4: universe.hysteresis.minimum_stay_minutes: must be",
        ),
        ("3", "config.yaml:4: universe: must be a mapping of keys, is 3"),
    ],
)
def test_one_wrong_thing_gives_one_sentence(section: str, sentence: str) -> None:
    (found,) = of(section)
    assert found.startswith(sentence)


def test_a_symbol_twice_in_always() -> None:
    found = of("{always: [A/USDT:USDT, A/USDT:USDT]}")
    assert any("universe.always[1]: A/USDT:USDT stands here twice" in each for each in found)


def test_symbols_and_a_universe_exclude_each_other_and_everything_else_is_told_too() -> None:
    text = f"{HEAD}symbols: [BTC/USDT:USDT]\nuniverse: {{top: 0}}\nrisk: {{limits: {{drawdown: 2}}}}\n"
    found = complaints(text)
    assert len(found) == 3
    assert "config.yaml:5: universe: stands beside symbols; keep one of them" in found[0]
    assert "universe.top" in found[1]
    assert "drawdown" in found[2]


def test_neither_symbols_nor_a_universe() -> None:
    assert complaints(HEAD) == [
        "config.yaml:1: symbols: is missing; it is a list such as [BTC/USDT:USDT]; or find them with universe: {}"
    ]
    (found,) = complaints(f"{HEAD}universe: null\n")
    assert "symbols: is missing" in found


@pytest.mark.parametrize(
    ("venue", "section", "sentence"),
    [
        ("{id: bybit}", "{minimum_age_days: 3, maximum_spread: 0.01, minimum_volume: 1}", None),
        ("{id: binance}", "{minimum_age_days: 3, maximum_spread: 0.01, minimum_volume: 1}", None),
        ("{id: kraken}", "{top: 3}", "list your symbols under symbols"),
    ],
)
def test_what_a_venue_does_not_tell_is_refused(venue: str, section: str, sentence: str | None) -> None:
    found = [each for each in complaints(f"{HEAD}exchange: {venue}\nuniverse: {section}\n") if ": universe" in each]
    if sentence is None:
        assert found == []
    else:
        assert len(found) == 1
        assert sentence in found[0]


def test_an_age_that_a_spot_market_does_not_tell() -> None:
    head = "system: demo\nmarket: spot\nstrategies: [{name: ema_cross}]\nexchange: {id: bybit}\n"
    found = of("{minimum_age_days: 3}", head)
    assert (
        "config.yaml:5: universe.minimum_age_days: bybit does not tell the age of its spot symbols; take this filter out"
        in found
    )


def test_a_venue_in_another_process_lists_nothing() -> None:
    (found,) = of("{}", HEAD + "exchange: {simulator: {socket: venue.sock}}\n")
    assert "a venue in another process does not list its symbols" in found


def test_strategies_of_a_universe() -> None:
    head = "system: demo\nmarket: perpetual\n"
    wrong = f"{head}universe: {{}}\nstrategies: [{{name: ema_cross, symbols: [BTC/USDT, A/USDT:USDT, A/USDT:USDT]}}]\n"
    found = complaints(wrong)
    assert len(found) == 2
    assert "strategies[0].symbols[0]" in found[0]
    assert "strategies[0].symbols[2]: A/USDT:USDT stands here twice" in found[1]
    good = f"{head}universe: {{}}\nstrategies: [{{name: ema_cross, symbols: [A/USDT:USDT]}}]\n"
    (plan,) = check(good, "config.yaml").strategies
    assert plan.runs_on("A/USDT:USDT")
    assert not plan.runs_on("B/USDT:USDT")


def test_what_a_strategy_looks_at_must_always_be_in() -> None:
    head = "system: demo\nmarket: perpetual\nuniverse: {always: [ETH/USDT:USDT]}\n"
    text = f"{head}strategies: [{{name: ratio, params: {{other: BTC/USDT:USDT}}}}]\n"
    assert any("which is not under universe.always; add it there" in each for each in complaints(text))
    assert complaints(text.replace("BTC/", "ETH/")) == []
