"""`livebot models`: what an operator sees of the registry, and what may and may not be switched."""

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.root_lock import RootLock
from livebot.adapters.state_files.signal_store import FileSignalStore
from livebot.adapters.state_files.universe_store import FileUniverseStore
from livebot.bootstrap.loading import load
from livebot.bootstrap.model_commands import ModelDesk
from livebot.bootstrap.models import evidence_set
from livebot.cli.app import app
from livebot.core.inputs import SymbolState
from livebot.core.signal import Opening
from livebot.core.universe_memory import UniverseMemory
from livebot.features.model_features import model_features
from livebot.learning.coverage import TrainingQueue, Waiting, queue_path
from livebot.learning.dataset import Dataset
from livebot.learning.due import LOCK_FILE
from livebot.learning.fitting import fit
from livebot.learning.registry import Registry
from livebot.learning.spec import SymbolEncoding, TrainingMode, TrainingSpec
from tests.core.examples import SIGNAL
from tests.learning.predictors_for_tests import START_MS, dataset, description

KEY = "0123456789abcdef0123456789abcdef"
CONFIG = """\
system: demo
market: spot
symbols: [BTC/USDT, ETH/USDT]
strategies: [{name: ema_cross}]
model: {training_mode: multi_symbol, symbol_encoding: none}
"""
SYMBOLS = ("BTC/USDT", "OLD/USDT")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("LIVEBOT_MODEL_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)


def call(*arguments, code=0):
    result = CliRunner().invoke(app, ["models", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def rows() -> Dataset:
    """Rows of the features that the config's daemon computes."""
    loaded = load(Path("config.yaml"))
    (plan,) = loaded.strategies
    features = evidence_set(plan.make(), loaded.config.model)
    names = tuple(each.name for each in model_features("own"))
    values = np.random.default_rng(5).normal(size=(300, len(names)))
    made = dataset(symbols=SYMBOLS)
    length_ms = plan.make().timeframe.ms
    return replace(made, feature_set=features, names=names, features=values, timeframe_ms=length_ms)


def registry() -> Registry:
    return Registry(Path("models").resolve(), KEY.encode())


def saved(number: int = 0, scope: str = "ema_cross") -> str:
    spec = TrainingSpec(mode=TrainingMode.MULTI_SYMBOL, encoding=SymbolEncoding.NONE, minimum_events=10)
    told = description(START_MS + number * 1000, scope=scope, spec=spec, label={"win": "net gain above 0"})
    return registry().save(fit(rows(), spec), rows(), told)


def test_nothing_is_there_yet():
    assert "there are no models in" in call("list")
    assert json.loads(call("list", "--json"))["scopes"] == []
    none = f"there is no model of ema_cross in {Path('models').resolve()}; `livebot train` makes one"
    assert f"no version is in use in ema_cross; {none}" in call("show", "ema_cross", code=3)
    assert none in call("promote", "ema_cross", code=2)
    assert none in call("prune", "ema_cross", code=3)
    assert "there is no version before" in call("rollback", "ema_cross", code=3)
    assert "0 of 2 traded symbols are covered" in call("coverage")


def test_versions_are_listed_with_their_parts():
    """The newest first; what is in use, what was, and what answers in shadow."""
    first, second, third = (saved(number) for number in range(3))
    for version in (first, second):
        call("promote", f"ema_cross/{version}")
    registry().challenge("ema_cross", third)
    lines = [line.split() for line in call("list").splitlines() if line.strip().startswith("ema_cross ")]
    assert [(line[1], line[2]) for line in lines] == [
        (third, "challenger"),
        (second, "current"),
        (first, "previous"),
    ]
    (scope,) = json.loads(call("list", "--json"))["scopes"]
    assert (scope["current"], scope["previous"], scope["challenger"]) == (second, first, third)
    assert [each["version"] for each in scope["versions"]] == [first, second, third]
    assert scope["versions"][0]["problem"] is None
    assert scope["versions"][0]["symbols"] == list(SYMBOLS)


def test_what_could_not_be_used_is_listed_with_the_reason():
    altered, moved, fine = (saved(number) for number in range(3))
    path = Path("models/ema_cross", altered, "manifest.json")
    path.write_bytes(path.read_bytes().replace(b'"seed": 1', b'"seed": 2'))
    Path("models/ema_cross", moved, "manifest.json").unlink()
    Path("models/ema_cross/current").write_text("nonsense")
    shutil.copytree("models/ema_cross", "models/other")
    text = call("list")
    assert text.count("cannot be used") == 5  # two of them, and all that were copied elsewhere
    assert "manifest.json: its seal does not fit" in text
    assert "manifest.json is missing beside the model" in text
    assert "current names no version, but 'nonsense'" in text
    assert "ema_cross: no version is in use" in text
    assert "other: no strategy of the config has its models there" in text
    found = {scope["scope"]: scope for scope in json.loads(call("list", "--json"))["scopes"]}
    assert [each["problem"] is None for each in found["ema_cross"]["versions"]] == [False, False, True]
    assert found["ema_cross"]["versions"][2]["version"] == fine
    assert found["other"]["strategy"] is None


def test_other_features_than_the_daemons_are_told_in_the_list():
    saved()
    Path("config.yaml").write_text(CONFIG.replace("symbol_encoding: none", "symbol_encoding: none, features: market"))
    assert "it was trained on the features model_own@1" in call("list")


def test_without_a_key_it_is_said_what_digests_are_worth(monkeypatch):
    monkeypatch.delenv("LIVEBOT_MODEL_KEY")
    spec = TrainingSpec(mode=TrainingMode.MULTI_SYMBOL, encoding=SymbolEncoding.NONE, minimum_events=10)
    Registry(Path("models").resolve()).save(fit(rows(), spec), rows(), description(spec=spec))
    assert "LIVEBOT_MODEL_KEY is not set" in call("list")
    monkeypatch.setenv("LIVEBOT_MODEL_KEY", KEY)
    text = call("list")
    assert "LIVEBOT_MODEL_KEY is not set" not in text
    assert "sealed without a key" in text
    monkeypatch.setenv("LIVEBOT_MODEL_KEY", "short")
    text = call("list", code=2)
    assert "LIVEBOT_MODEL_KEY must have at least 32 characters, and has 5" in text
    assert "short" not in text


def test_check_says_so_too_and_refuses_a_key_that_is_too_short(monkeypatch):
    """Only where there is a model to seal."""
    told = "LIVEBOT_MODEL_KEY is not set"

    def check(code=0):
        result = CliRunner().invoke(app, ["check"])
        assert result.exit_code == code, result.output
        return result.output

    assert told not in check()
    monkeypatch.delenv("LIVEBOT_MODEL_KEY")
    assert told in check()
    monkeypatch.setenv("LIVEBOT_MODEL_KEY", "tooshort")
    text = check(code=2)
    assert "must have at least 32 characters, and has 8" in text
    assert "tooshort" not in text
    Path("config.yaml").write_text(CONFIG[: CONFIG.index("model:")])
    assert "LIVEBOT_MODEL_KEY" not in check()


def test_a_version_is_shown_whole():
    version = saved()
    call("promote", f"ema_cross/{version}")
    for name in ("ema_cross", f"ema_cross/{version}"):
        text = call("show", name)
        assert f"ema_cross/{version} (current)" in text
        assert "passed: seal, libraries, features, digest, golden rows" in text
        assert "multi_symbol, encoding none, logistic_regression" in text
        assert "BTC/USDT (150 rows" in text
        assert "win: net gain above 0" in text
    tree = json.loads(call("show", "ema_cross", "--json"))
    assert (tree["version"], tree["used_as"], tree["problem"]) == (version, ["current"], None)
    assert len(tree["golden"]) == 32


def test_a_version_that_fails_is_shown_with_the_cause():
    version = saved()
    Path("models/ema_cross", version, "model.joblib").write_bytes(b"x")
    text = call("show", f"ema_cross/{version}", code=3)
    assert "its digest differs" in text
    assert "(not used)" in text
    Path("models/ema_cross", version, "manifest.json").write_bytes(b"x")
    assert "it has no seal at its end" in call("show", f"ema_cross/{version}", code=3)


def test_promote_and_roll_back():
    first, second = saved(), saved(1)
    text = call("promote", f"ema_cross/{first}")
    assert f"ema_cross/{first} is in use from now on (none was before)" in text
    assert "a running daemon takes it within 30 s" in text
    assert json.loads(call("promote", f"ema_cross/{second}", "--json")) == {
        "scope": "ema_cross",
        "version": second,
        "before": first,
    }
    assert "is in use already" in call("promote", f"ema_cross/{second}")
    assert f"ema_cross/{first} is in use from now on (before: {second})" in call("rollback", "ema_cross")
    assert registry().current("ema_cross") == first


def test_what_is_refused_changes_nothing():
    good, bad = saved(), saved(1)
    call("promote", f"ema_cross/{good}")
    Path("models/ema_cross", bad, "model.joblib").write_bytes(b"x")
    text = call("promote", f"ema_cross/{bad}", code=3)
    assert "its digest differs" in text
    assert "nothing was changed" in text
    assert "there is no such version" in call("promote", "ema_cross/20200101T000000Z-01234567", code=3)
    elsewhere = saved(2, scope="elsewhere")
    assert "no strategy of the config has its models in elsewhere" in call("promote", f"elsewhere/{elsewhere}", code=3)
    Path("config.yaml").write_text(CONFIG.replace("symbol_encoding: none", "symbol_encoding: none, features: market"))
    assert "it was trained on the features" in call("promote", f"ema_cross/{good}", code=3)
    assert registry().current("ema_cross") == good


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("promote", "../x/20200101T000000Z-01234567"), "is no scope of models"),
        (("show", "a b"), "is no scope of models"),
        (("promote", "ema_cross"), "say which version of ema_cross"),
        (("rollback", "ema_cross/20200101T000000Z-01234567"), "name the scope alone"),
    ],
)
def test_bad_usage_is_told(arguments, cause):
    assert cause in call(*arguments, code=2)


