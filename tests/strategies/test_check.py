"""Declared nonsense is found before a strategy runs, and told in plain sentences."""

from dataclasses import dataclass
from typing import Any

import pytest

from livebot.core.market import Timeframe
from livebot.features.catalogue import leader_return, market_return
from livebot.features.declaration import FEATURE_DEPTH, Feature, ema, sma
from livebot.strategies.interface import Strategy, check_class, check_strategy, looks_at
from livebot.strategies.registry import shipped


@dataclass(frozen=True)
class Nothing:
    """No parameters."""


class Quiet(Strategy[Nothing]):
    """Never trades."""

    name = "quiet"
    Params = Nothing
    timeframe = Timeframe.M5

    def decide(self, view):
        return None


class Busy(Quiet):
    """Manages what it never opens."""

    features = (ema("fast", 12),)

    def manage(self, view, signal):
        return None


def with_(**declared: Any) -> Strategy[Nothing]:
    made: type[Quiet] = type("Declared", (Quiet,), declared)
    return made(Nothing())


def test_nothing_needs_declaring():
    quiet = Quiet(Nothing())
    assert check_strategy(quiet) == []
    assert (quiet.features, quiet.others, quiet.history, quiet.warmup) == ((), (), 1, 1)


def test_the_runtime_can_tell_whether_managing_is_worth_a_call():
    assert not Quiet(Nothing()).manages
    assert Quiet(Nothing()).manage(None, None) is None  # type: ignore[arg-type]
    assert Busy(Nothing()).manages


def test_warm_up_is_the_longest_need():
    assert Busy(Nothing()).warmup == ema("fast", 12).warmup + FEATURE_DEPTH - 1
    assert with_(features=(sma("mean", 20),), history=500).warmup == 500


@pytest.mark.parametrize("name", sorted(shipped()))
def test_what_is_shipped_has_no_problems(name):
    strategy = shipped()[name]
    assert strategy.name == name
    assert check_strategy(strategy(strategy.Params())) == []


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"name": "My Strategy"}, "`name` is 'My Strategy'"),
        ({"name": None}, "`name` is None"),
        ({"Params": dict}, "`Params` is not a frozen dataclass"),
        ({"Params": dataclass(type("Loose", (), {}))}, "`Params` is not a frozen dataclass"),
        ({"timeframe": "5m"}, "`timeframe` is '5m', not a Timeframe"),
        ({"features": [ema("fast", 12)]}, "not a tuple of Feature"),
        ({"features": ("close",)}, "`features` holds 'close', which is not a Feature"),
        ({"features": (ema("fast", 12), sma("fast", 12))}, "more than one feature is called 'fast'"),
        ({"features": (ema("slow", 1000),)}, "feature 'slow' needs 12"),
        ({"others": "ETH/USDT"}, "`others` is 'ETH/USDT', not a tuple of symbols"),
        ({"others": ("",)}, "not a tuple of symbols"),
        ({"others": ("ETH/USDT", "ETH/USDT")}, "`others` names a symbol twice"),
        ({"history": 0}, "`history` is 0; it must be 1 to 3000 candles"),
        ({"history": 100_000}, "`history` is 100000; it must be 1 to 3000 candles"),
        ({"history": 1.5}, "`history` is 1.5, not a number of candles"),
        ({"history": True}, "`history` is True, not a number of candles"),
        ({"warmup": 3064}, "`warmup` is 3064 candles, more than the 3063 allowed"),
        ({"warmup": 0}, "`warmup` is 0, not a number of candles above 0"),
        ({"warmup": 5.0}, "`warmup` is 5.0, not a number of candles above 0"),
        (
            {"features": property(lambda _: (Feature(name="flow", function="OBV", sources=("close", "volume")),))},
            "`features` cannot be read: feature 'flow': OBV counts from the first candle",
        ),
        (
            {"features": property(lambda _: (Feature(name="fast", function="RSII", sources=("close",)),))},
            "did you mean RSI?",
        ),
        (
            {"features": property(lambda _: (ema("fast", 1),))},
            "`features` cannot be read: feature 'fast': timeperiod 1",
        ),
    ],
)
def test_nonsense_is_told(declared, problem):
    problems = check_strategy(with_(**declared))
    assert len(problems) == 1
    assert problem in problems[0]


def test_the_symbols_it_names_itself_are_its_others_and_its_leaders():
    lead = leader_return("lead", "BTC/USDT"), leader_return("lead_before", "BTC/USDT", lag=1), market_return("m", 5)
    assert looks_at(with_(features=lead, others=("ETH/USDT",))) == ("ETH/USDT", "BTC/USDT")
    assert check_strategy(with_(features=lead)) == []
    assert with_(features=lead).warmup == market_return("m", 5).warmup + FEATURE_DEPTH - 1


def test_several_problems_are_told_at_once():
    assert len(check_strategy(with_(history=0, others=None, timeframe=5))) == 3


def test_a_class_without_its_methods_is_told_what_is_missing():
    class Unfinished(Strategy[Nothing]):
        name = "unfinished"
        Params = Nothing

    problems = check_class(Unfinished)  # type: ignore[type-abstract]
    assert problems == ["`decide` and `timeframe` must be written"]
