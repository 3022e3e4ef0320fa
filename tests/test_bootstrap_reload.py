"""From a file that has changed to what a daemon follows of it, or the sentence that says why not."""

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from livebot.bootstrap import reload as reloading
from livebot.bootstrap.reload import ConfigFile, Present, Refused, plan_of, reload_of
from livebot.config.load import LoadedConfig, check
from livebot.config.problems import ConfigErrors
from livebot.core.market import Instrument
from livebot.core.rules import FixedNotional
from livebot.errors import BadInput, Rejected
from livebot.runtime.operator.following import ReloadPlan
from livebot.runtime.operator.reload import Outcome, Result
from tests.virtual_loop import REAL_WAIT_S

BTC, ETH, SOL = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"
BASE = """
system: demo
market: perpetual
symbols: [BTC/USDT:USDT, ETH/USDT:USDT, SOL/USDT:USDT]
strategies:
  - {name: ema_cross}
  - {name: breakout, symbols: [BTC/USDT:USDT]}
"""
UNIVERSE = "system: demo\nmarket: perpetual\nuniverse: {}\nstrategies: [{name: ema_cross}]\n"
CONTEXT = """
from livebot.features.catalogue import market_return
from livebot.strategies.ema_cross import EmaCross


class Wide(EmaCross):
    name = "wide"

    @property
    def features(self):
        return (*super().features, market_return("market", self.params.fast))
"""


def loaded(text: str = BASE) -> LoadedConfig:
    return check(text, "config.yaml")


def planned(new: str, old: str = BASE, lacking: tuple[str, ...] = ()) -> ReloadPlan | Refused | None:
    return plan_of(loaded(old), loaded(new), lacking, lambda: None)


def test_the_same_file_asks_for_nothing():
    assert planned(BASE + "mode: paper\n# a comment\n") is None


def test_what_the_daemon_does_not_look_at_asks_for_nothing():
    assert planned(BASE + "backtest: {latency_ms: 7}\n") is None


def test_one_key_that_takes_a_restart_refuses_all_of_them():
    refused = planned(f"{BASE}risk: {{limits: {{open_signals: 5}}}}\nruntime: {{queue_size: 5, history: 90}}\n")
    assert isinstance(refused, Refused)
    assert refused.keys == ("runtime.queue_size", "runtime.history")
    assert refused.sentence.startswith("needs a restart: runtime.queue_size, runtime.history; nothing else")


def test_limits_and_terms_come_with_the_plan():
    plan = planned(f"{BASE}risk: {{limits: {{open_signals: 5}}, loss_limit: null, win_rate: {{minimum: 0.5}}}}\n")
    assert plan.limits.open_signals == 5
    assert plan.loss_limit is None
    assert str(plan.win_rate.minimum_win_rate) == "0.5"
    assert (plan.made_anew, plan.added, plan.symbols) == (frozenset(), (), (BTC, ETH, SOL))
    assert "risk.limits.open_signals 10 -> 5" in plan.changes
    assert "risk.limits.open_signals" in plan.keys


def test_params_make_a_strategy_anew():
    plan = planned(BASE.replace("{name: ema_cross}", "{name: ema_cross, params: {fast: 5}}"))
    assert plan.made_anew == {"ema_cross"}
    assert plan.strategies(BTC) == ("ema_cross", "breakout")
    assert plan.strategies(ETH) == ("ema_cross",)
    assert plan.watched(BTC) == frozenset()


def test_symbols_that_nothing_ran_on_are_added_and_those_that_the_venue_lacked_are_left_alone():
    few = BASE.replace(", SOL/USDT:USDT]", "]")
    assert planned(BASE, few).added == (SOL,)
    assert planned(few).added == ()
    assert planned(few).symbols == (BTC, ETH)
    only_btc = BASE.replace("{name: ema_cross}", "{name: ema_cross, symbols: [BTC/USDT:USDT]}")
    assert planned(BASE, only_btc).added == (ETH, SOL), "they were listed, and nothing ran there"
    plan = planned(f"{BASE}risk: {{limits: {{open_signals: 5}}}}\n", lacking=(ETH,))
    assert (plan.added, plan.symbols) == ((), (BTC, SOL))
    assert planned(BASE, only_btc, lacking=(ETH,)).added == (SOL,)


def test_a_universe_keeps_its_symbols():
    plan = planned(UNIVERSE.replace("ema_cross", "breakout"), UNIVERSE)
    assert (plan.symbols, plan.added) == (None, ())
    assert plan.strategies("ANY/USDT:USDT") == ("breakout",)
    refused = planned(UNIVERSE.replace("{}", "{top: 3}"), UNIVERSE)
    assert refused.keys == ("universe.top",)
    assert "universe" in planned(UNIVERSE).keys


def test_what_a_strategy_looks_at_comes_with_the_plan():
    ratio = f"  - {{name: ratio, symbols: ['{BTC}'], params: {{other: '{ETH}'}}}}\n"
    assert planned(BASE + ratio).watched(BTC) == {ETH}
    assert planned(BASE + ratio).watched(SOL) == frozenset()


def test_other_features_made_of_other_symbols_take_a_restart(tmp_path, monkeypatch):
    (tmp_path / "wide_rules.py").write_text(CONTEXT)
    monkeypatch.syspath_prepend(tmp_path)
    wide = BASE + "  - {class: 'wide_rules:Wide'}\n"
    added = planned(wide)
    assert added.keys == ("strategies.wide (features made of other symbols)",)
    other = planned(wide.replace("Wide'}", "Wide', params: {fast: 7}}"), wide)
    assert other.keys == ("strategies.wide (features made of other symbols)",)
    same = planned(wide.replace("Wide'}", "Wide', params: {stop_loss: 0.03}}"), wide)
    assert same.made_anew == same.contextual == {"wide"}
    assert planned(BASE, wide).contextual == frozenset()


