"""From a config to trained models: what is due, on which candles, into which scope.

Rules of this file: one training at a time for a folder of models; a strategy that cannot be trained is told with its cause
and hinders no other; the daemon's files are read and never written.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from livebot.adapters.log.logs import configure_logs
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.adapters.state_files.root_lock import RootLock
from livebot.adapters.state_files.universe_store import FILE_NAME as UNIVERSE_FILE
from livebot.adapters.state_files.universe_store import read_universe
from livebot.backtest.plan import BacktestPlan, StrategyRun
from livebot.bootstrap.backtest import BacktestRequest, candles_of, plan_of
from livebot.bootstrap.loading import load
from livebot.bootstrap.model_pruning import prune_after_training
from livebot.bootstrap.training_due import DueTerms, due, waiting_in, worn_in
from livebot.config.load import LoadedConfig
from livebot.config.model_terms import (
    floor_of,
    history_terms,
    judged_strategies,
    own_packages,
    training_spec,
    training_symbols,
)
from livebot.config.models import ModelConfig
from livebot.config.root import Paths, resolve
from livebot.config.secrets import model_key
from livebot.core.market import DAY_MS
from livebot.errors import BadInput, Fatal, LivebotError, Rejected
from livebot.learning.building import BuiltDataset
from livebot.learning.due import LOCK_FILE, REFUSED, UNENDED, Attempt, outcome_of, remember_attempt
from livebot.learning.manifest import ModelFormat
from livebot.learning.registry import Registry
from livebot.learning.scopes import by_symbol, scope_of
from livebot.learning.spec import SymbolBalance, SymbolEncoding, TrainingMode
from livebot.learning.training_run import CHALLENGER, CURRENT, Lesson, School, Tell, Trained, built_of, learn

T = TypeVar("T")
_ASKED = ("it was asked for",)


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
    with alone(desk.paths.models):
        asked, notes = due(_due_terms(desk), chosen) if request.if_due else (dict.fromkeys(chosen, _ASKED), ())
        if not asked:
            return TrainingReport(trained=(), due={}, notes=notes)
        with configure_logs(level="error"):
            trained, more = _train_all(desk, tuple(asked), tell)
    return TrainingReport(trained=trained, due=asked, notes=(*notes, *more))


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


def _due_terms(desk: _Desk) -> DueTerms:
    return DueTerms(
        section=desk.section,
        paths=desk.paths,
        registry=desk.registry,
        system=desk.system,
        now_ms=desk.request.now_ms,
        symbols={plan.id: plan.symbols for plan in desk.loaded.strategies},
    )


@contextmanager
def alone(models: Path) -> Iterator[None]:
    """One training, or one removal of versions, at a time.

    Raises:
        Rejected: another one is under way.
        Fatal: the folder cannot be written.

    """
    try:
        lock = RootLock(models / LOCK_FILE, models)
    except Fatal as error:
        if isinstance(error.__context__, BlockingIOError):
            raise Rejected(f"another training is under way in {models}; wait until it is done") from None
        raise
    with lock:
        yield


# Training


def _train_all(desk: _Desk, strategies: Sequence[str], tell: Tell) -> tuple[tuple[Trained, ...], tuple[str, ...]]:
    """What came of each, and what is to be said of the files around them."""
    plan = _plan(desk)
    school = School(registry=desk.registry, created_ms=desk.request.now_ms, jobs=desk.request.jobs, tell=tell)
    found: list[Trained] = []
    notes: list[str] = []
    for strategy in strategies:
        begun = Attempt(strategy=strategy, began_ms=desk.request.now_ms, outcome=UNENDED)
        waited = _waiting(desk, strategy)
        _remember(desk, begun)  # else one that is killed each time would be begun each time
        trained = _train_strategy(desk, school, plan, strategy)
        try:
            _remember(desk, _ended(desk, begun, trained, waited))
        except LivebotError as error:
            notes.append(f"{error}; that {strategy} was trained is not remembered")
        found += trained
    made = {f"{each.scope}/{each.version}" for each in found if each.version is not None}
    scopes = tuple(each.scope for each in found if each.version is not None)
    keep = desk.section.retrain.keep_versions
    notes += prune_after_training(desk.registry, desk.paths.signals, scopes, keep, made)
    return tuple(found), tuple(notes)


def _remember(desk: _Desk, attempt: Attempt) -> None:
    remember_attempt(desk.paths.models, desk.system, attempt, SystemFiles())


def _waiting(desk: _Desk, strategy: str) -> frozenset[str]:
    waiting = waiting_in(desk.paths.state, desk.system, [])
    return frozenset(each.symbol for each in waiting if each.strategy == strategy)


def _ended(desk: _Desk, begun: Attempt, trained: Sequence[Trained], waited: frozenset[str]) -> Attempt:
    covered = {symbol for each in trained if each.state == CURRENT for symbol in each.covered}
    short = {symbol for each in trained for symbol in each.short}
    judged = {symbol for each in trained if each.state == CHALLENGER for symbol in each.covered} - covered
    return replace(
        begun,
        outcome=outcome_of((each.scope, each.state) for each in trained),
        short=tuple(sorted(short | waited - covered)),
        worn=worn_in(desk.paths.state, desk.system, begun.strategy),
        judged=tuple(sorted(judged & waited)),
    )


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
        traded=frozenset(desk.loaded.config.symbols or _members(desk)) or None,
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
    request, loaded = desk.request, _with_members(desk, all_at_once(desk.loaded))
    to_ms = request.now_ms if request.to_ms is None else request.to_ms
    asked = BacktestRequest(from_ms=request.from_ms or 0, to_ms=to_ms, symbols=None, candles=request.candles)
    plan = plan_of(loaded, desk.paths, candles_of(loaded, desk.paths, asked), asked)
    plan = replace(plan, cache=None)  # it lies in state/, which is the daemon's
    if request.from_ms is not None:
        return plan
    return replace(plan, start_ms=max(plan.start_ms, plan.end_ms - desk.section.history.target_days * DAY_MS))


def _with_members(desk: _Desk, loaded: LoadedConfig) -> LoadedConfig:
    """Who is in the universe now, or waits to be trained on, is learnt from over its whole past, not since it joined.

    Otherwise a symbol that has just joined would have no entries, and no training would ever cover it.
    """
    universe = loaded.config.universe
    if universe is None:
        return loaded
    waiting = waiting_in(desk.paths.state, desk.system, [])
    always = tuple(dict.fromkeys((*universe.always, *_members(desk), *(each.symbol for each in waiting))))
    top = universe.top + len(always) - len(universe.always)  # the others keep the places they had
    changed = universe.model_copy(update={"always": always, "top": top})
    return replace(loaded, config=loaded.config.model_copy(update={"universe": changed}))


def _members(desk: _Desk) -> tuple[str, ...]:
    """Who is in the universe now, as the daemon remembers it."""
    memory = _if_readable(lambda: read_universe(desk.paths.state / UNIVERSE_FILE, desk.system), None)
    return () if memory is None else tuple(symbol for symbol, _ in memory.members)


def _if_readable(read: Callable[[], T], otherwise: T) -> T:
    """A file of the daemon; one that cannot be read holds up no training: what was in it is asked for again."""
    try:
        return read()
    except LivebotError:
        return otherwise


def all_at_once(loaded: LoadedConfig) -> LoadedConfig:
    """Training looks at all symbols, whatever order the daemon runs them in."""
    config = loaded.config
    runtime = config.runtime.model_copy(update={"mode": "parallel", "max_concurrent_symbols": None})
    return replace(loaded, config=config.model_copy(update={"runtime": runtime}))
