"""The models of a daemon, real ones: loaded, looked at again, told of, and kept off the path of who has none."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import structlog
from threadpoolctl import threadpool_info, threadpool_limits

from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.bootstrap.commands import check as check_config
from livebot.bootstrap.models import STUCK, DaemonModels
from livebot.bootstrap.reload import Refused, plan_of
from livebot.bootstrap.strategies import judged_plans, with_models
from livebot.config.load import LoadedConfig, check
from livebot.config.root import Paths, resolve
from livebot.core.facts import SignalOpening
from livebot.core.market import Side, Timeframe
from livebot.errors import BadInput
from livebot.features.catalogue import rsi
from livebot.features.model_features import model_features
from livebot.learning.loaded import LoadedModel
from livebot.learning.registry import Registry
from livebot.learning.serving import ModelServing
from livebot.model_ports import Question
from livebot.runtime.inbox import Activity
from livebot.runtime.models.confidence import ConfidenceDesk
from livebot.runtime.problems import Problems
from livebot.strategies.interface import Strategy, View
from tests import trained_models
from tests.test_bootstrap import BTC, ETH, as_it_was, root_of, run  # noqa: F401 - fixtures
from tests.trained_models import END_MS, HOUR_MS, save
from tests.virtual_loop import REAL_WAIT_S

TEXT = """\
system: demo
market: perpetual
symbols: [BTC/USDT:USDT, ETH/USDT:USDT, SOL/USDT:USDT]
strategies: [{name: ema_cross}, {name: mean_reversion}]
"""
NAME = "ema_cross"
SOL = "SOL/USDT:USDT"
WIDTH = len(model_features("own"))


@dataclass(frozen=True)
class NoParams:
    """None."""


class Namesake(Strategy[NoParams]):
    """Calls a feature of its own as the model calls one."""

    name = "namesake"
    Params = NoParams
    features = (rsi("model_rsi_14", 14),)

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.H1

    def decide(self, view: View) -> None:
        return None


def config(model: str, more: str = "", text: str = TEXT) -> LoadedConfig:
    return check(f"{text}{more}model: {model}\n", "config.yaml")


class Clock:
    now = END_MS + HOUR_MS

    def now_ms(self) -> int:
        return self.now


class Scene:
    """The models of a daemon below a folder."""

    def __init__(self, folder: Path, model: str, more: str = "") -> None:
        self.loaded = with_models(config(model, more))
        self.paths: Paths = resolve(self.loaded.config, folder / "config.yaml", None, {})
        self.paths.state.mkdir(parents=True, exist_ok=True)
        self.problems, self.notes, self.clock = Problems(), [], Clock()
        self.opened = AsyncExitStack()
        self.environ: dict[str, str] = {}

    def make(self) -> DaemonModels:
        note = lambda kind, fields: self.notes.append((kind, fields))  # noqa: E731
        return DaemonModels(self.loaded, self.paths, self.environ, self.clock, self.problems.report, note, self.opened)

    def rows(self, symbols=(BTC, ETH), **changes):
        timeframe = next(plan for plan in self.loaded.strategies if plan.id == NAME).make().timeframe
        return trained_models.rows(symbols, strategy=NAME, timeframe=timeframe, **changes)

    def save(self, **changes) -> str:
        kinds = {name: changes.pop(name) for name in ("number", "promote") if name in changes}
        return save(self.paths.models, self.rows(**changes), **kinds)


def about(symbol: str, strategy: str = NAME) -> Question:
    return Question(strategy=strategy, symbol=symbol, side=Side.LONG, close_ms=END_MS, evidence=(0.1,) * WIDTH)


# ---------------------------------------------------------------- who has none


def test_without_a_model_nothing_heavy_is_imported() -> None:
    """Neither for a config without the section, nor where the daemon does not ask."""
    code = (
        "import sys; import livebot.cli.app, livebot.bootstrap.daemon as daemon\n"
        "from livebot.bootstrap.strategies import asked_model, with_models\n"
        "from livebot.config.load import check\n"
        f"text = {TEXT!r}\n"
        "for more in ('', 'model: {enabled: false}'):\n"
        "    loaded = check(text + more, 'config.yaml')\n"
        "    assert with_models(loaded) is loaded and asked_model(loaded) is None\n"
        "print(sorted({'sklearn', 'joblib', 'scipy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=REAL_WAIT_S)
    assert done.stdout.strip() == "[]"


def test_judged_strategies_say_what_the_model_looks_at() -> None:
    """Those that were chosen, and no other; the class is the same each time, so that a reload finds it unchanged."""
    loaded = config("{strategies: [ema_cross]}")
    judged = with_models(loaded)
    assert [plan.id for plan in judged_plans(loaded)] == [NAME]
    first, second = judged.strategies
    assert first.make().features[-WIDTH:] == model_features("own")
    assert second is loaded.strategies[1]
    assert with_models(config("{strategies: [ema_cross]}")).strategies[0].strategy_class is first.strategy_class


def test_a_strategy_with_a_feature_of_the_models_name_is_refused() -> None:
    text = TEXT.replace("{name: ema_cross}", "{class: tests.test_bootstrap_models:Namesake}")
    with pytest.raises(BadInput, match=r"namesake.*model_rsi_14"):
        with_models(config("{}", text=text))


# ---------------------------------------------------------------- what there is


async def test_what_is_in_use_answers_and_a_new_version_is_taken_up(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "{strategies: [ema_cross], threshold: 0.01}")
    async with scene.opened:
        first = scene.save()
        models = scene.make()
        await models.begin()
        assert models.asked_for(NAME)
        assert not models.asked_for("mean_reversion")
        (judgement,) = models.judge((about(BTC),), END_MS)
        assert judgement.model == first
        assert judgement.confidence is not None
        (status,) = models.status()
        assert (f"{status.scope}/{status.version}", status.covered, status.stale) == (first, 2, False)
        second = scene.save(seed=2, number=2)
        assert models.judge((about(BTC),), END_MS)[0].model == first
        await models.begin()
        assert models.judge((about(BTC),), END_MS)[0].model == second
        told = [(fields["kind"], f"{fields['scope']}/{fields['version']}") for kind, fields in scene.notes]
        assert told == [("loaded", first), ("loaded", second)]
        assert scene.problems.sentences() == ()


async def test_a_version_that_fails_its_checks_is_told_and_the_one_before_goes_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "{strategies: [ema_cross], threshold: 0.01}")
    async with scene.opened:
        first = scene.save()
        models = scene.make()
        await models.begin()
        second = scene.save(seed=2, number=2)
        file = scene.paths.models.joinpath(second, "model.joblib")
        file.chmod(0o600)
        file.write_bytes(file.read_bytes()[:-1] + b"?")
        await models.begin()
        await models.begin()
        assert models.judge((about(BTC),), END_MS)[0].model == first
        (sentence,) = scene.problems.sentences()
        assert second in sentence
        assert f"{first} goes on" in sentence
        Registry(scene.paths.models).promote(NAME, first.rpartition("/")[2])
        await models.begin()
        assert scene.problems.sentences() == ()


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("{training_mode: multi_symbol, symbol_encoding: index}", "use one_hot or embedding"),
        ("{training_mode: per_symbol, symbol_encoding: index}", None),
        (
            "{training_mode: hybrid, estimator: {name: hist_gradient_boosting}, hybrid: {form: partial_pooling}}",
            "linear",
        ),
        (
            "{training_mode: hybrid, estimator: {name: hist_gradient_boosting}, hybrid: {form: shrunk_calibration}}",
            None,
        ),
        ("{estimator: {name: hist_gradient_boosting, params: {max_itr: 5}}}", "'max_itr'"),
        ("{estimator: {name: hist_gradient_boosting, params: {max_iter: 5}}}", None),
        ("{estimator: {name: 'sklearn.svm:Nothing'}}", "there is no class 'Nothing'"),
    ],
)
def test_what_no_training_could_fit_is_told_before_one_is_tried(
    tmp_path: Path, model: str, sentence: str | None
) -> None:
    (tmp_path / "config.yaml").write_text(f"{TEXT}model: {model}\n")
    said = check_config(tmp_path / "config.yaml", None)
    assert len(said) == (sentence is not None)
    assert sentence is None or sentence in said[0]


@pytest.mark.parametrize(("untrained", "what"), [("block", "opens nothing"), ("pass", "entries pass without one")])
async def test_no_model_at_all_is_told(tmp_path: Path, untrained: str, what: str) -> None:
    scene = Scene(tmp_path, f"{{strategies: [ema_cross], serving: {{untrained: {untrained}}}}}")
    async with scene.opened:
        models = scene.make()
        await models.begin()
        sentence = scene.problems.of(f"model:{NAME}")
        assert sentence is not None
        assert what in sentence
        (judgement,) = models.judge((about(BTC),), END_MS)
        assert (judgement.refused is None) == (untrained == "pass")


async def test_a_symbol_that_no_model_covers_waits_until_a_version_does(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "{strategies: [ema_cross], threshold: 0.01}")
    async with scene.opened:
        scene.save()
        models = scene.make()
        await models.begin()
        (judgement,) = models.judge((about(SOL),), END_MS)
        assert judgement.refused is not None
        assert judgement.refused[0] == "model_uncovered"
        await models.begin()
        sentence = scene.problems.of(f"model-uncovered:{NAME}")
        assert sentence is not None
        assert SOL in sentence
        assert models.status()[0].uncovered == (SOL,)
        scene.save(symbols=(BTC, ETH, SOL), number=2)
        await models.begin()
        assert scene.problems.sentences() == ()
        assert models.judge((about(SOL),), END_MS)[0].refused is None
        assert ("covered", SOL) in [(fields["kind"], fields["symbol"]) for _, fields in scene.notes]


async def test_a_stale_model_is_a_problem_of_its_own_kind(tmp_path: Path) -> None:
    """So that its alert has its own name; a new version lifts it."""
    scene = Scene(tmp_path, "{strategies: [ema_cross], serving: {expiration_hours: 48}}")
    async with scene.opened:
        scene.save()
        models = scene.make()
        await models.begin()
        assert scene.problems.sentences() == ()
        scene.clock.now += 100 * HOUR_MS
        await models.begin()
        sentence = scene.problems.of(f"model-stale:{NAME}")
        assert sentence is not None
        assert "expiration_hours" in sentence
        assert models.status()[0].stale
        scene.save(end_ms=scene.clock.now, number=2)
        await models.begin()
        assert scene.problems.sentences() == ()


async def test_models_that_cannot_be_looked_at_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever somebody else's code in a model's file raises; the next look tries again."""
    scene = Scene(tmp_path, "{strategies: [ema_cross], threshold: 0.01, serving: {poll_seconds: 0.01}}")
    async with scene.opened:
        first = scene.save()
        models = scene.make()
        await models.begin()
        with monkeypatch.context() as broken:
            broken.setattr(Registry, "pointed", lambda *_: 1 / 0)
            watching = asyncio.create_task(models.run())
            while (sentence := scene.problems.of("model:looking")) is None:
                await asyncio.sleep(0.005)
            assert "ZeroDivisionError" in sentence
            assert models.judge((about(BTC),), END_MS)[0].model == first
        while scene.problems.of("model:looking") is not None:
            await asyncio.sleep(0.005)
        watching.cancel()


