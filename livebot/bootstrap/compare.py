"""From a config to a comparison of its models: rows, folds, arms, and an experiment folder with what came out.

Rules of this file: what is decided beforehand is on disk before the first fold is computed; whatever cannot be compared is
refused before that too.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from livebot.adapters.log.logs import configure_logs
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.backtest.plan import BacktestPlan
from livebot.backtest.sweep.keys import KeyMaker
from livebot.backtest.trials import LEDGER, TrialKey, TrialLedger
from livebot.bootstrap.backtest import FOLDER as BACKTESTS
from livebot.bootstrap.backtest import BacktestRequest, Prepared, candles_of, plan_of
from livebot.bootstrap.loading import load
from livebot.bootstrap.training import all_at_once
from livebot.config.model_terms import history_terms, judged_strategies, training_spec
from livebot.config.models import ModelConfig
from livebot.config.root import resolve
from livebot.core.market import DAY_MS
from livebot.errors import BadInput
from livebot.history.whole_file import make_folders, sole_writer
from livebot.learning.building import BuiltDataset, build_dataset
from livebot.learning.estimators import plan_of as estimator_plan
from livebot.learning.fitting import fit
from livebot.learning.spec import SymbolBalance, TrainingSpec
from livebot.reporting.document import as_markdown
from livebot.research.arms import SINGLE, UNFILTERED, Arm, arms_named
from livebot.research.backends import LOKY, ready
from livebot.research.combinatorial import CombinatorialTerms
from livebot.research.comparison import compute
from livebot.research.decision import decide, not_significant
from livebot.research.experiments import FOLDER, FOLDS, REGISTRATION, Experiment, check_name, register, write_results
from livebot.research.fold_cache import FoldCache
from livebot.research.folds import WalkTerms, tested_span
from livebot.research.market_days import daily_turnover, volatility_before
from livebot.research.measuring import Measured, measure
from livebot.research.progress import Clock, Standing
from livebot.research.registration import registration_of, trial_of
from livebot.research.report import document
from livebot.research.report_page import page
from livebot.research.results import Results
from livebot.research.rule import JudgingTerms
from livebot.research.study import Kind, Plan, Study, folds_of
from livebot.research.trial_entries import enter


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRequest:
    """What the command line says; None is what the config says, or all.  Times are UTC ms."""

    now_ms: Callable[[], int]
    clock: Clock = time.monotonic
    strategy: str | None = None
    symbols: tuple[str, ...] | None = None
    unseen: tuple[str, ...] = ()
    candles: Path | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    name: str | None = None
    arms: tuple[str, ...] | None = None
    jobs: int = 1
    backend: str = LOKY
    train_days: int = 180
    test_days: int = 30
    margin: float = 0.02


@dataclass(frozen=True, slots=True)
class Telling:
    """Who hears how far it is: of the rows (minutes done, minutes in all), of the folds, and of everything else in words."""

    rows: Callable[[int, int], None]
    folds: Callable[[Standing], None]
    words: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What came out and where it stands; `cached` of the folds' results were there already."""

    experiment: Experiment
    results: Results
    cached: int
    seconds: dict[str, float] = field(default_factory=dict)


def experiments_folder(config_path: Path, root: Path | None) -> Path:
    """Where experiments stand.  Raises ConfigErrors, BadInput: the config cannot be used."""
    loaded = load(config_path)
    return resolve(loaded.config, config_path, root, os.environ).state / FOLDER


def compare(config_path: Path, root: Path | None, request: CompareRequest, telling: Telling) -> Compared:
    """Compare, or go on with a comparison of that name.

    Raises:
        ConfigErrors, BadInput: the config, the symbols, the arms, the range or the name cannot be used.
        Fatal: something could not be written; what was computed before stands.

    """
    name = request.name or datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    check_name(name)
    loaded, backend = all_at_once(load(config_path)), ready(request.backend)
    section = loaded.config.model or ModelConfig()
    arms = arms_named(request.arms, section.estimator.name)
    strategy = _strategy(section, [plan.id for plan in loaded.strategies], request.strategy)
    symbols = _symbols(section, loaded.config.symbols, request)
    wanted = BacktestRequest(
        from_ms=request.from_ms, to_ms=request.to_ms, symbols=(*symbols, *request.unseen), candles=request.candles
    )
    paths = resolve(loaded.config, config_path, root, os.environ)
    found = candles_of(loaded, paths, wanted)
    # no model that is in use judges these rows: models are what is compared
    prepared = Prepared(plan_of(loaded, paths, found, wanted), paths, found.where)
    with configure_logs(level="error"):
        telling.words(f"rows of {strategy}")
        built = _built(prepared.plan, strategy, section, telling)
    study = _study(section, request, arms, symbols, (prepared.plan, built))
    plan = folds_of(study)
    folder = prepared.paths.state / FOLDER / name
    key = KeyMaker(prepared.plan, (strategy,)).key(prepared.plan)
    registration = registration_of(study, key, strategy)
    make_folders(folder, SystemFiles())
    with sole_writer(folder / REGISTRATION):
        experiment = register(folder, registration, request.now_ms(), SystemFiles())
        return _carry_out(study, plan, experiment, prepared, key, (request, backend, telling, built.notes))