def test_a_scope_or_version_that_was_mistyped_is_told_with_those_there_are():
    version = saved()
    assert "there are models of ema_cross" in call("prune", "ema_corss", code=3)
    assert "there are models of ema_cross" in call("show", "ema_corss", code=3)
    assert f"WRONG is no version of ema_cross: the newest is ema_cross/{version}" in call(
        "promote", "ema_cross/WRONG", code=2
    )


def test_the_times_of_a_label_are_shown_as_times():
    spec = TrainingSpec(mode=TrainingMode.MULTI_SYMBOL, encoding=SymbolEncoding.NONE, minimum_events=10)
    label = {"win": "net gain above 0", "latency_ms": 250, "window_ms": 86_400_000, "window_start_ms": 0, "fee": 0.1}
    call("promote", "ema_cross/" + registry().save(fit(rows(), spec), rows(), description(START_MS, label=label)))
    assert (
        "win: net gain above 0, latency: 250 ms, window: 1 d 0 h, window start: 1970-01-01 00:00:00 UTC, fee: 0.1"
        in call("show", "ema_cross")
    )


def test_a_config_without_models_is_told():
    Path("config.yaml").write_text(CONFIG[: CONFIG.index("model:")])
    for command in (("list",), ("show", "a"), ("promote", "a"), ("rollback", "a"), ("coverage",)):
        assert "has no model section" in call(*command, code=2)


