"""One training, from a plan to a version that is used, kept in shadow, or refused with the cause.

Rules of this file: what is saved is what was judged: the newest window is kept from training altogether, and nothing is
fitted again afterwards; whatever fails leaves the model in use as it was; nothing here knows the clock or the config.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from livebot.backtest.plan import BacktestPlan
from livebot.core.market import DAY_MS
from livebot.core.series import Floats
from livebot.errors import BadInput, LivebotError, Rejected
from livebot.learning.building import BuiltDataset, build_dataset
from livebot.learning.champion import Floor, Match, Showing, Verdict, judge, showing, split, unfiltered, window_start
from livebot.learning.dataset import Dataset
from livebot.learning.description import Description
from livebot.learning.due import REFUSED
from livebot.learning.fitting import fit, weighed
from livebot.learning.history_needs import HistoryTerms
from livebot.learning.loaded import LoadedModel
from livebot.learning.manifest import ModelFormat, Plain
from livebot.learning.predictor import Fitted
from livebot.learning.registry import Registry
from livebot.learning.spec import SymbolBalance, TrainingSpec

CURRENT, CHALLENGER, SAVED = "current", "challenger", "saved"

Tell = Callable[[str, int, int], None]  # what is being done, how much of it is done, how much there is

LOST_TOLD = 10  # symbols, by name
WINDOW_START, WINDOW_END = "window_start_ms", "window_end_ms"  # in a manifest's label: what decided on its use


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One model to train: of which strategy and scope, as what, and what it has to show.

    `promote` None: by the floor; True: whatever it shows; False: it is only saved.  `threshold` None: the one it found.
    `traded`: of these symbols none that the model in use covers may be lost (None: of any).
    """

    strategy: str
    scope: str
    spec: TrainingSpec
    window_ms: int
    floor: Floor = field(default_factory=Floor)
    threshold: float | None = None
    promote: bool | None = None
    balance: SymbolBalance = SymbolBalance.NONE
    format: ModelFormat = ModelFormat.JOBLIB
    traded: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came of a lesson: `state` is current, challenger, saved or refused; `told` says why, in sentences.

    Rows are counted: trained on, and of the window.  `version` is None if none was saved.
    """

    strategy: str
    scope: str
    state: str
    version: str | None = None
    covered: tuple[str, ...] = ()
    short: tuple[str, ...] = ()
    rows: int = 0
    window_rows: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class School:
    """What all lessons of one run share.  `created_ms` names the versions (UTC)."""

    registry: Registry
    created_ms: int
    jobs: int = 1
    tell: Tell = lambda _what, _done, _all: None


def built_of(
    plan: BacktestPlan, strategy: str, features: str, history: HistoryTerms, balance: SymbolBalance, tell: Tell
) -> BuiltDataset:
    """The rows of a strategy.

    Raises:
        BadInput: no symbol has history enough, or the strategy cannot be asked; naming it and the mend.

    """
    return build_dataset(
        plan,
        strategy,
        features=features,
        history=history,
        balance=balance,
        progress=lambda done, whole: tell(f"{strategy}: looking for its entries", done, whole),
    )


def learn(school: School, lesson: Lesson, built: BuiltDataset, plan: BacktestPlan) -> Trained:
    """Train, save, judge, and use what may be used.

    Whatever is wrong with rows, estimator, registry or disk is told in the outcome (`refused`), and changes nothing.
    """
    short = tuple(each.symbol for each in built.histories if each.problem)
    try:
        return _learn(school, lesson, built, plan, short)
    except LivebotError as error:
        return Trained(
            strategy=lesson.strategy,
            scope=lesson.scope,
            state=REFUSED,
            short=short,
            told=(str(error), *built.notes, *_dropped(built.dataset)),
        )


def _learn(school: School, lesson: Lesson, built: BuiltDataset, plan: BacktestPlan, short: tuple[str, ...]) -> Trained:
    dataset, registry = built.dataset, school.registry
    in_use = _in_use(registry, lesson.scope, dataset)
    champion = in_use.model
    start_ms = window_start(
        built.end_ms, lesson.window_ms, None if champion is None else champion.manifest.train_end_ms
    )
    older, window = split(dataset, start_ms)
    if not len(older):
        raise BadInput(f"no row of {lesson.strategy} ended before the newest window begins: give a longer history")
    training = weighed(older, lesson.spec, lesson.balance)
    spec = replace(lesson.spec, turnover=turnover_of(plan, start_ms)) if not lesson.spec.turnover else lesson.spec
    learned = int(np.count_nonzero(training.weight))
    school.tell(f"{lesson.strategy}: training on {learned} entries", 0, 1)
    fitted = fit(training, spec, school.jobs)
    about = _description(school, lesson, spec, built, plan, short, start_ms)
    version = registry.save(fitted, training, about)
    challenger = registry.load(lesson.scope, version, dataset.feature_set, judged_from_ms=start_ms)
    check_parity(challenger, fitted, dataset)
    verdict = verdict_of(window, training, challenger, in_use, lesson)
    state, told = _install(registry, lesson, version, verdict, in_use, dataset)
    school.tell(f"{lesson.strategy}: done", 1, 1)
    return Trained(
        strategy=lesson.strategy,
        scope=lesson.scope,
        state=state,
        version=version,
        covered=fitted.covered,
        short=short,
        rows=learned,
        window_rows=len(_of_symbols(window, challenger.covered)),
        metrics=fitted.metrics,
        told=(*in_use.notes, *verdict.reasons, *told, *fitted.notes, *built.notes, *_dropped(dataset)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InUse:
    """What a scope names as in use: `model` None if it names none, or one that cannot be loaded (any more).

    `named` says whether there is anything in that place, `version` is what it names, and `covered` are the symbols of that, both
    as far as they can be read.
    """

    model: LoadedModel | None = None
    named: bool = False
    version: str | None = None
    covered: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def _in_use(registry: Registry, scope: str, dataset: Dataset) -> InUse:
    """The model in use; one that cannot be used (any more) defends nothing but its symbols, and that is told."""
    version: str | None = None
    covered: frozenset[str] = frozenset()
    try:
        version = registry.current(scope)
        if version is None:
            return InUse()
        covered = frozenset(registry.manifest(scope, version).symbols)
        model = registry.load(scope, version, dataset.feature_set)
    except BadInput as error:
        told = f"the model in use could not be compared with: {error}"
        return InUse(named=True, version=version, covered=covered, notes=(told,))
    return InUse(model=model, named=True, version=version, covered=covered)


def _description(
    school: School,
    lesson: Lesson,
    spec: TrainingSpec,
    built: BuiltDataset,
    plan: BacktestPlan,
    short: tuple[str, ...],
    start_ms: int,
) -> Description:
    label: dict[str, Plain] = {
        "barriers": "the signal's own stop, target and expiry; management is left out",
        "win": "net gain above 0",
        "slippage": str(plan.fills.slippage),
        "latency_ms": plan.latency_ms,
        "window_ms": lesson.window_ms,
        WINDOW_START: start_ms,
        WINDOW_END: built.end_ms,
    }
    fees = next(iter(plan.instruments.values()), None)
    if fees is not None:
        label["taker_fee"] = str(fees.taker_fee)
    return Description(
        scope=lesson.scope,
        created_ms=school.created_ms,
        spec=spec,
        label=label,
        data={f"candles {symbol}": digest for symbol, digest in built.digests.items()},
        short=short,
        format=lesson.format,
    )


def turnover_of(plan: BacktestPlan, end_ms: int) -> dict[str, float]:
    """The turnover of each symbol in quote a day, of the candles of the plan that close until `end_ms`."""
    found = {}
    for symbol, series in plan.candles.items():
        inside = (series.ts_ms >= plan.start_ms) & (series.ts_ms + plan.base.ms <= end_ms)
        days = float(inside.sum()) * plan.base.ms / DAY_MS
        if days:
            found[symbol] = float((series.close[inside] * series.volume[inside]).sum() / days)
    return found


# Judging


def check_parity(model: LoadedModel, fitted: Fitted, dataset: Dataset) -> None:
    """Hold what was read back from the disk to what was fitted, on every row there is, to the last bit.

    Raises:
        BadInput: it answers otherwise.

    """
    symbols = dataset.symbol_names.tolist()
    before = np.asarray(fitted.predictor.probabilities(dataset.features, dataset.side, symbols))
    if not np.array_equal(before, model.probabilities(dataset.features, dataset.side, symbols)):
        raise BadInput(f"model {model.name} answers otherwise after it was read back from its file; it is not used")


def verdict_of(window: Dataset, training: Dataset, challenger: LoadedModel, in_use: InUse, lesson: Lesson) -> Verdict:
    """Whether the challenger may take over, judged on the rows of the window whose symbols both of them cover.

    One that no longer covers a symbol would end the trading there, however well it does elsewhere.  In symbols that it alone
    covers there is nothing to hold it against but the floor of a symbol.
    """
    lost = sorted(
        each for each in in_use.covered - challenger.covered if lesson.traded is None or each in lesson.traded
    )
    if lost:
        told = ", ".join(lost[:LOST_TOLD]) + (f" and {len(lost) - LOST_TOLD} more" if len(lost) > LOST_TOLD else "")
        return Verdict(
            False, (f"it does not cover {told}, which the model in use does: `--promote` uses it all the same",)
        )
    champion = in_use.model
    shared = challenger.covered if champion is None else challenger.covered & champion.covered
    if champion is not None and not shared:
        champion, shared = None, challenger.covered  # they have nothing in common that could be compared
    rows, others = _of_symbols(window, shared), _of_symbols(window, challenger.covered - shared)
    if not len(rows):
        return Verdict(
            False, ("the newest window has no entries in a symbol that it covers, so nothing shows what it is worth",)
        )
    match = Match(
        challenger=_showing(rows, challenger, lesson),
        incumbent=(
            unfiltered(rows, float(np.average(training.win, weights=training.weight)))
            if champion is None
            else _showing(rows, champion, lesson)
        ),
        first=champion is None,
        replaces=in_use.named,
        alone=_showing(others, challenger, lesson) if len(others) else None,
    )
    return judge(rows, match, lesson.floor)


def _of_symbols(window: Dataset, symbols: frozenset[str]) -> Dataset:
    return window.rows(np.isin(window.symbol_names, sorted(symbols)))


def _showing(rows: Dataset, model: LoadedModel, lesson: Lesson) -> Showing:
    threshold = model.manifest.threshold if lesson.threshold is None else lesson.threshold
    return showing(rows, _probabilities(model, rows), threshold)


def _probabilities(model: LoadedModel, rows: Dataset) -> Floats:
    return model.probabilities(rows.features, rows.side, rows.symbol_names.tolist())


def _install(
    registry: Registry, lesson: Lesson, version: str, verdict: Verdict, in_use: InUse, dataset: Dataset
) -> tuple[str, tuple[str, ...]]:
    """What the version is from now on, and what there is to say of that."""
    if lesson.promote is False:
        return SAVED, ()
    told: tuple[str, ...] = ()
    if lesson.promote:
        registry.promote(lesson.scope, version, dataset.feature_set)
        return CURRENT, told
    if verdict.promote:
        try:
            registry.relieve(lesson.scope, version, in_use.version, dataset.feature_set)
        except Rejected as error:  # somebody chose another one while this was trained
            told = (str(error),)
        else:
            return CURRENT, told
    registry.challenge(lesson.scope, version, dataset.feature_set)
    return CHALLENGER, told


def _dropped(dataset: Dataset) -> tuple[str, ...]:
    if not dataset.dropped:
        return ()
    return (f"entries that are no rows: {', '.join(f'{name} {count}' for name, count in dataset.dropped.items())}",)
