"""Finding strategies: shipped ones by name, a user's own by class path, and what is said when there is none."""

import sys

import pytest

import livebot.strategies
from livebot.errors import BadInput
from livebot.strategies.ema_cross import EmaCross
from livebot.strategies.interface import Strategy
from livebot.strategies.registry import load, shipped

OWN = """
from dataclasses import dataclass
from livebot.core.market import Timeframe
from livebot.strategies.interface import Strategy, check_class

@dataclass(frozen=True)
class Params:
    pass

class Own(Strategy[Params]):
    name = "own"
    Params = Params
    timeframe = Timeframe.M1

    def decide(self, view):
        return None

class Misnamed(Own):
    name = "Not A Name"

class NotOne:
    pass

number = 7
"""


@pytest.fixture
def own_package(tmp_path, monkeypatch):
    """A user's package `own_strategies` with modules, good and bad."""
    package = tmp_path / "own_strategies"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "good.py").write_text(OWN)
    (package / "broken.py").write_text("1 / 0")
    (package / "needy.py").write_text("import a_library_nobody_has")
    (package / "wrong.py").write_text("def f(:")
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for module in [name for name in sys.modules if name.split(".")[0] == "own_strategies"]:
        del sys.modules[module]


def test_shipped_strategies_are_found_by_name():
    assert {"breakout", "ema_cross", "mean_reversion", "ratio"} <= set(shipped())
    assert load("ema_cross") is EmaCross
    assert load(" ema_cross ") is EmaCross


def test_a_new_file_among_the_shipped_is_found_without_being_listed(tmp_path, monkeypatch):
    (tmp_path / "brand_new.py").write_text(OWN.replace('"own"', '"brand_new"'))
    monkeypatch.setattr(livebot.strategies, "__path__", [*livebot.strategies.__path__, str(tmp_path)])
    try:
        assert load("brand_new").__name__ == "Own"
    finally:
        del sys.modules["livebot.strategies.brand_new"]


@pytest.mark.parametrize("path", ["own_strategies.good:Own", "own_strategies.good.Own"])
def test_a_users_own_is_found_by_its_class_path(own_package, path):
    found = load(path)
    assert issubclass(found, Strategy)
    assert found.__name__ == "Own"


def test_a_shipped_one_may_be_named_by_its_class_path_too():
    assert load("livebot.strategies.ema_cross:EmaCross") is EmaCross


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("ema_kross", "there is no strategy 'ema_kross'; shipped are breakout, ema_cross, mean_reversion, ratio"),
        ("", "there is no strategy ''"),
        ("own_strategies.good:", "is not a class path; write it as package.module:Class"),
        (":Own", "is not a class path"),
        ("own_strategies/good.py:Own", "is not a class path"),
        ("own_stratejies.good:Own", "there is no module own_stratejies; check the spelling"),
        ("own_strategies.goood:Own", "there is no module own_strategies.goood; check the spelling"),
        ("own_strategies.needy:Own", "own_strategies.needy needs a_library_nobody_has, which is not installed"),
        ("own_strategies.broken:Own", "does not import, mend it: ZeroDivisionError: division by zero"),
        ("own_strategies.wrong:Own", "does not import, mend it: SyntaxError"),
        ("own_strategies.good:Owm", "own_strategies.good has no Owm; strategies in it: Misnamed, Own"),
        ("own_strategies:Own", "own_strategies has no Own; strategies in it: none"),
        ("own_strategies.good:NotOne", "NotOne is not a strategy; derive it from"),
        ("own_strategies.good:number", "number is not a strategy; derive it from"),
        ("own_strategies.good:Misnamed", "`name` is 'Not A Name'"),
        ("own_strategies.good:Strategy", "must be written"),
    ],
)
def test_what_cannot_be_used_is_refused_with_cause_and_mend(own_package, path, sentence):
    with pytest.raises(BadInput) as refused:
        load(path)
    assert sentence in str(refused.value)
