"""From a backtest's plan to a dataset: what a strategy wanted, what a model would have seen, what became of it.

Rules of this file: the plan decides everything (candles, instruments, fees, fills, rules, range); the same plan gives the
same bytes; what is no row is counted, what is no symbol is named.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np

from livebot.backtest.engine import TOLD, Progress, TooYoung, needed_symbols, tapes_of, young
from livebot.backtest.feature_cache import FeatureCache
from livebot.backtest.frames import Frames
from livebot.backtest.instance import Instance
from livebot.backtest.plan import BacktestPlan
from livebot.core.market import MINUTE_MS
from livebot.core.series import CandleSeries
from livebot.errors import BadInput
from livebot.features.declaration import Feature, context_features
from livebot.features.feature_set import FeatureSet, make_feature_set
from livebot.features.model_features import MODEL_FEATURES_VERSION, model_feature_set_name, model_features
from livebot.learning.dataset import Dataset
from livebot.learning.events import Event, asking_plan, events_of
from livebot.learning.history_needs import HistoryTerms, SymbolHistory, histories, range_shortfall
from livebot.learning.labels import Labels, Outcome
from livebot.learning.spec import SymbolBalance
from livebot.learning.weights import effective_count, weighted

NOT_FINITE = "feature_not_finite"  # why an entry is no row: a model's feature is no number there
NAMED = 8  # symbols in a refusal

_COLUMNS = ("ts_ms", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BuiltDataset:
    """A dataset, and what it was made of.

    `histories` of every symbol of the strategy, also of those that are not learnt from; `digests` (sha256, hexadecimal) of
    the candles of each symbol that was looked at; rows come from [`start_ms`, `end_ms`); `notes` are sentences on what is
    short or left out; `effective_count` is what rows that do not overlap these are worth.
    """

    dataset: Dataset
    histories: tuple[SymbolHistory, ...]
    digests: Mapping[str, str]
    start_ms: int
    end_ms: int
    effective_count: float
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Rows:
    """What was found so far."""

    rows: list[tuple[Event, Outcome]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def quiet(_done: int, _all: int) -> None:
    """Progress that nobody hears."""


def build_dataset(
    plan: BacktestPlan,
    strategy_id: str,
    *,
    features: str = "own",
    history: HistoryTerms = HistoryTerms(),  # noqa: B008 - frozen
    balance: SymbolBalance = SymbolBalance.NONE,
    across_symbols: bool = True,
    progress: Progress = quiet,
) -> BuiltDataset:
    """The dataset of one strategy of a plan, on all its symbols that have history enough.

    `features` is the name of a set of model features; `progress` hears of minutes done and minutes in all.

    Raises:
        BadInput: there is no such strategy or set, no symbol has history enough or can be asked, candles are unfit, or the
            strategy fails; naming it and the mend.

    """
    declared = _declared(features)
    asking = asking_plan(plan, strategy_id, declared)
    (run,) = asking.strategies
    span = (plan.start_ms, plan.end_ms)
    found = histories({symbol: plan.candles[symbol] for symbol in run.symbols}, plan.base, span, history)
    symbols = tuple(each.symbol for each in found if not each.problem)
    if not symbols:
        raise BadInput(f"no symbol has history enough to learn from: {_listed([each.problem for each in found])}")
    asking = replace(asking, strategies=(replace(run, symbols=symbols),))
    rows = _collect(asking, progress)
    timeframe = run.make().timeframe
    feature_set = make_feature_set(model_feature_set_name(features), MODEL_FEATURES_VERSION, timeframe, declared)
    dataset = weighted(
        _dataset(asking, rows, feature_set, tuple(each.name for each in declared)),
        balance,
        across_symbols=across_symbols,
    )
    said = (range_shortfall(span, history), *(text for each in found for text in (each.problem, each.shortfall)))
    return BuiltDataset(
        dataset=dataset,
        histories=found,
        digests=_digests(asking),
        start_ms=plan.start_ms,
        end_ms=plan.end_ms,
        effective_count=effective_count(dataset, across_symbols=across_symbols),
        notes=(*filter(None, said), *rows.notes),
    )


def _listed(sentences: Sequence[str]) -> str:
    more = f"; and {len(sentences) - NAMED} more" if len(sentences) > NAMED else ""
    return "; ".join(sentences[:NAMED]) + more


def _declared(features: str) -> tuple[Feature, ...]:
    try:
        return model_features(features)
    except ValueError as error:
        raise BadInput(f"{error}; choose another set of features") from error


# Rows


def _collect(asking: BacktestPlan, progress: Progress) -> _Rows:
    """All rows, symbol by symbol.  Raises TooYoung: none of the symbols can be asked."""
    (run,) = asking.strategies
    found, young_ones, done = _Rows(), [], 0
    span = (asking.end_ms - asking.start_ms) // MINUTE_MS
    for symbols in _groups(asking):
        part = replace(asking, strategies=(replace(run, symbols=symbols),))
        try:
            _collect_group(part, found, _part_of(progress, done * span, span * len(run.symbols)))
        except TooYoung as error:
            young_ones.append(str(error))
        done += len(symbols)
        progress(done * span, span * len(run.symbols))
    if len(young_ones) == len(_groups(asking)):
        raise TooYoung(_listed(young_ones))
    found.notes += young_ones
    return found


def _groups(asking: BacktestPlan) -> tuple[tuple[str, ...], ...]:
    """Symbols that have to be looked at together: all, or each for itself, which takes less memory."""
    (run,) = asking.strategies
    alone = needed_symbols(asking) == frozenset(run.symbols) and not context_features(run.make().features)
    return tuple((symbol,) for symbol in run.symbols) if alone else (run.symbols,)


def _collect_group(plan: BacktestPlan, found: _Rows, progress: Callable[[int], None]) -> None:
    tapes = tapes_of(plan)
    start, end = plan.start_ms // MINUTE_MS, plan.end_ms // MINUTE_MS
    frames = Frames(tapes, start, end, FeatureCache(plan.cache, plan.cache_bytes))
    (run,) = plan.strategies
    instances = [Instance(plan, run, symbol, frames) for symbol in run.symbols]
    found.notes += young(instances)
    for place, instance in enumerate(instances):
        tape = tapes[instance.symbol]
        labels, tell = Labels(plan, instance.symbol, tape), _from(progress, place * (end - start) - start)
        for event in events_of(plan, instance, tape, found.dropped, tell):
            _add(found, event, labels)


def _add(found: _Rows, event: Event, labels: Labels) -> None:
    if not np.isfinite(event.entry.evidence).all():
        found.dropped[NOT_FINITE] += 1
        return
    outcome = labels.outcome(event)
    if isinstance(outcome, Outcome):
        found.rows.append((event, outcome))
    else:
        found.dropped[outcome] += 1


def _part_of(progress: Progress, before: int, whole: int) -> Callable[[int], None]:
    """Progress of a group of symbols, told `TOLD` times in all at most."""
    told = 0

    def tell(minutes: int) -> None:
        nonlocal told
        if (minutes - told) * TOLD >= whole:
            told = minutes
            progress(before + minutes, whole)

    return tell


def _from(progress: Callable[[int], None], begun: int) -> Callable[[int], None]:
    """The same for who counts from `begun` on."""
    return lambda minute: progress(begun + minute)


def _dataset(plan: BacktestPlan, found: _Rows, feature_set: FeatureSet, names: tuple[str, ...]) -> Dataset:
    (run,) = plan.strategies
    symbols = tuple(sorted(run.symbols))
    codes = {symbol: code for code, symbol in enumerate(symbols)}
    rows = sorted(found.rows, key=lambda row: (row[0].close_ms, row[0].symbol))
    events, outcomes = [event for event, _ in rows], [outcome for _, outcome in rows]
    return Dataset(
        strategy=run.id,
        timeframe_ms=run.make().timeframe.ms,
        feature_set=feature_set,
        names=names,
        symbols=symbols,
        features=np.array([event.entry.evidence for event in events], np.float64).reshape(len(rows), len(names)),
        symbol=np.array([codes[event.symbol] for event in events], np.int16),
        side=np.array([event.signal.side.sign for event in events], np.int8),
        close_ms=np.array([event.close_ms for event in events], np.int64),
        end_ms=np.array([outcome.end_ms for outcome in outcomes], np.int64),
        barrier=np.array([outcome.barrier for outcome in outcomes], np.int8),
        gain=np.array([outcome.gain for outcome in outcomes], np.float64),
        cost=np.array([outcome.cost for outcome in outcomes], np.float64),
        risk=np.array([event.risk for event in events], np.float64),
        weight=np.ones(len(rows)),
        dropped=dict(sorted(found.dropped.items())),
    )


def _digests(plan: BacktestPlan) -> dict[str, str]:
    """Of the candles that anything here follows from, those before the start included."""
    needed = needed_symbols(plan)
    return {symbol: _digest(plan, plan.candles[symbol]) for symbol in sorted(plan.symbols) if symbol in needed}


def _digest(plan: BacktestPlan, candles: CandleSeries) -> str:
    digest = sha256(f"{plan.base.value}\n".encode())
    used = candles.ts_ms <= plan.end_ms
    for name in _COLUMNS:
        digest.update(np.ascontiguousarray(getattr(candles, name)[used]).data)
    return digest.hexdigest()
