"""What an operator is told of models: the scope, version and symbols it is about, what comes of it, and what to do."""

from dataclasses import replace

import pytest

from livebot.bootstrap.model_texts import StrategyWords, words_of
from livebot.bootstrap.strategies import judged_plans, with_models
from livebot.config.load import check
from livebot.learning.serving import ScopeStatus

TEXT = """\
system: demo
market: spot
symbols: [BTC/USDT, ETH/USDT, SOL/USDT]
strategies: [{name: ema_cross, symbols: [BTC/USDT, ETH/USDT]}]
"""
BTC, ETH, SOL = "BTC/USDT", "ETH/USDT", "SOL/USDT"
END_MS = 1_767_225_600_000
FINE = {"model:ema_cross": None, "model-stale:ema_cross": None, "model-uncovered:ema_cross": None}


def words(model: str) -> StrategyWords:
    loaded = with_models(check(f"{TEXT}model: {model}\n", "config.yaml"))
    section = loaded.config.model
    assert section is not None
    (plan,) = judged_plans(loaded)
    return words_of(loaded, section, plan)


def scope(name: str = "ema_cross", version: str | None = "v1", **changes: object) -> ScopeStatus:
    found = ScopeStatus(
        scope=name,
        strategy="ema_cross",
        version=version,
        challenger=None,
        created_ms=END_MS,
        train_end_ms=None if version is None else END_MS,
        stale=False,
        covered=() if version is None else (BTC, ETH),
        uncovered=(),
        problems=(),
    )
    return replace(found, **changes)


def test_what_works_is_not_told() -> None:
    assert words("{training_mode: multi_symbol}").problems([scope()]) == FINE
    assert (
        words("{training_mode: multi_symbol}").problems([scope(uncovered=(SOL,))]) == FINE
    )  # it falls back, or passes


@pytest.mark.parametrize(
    ("untrained", "unusable", "what"),
    [
        ("block", False, "ema_cross opens nothing"),
        ("fallback", False, "ema_cross opens nothing"),
        ("pass", False, "its entries pass without one"),
        ("pass", True, "ema_cross opens nothing"),
    ],
)
def test_no_model_is_told_with_what_comes_of_it(untrained: str, unusable: bool, what: str) -> None:
    told = words(f"{{serving: {{untrained: {untrained}}}}}").problems([scope(version=None, unusable=unusable)])
    assert told["model:ema_cross"] == (
        f"ema_cross: no model is in use in ema_cross, so {what}; `livebot train` makes one"
    )


def test_with_a_scope_for_each_symbol_the_sentence_shows_what_one_is_called() -> None:
    each = words("{training_mode: per_symbol, model_path_pattern: '{strategy}/{symbol}'}")
    told = each.problems([scope("ema_cross/shared", None)])["model:ema_cross"]
    assert told is not None
    assert "no model is in use in a scope such as ema_cross/BTC-USDT, so ema_cross opens nothing" in told


def test_problems_of_scopes_are_told_and_bounded() -> None:
    problems = ("one", "two", "three", "four", "five")
    told = words("{}").problems([scope(problems=problems)])["model:ema_cross"]
    assert told == "one; two; three and 2 more"


def test_a_stale_model_is_told_with_when_its_training_ended_and_whom_it_concerns() -> None:
    one = words("{serving: {expiration_hours: 48}}").problems([scope(stale=True)])["model-stale:ema_cross"]
    assert one == (
        "ema_cross: what ema_cross/v1 (until 2026-01-01 00:00 UTC) was trained on ended longer ago than "
        "model.serving.expiration_hours (48) allows, so ema_cross opens nothing; `livebot train` makes a new version"
    )
    passing = words("{serving: {expiration_hours: 48, untrained: pass}}").problems([scope(stale=True)])
    assert "opens nothing at the symbols it was trained on;" in str(passing["model-stale:ema_cross"])


def test_a_stale_model_of_one_symbol_stops_that_symbol_only() -> None:
    each = words(
        "{training_mode: per_symbol, model_path_pattern: '{strategy}/{symbol}', "
        "serving: {expiration_hours: 48, untrained: fallback}}"
    )
    old = scope("ema_cross/BTC-USDT", covered=(BTC,), stale=True, symbols_own=True)
    told = each.problems([old, scope("ema_cross/ETH-USDT", covered=(ETH,), symbols_own=True)])["model-stale:ema_cross"]
    assert told is not None
    assert "ema_cross/BTC-USDT/v1" in told
    assert f"opens nothing at {BTC};" in told
    assert ETH not in told
    shared = each.problems([scope("ema_cross/shared", stale=True)])["model-stale:ema_cross"]
    assert shared is not None
    assert "opens nothing at symbols without a model of their own;" in shared


def test_symbols_that_open_nothing_are_named_with_what_lets_them() -> None:
    blocked = [scope(uncovered=(ETH, SOL), blocked=(ETH,))]
    told = words("{training_mode: multi_symbol}").problems(blocked)["model-uncovered:ema_cross"]
    assert told == (
        f"ema_cross: no model in use was trained on {ETH}, so ema_cross opens nothing there; they wait for "
        "`livebot train --if-due`, and trade as soon as a version covers them"
    )
    falling = words("{training_mode: multi_symbol, serving: {untrained: fallback}}").problems(blocked)
    assert "and no shared one may answer for them" in str(falling["model-uncovered:ema_cross"])
    by_hand = words("{training_mode: multi_symbol, retrain: {new_symbols: false}}").problems(blocked)
    assert "`livebot train` covers them (model.retrain.new_symbols is false" in str(
        by_hand["model-uncovered:ema_cross"]
    )


@pytest.mark.parametrize(
    "model", ["{}", "{single_symbol: BTC/USDT}", "{training_mode: multi_symbol, multi_symbol_symbols: [BTC/USDT]}"]
)
def test_who_waits_for_a_training_that_never_looks_at_it_is_told_so(model: str) -> None:
    """Else an operator waits for ever."""
    told = words(model).problems([scope(uncovered=(ETH,), blocked=(ETH,))])["model-uncovered:ema_cross"]
    assert told is not None
    assert f"looks at {BTC} only: have it look at {ETH} too, or choose another model.serving.untrained" in told
    assert "--if-due" not in told
