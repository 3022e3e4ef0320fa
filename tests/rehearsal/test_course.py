"""A whole rehearsal: real processes, the real client, the verdict; and what it does when things go wrong with itself.

LIVEBOT_REHEARSAL_KILLS says how often the daemon of each exchange is killed (default 10, so 20 in all),
LIVEBOT_REHEARSAL_SEED when, and LIVEBOT_REHEARSAL_SYMBOLS how many symbols it trades (default 5).
"""

import json
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from livebot.cli.app import app
from livebot.errors import Fatal
from livebot.rehearsal import scratch
from livebot.rehearsal.files import read_facts, read_problems, read_states, read_trading_state
from livebot.rehearsal.processes import Child
from livebot.rehearsal.verdict import LimitsTold
from livebot.simulator.synthetic import symbol_names

KILLS = int(os.environ.get("LIVEBOT_REHEARSAL_KILLS", "10"))
PATIENCE_S = 90.0  # for a process to say its first word, on a machine that is busy
SYMBOLS = int(os.environ.get("LIVEBOT_REHEARSAL_SYMBOLS", "5"))
SEED = int(os.environ.get("LIVEBOT_REHEARSAL_SEED", "1"))
CONFIG = """\
system: stage
market: perpetual
exchange: {id: simulator, simulator: {seed: 3, volatility: 4}}
symbols: [BTC/USDT:USDT, ETH/USDT:USDT, SOL/USDT:USDT]
strategies: [{class: "trader:Eager"}]
risk:
  sizing: {kind: fixed, notional: 500}
  entry: {minimum_stop_distance: 0.0001, minimum_target_distance: 0.0001}
  limits: {open_signals: 10, gross_exposure: 0.6, daily_loss: null, drawdown: null, orders_per_minute: null}
  loss_limit: null
  win_rate: null
runtime: {history: 60}
"""
# a strategy that stands beside the config, as an operator's own does
TRADER = "from tests.process.strategies import Eager\n\n__all__ = ['Eager']\n"


# and one that ends its daemon once, as a bug in a library could; never the process that only loads it
DEADLY = """
import os
from pathlib import Path

from tests.process import strategies

DIED = Path(__file__).with_name("died")


class Eager(strategies.Eager):
    def decide(self, view):
        if "LIVEBOT_CONFIRM_LIVE" in os.environ and not DIED.exists():
            DIED.touch()
            os._exit(5)
        return super().decide(view)
"""


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "operators"
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "trader.py").write_text(TRADER)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(sys, "path", [*sys.path])
    return folder / "config.yaml"


@pytest.fixture
def short_folder():
    """A socket's path may not be long."""
    with tempfile.TemporaryDirectory(prefix="lb") as folder:
        yield Path(folder)


def livebot(*arguments):
    return CliRunner().invoke(app, ["rehearse", *map(str, arguments)])


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("protocol", [pytest.param("bybit", marks=pytest.mark.untraced), "binance"])
def test_killed_again_and_again_amid_faults_and_every_invariant_holds(config, short_folder, protocol):
    config.write_text(CONFIG.replace("BTC/USDT:USDT, ETH/USDT:USDT, SOL/USDT:USDT", ", ".join(symbol_names(SYMBOLS))))
    for seconds in (25, 100):  # on a machine that does much else too little may happen in so few
        arguments = ("--protocol", protocol, "--seconds", seconds, "--kills", KILLS, "--seed", SEED)
        stage = short_folder / f"stage{seconds}"
        result = livebot("--config", config, *arguments, "--json", "--root", stage)
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        assert told["clean"] is True
        assert told["kills"] == KILLS
        if told["closed"] and all(found["checked"] for found in told["invariants"].values()):
            break
    assert told["opened"] >= told["closed"] >= 1
    assert {"drop", "cut", "disconnect"} <= set(told["faults"])
    for name, found in told["invariants"].items():
        assert (name, found["broken"], found["checked"] > 0) == (name, [], True)
    assert "killed" in result.stderr
    assert (stage / "state" / "ledger.sqlite").exists()  # asked for, so kept
    assert not (config.parent / "state").exists()


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_is_broken_is_named_and_the_folder_kept(config, tmp_path, short_folder, monkeypatch):
    """Limits that nobody told the daemon of, and a daemon that ends by itself."""
    (config.parent / "trader.py").write_text(DEADLY)
    real = scratch.rehearsed
    monkeypatch.setattr(scratch, "rehearsed", lambda path: replace(real(path), limits=LimitsTold(open_signals=0)))
    monkeypatch.setattr("tempfile.tempdir", str(short_folder))
    faults = tmp_path / "faults.yaml"
    faults.write_text("- {kind: close_position, after_s: 12}\n")
    for seconds in (16, 90):  # on a machine that does much else it may not trade in so few
        shutil.rmtree(short_folder)
        short_folder.mkdir()
        (config.parent / "died").unlink(missing_ok=True)
        result = livebot("--config", config, "--seconds", seconds, "--kills", 0, "--faults", faults)
        assert result.exit_code == 3, result.output
        if "I5: " in result.stdout:
            break
    assert "BROKEN" in result.stdout
    assert (
        "I5: 1 signals are going on; 0 are allowed" in result.stdout or "positions are open; 0 signals" in result.stdout
    )
    assert "I12: the daemon ended by itself with 5" in result.stdout
    assert "NOT CLEAN" in result.stdout
    assert "close_position 1" in result.stdout
    (kept,) = short_folder.glob("livebot-rehearsal-*")
    assert str(kept) in result.stderr


