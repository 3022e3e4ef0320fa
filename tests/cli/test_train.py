"""`livebot train` and `livebot drift` as an operator uses them, on candles made by chance."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from livebot.adapters.ledger.ledger import SqlLedger
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.bootstrap.training import made_at
from livebot.cli.app import app
from livebot.core.facts import Fact
from livebot.core.market import DAY_MS
from livebot.learning.coverage import TrainingQueue, Waiting, queue_path
from livebot.learning.due import LOCK_FILE, Trigger, write_triggers
from livebot.learning.registry import Registry
from tests.backtest.command import CONFIG, HONEST, prepare
from tests.learning.test_drift import closed, signal

HOURS = 2_600
MODEL = """
model:
  training_mode: multi_symbol
  minimum_events: 20
  history: {minimum_days: 30, target_days: 60}
  retrain: {window_days: 10, minimum_trades: 5, minimum_gain: %s, maximum_loss_rise: 0.9, symbol_floor: null}
"""


@pytest.fixture(scope="module")
def candles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("candles")
    prepare(folder, count=HOURS, step=60)
    return folder / "candles"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path)
    return tmp_path


def write(folder: Path, *, minimum_gain: str = "-0.5", more: str = "") -> None:
    (folder / "config.yaml").write_text(CONFIG % (HONEST % "1h") + MODEL % minimum_gain + more)


def ask(root: Path, candles: Path, *words: object, code: int = 0, command: str = "train") -> Result:
    common = (command, "--config", root / "config.yaml", "--candles", candles)
    result = CliRunner().invoke(app, [*map(str, (*common, *words))])
    assert result.exit_code == code, result.output
    return result


def trained(root: Path, candles: Path, *words: object, code: int = 0) -> dict:
    (found,) = json.loads(ask(root, candles, "--json", *words, code=code).stdout)["trained"]
    return found


def registry(root: Path) -> Registry:
    return Registry(root / "models")


def test_a_training_says_what_it_did_and_leaves_a_model_in_use(root, candles):
    said = ask(root, candles).stdout
    version = registry(root).current("ema_cross")
    assert f"ema_cross/{version}: in use from now on" in said
    assert "covers AAA/USDT, BBB/USDT" in said
    assert not (root / "state").exists()  # it is the daemon's


def test_the_same_candles_config_and_seed_give_the_same_model(root, candles, tmp_path):
    first = trained(root, candles)
    time.sleep(1.1)  # a version is named to the second
    second = trained(root, candles, "--no-promote")
    assert first["version"].partition("-")[2] == second["version"].partition("-")[2]
    assert second["state"] == "saved"
    assert registry(root).current("ema_cross") == first["version"]


def test_what_does_not_clear_the_floor_is_kept_in_shadow_unless_it_is_to_be_used(root, candles):
    write(root, minimum_gain="0.5")
    kept = trained(root, candles)
    assert (kept["state"], registry(root).challenger("ema_cross")) == ("challenger", kept["version"])
    time.sleep(1.1)
    assert trained(root, candles, "--promote")["state"] == "current"


def test_one_symbol_alone(root, candles):
    found = trained(root, candles, "--symbol", "BBB/USDT")
    assert found["covered"] == ["BBB/USDT"]


def test_one_symbol_alone_does_not_take_over_from_a_model_of_all(root, candles):
    """It would end the trading in the others, which the config still trades."""
    whole = trained(root, candles, "--promote")
    time.sleep(1.1)  # a version has its second in its name
    alone = trained(root, candles, "--symbol", whole["covered"][0])
    assert len(whole["covered"]) > 1
    assert (alone["state"], registry(root).current(whole["scope"])) == ("challenger", whole["version"])
    assert f"it does not cover {whole['covered'][1]}" in " ".join(alone["told"])


def test_each_symbol_in_a_scope_of_its_own(root, candles):
    text = (
        (root / "config.yaml")
        .read_text()
        .replace("multi_symbol\n", "per_symbol\n  model_path_pattern: '{strategy}/{symbol}'\n")
    )
    (root / "config.yaml").write_text(text)
    ask(root, candles, "--promote")
    models = registry(root)
    assert models.scopes() == ("ema_cross/AAA-USDT", "ema_cross/BBB-USDT", "ema_cross/shared")
    covered = {scope: set(models.manifest(scope, str(models.current(scope))).symbols) for scope in models.scopes()}
    assert covered == {
        "ema_cross/AAA-USDT": {"AAA/USDT"},
        "ema_cross/BBB-USDT": {"BBB/USDT"},
        "ema_cross/shared": {"AAA/USDT", "BBB/USDT"},
    }
    assert "nothing is due" in ask(root, candles, "--if-due").stdout


# ---------------------------------------------------------------- what is due


def test_nothing_is_due_after_a_training_and_that_is_said_with_0(root, candles):
    assert "it was never trained" in ask(root, candles, "--if-due").stdout
    assert ask(root, candles, "--if-due").stdout == "nothing is due, nothing was trained\n"


def test_a_symbol_that_waits_and_a_model_that_wears_out_are_due(root, candles):
    write(root, more="")
    first = trained(root, candles)
    (root / "state").mkdir()
    TrainingQueue(queue_path(root / "state"), "demo").update(
        [Waiting(strategy="ema_cross", symbol="CCC/USDT", since_ms=1)], lambda _each: False
    )
    worn = Trigger(strategy="ema_cross", model=f"ema_cross/{first['version']}", why="it wears out", since_ms=1)
    write_triggers(root / "state", "demo", (worn,), SystemFiles())
    assert "nothing is due" in ask(root, candles, "--if-due").stdout  # there is a pause between trainings
    text = (root / "config.yaml").read_text().replace("window_days: 10", "window_days: 10, pause_hours: 0.0001")
    (root / "config.yaml").write_text(text)
    time.sleep(1.1)
    said = ask(root, candles, "--if-due").stdout
    assert "no model covers CCC/USDT; it wears out" in said


def test_a_damaged_file_of_the_daemon_is_told_and_the_rest_goes_on(root, candles):
    (root / "state").mkdir()
    (root / "state" / "drift.json").write_bytes(b"nothing")
    said = ask(root, candles, "--if-due").stdout
    assert "drift.json is damaged" in said
    assert "in use from now on" in said


def test_without_a_model_section_nothing_is_due_and_a_training_is_refused(root, candles):
    (root / "config.yaml").write_text(CONFIG % (HONEST % "1h"))
    assert "has no model section" in ask(root, candles, "--if-due").stdout
    assert "write `model: {}`" in ask(root, candles, code=2).stderr


# ---------------------------------------------------------------- what is refused


def test_too_little_history_is_refused_by_name_and_ends_with_3(root, candles):
    result = ask(root, candles, "--from", "2026-04-01", code=3)
    assert "no symbol has history enough" in result.stdout
    assert "AAA/USDT" in result.stdout
    assert "what is in use goes on" in result.stderr


def test_names_that_are_not_there_are_refused(root, candles):
    assert "name one of these" in ask(root, candles, "--strategy", "nobody", code=2).stderr
    assert "no candles of ZZZ/USDT" in ask(root, candles, "--symbol", "ZZZ/USDT", code=3).stdout


def test_a_second_training_at_the_same_time_is_refused(root, candles):
    from livebot.adapters.state_files.root_lock import RootLock

    with RootLock(root / "models" / LOCK_FILE, root):
        assert "another training is under way" in ask(root, candles, code=3).stderr


def test_a_folder_that_cannot_be_written_is_told(root, candles):
    (root / "models").write_text("a file in its way")
    assert "cannot lock" in ask(root, candles, code=3).stderr


def test_the_moment_of_a_version_is_in_its_name():
    assert made_at("19700102T000000Z-01234567") == DAY_MS


# ---------------------------------------------------------------- drift


def drift(root: Path, candles: Path, *words: object, code: int = 0) -> Result:
    return ask(root, candles, *words, code=code, command="drift")


def test_drift_of_a_model_without_trades_looks_at_the_candles_since(root, candles):
    ask(root, candles, "--promote")
    (model,) = json.loads(drift(root, candles, "--json").stdout)["models"]
    assert (model["rows"] > 10, model["all_symbols"]["trades"]) == (True, 0)
    said = drift(root, candles).stdout
    assert "no trade has ended" in said
    assert "no ledger" in said


async def record(path: Path, facts: list[Fact]) -> None:
    ledger = SqlLedger(path, "demo")
    await ledger.record(facts, ())
    await ledger.close()


def test_drift_hears_the_ledger(root, candles):
    version = trained(root, candles, "--promote")["version"]
    (root / "state").mkdir()
    rows = []
    for number in range(80):
        opening = signal(number, model=f"ema_cross/{version}")
        rows += [opening, closed(opening, won=number % 10 == 0)]
    asyncio.run(record(root / "state" / "ledger.sqlite", rows))
    said = drift(root, candles, "--no-candles").stdout
    assert "WORN" in said
    assert "it wins less often than it says: 10% of the last trades where it said 60%" in said


def test_drift_without_a_model_section_or_watch_is_refused(root, candles):
    write(root, more="  drift: {enabled: false}\n")
    assert "model.drift.enabled is false" in drift(root, candles, code=2).stderr
    (root / "config.yaml").write_text(CONFIG % (HONEST % "1h"))
    assert "no model section" in drift(root, candles, code=2).stderr


def test_drift_tells_what_it_cannot_look_at(root, candles):
    assert "no ledger" in drift(root, candles).stdout
    version = trained(root, candles, "--promote")["version"]
    model = root / "models" / "ema_cross" / version / "model.joblib"
    model.write_bytes(b"nothing")
    assert "its digest differs" in drift(root, candles).stdout


# ---------------------------------------------------------------- evaluate


def evaluate(root: Path, candles: Path, *words: object, code: int = 0) -> Result:
    return ask(root, candles, *words, code=code, command="evaluate")


def test_a_version_is_held_against_the_strategy_alone_at_once_and_twice_the_costs(root, candles):
    version = trained(root, candles, "--promote")["version"]
    tree = json.loads(evaluate(root, candles, "ema_cross", "--json").stdout)
    assert tree["model"] == f"ema_cross/{version}"
    assert [each["times"] for each in tree["costs"]] == [1, 2]
    once, twice = tree["costs"]
    assert once["without"]["trades"] == tree["entries"] >= once["model"]["trades"]
    assert twice["without"]["gain_per_entry"] < once["without"]["gain_per_entry"]
    manifest = registry(root).manifest("ema_cross", version)
    assert f"{datetime.fromtimestamp(manifest.train_end_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC" < tree["from"]
    assert "without a model" in evaluate(root, candles, f"ema_cross/{version}").stdout


def test_a_range_that_the_training_reaches_into_is_refused(root, candles):
    trained(root, candles, "--promote")
    assert (
        "it has seen what it would be judged by"
        in evaluate(root, candles, "ema_cross", "--from", "2026-03-01", code=3).stderr
    )


def test_what_cannot_be_evaluated_is_told(root, candles):
    assert "no version is in use in ema_cross" in evaluate(root, candles, "ema_cross", code=3).stderr
    trained(root, candles, "--promote")
    assert (
        "entries, wins and losses are needed"
        in evaluate(root, candles, "ema_cross", "--from", "2026-04-19T06:00", code=3).stderr
    )
    assert (
        "no candles after its training ended"
        in evaluate(root, candles, "ema_cross", "--from", "2026-04-20", code=2).stderr
    )
    (root / "config.yaml").write_text(CONFIG % (HONEST % "1h"))
    assert "no model section" in evaluate(root, candles, "ema_cross", code=2).stderr
