"""`livebot backtest --param ...` as an operator and as a script call it."""

import json
from dataclasses import replace

import pytest

from livebot.backtest.sweep.sweep import Outcome, Skipped, Sweep
from livebot.cli import sweep as command
from livebot.cli.sweep import Told, as_tree, document, meaning
from livebot.core.market import Timeframe
from livebot.reporting.document import as_text
from livebot.reporting.figure import NotAvailable
from tests.backtest.command import HONEST, backtest, prepare
from tests.backtest.test_sweep_trials import FIGURES

CHOICE = (("s", "timeframe", Timeframe.M5), ("s", "stop", 0.0123456789))


def told(count=1, **changes):
    outcome = Outcome(choice=CHOICE, figures=FIGURES, known=True)
    values = {
        "ranked": [outcome] * count,
        "skipped": [],
        "objective": "sharpe",
        "tried": 36,
        "luck": 0.42,
        "interrupted": False,
    }
    return Told(**values | changes)


def hourly(folder):
    """Sixty days, so that Sharpe ratios can be told."""
    prepare(folder, HONEST % "1h", count=1_600, step=60)


def test_a_grid_is_ranked_with_what_it_says_about_luck(tmp_path):
    hourly(tmp_path)
    text = backtest(tmp_path, "--param", "fast=2,3", "--param", "slow=3:9:3", "--objective", "sharpe")
    assert "Sweep: 5 trials" in text
    assert "fast=3, slow=3: fast 3 must be below slow 3" in text
    assert "5 on this data and strategy" in text
    assert "Deflated Sharpe ratio" in text and "without any skill" in text.replace("\n  ", " ")
    again = json.loads(backtest(tmp_path, "--param", "fast=2,3", "--param", "slow=9", "--json"))
    assert [each["earlier"] for each in again["trials"]] == [True, True]
    assert again["trials_ever"] == 5
    assert 0 <= again["deflated_sharpe"] <= 1
    sharpes = [each["figures"]["sharpe"] for each in again["trials"]]
    assert sharpes == sorted(sharpes, reverse=True)
    assert (tmp_path / "state" / "backtests" / "trials.sqlite").exists()


def test_a_search(tmp_path):
    prepare(tmp_path)
    found = backtest(
        tmp_path, "--param", "stop_loss=0.002:0.02", "--trials", 3, "--objective", "pnl", "--json", "--seed", 4
    )
    tree = json.loads(found)
    assert len(tree["trials"]) == 3
    assert tree["deflated_sharpe"] is None
    assert "no Sharpe ratio" in tree["meaning"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--param", "quick=3"), "no such parameter is declared"),
        (("--param", "fast=3", "--objective", "luck"), "choose one of pnl, return, sharpe"),
        (("--trials", "5"), "search among what?"),
        (("--param", "fast=3", "--audit"), "--audit"),
    ],
)
def test_bad_usage_is_one_sentence(tmp_path, arguments, says):
    prepare(tmp_path)
    text = backtest(tmp_path, *arguments, code=2)
    assert says in text and "Traceback" not in text


def test_ctrl_c_shows_what_is_kept(tmp_path, monkeypatch):
    prepare(tmp_path)
    real = Sweep._keep

    def keep(self, choice, key, made):
        real(self, choice, key, made)
        raise KeyboardInterrupt

    monkeypatch.setattr(Sweep, "_keep", keep)
    text = backtest(tmp_path, "--param", "fast=2,3", code=130)
    assert "Sweep: 1 trials, interrupted: what was done is kept" in text


def test_many_trials_are_cut_and_said_so():
    text = as_text(document(told(count=25)))
    assert "(5 more are in --json)" in text
    assert "0.0123457" in text and "5m" in text
    assert len(as_tree(told(count=25))["trials"]) == 25


def test_many_that_were_passed_over_are_counted():
    text = as_text(document(told(skipped=[Skipped(CHOICE, "no")] * 8)))
    assert text.count("timeframe=5m, stop=0.0123457: no") == command.SKIPPED_TOLD
    assert "and 3 more" in text


def test_no_trial_at_all_is_said():
    text = as_text(document(told(count=0, luck=NotAvailable("the best has no Sharpe ratio"))))
    assert "No trial could be made." in text


def test_what_the_ratio_means_is_said_plainly():
    assert "take it for luck" in meaning(told(luck=0.94))
    assert "above the usual bar of 95%" in meaning(told(luck=0.96))
    assert "cannot be told: why" in meaning(told(luck=NotAvailable("why")))


def test_names_are_long_only_where_several_strategies_are_swept():
    mixed = replace(told().ranked[0], choice=(("s", "a", None), ("t", "a", True)))
    assert "s.a" in as_text(document(told(ranked=[mixed])))
    assert as_tree(told(ranked=[mixed]))["trials"][0]["params"] == {"s.a": None, "t.a": True}