async def test_models_that_cannot_be_looked_at_for_hours_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the log too: one line, and not one a look; and again when it comes back."""
    scene = Scene(tmp_path, "{strategies: [ema_cross], threshold: 0.01}")
    async with scene.opened:
        first = scene.save()
        models = scene.make()
        await models.begin()
        with structlog.testing.capture_logs() as lines:
            for _ in range(2):
                with monkeypatch.context() as broken:
                    broken.setattr(ModelServing, "look", lambda *_: 1 / 0)
                    for _ in range(50):
                        await models.begin()
                    assert models.judge((about(BTC),), END_MS)[0].model == first
                await models.begin()
        told = [line for line in lines if line["event"] == "models_not_looked_at"]
        assert len(told) == 2
        scene.paths.models.joinpath(NAME, "current").chmod(0)
        notes = len(scene.notes)
        if not os.access(scene.paths.models.joinpath(NAME, "current"), os.R_OK):  # root reads everything
            for _ in range(50):
                await models.begin()
            assert len(scene.notes) == notes + 1


async def test_a_look_that_does_not_end_holds_up_neither_the_start_nor_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody passes meanwhile; there is one look at a time, and what it finds in the end is taken up."""
    monkeypatch.setattr("livebot.bootstrap.models.LOOK_S", 0.05)
    monkeypatch.setattr("livebot.bootstrap.models.STOP_S", 0.05)
    scene = Scene(tmp_path, "{strategies: [ema_cross], threshold: 0.01, serving: {untrained: pass}}")
    go, looks, ended, pointed = threading.Event(), [], [], Registry.pointed

    def slow(*given: str) -> str | None:
        looks.append(given)
        go.wait(REAL_WAIT_S)
        ended.append(given)
        return pointed(*given)

    async with scene.opened:
        first = scene.save()
        monkeypatch.setattr(Registry, "pointed", slow)
        models = scene.make()
        await models.begin()
        while not looks:
            await asyncio.sleep(0.005)
        for _ in range(2):
            await models.begin()
        assert len(looks) == 1
        workers = models._looking._workers
        assert workers is not None
        assert workers._jobs.qsize() == 0  # nor do others wait behind it
        sentence = scene.problems.of("model:looking")
        assert sentence is not None
        assert "a look at the models takes longer than 0.05 s" in sentence
        assert models.judge((about(BTC),), END_MS)[0].refused == (
            "model_missing",
            "the models have not been looked at yet",
        )
        go.set()
        while scene.problems.of("model:looking") is not None:
            await models.begin()
        assert models.judge((about(BTC),), END_MS)[0].model == first
        go.clear()
        so_many = len(ended)
        await models.begin()
    assert len(ended) == so_many
    go.set()