# ---------------------------------------------------------------- the file


class Desk:
    """A file, and what is in force."""

    def __init__(self, folder: Path, lacking: tuple[str, ...] = ()) -> None:
        self.path = folder / "config.yaml"
        self.write(BASE)
        self.present = Present(loaded())
        self.choice = SimpleNamespace(follow=self._followed)
        self.followed: list[LoadedConfig] = []
        self.reported: list[tuple[str, str | None]] = []
        self.file = ConfigFile(
            self.path, self.present, self.choice, lacking, lambda source, text: self.reported.append((source, text))
        )

    def write(self, text: str) -> None:
        self.path.write_text(text)

    def _followed(self, new: LoadedConfig) -> None:
        self.followed.append(new)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


async def test_a_file_as_it_was_asks_for_nothing(desk):
    assert await desk.file.read() is None
    assert desk.file.name == str(desk.path)


async def test_nothing_is_in_force_before_it_is_switched(desk):
    desk.write(f"{BASE}risk: {{sizing: {{kind: fixed, notional: 77}}}}\n")
    plan = await desk.file.read()
    tenth = Decimal("0.1")
    instrument = Instrument(BTC, "BTC", "USDT", tenth, tenth, tenth, tenth, tenth, tenth, can_short=True)
    assert not isinstance(desk.present.rules("ema_cross", instrument).sizing, FixedNotional)
    plan.switch()
    assert str(desk.present.rules("ema_cross", instrument).sizing.notional) == "77"
    assert desk.followed == [desk.present.loaded]
    assert await desk.file.read() is None, "it is what holds now"


async def test_a_strategy_is_made_by_the_params_in_force(desk):
    desk.write(BASE.replace("{name: ema_cross}", "{name: ema_cross, params: {fast: 5}}"))
    plan = await desk.file.read()
    assert desk.present.make_strategy("ema_cross").params.fast == 12
    plan.switch()
    assert desk.present.make_strategy("ema_cross").params.fast == 5
    assert desk.present.make_strategy("unknown") is None


async def test_a_wrong_file_says_all_that_is_wrong_with_its_lines(desk):
    desk.write(BASE.replace("perpetual", "bazaar") + "risk: {limits: {open_signals: -1}}\n")
    with pytest.raises(ConfigErrors) as errors:
        await desk.file.read()
    assert [problem.line for problem in errors.value.problems] == [3, 8]
    assert desk.present.loaded == loaded()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"system: [", b"x: &a [*a]"])
async def test_what_is_no_config_is_refused(desk, content):
    desk.path.write_bytes(content)
    with pytest.raises(BadInput):
        await desk.file.read()


async def test_a_file_that_is_gone_is_refused(desk):
    desk.path.unlink()
    with pytest.raises(BadInput, match="no such file"):
        await desk.file.read()


async def test_a_key_that_takes_a_restart_is_refused_by_name(desk):
    desk.write(BASE + "mode: paper\nruntime: {history: 77}\n")
    with pytest.raises(Rejected, match=r"needs a restart: runtime\.history;"):
        await desk.file.read()


async def test_a_symbol_that_the_venue_lacked_is_asked_for_when_it_comes_back(tmp_path):
    desk = Desk(tmp_path, lacking=(SOL,))
    desk.write(BASE.replace(", SOL/USDT:USDT]", "]"))
    plan = await desk.file.read()
    assert desk.reported == []
    plan.switch()
    assert desk.reported == [(f"candles:{SOL}", None)], "nobody wants it any more"
    desk.write(BASE)
    assert (await desk.file.read()).added == (SOL,)


async def test_a_strategy_that_fails_while_it_is_looked_at_refuses_the_reload(desk, monkeypatch):
    def fail(*_):
        message = "nobody foresaw this"
        raise ArithmeticError(message)

    desk.write(BASE.replace("{name: ema_cross}", "{name: ema_cross, params: {fast: 5}}"))
    monkeypatch.setattr(reloading, "plan_of", fail)
    with pytest.raises(BadInput, match="a strategy cannot be made: ArithmeticError: nobody foresaw this"):
        await desk.file.read()


def test_a_reload_is_noted_by_its_keys_and_told_to_the_service_manager():
    told: list[object] = []
    service = SimpleNamespace(reloading=lambda: told.append("began"), reloaded=told.append)
    journal = SimpleNamespace(note=lambda *note: told.append(note))
    reload = reload_of(None, SimpleNamespace(name="config.yaml", read=None), None, service=service, journal=journal)
    reload._witness.began()
    reload._witness.ended(Outcome(result=Result.APPLIED, sentence="reloaded", keys=("risk.limits.drawdown",)))
    noted = ("reload", {"result": "applied", "keys": ["risk.limits.drawdown"]})
    assert told == ["began", noted, "reloaded"]


async def test_a_module_that_hangs_while_it_is_imported_is_not_waited_for(desk, monkeypatch):
    monkeypatch.setattr(reloading, "READ_S", 0.05)
    go, ended = desk.path.parent / "go", desk.path.parent / "ended"
    (desk.path.parent / "slow_rules.py").write_text(
        "import time\nfrom pathlib import Path\n"
        f"until_s = time.monotonic() + {REAL_WAIT_S}\n"
        f"while not Path({str(go)!r}).exists() and time.monotonic() < until_s:\n    time.sleep(0.01)\n"
        f"Path({str(ended)!r}).touch()\n"
    )
    desk.write(BASE + "  - {class: 'slow_rules:Mine'}\n")
    with pytest.raises(BadInput, match=r"its strategies were not read within 0\.05 s"):
        await desk.file.read()
    assert not ended.exists()
    go.touch()
