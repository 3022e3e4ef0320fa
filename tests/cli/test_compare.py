"""`livebot compare` as an operator and as a script call it, on a small market by chance."""

import json
import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from livebot.cli.app import app
from livebot.cli.data_progress import ComparisonProgress
from livebot.history.whole_file import sole_writer
from livebot.research.progress import Standing
from tests.backtest.plans import candles

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
CONFIG = """
system: demo
market: spot
exchange: {id: simulator, simulator: {wallet: 10000}}
symbols: [AAA/USDT, BBB/USDT, CCC/USDT, DDD/USDT]
strategies:
  - {name: ema_cross, symbols: all, params: {timeframe: 1h, fast: 3, slow: 8, rsi_period: 5, rsi_long_below: 99,
     expiry_minutes: 600}}
model: {minimum_events: 20, history: {minimum_days: 30, target_days: 150}}
risk:
  sizing: {kind: fixed, notional: 1000}
  win_rate: null
"""
WAIT_S = 240.0
SMALL = (
    "--unseen",
    "DDD/USDT",
    "--arms",
    "single_lr,one_hot_lr",
    "--train-days",
    60,
    "--jobs",
    1,
    "--backend",
    "threading",
)


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """A folder of candles: 150 days of an hour each, from which whoever wants it makes a root of its own."""
    folder = tmp_path_factory.mktemp("candles")
    for place, name in enumerate(SYMBOLS):
        series = candles(place, 3_600, step=60, volatility=0.004)
        columns = {each: getattr(series, each) for each in ("ts_ms", "open", "high", "low", "close", "volume")}
        pq.write_table(pa.table(columns), folder / f"{name}USDT.parquet")
    return folder


def arguments(root, market, *more, model=""):
    (root / "config.yaml").write_text(CONFIG.replace("model: {", f"model: {{{model}"))
    return ["compare", "--config", str(root / "config.yaml"), "--candles", str(market), *map(str, more)]


def compare(root, market, *more, code=0, model=""):
    result = CliRunner().invoke(app, arguments(root, market, *more, model=model))
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


def folder_of(root, name="one"):
    return root / "state" / "experiments" / name


@pytest.fixture(scope="module")
def done(tmp_path_factory, market):
    """A root with a comparison that ran through."""
    root = tmp_path_factory.mktemp("done")
    text = compare(root, market, *SMALL, "--name", "one")
    return root, text


def test_it_decides_and_writes_everything(done):
    root, text = done
    assert text.startswith("Model comparison: one")
    assert "Decision" in text and "one_hot_lr" in text
    folder = folder_of(root)
    assert {path.name for path in folder.iterdir()} >= {
        "registration.json",
        "metrics.json",
        "report.md",
        "report.html",
        "folds",
    }
    registered = json.loads((folder / "registration.json").read_text())["registration"]
    assert registered["unseen"] == ["DDD/USDT"] and registered["symbols"] == ["AAA/USDT", "BBB/USDT", "CCC/USDT"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert [arm["name"] for arm in metrics["arms"]] == ["no_filter", "random", "single_lr", "one_hot_lr"]
    assert metrics["trials"] == 4
    assert (root / "state" / "backtests" / "trials.sqlite").exists()


def test_again_it_takes_what_is_there_and_counts_no_trial_twice(done, market):
    root, _ = done
    before = (folder_of(root) / "metrics.json").read_bytes()
    told = json.loads(compare(root, market, *SMALL, "--name", "one", "--json"))
    assert told["cached"] == len(list((folder_of(root) / "folds").iterdir())) > 0
    assert (folder_of(root) / "metrics.json").read_bytes() == before


def test_another_registration_under_the_name_is_refused(done, market):
    root, _ = done
    said = compare(root, market, *SMALL, "--margin", "0.1", "--name", "one", code=2)
    assert "experiment one was registered with something else" in said and "judging.margin, rule differ" in said


def test_experiments_are_listed_and_held_side_by_side(done, market):
    root, _ = done
    assert "one" in compare(root, market, "--list")
    assert "both were registered alike" in compare(root, market, "--diff", "one", "one")
    assert [each["name"] for each in json.loads(compare(root, market, "--list", "--json"))] == ["one"]
    assert "there is no experiment two" in compare(root, market, "--diff", "one", "two", code=2)


@pytest.mark.parametrize("pair", [("../one", "one"), ("one", "/etc"), ("one", "..")])
def test_what_is_no_name_of_an_experiment_is_not_looked_for(done, market, pair):
    root, _ = done
    (root / "state" / "one").mkdir(exist_ok=True)
    (root / "state" / "one" / "registration.json").write_bytes((folder_of(root) / "registration.json").read_bytes())
    said = compare(root, market, "--diff", *pair, code=2)
    assert "--diff" in said and "write at most 64 of" in said


def test_an_estimator_of_the_config_has_arms_of_its_own_beside_the_others(tmp_path, market):
    model = "estimator: {name: 'sklearn.ensemble:ExtraTreesClassifier', params: {n_estimators: 3}}, "
    more = (*SMALL[4:], "--arms", "single_own", "--name", "own", "--json")
    told = json.loads(compare(tmp_path, market, *more, model=model))
    assert [arm["name"] for arm in told["arms"]] == ["no_filter", "random", "single_own"]
    registered = json.loads((folder_of(tmp_path, "own") / "registration.json").read_text())["registration"]
    assert registered["arms"]["single_own"]["params"] == {"n_estimators": 3}
    assert "sklearn.ensemble" in registered["libraries"]


def test_an_estimator_that_is_not_there_is_refused_before_anything_is_computed(tmp_path, market):
    more = (*SMALL[4:], "--arms", "single_own", "--name", "own")
    said = compare(tmp_path, market, *more, model="estimator: {name: 'no.such:Thing'}, ", code=2)
    assert "no.such:Thing cannot be imported" in said and not folder_of(tmp_path, "own").exists()


def test_two_runs_of_one_name_at_once_register_one(tmp_path, market):
    (folder_of(tmp_path)).mkdir(parents=True)
    with sole_writer(folder_of(tmp_path) / "registration.json"):
        compare(tmp_path, market, *SMALL, "--name", "one", code=3)
    assert not (folder_of(tmp_path) / "registration.json").exists()


def test_one_symbol_makes_no_market(tmp_path, market):
    more = ("--symbols", "AAA/USDT", "--arms", "single_lr")
    said = compare(tmp_path, market, *more, model="features: market, ", code=2)
    assert "beside AAA/USDT there is no other symbol to make a market" in said.replace("\n", " ")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--arms", "magic"), "there is no arm magic"),
        (("--backend", "spark"), "--backend spark: choose one of loky"),
        (("--symbols", "ZZZ/USDT"), "no strategy of the config runs on ZZZ/USDT"),
        (("--symbols", "AAA/USDT", "--unseen", "AAA/USDT"), "AAA/USDT cannot be trained on and unseen at once"),
        (("--symbols", ","), "--symbols is empty"),
        (("--strategy", "other"), "--strategy other"),
        (("--unseen", "AAA/USDT,BBB/USDT,CCC/USDT,DDD/USDT"), "there is no symbol to train on"),
        (("--train-days", "180"), "make no fold of 180 days to train"),
        (("--name", "a/../b"), "--name"),
        (("--from", "2026-04-01", "--train-days", "60"), "make no fold of 60 days to train"),
    ],
)
def test_what_cannot_be_compared_is_refused_plainly(tmp_path, market, more, said):
    output = compare(tmp_path, market, "--jobs", 1, "--backend", "threading", "--arms", "single_lr", *more, code=2)
    assert said in output.replace("\n", " "), output
    assert not list((tmp_path / "state" / "experiments").glob("*/folds"))