async def test_a_model_that_hangs_is_a_problem_until_it_comes_back(tmp_path: Path) -> None:
    """With its name and what to do; another thread answers for the other models, and the stop does not wait."""
    scene = Scene(tmp_path, "{threshold: 0.01, serving: {deadline_ms: 20, coalesce_ms: 0, hang_seconds: 0.1}}")
    async with scene.opened:
        first = scene.save()
        rows = trained_models.rows((BTC, ETH), strategy="mean_reversion", timeframe=Timeframe.M5)
        second = save(scene.paths.models, rows)
        models = scene.make()
        await models.begin()
        desk = ConfidenceDesk(models.parts, scene.clock, Activity(), scene.problems.report)
        model = models._serving._scopes[NAME].model
        assert model is not None
        ask, go, calls = model.predictor.probabilities, threading.Event(), []
        hang = lambda *given: calls.append(given) or (go.wait(REAL_WAIT_S) and ask(*given))  # noqa: E731
        monkey = pytest.MonkeyPatch()
        monkey.setattr(type(model.predictor), "probabilities", lambda self, *given: hang(*given), raising=True)
        asked = desk.ask(about(BTC), lambda: None)
        while (sentence := scene.problems.of(STUCK)) is None:
            await asyncio.sleep(0.01)
        monkey.undo()
        assert f"{first} has not come back within 0.1 s (model.serving.hang_seconds)" in sentence
        assert "livebot models rollback" in sentence
        assert asked.judgement is not None
        assert asked.judgement.refused is not None
        assert ("hangs", NAME) in [(fields["kind"], fields.get("scope")) for _, fields in scene.notes]
        desk._settings = replace(desk._settings, deadline_s=REAL_WAIT_S, hang_s=REAL_WAIT_S)  # what hangs has been seen
        answers = [desk.ask(about(BTC), lambda: None), desk.ask(about(BTC, "mean_reversion"), lambda: None)]
        while any(each.judgement is None for each in answers):
            await asyncio.sleep(0.01)
        assert answers[0].judgement is not None
        assert answers[0].judgement.refused is not None
        assert answers[0].judgement.refused[0] == "model_failed"
        assert answers[1].judgement is not None
        assert answers[1].judgement.model == second
        assert len(calls) == 1
        go.set()
        while scene.problems.of(STUCK) is not None:
            await asyncio.sleep(0.01)
            await models.begin()


