"""`livebot train` and `livebot drift` as an operator uses them, on candles made by chance."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from livebot.adapters.ledger.ledger import SqlLedger
from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.adapters.state_files.universe_store import FileUniverseStore
from livebot.bootstrap import training
from livebot.bootstrap.evaluation import judged_of
from livebot.bootstrap.training_due import made_at
from livebot.cli.app import app
from livebot.core.facts import Fact
from livebot.core.market import DAY_MS
from livebot.core.universe_memory import UniverseMemory
from livebot.errors import Fatal
from livebot.learning.coverage import TrainingQueue, Waiting, queue_path
from livebot.learning.description import described
from livebot.learning.due import LOCK_FILE, Trigger, read_attempts, write_triggers
from livebot.learning.registry import Registry
from tests.backtest.command import CONFIG, HONEST, prepare
from tests.learning.predictors_for_tests import START_MS, dataset, description, fitted
from tests.learning.test_drift import closed, signal

HOURS = 2_600
HOUR_MS = 3_600_000
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


def test_a_symbol_that_left_the_universe_holds_no_version_back(root, candles):
    text = (root / "config.yaml").read_text()
    (root / "config.yaml").write_text(text.replace("symbols: [AAA/USDT, BBB/USDT]\n", "universe: {}\n"))
    assert trained(root, candles, "--promote")["covered"] == ["AAA/USDT", "BBB/USDT"]
    asyncio.run(remember(root / "state", UniverseMemory(asked_ms=1, members=(("AAA/USDT", 1),))))
    time.sleep(1.1)  # a version has its second in its name
    alone = trained(root, candles, "--symbol", "AAA/USDT")
    assert "it does not cover" not in " ".join(alone["told"])


async def remember(state: Path, memory: UniverseMemory) -> None:
    """As the daemon does."""
    files = DurableFiles()
    await FileUniverseStore(state, "demo", files).save(memory)
    await files.close()


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
    paused = ask(root, candles, "--if-due").stdout  # there is a pause between trainings
    assert "nothing is due" in paused
    assert "ema_cross: entries of CCC/USDT wait for a model, and it is too soon to train again" in paused
    text = (root / "config.yaml").read_text().replace("window_days: 10", "window_days: 10, pause_hours: 0.0001")
    (root / "config.yaml").write_text(text)
    time.sleep(1.1)
    said = ask(root, candles, "--if-due").stdout
    assert "no model covers CCC/USDT; it wears out" in said


def patient(root: Path, more: str = "") -> None:
    """A symbol or drift may train at once."""
    text = (root / "config.yaml").read_text().replace("window_days: 10", f"window_days: 10, pause_hours: 0.0001{more}")
    (root / "config.yaml").write_text(text)


def waits(root: Path, symbol: str) -> None:
    (root / "state").mkdir(exist_ok=True)
    TrainingQueue(queue_path(root / "state"), "demo").update(
        [Waiting(strategy="ema_cross", symbol=symbol, since_ms=1)], lambda _each: False
    )


def test_a_symbol_whose_version_did_not_clear_the_floor_waits_for_the_schedule(root, candles):
    """Judged anew each day, it would be found good by chance before long."""
    write(root, minimum_gain="0.5", more="")
    patient(root)
    waits(root, "BBB/USDT")
    assert trained(root, candles)["state"] == "challenger"
    assert read_attempts(root / "models", "demo")["ema_cross"].judged == ("BBB/USDT",)


def test_a_symbol_that_no_training_covers_is_not_trained_for_again_and_again(root, candles):
    """There are no candles of it; a day later it is tried again."""
    patient(root)
    trained(root, candles)
    waits(root, "CCC/USDT")
    time.sleep(1.1)
    assert "no model covers CCC/USDT" in ask(root, candles, "--if-due").stdout
    time.sleep(1.1)
    assert "nothing is due" in ask(root, candles, "--if-due").stdout


def test_a_symbol_that_the_config_does_not_train_on_is_told_and_trains_nothing(root, candles):
    """The default trains on one symbol: each hour another one would wait, and nothing would ever come of it."""
    text = (root / "config.yaml").read_text().replace("training_mode: multi_symbol", "training_mode: single_symbol")
    (root / "config.yaml").write_text(text)
    patient(root)
    trained(root, candles)
    waits(root, "BBB/USDT")
    time.sleep(1.1)
    said = ask(root, candles, "--if-due").stdout
    assert "no training will cover BBB/USDT, for which entries wait: model.training_mode is single_symbol" in said
    assert "nothing is due" in said
    several = text.replace(
        "training_mode: single_symbol", "training_mode: multi_symbol\n  multi_symbol_symbols: [AAA/USDT]"
    )
    (root / "config.yaml").write_text(several)
    assert "model.multi_symbol_symbols does not name them" in ask(root, candles, "--if-due").stdout


def test_a_training_that_was_killed_is_not_begun_again_at_once(root, candles, monkeypatch):
    """Such as one that memory does not suffice for: each hour it would take it from the daemon."""
    with monkeypatch.context() as killed:
        killed.setattr("livebot.bootstrap.training.learn", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        ask(root, candles, "--if-due", code=130)
    assert registry(root).scopes() == ()
    assert "nothing is due" in ask(root, candles, "--if-due").stdout
    patient(root)
    time.sleep(1.1)
    assert "in use from now on" in ask(root, candles, "--if-due").stdout


def test_what_cannot_be_remembered_is_told_with_what_was_trained(root, candles, monkeypatch):
    real, calls = training.remember_attempt, []

    def second_fails(*args):
        calls.append(args)
        if len(calls) == 2:
            raise Fatal("cannot write training.json: No space left on device")
        real(*args)

    monkeypatch.setattr(training, "remember_attempt", second_fails)
    said = ask(root, candles).stdout
    assert "No space left on device; that ema_cross was trained is not remembered" in said
    assert "in use from now on" in said


def test_a_pointer_that_names_nothing_holds_up_no_training(root, candles):
    """Which is what mends it."""
    patient(root, ", every_hours: 0.0001")
    trained(root, candles)
    (root / "models" / "ema_cross" / "current").write_text("nonsense")
    time.sleep(1.1)
    said = ask(root, candles, "--if-due").stdout
    assert "current names no version" in said
    assert "in use from now on" in said


def test_folders_that_are_named_after_no_moment_or_a_later_one_hold_up_no_training(root, candles):
    for name in ("20261399T999999Z-01234567", "99991231T235959Z-01234567"):
        (root / "models" / "ema_cross" / name).mkdir(parents=True)
    assert "it was never trained" in ask(root, candles, "--if-due").stdout
    assert "nothing is due" in ask(root, candles, "--if-due").stdout
    (root / "models" / "training.json").unlink()  # then the versions alone say when
    assert "nothing is due" in ask(root, candles, "--if-due").stdout


def test_old_versions_go_when_a_training_ends(root, candles):
    patient(root, ", keep_versions: 1")
    made = []
    for _ in range(3):
        made.append(trained(root, candles, "--promote", "--seed", str(len(made)))["version"])
        time.sleep(1.1)
    assert registry(root).versions("ema_cross") == tuple(made)  # in use, the one before, and its parent
    report = json.loads(ask(root, candles, "--json", "--promote", "--seed", "9").stdout)
    assert report["notes"] == ["ema_cross: 1 old versions were removed (retrain.keep_versions: 1)"]
    assert made[0] not in registry(root).versions("ema_cross")


def test_versions_that_cannot_be_removed_fail_no_training(root, candles, monkeypatch):
    patient(root, ", keep_versions: 1")
    for seed in range(4):
        if seed == 3:
            monkeypatch.setattr(
                "livebot.learning.registry.shutil.rmtree", lambda _: (_ for _ in ()).throw(OSError(30, "no"))
            )
        report = json.loads(ask(root, candles, "--json", "--promote", "--seed", str(seed)).stdout)
        time.sleep(1.1)
    assert "old versions were not all removed: cannot remove" in report["notes"][0]
    assert report["trained"][0]["state"] == "current"
    monkeypatch.undo()
    (root / "signals" / "ema_cross").mkdir(parents=True)
    (root / "signals" / "ema_cross" / "AAA-USDT.json").write_bytes(b"torn")
    report = json.loads(ask(root, candles, "--json", "--promote", "--seed", "9").stdout)
    assert "old versions were not removed: " in report["notes"][0]
    assert report["trained"][0]["state"] == "current"


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
    assert made_at("20261399T999999Z-01234567") is None


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
    assert once["without"]["trades"] == tree["tradable"] < tree["entries"]
    assert 0 < once["model"]["trades"] <= tree["entries"]
    assert twice["without"]["gain_per_entry"] < once["without"]["gain_per_entry"]
    manifest = registry(root).manifest("ema_cross", version)
    assert f"{datetime.fromtimestamp(manifest.train_end_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC" < tree["from"]
    assert "without a model" in evaluate(root, candles, f"ema_cross/{version}").stdout


def test_entries_by_which_a_version_was_judged_are_told(root, candles):
    """All there are after its training are those of its window, until there are newer candles."""
    version = trained(root, candles)["version"]
    label = registry(root).manifest("ema_cross", version).label
    tree = json.loads(evaluate(root, candles, "ema_cross", "--json").stdout)
    told = {
        name: f"{datetime.fromtimestamp(label[key] / 1000, UTC):%Y-%m-%d %H:%M} UTC"
        for name, key in (("from", "window_start_ms"), ("to", "window_end_ms"))
    }
    assert tree["judged"] == {**told, "entries": tree["entries"], "exact": True}
    said = evaluate(root, candles, "ema_cross").stdout
    assert f"note: {tree['entries']} of these entries lie in the window by which it was judged" in said


def test_of_a_version_that_does_not_say_by_what_it_was_judged_the_widest_window_is_told():
    manifest = described(fitted(), dataset(), description(START_MS + 500 * HOUR_MS), b"m")
    rows = dataset(600)
    found = judged_of(manifest, rows)
    assert (found.start_ms, found.end_ms, found.exact) == (manifest.train_end_ms, manifest.created_ms, False)
    assert found.rows == int(((rows.close_ms >= found.start_ms) & (rows.close_ms < found.end_ms)).sum()) > 0
    assert judged_of(manifest, dataset(300)) is None


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
