"""From a config to trained models: what is due, on which candles, into which scope.

Rules of this file: one training at a time for a folder of models; a strategy that cannot be trained is told with its cause
and hinders no other; the daemon's files are read and never written.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from livebot.adapters.log.logs import configure_logs
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.adapters.state_files.root_lock import RootLock
from livebot.backtest.plan import BacktestPlan, StrategyRun
from livebot.bootstrap.backtest import BacktestRequest, candles_of, plan_of
from livebot.bootstrap.loading import load
from livebot.config.load import LoadedConfig
from livebot.config.model_terms import (
    floor_of,
    history_terms,
    judged_strategies,
    own_packages,
    retrain_terms,
    training_spec,
    training_symbols,
)
from livebot.config.models import ModelConfig
from livebot.config.root import Paths, resolve
from livebot.config.secrets import model_key
from livebot.core.market import DAY_MS
from livebot.errors import BadInput, Fatal, LivebotError, Rejected
from livebot.learning.building import BuiltDataset
from livebot.learning.coverage import Waiting, queue_path, read_queue
from livebot.learning.due import LOCK_FILE, Attempt, Trigger, read_attempts, read_triggers, reasons, remember_attempt
from livebot.learning.manifest import ModelFormat
from livebot.learning.registry import Registry
from livebot.learning.scopes import by_symbol, pattern_of_scopes, scope_of
from livebot.learning.spec import SymbolBalance, SymbolEncoding, TrainingMode
from livebot.learning.training_run import REFUSED, Lesson, School, Tell, Trained, built_of, learn

T = TypeVar("T")
_MADE = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """What the command line says; None is what the config says, or all there is.

    `symbol` trains a model of that symbol alone, whatever the training mode is.  Times are UTC ms.
    """

    now_ms: int
    strategies: tuple[str, ...] | None = None
    symbol: str | None = None
    candles: Path | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    jobs: int = 1
    seed: int | None = None
    if_due: bool = False
    promote: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """What came of a run.  `due` by strategy why it was trained (empty: nothing was due); `notes` are sentences on the run."""

    trained: tuple[Trained, ...]
    due: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether anything failed."""
        return any(each.state == REFUSED for each in self.trained)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    loaded: LoadedConfig
    section: ModelConfig
    paths: Paths
    registry: Registry
    request: TrainingRequest

    @property
    def system(self) -> str:
        return self.loaded.config.system


def train(config_path: Path, root: Path | None, request: TrainingRequest, tell: Tell) -> TrainingReport:
    """Train what the request asks for, or with `if_due` what is due.

    Raises:
        ConfigErrors, BadInput: the config has no model section (with `if_due` nothing is due then), names what is not there,
            or the candles cannot be used.
        Rejected: another training is under way.
        Fatal: the folder of models cannot be written.

    """
    desk = _desk(config_path, root, request)
    if desk is None:
        return TrainingReport(trained=(), due={}, notes=(f"{config_path} has no model section",))
    chosen = _chosen(desk)
    with _alone(desk.paths.models):
        due, notes = _due(desk, chosen) if request.if_due else (dict.fromkeys(chosen, ("it was asked for",)), ())
        if not due:
            return TrainingReport(trained=(), due={}, notes=notes)
        with configure_logs(level="error"):
            trained = _train_all(desk, tuple(due), tell)
    return TrainingReport(trained=trained, due=due, notes=notes)


def registry_of(section: ModelConfig, paths: Paths, environ: Mapping[str, str]) -> Registry:
    """The models of a config.  Raises BadInput: the key cannot be used."""
    return Registry(paths.models, model_key(environ), own_packages(section))


def _desk(config_path: Path, root: Path | None, request: TrainingRequest) -> _Desk | None:
    loaded = load(config_path)
    section = loaded.config.model
    if section is None and request.if_due:
        return None
    if section is None:
        raise BadInput(
            f"{config_path}: has no model section, so there is nothing to train; write `model: {{}}` for the defaults"
        )
    paths = resolve(loaded.config, config_path, root, os.environ)
    return _Desk(
        loaded=loaded,
        section=_of_one_symbol(section, request.symbol),
        paths=paths,
        registry=registry_of(section, paths, os.environ),
        request=request,
    )


def _of_one_symbol(section: ModelConfig, symbol: str | None) -> ModelConfig:
    if symbol is None:
        return section
    return section.model_copy(update={"training_mode": TrainingMode.SINGLE_SYMBOL.value, "single_symbol": symbol})


