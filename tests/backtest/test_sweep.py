"""Sweeps: every trial in the ledger, none made twice, the same figures however it is done."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import livebot
from livebot.backtest import engine
from livebot.backtest.forked import results_of
from livebot.backtest.plan import FundingRates
from livebot.backtest.run import run
from livebot.backtest.sweep import keys as sweep_keys
from livebot.backtest.sweep import search as sweep_search
from livebot.backtest.sweep import sweep as sweep_module
from livebot.backtest.sweep.figures import figures_of, worth
from livebot.backtest.sweep.keys import KeyMaker
from livebot.backtest.sweep.search import search
from livebot.backtest.sweep.space import axes_of, grid
from livebot.backtest.sweep.sweep import Sweep, ranked
from livebot.backtest.trials import LEDGER, TrialLedger
from livebot.core.entry import ExitPlan
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput, Fatal
from tests.backtest.plans import START_MS, SYMBOLS, candles, plan, rules, strategy
from tests.backtest.whims import Restless, Whim, WhimParams
from tests.virtual_loop import REAL_WAIT_S

NOW_MS = 1_800_000_000_000


@dataclass(frozen=True, kw_only=True)
class ExactParams:
    amount: Decimal = Decimal("1.50")
    exits: ExitPlan = field(default_factory=ExitPlan)


class Exact(Whim):
    name = "exact"
    Params = ExactParams

    @property
    def timeframe(self):
        return Timeframe.M1


def nobody(_done, _whole):
    pass


@pytest.fixture
def ledger(tmp_path):
    with TrialLedger(tmp_path / "backtests" / LEDGER) as made:
        yield made


def small(**changes):
    return plan(200, strategies=(strategy(params=WhimParams()),), **changes)


def sweeping(ledger, made=None, **options):
    return Sweep(made or small(), ledger, ["whim"], lambda: NOW_MS, **options)


def choices(*texts, made=None):
    return list(grid(axes_of(made or small(), texts, continuous=False)))


class TestGrid:
    def test_each_trial_is_what_a_backtest_with_its_parameters_gives(self, ledger):
        sweep = sweeping(ledger)
        sweep.make(choices("seed=1,2", "rarity=5,9"), nobody)
        assert len(sweep.outcomes) == 4
        for outcome in sweep.outcomes:
            values = {name: value for _, name, value in outcome.choice}
            alone = figures_of(run(small().with_params("whim", WhimParams(**values))))
            assert outcome.figures == alone
            assert not outcome.known

    def test_trials_are_in_the_ledger_and_not_made_again(self, ledger, monkeypatch):
        first = sweeping(ledger)
        first.make(choices("seed=1,2"), nobody)
        monkeypatch.setattr(sweep_module, "run", lambda _plan: pytest.fail("it was made again"))
        second = sweeping(ledger)
        second.make(choices("seed=1,2"), nobody)
        assert [each.known for each in second.outcomes] == [True, True]
        assert [each.figures for each in second.outcomes] == [each.figures for each in first.outcomes]

    def test_again_makes_them_again_and_they_still_count_once(self, ledger):
        sweeping(ledger).make(choices("seed=1,2"), nobody)
        sweep = sweeping(ledger, again=True)
        sweep.make(choices("seed=1,2"), nobody)
        assert [each.known for each in sweep.outcomes] == [False, False]
        assert len(ledger.made_on(sweep.key)) == 2

    def test_what_a_strategy_refuses_or_cannot_do_is_told_and_the_rest_goes_on(self, ledger):
        made = plan(
            200,
            strategies=(strategy(params=WhimParams()),),
            candles={symbol: candles(place, 200) for place, symbol in enumerate(SYMBOLS)},
        )
        sweep = sweeping(ledger, made)
        sweep.make(choices("whim.timeframe=1m,1d", "minutes=20"), nobody)
        assert len(sweep.outcomes) == 1
        (skipped,) = sweep.skipped
        assert "needs 2 closed candles of 1d" in skipped.why
        assert sweep.outcome(skipped.choice) is None
        assert len(ledger.made_on(sweep.key)) == 1

    def test_a_choice_that_is_no_parameter_set_is_passed_over(self, ledger):
        sweep = sweeping(ledger)
        sweep.make([(("whim", "nothing", 1),)], nobody)
        assert "nothing" in sweep.skipped[0].why

    def test_what_no_parameter_changes_is_made_once(self, ledger, monkeypatch):
        made = []
        real = engine.tape_of
        monkeypatch.setattr(engine, "tape_of", lambda *given: made.append(given[0]) or real(*given))
        sweeping(ledger).make(choices("seed=1,2,3"), nobody)
        assert sorted(made) == sorted(SYMBOLS)
        other = replace(sweeping(ledger)._plan, candles=small(seed=5).candles)
        assert run(other).facts == run(small(seed=5)).facts

    def test_more_processes_give_the_same(self, ledger, tmp_path):
        wanted = choices("seed=1,2,3,4")
        one = sweeping(ledger)
        one.make(wanted, nobody)
        with TrialLedger(tmp_path / "other.sqlite") as other:
            two = sweeping(other, jobs=2)
            heard = []
            two.make(wanted, lambda done, whole: heard.append((done, whole)))
        assert heard == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
        assert ranked(two.outcomes, "pnl") == ranked(one.outcomes, "pnl")

    def test_ranking_has_the_best_first_and_what_is_not_supported_last(self, ledger):
        sweep = sweeping(ledger)
        sweep.make(choices("seed=1,2,3"), nobody)
        pnls = [each.figures.pnl for each in ranked(sweep.outcomes, "pnl")]
        assert pnls == sorted(pnls, reverse=True)
        falls = [each.figures.drawdown for each in ranked(sweep.outcomes, "drawdown")]
        assert falls == sorted(falls)
        lame = replace(sweep.outcomes[0], figures=replace(sweep.outcomes[0].figures, pnl=1e9, drawdown=None))
        assert ranked([lame, *sweep.outcomes[1:]], "drawdown")[-1] is lame
        assert all(worth(each.figures, "sharpe") is None for each in sweep.outcomes)  # three hours are no sample

    def test_the_moments_of_long_runs_are_those_of_scipy(self):
        from scipy import stats

        from livebot.reporting.equity_figures import daily_returns

        hours = {symbol: candles(place, 24 * 60, step=60) for place, symbol in enumerate(SYMBOLS)}
        made = plan(
            strategies=(strategy(params=WhimParams(timeframe=Timeframe.H1)),),
            candles=hours,
            base=Timeframe.H1,
            start_ms=START_MS + 30 * 60 * MINUTE_MS,
            end_ms=START_MS + 24 * 60 * 60 * MINUTE_MS,
        )
        result = run(made)
        figures, returns = figures_of(result), daily_returns(result.equity)
        assert figures.days == len(returns) > 50
        assert figures.skewness == pytest.approx(stats.skew(returns))
        assert figures.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))
        assert figures.daily_sharpe * 365**0.5 == pytest.approx(figures.sharpe)


class TestKeys:
    def key(self, made):
        return KeyMaker(made, ["whim"]).key(made).digest

    def test_the_same_plan_has_the_same_key(self):
        assert self.key(small()) == self.key(small())

    @pytest.mark.parametrize(
        "changed",
        [
            small().with_params("whim", WhimParams(seed=9)),
            small(wallet=Decimal(10)),
            small(latency_ms=5),
            small(rules=rules(schedule_ms=MINUTE_MS)),
            small(end_ms=START_MS + 199 * MINUTE_MS),
            small(seed=2),
            plan(200, strategies=(strategy(Restless, WhimParams(), name="whim"),)),
            small(funding={SYMBOLS[0]: FundingRates(ts_ms=np.array([START_MS]), rate=np.array([0.01]))}),
            plan(200, strategies=(strategy(params=WhimParams()), strategy(name="second"))),
            plan(200, strategies=(strategy(params=WhimParams(), symbols=SYMBOLS[:2]),)),
        ],
        ids=[
            "params",
            "wallet",
            "latency",
            "rules",
            "range",
            "candles",
            "funding",
            "class",
            "another strategy",
            "symbols",
        ],
    )
    def test_whatever_changes_a_figure_changes_the_key(self, changed):
        assert self.key(changed) != self.key(small())

    @pytest.mark.parametrize("other", [{"rate": np.array([0.02])}, {"ts_ms": np.array([START_MS + MINUTE_MS])}])
    def test_other_funding_is_another_trial(self, other):
        rates = FundingRates(ts_ms=np.array([START_MS]), rate=np.array([0.01]))
        first, second = ({SYMBOLS[0]: each} for each in (rates, replace(rates, **other)))
        assert self.key(small(funding=first)) != self.key(small(funding=second))

    def test_caches_and_notes_do_not(self, tmp_path):
        assert self.key(small(cache=tmp_path, cache_bytes=5, notes=("x",), skip=False)) == self.key(small())

    def test_other_code_under_the_same_name_is_another_trial(self, monkeypatch, tmp_path):
        file = tmp_path / "whims.py"
        file.write_text("one")
        monkeypatch.setattr("livebot.backtest.sweep.keys.inspect.getsourcefile", lambda _class: str(file))
        before = self.key(small())
        file.write_text("two")
        assert self.key(small()) != before
        file.unlink()
        assert self.key(small()) != before

    def test_a_livebot_that_was_mended_makes_other_trials(self, monkeypatch, tmp_path):
        (tmp_path / "room").mkdir()
        engine = tmp_path / "room" / "engine.py"
        engine.write_text("fee = 1\n")
        before = sweep_keys._own_code(tmp_path)
        assert sweep_keys._own_code(tmp_path) == before
        engine.write_text("fee = 2\n")
        assert sweep_keys._own_code(tmp_path) != before
        assert sweep_keys._own_code() == sweep_keys._own_code(Path(livebot.__file__).parent)  # all of it
        present = self.key(small())
        monkeypatch.setattr(sweep_keys, "_own_code", lambda: "another")
        assert self.key(small()) != present

    def test_code_that_has_no_file_goes_by_its_name(self, monkeypatch):
        monkeypatch.setattr("livebot.backtest.sweep.keys.inspect.getsourcefile", lambda _class: None)
        assert self.key(small()) != self.key(plan(200, strategies=(strategy(Restless, WhimParams(), name="whim"),)))

    def test_parameters_are_written_as_json(self):
        text = json.loads(KeyMaker(small(), ["whim"]).key(small()).params)
        assert text["whim"]["timeframe"] == "1m"
        assert text["whim"]["exits"] is None
        exact = plan(200, strategies=(strategy(Exact, ExactParams(), name="whim"),))
        text = json.loads(KeyMaker(exact, ["whim"]).key(exact).params)
        assert text["whim"] == {"amount": "1.50", "exits": repr(ExitPlan())}


class TestSearch:
    def found(
        self, ledger, trials, made=None, jobs=1, seed=3, texts=("stop=0.001:0.02", "seed=1:9", "shorts=true,false")
    ):
        made = made or small()
        axes = axes_of(made, texts, continuous=True)
        sweep = sweeping(ledger, made, jobs=jobs)
        search(sweep, axes, trials, objective="pnl", seed=seed, progress=nobody)
        return sweep

    def test_the_same_seed_makes_the_same_trials_in_however_many_processes(self, ledger, tmp_path):
        one = self.found(ledger, 20)
        with TrialLedger(tmp_path / "other.sqlite") as other:
            two = self.found(other, 20, jobs=2)
        assert {each.choice for each in one.outcomes} == {each.choice for each in two.outcomes}
        assert len(one.outcomes) == 20
        assert all(0.001 <= each.choice[0][2] <= 0.02 for each in one.outcomes)

    def test_an_interrupted_search_goes_on_where_it_was(self, ledger):
        self.found(ledger, 9)
        whole = self.found(ledger, 16)
        assert sum(each.known for each in whole.outcomes) == 9

    def test_it_comes_back_to_no_trial(self, ledger):
        sweep = self.found(ledger, 12, texts=("seed=1,2",))
        assert len(sweep.outcomes) == 2

    def test_it_finds_what_is_better(self, ledger, monkeypatch):
        def make(_plan, choice):
            stop = choice[0][2]
            figures = replace(base, pnl=-abs(stop - 0.013) * 1e6)
            return sweep_module._Made(figures, "", 0.0)

        base = figures_of(run(small()))
        monkeypatch.setattr(sweep_module, "_make", make)
        sweep = self.found(ledger, 60, texts=("stop=0.001:0.02",))
        late = [each.choice[0][2] for each in sweep.outcomes[30:]]
        assert sum(abs(stop - 0.013) < 0.002 for stop in late) > 15  # by chance there would be six or seven

    def test_what_cannot_be_tried_teaches_nothing(self, ledger):
        sweep = self.found(ledger, 10, texts=("whim.timeframe=1m,1d",))
        assert len(sweep.outcomes) == 1 and len(sweep.skipped) == 1

    def test_without_optuna_the_mend_is_said(self, ledger, monkeypatch):
        monkeypatch.setattr(sweep_search.importlib.util, "find_spec", lambda _name: None)
        with pytest.raises(BadInput, match=r"pip install 'livebot\[research\]'"):
            self.found(ledger, 2)

    def test_a_search_has_a_bound(self, ledger):
        with pytest.raises(BadInput, match="1 to 20,000 can be made"):
            self.found(ledger, 20_001)


def test_a_process_that_is_killed_is_told():
    def die(_shared, _piece):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(Fatal, match="memory"):
        list(results_of(die, None, [1, 2], 2))


def test_copies_leave_ctrl_c_to_whoever_asked():
    def heeds(_shared, _piece):
        return signal.getsignal(signal.SIGINT) is signal.SIG_IGN

    assert dict(results_of(heeds, None, [1, 2], 2)) == {0: True, 1: True}
    assert dict(results_of(heeds, None, [1, 2], 1)) == {0: False, 1: False}


SCRIPT = """
import sys, time
from pathlib import Path
from livebot.backtest.sweep import sweep as module
from livebot.backtest.trials import LEDGER, TrialLedger
from tests.backtest.test_sweep import choices, sweeping