def test_a_symbol_with_few_events_is_refused_by_name(tmp_path, market):
    config = CONFIG.replace("rsi_long_below: 99", "rsi_long_below: 20")
    (tmp_path / "config.yaml").write_text(config)
    result = CliRunner().invoke(
        app, ["compare", "--config", str(tmp_path / "config.yaml"), "--candles", str(market), "--jobs", "1"]
    )
    assert result.exit_code == 2
    assert "too few entries" in result.output or "no row" in result.output or "wanted" in result.output


# The real command, killed by SIGKILL when it has a fourth fold to keep.
KILLED = """
import os, signal, sys
from livebot.cli import main
from livebot.research import fold_cache

keep, kept = fold_cache.FoldCache.keep, []

def killed(self, key, arrays):
    if len(kept) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    keep(self, key, arrays)
    kept.append(key)

fold_cache.FoldCache.keep = killed
main()
"""


@pytest.mark.untraced
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_is_killed_in_the_middle_and_goes_on_to_the_same_bytes(done, market, tmp_path):
    whole, _ = done
    child = [sys.executable, "-c", KILLED, *arguments(tmp_path, market, *SMALL, "--name", "one")]
    ended = subprocess.run(child, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=WAIT_S, check=False)
    assert ended.returncode == -signal.SIGKILL
    folds, wanted = folder_of(tmp_path) / "folds", folder_of(whole) / "folds"
    kept = len(list(folds.glob("*.npz")))
    assert 3 <= kept < len(list(wanted.iterdir()))
    assert not (folder_of(tmp_path) / "metrics.json").exists()
    told = json.loads(compare(tmp_path, market, *SMALL, "--name", "one", "--json"))
    assert told["cached"] == kept
    assert (folder_of(tmp_path) / "metrics.json").read_bytes() == (folder_of(whole) / "metrics.json").read_bytes()
    assert {path.name: path.read_bytes() for path in folds.glob("*.npz")} == {
        path.name: path.read_bytes() for path in wanted.iterdir()
    }


def test_ctrl_c_says_how_to_go_on(tmp_path, market, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("livebot.bootstrap.compare.compare", interrupted)
    said = compare(tmp_path, market, "--name", "mine", code=130)
    assert "run it again with --name mine to go on" in said


def test_the_time_left_is_told_in_words(capsys, monkeypatch):
    monkeypatch.setattr("livebot.cli.data_progress.LINE_S", 0.0)
    with ComparisonProgress() as progress:
        progress.rows(5, 10)
        for left_s in (None, 45.0, 600.0, 3_900.0):
            progress.folds(Standing(3, 1_200, 0.25, left_s))
        progress.words("figures")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "rows, 50% done",
        "folds 3 of 1,200, 25% done",
        "folds 3 of 1,200, about 45 s left, then the figures, 25% done",
        "folds 3 of 1,200, about 10 min left, then the figures, 25% done",
        "folds 3 of 1,200, about 1 h 05 min left, then the figures, 25% done",
        "figures",
    ]