async def test_a_shadow_that_hangs_is_a_problem_too(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "{strategies: [ema_cross], threshold: 0.01, serving: {hang_seconds: 0.3}}")
    async with scene.opened:
        scene.save()
        shadow = scene.save(number=2, seed=2, promote=False)
        Registry(scene.paths.models).challenge(NAME, shadow.rpartition("/")[2])
        models = scene.make()
        await models.begin()
        desk = ConfidenceDesk(models.parts, scene.clock, Activity(), scene.problems.report)
        desk._settings = replace(desk._settings, deadline_s=REAL_WAIT_S, hang_s=REAL_WAIT_S)  # only the shadow hangs
        model = models._serving._scopes[NAME].challenger
        assert model is not None
        assert model._turn.acquire()  # as if it were in there
        model._turn.release()
        go = threading.Event()
        with pytest.MonkeyPatch.context() as monkey:
            monkey.setattr(models._serving, "shadows", lambda _: _held(model, go))
            asked = desk.ask(about(BTC), lambda: None)
            while scene.problems.of(STUCK) is None:
                await asyncio.sleep(0.01)
                models._serving._shadowing = (model,)
        assert asked.judgement is not None
        assert asked.judgement.confidence is not None
        sentence = scene.problems.of(STUCK)
        assert sentence is not None
        assert shadow in sentence
        go.set()


def _held(model: LoadedModel, go: threading.Event) -> tuple[()]:
    with model._turn:
        assert go.wait(REAL_WAIT_S)
    return ()


