"""Symbols and strategies are held against the market, against each other and against the code."""

import dataclasses
import itertools
import textwrap

import pytest

from livebot.config.load import check
from livebot.core.market import Timeframe
from livebot.strategies.ema_cross import EmaCross, EmaCrossParams
from tests.config.texts import MINIMAL, complaints

HEAD = "system: demo\nmarket: perpetual\nsymbols: [BTC/USDT:USDT, ETH/USDT:USDT]\n"


def strategies(*lines):
    """What is wrong with these strategies; the first stands on line 5."""
    return complaints(HEAD + "strategies:\n" + "".join(f"  - {line}\n" for line in lines))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a user's module; returns its name."""

    def write(body):
        name = f"own_{next(NUMBERS)}"  # a module is imported once only
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(OWN_HEAD) + textwrap.dedent(body))
        return name

    monkeypatch.syspath_prepend(tmp_path)
    return write


NUMBERS = itertools.count()
OWN_HEAD = """
    from dataclasses import dataclass
    from livebot.core.market import Timeframe
    from livebot.strategies.interface import Strategy

    @dataclass(frozen=True)
    class Params:
        period: int = 5
        share: float | None = None

    class Base(Strategy[Params]):
        name = "own"
        Params = Params
        timeframe = Timeframe.M1

        def decide(self, view):
            return None
"""


def test_a_shipped_strategy_becomes_a_plan():
    text = (
        HEAD
        + "strategies: [{name: ema_cross, id: fast, symbols: [ETH/USDT:USDT], params: {fast: 5, stop_loss: 0.015}}]"
    )
    plan = check(text, "c").strategies[0]
    assert (plan.id, plan.strategy_class, plan.symbols) == ("fast", EmaCross, ("ETH/USDT:USDT",))
    assert plan.params == EmaCrossParams(fast=5, stop_loss=0.015)
    made = plan.make()
    assert isinstance(made, EmaCross)
    assert made is not plan.make()


def test_without_id_and_symbols_it_has_its_name_and_all_symbols():
    for symbols in ("", ", symbols: all"):
        plan = check(HEAD + f"strategies: [{{name: ema_cross{symbols}}}]", "c").strategies[0]
        assert (plan.id, plan.symbols) == ("ema_cross", ("BTC/USDT:USDT", "ETH/USDT:USDT"))


def test_an_own_strategy_is_found_by_its_class_path(own):
    name = own("class Mine(Base):\n    name = 'mine'\n")
    plan = check(HEAD + f"strategies: [{{class: '{name}:Mine', params: {{share: 2}}}}]", "c").strategies[0]
    assert plan.id == "mine"
    assert dataclasses.asdict(plan.make().params) == {"period": 5, "share": 2.0}


def test_a_strategy_may_look_at_another_symbol_of_the_system():
    assert strategies("{name: ratio, params: {other: ETH/USDT:USDT}}") == []