def test_coverage_tells_who_is_covered_who_waits_and_who_is_covered_for_nothing():
    call("promote", f"ema_cross/{saved()}")
    queue = TrainingQueue(queue_path(Path("state").resolve()), "demo")
    queue.update([Waiting(strategy="ema_cross", symbol="ETH/USDT", since_ms=START_MS)], lambda _: False)
    text = call("coverage")
    states = [line.split()[1:3] for line in text.splitlines() if line.strip().startswith("ema_cross ")]
    assert states == [["ETH/USDT", "blocked,"], ["BTC/USDT", "covered"], ["OLD/USDT", "covered,"]]
    assert "waits since 2023-11-14 22:00:00 UTC" in text
    assert "covered, not traded" in text
    assert "1 of 2 traded symbols are covered" in text
    tree = json.loads(call("coverage", "--json"))
    assert [(each["symbol"], each["covered"], each["traded"]) for each in tree["symbols"]] == [
        ("BTC/USDT", True, True),
        ("ETH/USDT", False, True),
        ("OLD/USDT", True, False),
    ]
    assert tree["symbols"][1]["waiting_since_ms"] == START_MS
    Path("models/ema_cross/current").write_text("nonsense")
    assert "current names no version" in call("coverage")


def test_coverage_of_a_universe_is_of_the_members_the_daemon_remembers():
    Path("config.yaml").write_text(CONFIG.replace("symbols: [BTC/USDT, ETH/USDT]", "universe: {top: 3}"))

    async def remember():
        files = DurableFiles()
        store = FileUniverseStore(Path("state").resolve(), "demo", files)
        await store.save(UniverseMemory(asked_ms=START_MS, members=(("SOL/USDT", START_MS),)))
        await files.close()

    assert ModelDesk(Path("config.yaml"), None).coverage().symbols == ()
    asyncio.run(remember())
    (row,) = ModelDesk(Path("config.yaml"), None).coverage().symbols
    assert (row.symbol, row.covered, row.version) == ("SOL/USDT", False, None)