async def test_blas_has_one_thread_as_long_as_models_are_asked(tmp_path: Path) -> None:
    """Predictions beside each other set and put back one number for all; nobody must find another's."""
    scene = Scene(tmp_path, "{strategies: [ema_cross], threshold: 0.01}")
    async with scene.opened:
        scene.save()
        with threadpool_limits(limits=2, user_api="blas"):
            models = scene.make()
            await models.begin()
            models.judge((about(BTC),), END_MS)
            assert {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"} == {1}


def test_the_deadline_is_off_where_time_stands_still(tmp_path: Path) -> None:
    """And nowhere else."""
    for speed, deadline_s in ((0, None), (60, 0.25)):
        scene = Scene(tmp_path, "{}", f"exchange: {{id: simulator, simulator: {{speed: {speed}}}}}\n")
        with_parts = scene.make().parts
        assert with_parts.settings.deadline_s == deadline_s
        assert (with_parts.aside is None) == (deadline_s is None)


# ---------------------------------------------------------------- reload


@pytest.mark.parametrize(
    ("old", "new", "restart"),
    [
        ("{strategies: [ema_cross]}", "{strategies: all}", True),
        ("{threshold: 0.5}", "{threshold: 0.6}", True),
        ("{}", "{enabled: false}", True),
        ("{seed: 1}", "{seed: 2}", False),
        ("{}", "{retrain: {every_hours: 24}}", False),
        ("{}", "{history: {minimum_days: 30}}", False),
    ],
)
def test_what_only_training_reads_may_change_while_it_runs(old: str, new: str, restart: bool) -> None:
    plan = plan_of(with_models(config(old)), with_models(config(new)), (), lambda: None)
    assert isinstance(plan, Refused) == restart
    assert restart or plan is None


def test_a_strategy_that_would_be_judged_from_now_on_needs_a_restart() -> None:
    """Nobody loaded a model for it; one that goes needs none."""
    both, one = TEXT, TEXT.replace(", {name: mean_reversion}", "")
    more, fewer = with_models(config("{}", text=both)), with_models(config("{}", text=one))
    refused = plan_of(fewer, more, (), lambda: None)
    assert isinstance(refused, Refused)
    assert refused.keys == ("strategies.mean_reversion (a model judges it)",)
    assert not isinstance(plan_of(more, fewer, (), lambda: None), Refused)
    slower = TEXT.replace("{name: ema_cross}", "{name: ema_cross, params: {timeframe: 4h}}")
    changed = plan_of(more, with_models(config("{}", text=slower)), (), lambda: None)
    assert isinstance(changed, Refused)
    plain = plan_of(config("{enabled: false}", text=one), config("{enabled: false}", text=both), (), lambda: None)
    assert not isinstance(plain, Refused)


# ---------------------------------------------------------------- the whole daemon


def test_a_daemon_trades_by_its_model(tmp_path: Path, run) -> None:  # noqa: F811 - the fixture
    """Every signal has the model's confidence and its name; a symbol it does not know opens nothing."""
    path = root_of(tmp_path, model={"strategies": ["eager"], "threshold": 0.3}, runtime={"history": 60})
    dataset = trained_models.rows((BTC,), strategy="eager")
    name = save(tmp_path / "models", dataset)
    log = run(path)
    with LedgerReader(tmp_path / "state" / "ledger.sqlite") as reader:
        opening = [fact for fact in reader.facts() if isinstance(fact, SignalOpening) and fact.strategy == "eager"]
        decisions = [each for each in reader.decisions() if each.strategy == "eager"]
    assert opening
    assert {(fact.symbol, fact.model) for fact in opening} == {(BTC, name)}
    assert all(fact.confidence is not None and fact.confidence >= 0.3 for fact in opening)
    codes = {(each.symbol, each.outcome, each.code) for each in decisions}
    assert (ETH, "refused", "model_uncovered") in codes
    assert not any(symbol == ETH and outcome == "approved" for symbol, outcome, _ in codes)
    assert [line["version"] for line in log.told("model")] == [name.rpartition("/")[2]]
    journal = "".join(file.read_text() for file in (tmp_path / "state" / "journal").iterdir())
    assert any(json.loads(line)["type"] == "model" for line in journal.splitlines())


def test_a_check_finds_what_a_start_would(tmp_path: Path) -> None:
    """A feature of a strategy that has the name of one of the model's."""
    path = tmp_path / "config.yaml"
    path.write_text(TEXT.replace("{name: ema_cross}", "{class: tests.test_bootstrap_models:Namesake}") + "model: {}\n")
    (problem,) = check_config(path, None)
    assert "model_rsi_14" in problem