def test_timeframes_are_written_as_usual():
    plan = check(HEAD + "strategies: [{name: ema_cross, params: {timeframe: 1h}}]", "c").strategies[0]
    assert plan.make().timeframe is Timeframe.H1


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "{name: ema_cros}",
            (
                "strategies[0].name: there is no strategy 'ema_cros'; shipped are breakout, ema_cross, mean_reversion, ratio; "
                "one of your own is named by its class path, package.module:Class"
            ),
        ),
        (
            "{class: 'nowhere.to_be:Found'}",
            (
                "strategies[0].class: strategy 'nowhere.to_be:Found': there is no module nowhere; "
                "check the spelling, and that its folder is on PYTHONPATH or installed"
            ),
        ),
        ("{}", "strategies[0]: needs either name (a shipped strategy) or class (package.module:Class)"),
        (
            "{name: ema_cross, class: 'a.b:C'}",
            "strategies[0]: needs either name (a shipped strategy) or class (package.module:Class)",
        ),
        ("3", "strategies[0]: must be a mapping of keys, is 3"),
        (
            "{name: ema_cross, id: Fast}",
            "strategies[0].id: must be a name of at most 32 of a-z, 0-9, _ and -, the first a letter or digit, is 'Fast'",
        ),
        ("{name: ema_cross, symbols: some}", "strategies[0].symbols: must be all or a list of symbols, is 'some'"),
        ("{name: ema_cross, symbols: []}", "strategies[0].symbols: must be all or a list of symbols, is empty"),
        (
            "{name: ema_cross, symbols: [ETH/USDT]}",
            "strategies[0].symbols[0]: ETH/USDT is not under symbols; did you mean ETH/USDT:USDT?",
        ),
        (
            "{name: ema_cross, symbols: [SOL/USDT:USDT]}",
            "strategies[0].symbols[0]: SOL/USDT:USDT is not under symbols; add it there or take it out here",
        ),
        (
            "{name: ema_cross, symbols: [ETH/USDT:USDT, ETH/USDT:USDT]}",
            "strategies[0].symbols[1]: ETH/USDT:USDT stands here twice; keep one",
        ),
        ("{name: ema_cross, params: 3}", "strategies[0].params: must be a mapping of keys, is 3"),
        ("{name: ema_cross, params: {fst: 3}}", "strategies[0].params.fst: unknown key; did you mean fast?"),
        ("{name: ema_cross, params: {fast: true}}", "strategies[0].params.fast: must be a number, is true"),
        ("{name: ema_cross, params: {fast: '12'}}", "strategies[0].params.fast: must be a number, is '12'"),
        ("{name: ema_cross, params: {fast: 1.5}}", "strategies[0].params.fast: must be a whole number, is 1.5"),
        ("{name: ema_cross, params: {fast: null}}", "strategies[0].params.fast: must be a whole number, is null"),
        ("{name: ema_cross, params: {fast: [1]}}", "strategies[0].params.fast: must be a whole number, is a list"),
        (
            "{name: ema_cross, params: {allow_short: maybe}}",
            "strategies[0].params.allow_short: must be true or false, is 'maybe'",
        ),
        (
            "{name: ema_cross, params: {timeframe: 7m}}",
            "strategies[0].params.timeframe: must be 1m, 3m, 5m, 15m, 30m, 1h, 2h, 4h, 6h, 8h, 12h or 1d, is '7m'",
        ),
        (
            "{name: ema_cross, params: {slow: 9}}",
            "strategies[0].params: fast 12 must be below slow 9",
        ),
        (
            "{name: ema_cross, params: {fast: 60, slow: 48}}",
            "strategies[0].params.fast: fast 60 must be below slow 48",
        ),
        (
            "{name: ratio, params: {other: SOL/USDT:USDT}}",
            "strategies[0]: ratio looks at SOL/USDT:USDT, which is not under symbols; add it there",
        ),
    ],
)
def test_one_wrong_thing_in_a_strategy(line, sentence):
    assert strategies(line) == [f"config.yaml:5: {sentence}"]


def test_a_number_param_and_another_wrong_one_are_both_told():
    assert strategies("{name: ema_cross, params: {fast: true, slow: x, fst: 1}}") == [
        "config.yaml:5: strategies[0].params.fast: must be a number, is true",
        "config.yaml:5: strategies[0].params.fst: unknown key; did you mean fast?",
        "config.yaml:5: strategies[0].params.slow: must be a number, is 'x'",
    ]