def _carry_out(
    study: Study,
    plan: Plan,
    experiment: Experiment,
    prepared: Prepared,
    key: TrialKey,
    more: tuple[CompareRequest, str, Telling, tuple[str, ...]],
) -> Compared:
    request, backend, telling, notes = more
    cache = FoldCache(experiment.folder / FOLDS, SystemFiles())
    done = compute(study, plan, cache, telling.folds, request.clock, jobs=request.jobs, backend=backend)
    measured = measure(study, plan, done.scores, lambda name: telling.words(f"figures of {name}"))
    # the registered code is what trains and asks; that of the whole of livebot would count a mended text as a trial
    key = replace(key, code=str(experiment.registration["code"]))
    with TrialLedger(prepared.paths.state / BACKTESTS / LEDGER) as ledger:
        how = partial(trial_of, experiment.registration)
        entered, trials = enter(ledger, key, measured.arms, measured.returns, how, request.now_ms)
    results = _results(study, plan, replace(measured, arms=entered), trials, notes)
    title = f"Model comparison: {experiment.name}"
    write_results(
        experiment.folder,
        asdict(results),
        as_markdown(document(title, results, experiment.registration, experiment.registered_ms)),
        page(title, results, experiment.registration, experiment.registered_ms),
        SystemFiles(),
    )
    return Compared(experiment=experiment, results=results, cached=done.cached, seconds=dict(done.seconds))


def _results(study: Study, plan: Plan, measured: Measured, trials: int, notes: Sequence[str]) -> Results:
    first_ms, stop_ms = tested_span(plan.folds[Kind.WALK])
    return Results(
        decision=decide(measured.arms, study.judging, measured.overfitting),
        arms=measured.arms,
        first_ms=first_ms,
        stop_ms=stop_ms,
        entries=measured.entries,
        unseen_entries=measured.unseen_entries,
        folds=len(plan.folds[Kind.WALK]),
        trials=trials,
        overfitting=measured.overfitting,
        not_significant=not_significant(measured.arms),
        notes=(*notes, *plan.notes, *measured.notes, *_listed(plan)),
    )


def _listed(plan: Plan) -> tuple[str, ...]:
    day = np.datetime_as_string
    spans = (
        f"{symbol} from {day(np.datetime64(first, 'ms'), 'D')} to {day(np.datetime64(stop, 'ms'), 'D')}"
        for symbol, (first, stop) in sorted(plan.listed.items())
    )
    said = ", ".join(spans)
    return (f"while symbols come and go, these are listed for a part of the time only: {said}",) if said else ()


# What is compared


def _strategy(section: ModelConfig, ids: Sequence[str], wanted: str | None) -> str:
    known = judged_strategies(section, ids)
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted not in known:
        said = "which strategy?" if wanted is None else f"--strategy {wanted}: its entries are not judged by a model;"
        raise BadInput(f"{said} name one with --strategy: {', '.join(known) or 'the config has none'}")
    return wanted


def _symbols(section: ModelConfig, configured: Sequence[str], request: CompareRequest) -> tuple[str, ...]:
    """The symbols to train on; of an arm that trains on one it is the first."""
    symbols = request.symbols or section.multi_symbol_symbols or tuple(configured)
    symbols = tuple(symbol for symbol in symbols if symbol not in request.unseen)
    both = sorted(set(request.symbols or ()) & set(request.unseen))
    if both:
        raise BadInput(
            f"--unseen: {', '.join(both)} cannot be trained on and unseen at once; name each in one of the two"
        )
    if not symbols:
        raise BadInput("there is no symbol to train on; name some with --symbols")
    if section.features == "market" and len({*symbols, *request.unseen}) == 1:
        raise BadInput(
            f"model.features is market, and beside {symbols[0]} there is no other symbol to make a market; name more "
            "with --symbols or --unseen, or set model.features: own"
        )
    single = section.single_symbol
    return symbols if single not in symbols else (single, *(each for each in symbols if each != single))


def _built(plan: BacktestPlan, strategy: str, section: ModelConfig, telling: Telling) -> BuiltDataset:
    built = build_dataset(
        plan,
        strategy,
        features=section.features,
        history=history_terms(section),
        balance=SymbolBalance(section.symbol_balance),
        progress=telling.rows,
    )
    short = [each.problem for each in built.histories if each.problem]
    if short:
        raise BadInput(f"there is too little history to compare: {'; '.join(short)}; leave such symbols out")
    return built


def _study(
    section: ModelConfig,
    request: CompareRequest,
    arms: tuple[Arm, ...],
    symbols: tuple[str, ...],
    made: tuple[BacktestPlan, BuiltDataset],
) -> Study:
    plan, built = made
    walk = WalkTerms(
        train_ms=request.train_days * DAY_MS, test_ms=request.test_days * DAY_MS, step_ms=request.test_days * DAY_MS
    )
    base: TrainingSpec = replace(training_spec(section, symbols), symbols=symbols, embargo_ms=walk.embargo_ms)
    for spec in {arm.estimator: arm.spec(base) for arm in arms if arm.trained}.values():
        estimator_plan(spec.estimator, spec.seed)  # refuses what is not there, before anything is computed
    baseline = JudgingTerms(baseline=UNFILTERED, second_baseline=SINGLE, margin=request.margin)
    return Study(
        balance=SymbolBalance(section.symbol_balance),
        dataset=built.dataset,
        volatility=volatility_before(built.dataset, plan.candles, plan.base.ms),
        unseen=request.unseen,
        span=(plan.start_ms, plan.end_ms),
        arms=arms,
        base=base,
        fit=fit,
        turnover=daily_turnover(plan.candles, built.dataset.symbols),
        walk=walk,
        paths=CombinatorialTerms(embargo_ms=walk.embargo_ms),
        judging=baseline,
        seed=section.seed,
    )
