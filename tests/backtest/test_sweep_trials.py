"""The ledger of trials: nothing is ever lost from it."""

import sqlite3
import threading

import pytest

from livebot.backtest.trials import SCHEMA, Trial, TrialFigures, TrialKey, TrialLedger
from livebot.errors import BadInput, Fatal

FIGURES = TrialFigures(
    signals=3,
    win_rate=0.5,
    pnl=1.25,
    expectancy=None,
    profit_factor=None,
    total_return=0.1,
    sharpe=1.0,
    sortino=None,
    drawdown=0.2,
    days=40,
    daily_sharpe=0.05,
    skewness=0.1,
    kurtosis=3.5,
)


def key(**changes):
    values = {
        "strategy": "pkg:Class",
        "code": "c0de",
        "symbols": ("AAA", "BBB"),
        "from_ms": 1_000,
        "to_ms": 2_000,
        "candles": "abc",
        "config": "def",
        "features": "x@1 123",
        "params": "{}",
    }
    return TrialKey(**values | changes)


def trial(made_ms=5, **changes):
    return Trial(key=key(**changes), made_ms=made_ms, seconds=0.5, figures=FIGURES)


def test_a_trial_comes_back_as_it_was(tmp_path):
    with TrialLedger(tmp_path / "deep" / "trials.sqlite") as ledger:
        ledger.add(trial())
    with TrialLedger(tmp_path / "deep" / "trials.sqlite") as ledger:
        assert ledger.find(key()) == trial()
        assert ledger.find(key(params="{1}")) is None


def test_the_last_of_the_same_key_is_found_and_all_are_kept(tmp_path):
    path = tmp_path / "trials.sqlite"
    with TrialLedger(path) as ledger:
        ledger.add(trial(1))
        ledger.add(trial(2))
        assert ledger.find(key()).made_ms == 2
        assert len(ledger.made_on(key())) == 1
    assert sqlite3.connect(path).execute("SELECT COUNT(*) FROM trials").fetchone() == (2,)


@pytest.mark.parametrize("text", ["DELETE FROM trials", "UPDATE trials SET figures = '{}'"])
def test_nobody_changes_or_removes_a_trial(tmp_path, text):
    path = tmp_path / "trials.sqlite"
    with TrialLedger(path) as ledger:
        ledger.add(trial())
    with pytest.raises(sqlite3.IntegrityError, match="trials are never"):
        sqlite3.connect(path).execute(text)


def test_trials_count_that_saw_some_of_the_same_data(tmp_path):
    with TrialLedger(tmp_path / "trials.sqlite") as ledger:
        ledger.add(trial(params="same"))
        ledger.add(trial(params="overlapping", from_ms=1_900, to_ms=9_000, candles="other"))
        ledger.add(trial(params="one symbol", symbols=("BBB", "CCC")))
        ledger.add(trial(params="after", from_ms=2_000, to_ms=3_000))
        ledger.add(trial(params="before", from_ms=0, to_ms=1_000))
        ledger.add(trial(params="elsewhere", symbols=("CCC",)))
        ledger.add(trial(params="another", strategy="pkg:Other"))
        ledger.add(trial(params="both", strategy="pkg:Class, pkg:Other"))
        found = [each.key.params for each in ledger.made_on(key())]
        both = [each.key.params for each in ledger.made_on(key(strategy="pkg:Other, pkg:Third"))]
    assert found == ["same", "overlapping", "one symbol", "both"]
    assert both == ["another", "both"]


def test_two_processes_may_write_at_once(tmp_path):
    path = tmp_path / "trials.sqlite"

    def write(name):
        with TrialLedger(path) as ledger:
            for number in range(20):
                ledger.add(trial(params=f"{name} {number}"))

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with TrialLedger(path) as ledger:
        assert len(ledger.made_on(key())) == 40


def test_a_file_that_is_no_ledger_is_left_alone(tmp_path):
    path = tmp_path / "trials.sqlite"
    path.write_text("not a database, but long enough to be read as the head of one" * 20)
    before = path.read_bytes()
    with pytest.raises(BadInput, match=r"is no ledger of trials.*move it aside"):
        TrialLedger(path)
    assert path.read_bytes() == before


def test_a_newer_ledger_is_left_alone(tmp_path):
    path = tmp_path / "trials.sqlite"
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    database.close()
    with pytest.raises(BadInput, match="newer livebot"):
        TrialLedger(path)


def test_a_trial_that_cannot_be_read_is_told_with_the_mend(tmp_path):
    path = tmp_path / "trials.sqlite"
    with TrialLedger(path) as ledger:
        ledger.add(trial())
        with sqlite3.connect(path) as database:
            database.execute(
                "INSERT INTO trials SELECT 9, digest, made_ms, seconds, strategy, code, symbols, from_ms, to_ms, candles, "
                "config, features, params, '{\"odd\": 1}' FROM trials"
            )
        database.close()
        with pytest.raises(BadInput, match="cannot be read"):
            ledger.find(key())


def test_a_ledger_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    path = tmp_path / "trials.sqlite"
    monkeypatch.setattr("livebot.backtest.trials.WAIT_S", 0.01)
    with TrialLedger(path) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Fatal, match="nothing in it was changed"):
            ledger.add(trial())
        other.close()