def test_a_scope_for_each_symbol():
    Path("config.yaml").write_text(
        CONFIG.replace(
            "{training_mode: multi_symbol, symbol_encoding: none}",
            '{training_mode: per_symbol, model_path_pattern: "{strategy}/{symbol}"}',
        )
    )
    version = saved(scope="ema_cross/BTC-USDT")
    call("promote", f"ema_cross/BTC-USDT/{version}")
    assert f"ema_cross/BTC-USDT/{version} (current)" in call("show", "ema_cross/BTC-USDT")
    rows_of = {each["symbol"]: each for each in json.loads(call("coverage", "--json"))["symbols"]}
    assert (rows_of["BTC/USDT"]["scope"], rows_of["BTC/USDT"]["covered"]) == ("ema_cross/BTC-USDT", True)
    assert (rows_of["ETH/USDT"]["scope"], rows_of["ETH/USDT"]["covered"]) == ("ema_cross/ETH-USDT", False)


def opened(symbol: str, version: str) -> None:
    """A signal that was opened by this version and is not closed."""
    signal = replace(SIGNAL, model=f"ema_cross/{version}")
    state = SymbolState(
        system="demo", strategy="ema_cross", symbol=symbol, sequence=1, number=1, signal=Opening(signal=signal)
    )

    async def save():
        files = DurableFiles()
        await FileSignalStore(Path("signals").resolve(), "demo", files).save(state)
        await files.close()

    asyncio.run(save())


def test_old_versions_are_named_and_go_only_if_that_is_said():
    made = [saved(number) for number in range(5)]
    call("promote", f"ema_cross/{made[1]}")
    opened("BTC/USDT", made[2])
    text = call("prune", "--keep", "1")
    assert f"ema_cross/{made[0]}: can be removed" in text
    assert "2 versions can be removed, 3 are kept; nothing was removed: --yes does it" in text
    assert registry().versions("ema_cross") == tuple(made)
    tree = json.loads(call("prune", "ema_cross", "--keep", "1", "--yes", "--json"))
    assert tree["removed"] == {"ema_cross": [made[0], made[3]]}
    assert tree["scopes"][0]["kept"] == {made[4]: "among the newest", made[2]: "an open signal", made[1]: "current"}
    assert registry().versions("ema_cross") == (made[1], made[2], made[4])
    assert "nothing can be removed: 3 versions are needed" in call("prune", "--yes", "--keep", "1")
    saved(7)
    assert "were removed" not in call("prune", "--yes")  # retrain.keep_versions: 10
    assert f"ema_cross/{made[4]}: removed" in call("prune", "--yes", "--keep", "1")


def test_without_a_number_nothing_is_ever_removed():
    Path("config.yaml").write_text(CONFIG.replace("none}", "none, retrain: {keep_versions: null}}"))
    saved()
    assert "all versions are kept; say how many with --keep" in call("prune", code=2)


def test_nothing_goes_while_a_signals_file_cannot_be_read():
    """It may be of an open one."""
    made = [saved(number) for number in range(3)]
    opened("BTC/USDT", made[0])
    (path,) = Path("signals").glob("*/*.json")
    path.write_bytes(b"torn")
    assert "cannot be read" in call("prune", "--keep", "1", "--yes", code=2)
    assert registry().versions("ema_cross") == tuple(made)


def test_a_scope_that_cannot_be_looked_at_is_told_and_the_others_go_on():
    made = [saved(number) for number in range(3)]
    saved(scope="elsewhere")
    Path("models/elsewhere/current").write_text("nonsense")
    text = call("prune", "--keep", "1", "--yes", code=3)
    assert "elsewhere: " in text
    assert "no version of it is removed" in text
    assert registry().versions("ema_cross") == (made[2],)


def test_nothing_is_removed_while_a_training_is_under_way():
    made = [saved(number) for number in range(3)]
    with RootLock(Path("models") / LOCK_FILE, Path("models")):
        assert "another training is under way" in call("prune", "--keep", "1", "--yes", code=3)
    assert registry().versions("ema_cross") == tuple(made)


def test_a_version_folder_that_is_named_after_no_moment_is_listed_and_can_go():
    saved()
    Path("models/ema_cross/00000000T000000Z-01234567").mkdir()
    assert "manifest.json is missing" in call("list")
    assert "00000000T000000Z-01234567: removed" in call("prune", "--keep", "1", "--yes")


@pytest.mark.parametrize("name", ["list", "show", "promote", "rollback", "prune", "coverage"])
def test_every_command_has_an_example(name):
    assert f"Example: livebot models {name}" in call(name, "--help")