class TestUsage:
    """What is refused before anything starts."""

    @pytest.mark.parametrize(
        "arguments", [["--seconds", 0], ["--seconds", "nan"], ["--kills", -1], ["--protocol", "x"]]
    )
    def test_bad_numbers(self, config, arguments):
        assert livebot("--config", config, *arguments).exit_code == 2

    def test_a_folder_that_is_in_use(self, config):
        result = livebot("--config", config, "--root", config.parent)
        assert (result.exit_code, "is not empty" in result.stderr) == (2, True)

    def test_faults_of_other_symbols(self, config, tmp_path):
        faults = tmp_path / "faults.yaml"
        faults.write_text("- {kind: drop, symbols: XRPUSDT}\n- {kind: drop, symbols: ADAUSDT}\n")
        result = livebot("--config", config, "--faults", faults)
        assert (result.exit_code, result.stderr.count("is not traded")) == (2, 2)

    def test_a_config_that_is_wrong(self, tmp_path):
        (tmp_path / "config.yaml").write_text("system: demo\n")
        assert livebot("--config", tmp_path / "config.yaml").exit_code == 2


@pytest.mark.process
@pytest.mark.timeout(300)
class TestChild:
    """One process."""

    async def test_the_end_of_its_output_is_told_if_it_ends_too_early(self, tmp_path):
        child = await Child.start(["check", "--config", str(tmp_path / "none.yaml")], tmp_path / "log", os.environ)
        with pytest.raises(Fatal, match=r"(?s)log: it ended with 2.*no such file"):
            await child.said("ready", PATIENCE_S)
        assert await child.stop() == 2

    async def test_one_that_says_nothing_is_not_waited_for_long(self, tmp_path):
        child = await Child.start(["exchange", "--json"], tmp_path / "log", os.environ)
        with pytest.raises(Fatal, match="no wonder within"):
            await child.said("wonder", 0.1)
        await child.said("control_port", PATIENCE_S)
        await child.kill()
        assert child.code == -9

    async def test_one_that_does_not_stop_is_killed(self, tmp_path, monkeypatch):
        monkeypatch.setattr("livebot.rehearsal.processes.STOP_S", 0.0)
        child = await Child.start(["exchange", "--json"], tmp_path / "log", os.environ)
        await child.said("control_port", PATIENCE_S)
        assert await child.stop() in (0, -9)


class TestFiles:
    """What a daemon wrote."""

    def test_its_problems_are_told_once_with_whether_they_passed(self):
        lines = [
            {"event": "problem", "source": "a", "what": "A is down"},
            {"event": "problem_passed", "source": "a"},
            {"event": "problem", "source": "b", "what": "B is down"},
            {"event": "problem", "source": "a", "what": "A is down"},
            {"event": "problem", "source": "c", "what": "C is down"},
            {"event": "problem_passed", "source": "c"},
            {"event": "ready"},
            [],
        ]
        log = b"\n".join([json.dumps(line).encode() for line in lines] + [b'{"event": "pro'])
        found = [(each.what, each.passed) for each in read_problems(log)]
        assert found == [("A is down", False), ("B is down", False), ("C is down", True)]

    def test_nothing_is_no_finding(self, tmp_path):
        assert read_states(tmp_path / "signals") == ({}, [])
        assert read_facts(tmp_path / "ledger.sqlite") == ()
        assert read_trading_state(tmp_path) is None

    def test_a_damaged_file_is_a_finding_and_a_scratch_is_none(self, tmp_path):
        folder = tmp_path / "signals" / "trend"
        folder.mkdir(parents=True)
        (folder / "BTC-USDT.json").write_text("{}")
        (folder / "BTC-USDT.json.scratch").write_text("{")
        states, said = read_states(tmp_path / "signals")
        assert (states, len(said)) == ({}, 1)
        assert "BTC-USDT.json of trend" in said[0]

    def test_a_ledger_without_tables_is_empty(self, tmp_path):
        (tmp_path / "ledger.sqlite").touch()
        assert read_facts(tmp_path / "ledger.sqlite") == ()