def _chosen(desk: _Desk) -> tuple[str, ...]:
    known = judged_strategies(desk.section, [plan.id for plan in desk.loaded.strategies])
    wanted = desk.request.strategies or known
    for strategy in wanted:
        if strategy not in known:
            raise BadInput(
                f"--strategy {strategy}: the config's models judge {', '.join(known) or 'no strategy'}; name one of these"
            )
    return wanted


@contextmanager
def _alone(models: Path) -> Iterator[None]:
    """One training at a time.  Raises Rejected: another one is under way; Fatal: the folder cannot be written."""
    try:
        lock = RootLock(models / LOCK_FILE, models)
    except Fatal as error:
        if isinstance(error.__context__, BlockingIOError):
            raise Rejected(f"another training is under way in {models}; wait until it is done") from None
        raise
    with lock:
        yield


# What is due


def _due(desk: _Desk, chosen: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Why each strategy is to be trained, and what is to be said of files that could not be read."""
    notes: list[str] = []
    waiting: tuple[Waiting, ...] = _read(lambda: read_queue(queue_path(desk.paths.state), desk.system), (), notes)
    triggers: tuple[Trigger, ...] = _read(lambda: read_triggers(desk.paths.state, desk.system), (), notes)
    attempts: dict[str, Attempt] = _read(lambda: read_attempts(desk.paths.models, desk.system), {}, notes)
    found = {}
    for strategy in chosen:
        newest_ms, in_use = _versions_of(desk, strategy)
        why = reasons(
            strategy,
            retrain_terms(desk.section.retrain),
            now_ms=desk.request.now_ms,
            newest_ms=newest_ms,
            in_use=in_use,
            last=attempts.get(strategy),
            waiting=waiting,
            triggers=triggers,
        )
        if why:
            found[strategy] = why
    return found, tuple(notes)


def _read(read: Callable[[], T], otherwise: T, notes: list[str]) -> T:
    try:
        return read()
    except LivebotError as error:
        notes.append(str(error))
        return otherwise


def _versions_of(desk: _Desk, strategy: str) -> tuple[int | None, frozenset[str]]:
    """When the newest version of any of its scopes was made, and the models in use."""
    newest_ms: int | None = None
    in_use = set()
    for scope in _scopes(desk, strategy):
        current = desk.registry.current(scope)
        if current is not None:
            in_use.add(f"{scope}/{current}")
        for version in desk.registry.versions(scope)[-1:]:
            made_ms = made_at(version)
            newest_ms = made_ms if newest_ms is None else max(newest_ms, made_ms)
    return newest_ms, frozenset(in_use)


def _scopes(desk: _Desk, strategy: str) -> tuple[str, ...]:
    pattern = desk.section.model_path_pattern
    if not by_symbol(pattern):
        return (scope_of(pattern, strategy),)
    like = pattern_of_scopes(pattern, strategy)
    return tuple(scope for scope in desk.registry.scopes() if like.fullmatch(scope))


def made_at(version: str) -> int:
    """When a version was made, by its name; UTC ms, to the second."""
    return int(datetime.strptime(version.partition("-")[0], _MADE).replace(tzinfo=UTC).timestamp() * 1000)


def _worn(desk: _Desk, strategy: str) -> tuple[str, ...]:
    """The models that the daemon says have worn out; what cannot be read was told, or is asked for again."""
    try:
        return tuple(each.model for each in read_triggers(desk.paths.state, desk.system) if each.strategy == strategy)
    except LivebotError:
        return ()


# Training


def _train_all(desk: _Desk, strategies: Sequence[str], tell: Tell) -> tuple[Trained, ...]:
    plan = _plan(desk)
    school = School(registry=desk.registry, created_ms=desk.request.now_ms, jobs=desk.request.jobs, tell=tell)
    found: list[Trained] = []
    for strategy in strategies:
        trained = _train_strategy(desk, school, plan, strategy)
        outcome = "; ".join(f"{each.scope}: {each.state}" for each in trained)
        short = tuple(sorted({symbol for each in trained for symbol in each.short}))
        attempt = Attempt(
            strategy=strategy, began_ms=desk.request.now_ms, outcome=outcome, short=short, worn=_worn(desk, strategy)
        )
        remember_attempt(desk.paths.models, desk.system, attempt, SystemFiles())
        found += trained
    return tuple(found)


def _train_strategy(desk: _Desk, school: School, plan: BacktestPlan, strategy: str) -> list[Trained]:
    section = desk.section
    try:
        run = _run_of(plan, strategy)
        part = _only(plan, run, training_symbols(section, run.symbols), section)
        balance = SymbolBalance(section.symbol_balance)
        built = built_of(part, strategy, section.features, history_terms(section), balance, school.tell)
        lessons = _lessons(desk, strategy, run.symbols, built)
    except LivebotError as error:
        scope = scope_of(section.model_path_pattern, strategy)
        return [Trained(strategy=strategy, scope=scope, state=REFUSED, told=(str(error),))]
    return [learn(school, lesson, built, plan) for lesson in lessons]


def _run_of(plan: BacktestPlan, strategy: str) -> StrategyRun:
    run = next((each for each in plan.strategies if each.id == strategy), None)
    if run is None:
        raise BadInput(
            f"strategy {strategy} runs on no symbol that there are candles of; fetch them with `livebot data fetch`"
        )
    return run


def _only(plan: BacktestPlan, run: StrategyRun, symbols: Sequence[str], section: ModelConfig) -> BacktestPlan:
    """The plan with this strategy alone, on the symbols to train on.

    Features of the whole market are worked out from all of its symbols, whichever are trained on.
    """
    lacking = [symbol for symbol in symbols if symbol not in plan.candles]
    if lacking and len(lacking) == len(symbols):
        raise BadInput(f"no candles of {', '.join(lacking)}, to be trained on; fetch them, or choose others")
    wanted = run.symbols if section.features == "market" else tuple(each for each in symbols if each not in lacking)
    return replace(plan, strategies=(replace(run, symbols=wanted),))


def _lessons(desk: _Desk, strategy: str, symbols: Sequence[str], built: BuiltDataset) -> list[Lesson]:
    """One model a scope: of the strategy, or of each of its symbols and of all of them together."""
    section, pattern = desk.section, desk.section.model_path_pattern
    spec = training_spec(section, symbols, seed=desk.request.seed)
    whole = Lesson(
        strategy=strategy,
        scope=scope_of(pattern, strategy),
        spec=spec,
        window_ms=section.retrain.window_days * DAY_MS,
        floor=floor_of(section.retrain),
        threshold=None if section.threshold is None else float(section.threshold),
        promote=desk.request.promote,
        balance=SymbolBalance(section.symbol_balance),
        format=ModelFormat(section.format),
        traded=frozenset(desk.loaded.config.symbols) or None,
    )
    if not by_symbol(pattern):
        return [whole]
    wanted = training_symbols(section, symbols)
    found = [
        replace(
            whole,
            scope=scope_of(pattern, strategy, each.symbol),
            spec=replace(spec, mode=TrainingMode.SINGLE_SYMBOL, symbols=(each.symbol,)),
        )
        for each in built.histories
        if not each.problem and each.symbol in wanted
    ]
    if spec.mode is TrainingMode.PER_SYMBOL and section.fallback_to_shared:
        found.append(replace(whole, spec=replace(spec, mode=TrainingMode.MULTI_SYMBOL, encoding=SymbolEncoding.NONE)))
    return found


def _plan(desk: _Desk) -> BacktestPlan:
    """The candles, costs and rules of the config, over the last `history.target_days` that there are candles of."""
    request, loaded = desk.request, all_at_once(desk.loaded)
    to_ms = request.now_ms if request.to_ms is None else request.to_ms
    asked = BacktestRequest(from_ms=request.from_ms or 0, to_ms=to_ms, symbols=None, candles=request.candles)
    plan = plan_of(loaded, desk.paths, candles_of(loaded, desk.paths, asked), asked)
    plan = replace(plan, cache=None)  # it lies in state/, which is the daemon's
    if request.from_ms is not None:
        return plan
    return replace(plan, start_ms=max(plan.start_ms, plan.end_ms - desk.section.history.target_days * DAY_MS))


def all_at_once(loaded: LoadedConfig) -> LoadedConfig:
    """Training looks at all symbols, whatever order the daemon runs them in."""
    config = loaded.config
    runtime = config.runtime.model_copy(update={"mode": "parallel", "max_concurrent_symbols": None})
    return replace(loaded, config=config.model_copy(update={"runtime": runtime}))