made = module._make
module._make = lambda plan, choice: (time.sleep(1000 if choice[0][2] > 3 else 0), made(plan, choice))[1]
with TrialLedger(Path(sys.argv[1])) as ledger:
    sweep = sweeping(ledger, jobs=4)
    try:
        sweep.make(choices("seed=1:6"), lambda done, whole: print(done, flush=True))
    except KeyboardInterrupt:
        print("kept", len(sweep.outcomes), flush=True)
"""


@pytest.mark.process
@pytest.mark.parametrize("group", [False, True], ids=["the parent alone", "the whole group, as a terminal does"])
def test_ctrl_c_keeps_what_is_done_and_ends_at_once(tmp_path, group):
    path = tmp_path / "trials.sqlite"
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=root,
        start_new_session=True,
    )
    for line in process.stdout:
        if line.strip() == "3":
            break
    (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=REAL_WAIT_S)  # without waiting for what takes longer
    assert out.strip() == "kept 3", err
    assert process.returncode == 0
    assert "Traceback" not in err
    with TrialLedger(path) as ledger:
        assert len(ledger.made_on(sweeping(ledger).key)) == 3


def test_whim_is_what_is_swept():
    assert small().strategies[0].strategy_class is Whim


def test_processes_of_somebody_else_go_on():
    """Whoever compares models has workers of joblib's besides."""

    def same(_shared, piece):
        return piece

    context = multiprocessing.get_context("spawn")
    other = context.Process(target=time.sleep, args=(1000,))
    other.start()
    try:
        assert dict(results_of(same, None, [1, 2], 2)) == {0: 1, 1: 2}
        assert other.is_alive()
    finally:
        other.kill()
        other.join()