def test_two_strategies_cannot_have_the_same_id():
    assert strategies("{name: ema_cross}", "{name: ema_cross}") == [
        "config.yaml:6: strategies[1]: has the id ema_cross, as strategies[0] has; give one of them an id of its own"
    ]
    assert strategies("{name: ema_cross}", "{name: ema_cross, id: second}") == []


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise RuntimeError('broken\\nin two lines')", "does not import, mend it: RuntimeError: broken in two lines"),
        ("class Mine: pass", "Mine is not a strategy; derive it from livebot.strategies.interface.Strategy"),
    ],
)
def test_an_own_module_that_is_broken(own, body, sentence):
    name = own(body)
    (said,) = strategies(f"{{class: '{name}:Mine'}}")
    assert said.startswith(f"config.yaml:5: strategies[0].class: strategy '{name}:Mine': ")
    assert said.endswith(sentence)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("class Mine(Base):\n    timeframe = '5m'", "own: `timeframe` is '5m', not a Timeframe such as Timeframe.M5"),
        ("class Mine(Base):\n    others = 'ETH'", "own: `others` is 'ETH', not a tuple of symbols"),
        (
            "class Mine(Base):\n    def __init__(self, params):\n        raise OSError('no')",
            "cannot be used: OSError: no",
        ),
    ],
)
def test_an_own_strategy_that_declares_nonsense(own, body, sentence):
    name = own(body)
    assert strategies(f"{{class: '{name}:Mine'}}") == [f"config.yaml:5: strategies[0]: {sentence}"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            "day: 2026-02-30",
            "params.day: input should be a valid date or datetime, day value is outside expected range, is '2026-02-30'",
        ),
        ("day: 2026-02-28, levels: {up: 1, down: x}", "params.levels.down: must be a number, is 'x'"),
        ("day: 2026-02-28, levels: {up: 1, dwn: 2}", "params.levels.dwn: unknown key"),
        ("levels: {}", "params.day: is missing"),
    ],
)
def test_params_of_other_types(own, given, sentence):
    name = own(
        """
        import datetime

        @dataclass(frozen=True)
        class Levels:
            up: float = 1.0
            down: float = 1.0

        @dataclass(frozen=True)
        class Params:
            day: datetime.date
            levels: Levels = Levels()

        class Mine(Base):
            Params = Params
        """
    )
    (said, *_) = strategies(f"{{class: '{name}:Mine', params: {{{given}}}}}")
    assert said == f"config.yaml:5: strategies[0].{sentence}"


def test_an_own_strategy_whose_declaration_raises(own):
    name = own("class Mine(Base):\n    @property\n    def others(self):\n        return 1 / 0")
    (said,) = strategies(f"{{class: '{name}:Mine'}}")
    assert said.startswith("config.yaml:5: strategies[0]: ")
    assert said.endswith("division by zero")


def test_an_own_strategy_whose_name_cannot_be_a_folder(own):
    name = own("class Mine(Base):\n    name = '_mine'")
    (said,) = strategies(f"{{class: '{name}:Mine'}}")
    assert said.startswith("config.yaml:5: strategies[0].class: strategy '_mine' cannot name a folder")


@pytest.mark.parametrize(
    ("market", "symbols", "sentence"),
    [
        (
            "perpetual",
            "[BTC/USDT]",
            "symbols[0]: 'BTC/USDT' is a spot symbol; the perpetual is 'BTC/USDT:USDT'",
        ),
        ("spot", "[BTC/USDT:USDT]", "symbols[0]: 'BTC/USDT:USDT' is a derivative; the spot symbol is 'BTC/USDT'"),
        ("spot", "[BTC/USDT, BTC/USDT]", "symbols[1]: BTC/USDT stands here twice; keep one"),
        ("spot", "[BTC/USDT, 5]", "symbols[1]: must be a symbol such as BTC/USDT, is 5"),
        ("spot", "[]", "symbols: is empty; it must hold at least one"),
        ("spot", "BTC/USDT", "symbols: must be a list, is 'BTC/USDT'"),
        ("options", "[BTC/USDT]", "market: must be spot or perpetual, is 'options'"),
        ("[spot]", "[BTC/USDT]", "market: must be spot or perpetual, is a list"),
    ],
)
def test_symbols_fit_the_market(market, symbols, sentence):
    text = f"system: x\nmarket: {market}\nsymbols: {symbols}\nstrategies: [{{name: ema_cross}}]\n"
    assert [line.partition(": ")[2] for line in complaints(text)] == [sentence]


def test_the_minimal_config_is_accepted():
    assert complaints(MINIMAL) == []
    assert complaints(MINIMAL.replace("perpetual", "spot").replace(":USDT", "")) == []


def test_a_leader_whose_candles_nobody_fetches_is_told(own):
    """As another symbol that a strategy looks at."""
    module = own(
        """
        from livebot.features.catalogue import leader_return, market_return

        class Follower(Base):
            features = (leader_return("lead", "SOL/USDT:USDT"), market_return("market", 5))
        """
    )
    assert strategies(f"{{class: {module}:Follower}}") == [
        "config.yaml:5: strategies[0]: own looks at SOL/USDT:USDT, which is not under symbols; add it there"
    ]
