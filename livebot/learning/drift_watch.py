"""The watch over models in use: it hears every trade that a model let through, and every row that a model judged.

Rules of this file: one version a scope is watched, the newest that spoke: with another one the watch begins anew; what is
held is bounded, however long it listens; it reads no clock, no disk and no network, and changes nothing but itself.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from livebot.core.facts import EntryCancelled, Fact, SignalClosed, SignalOpening, SignalScheduled
from livebot.features.feature_set import made_of_time
from livebot.learning.drift import DriftTerms, SpreadPool, Standing, TradePool
from livebot.learning.manifest import Manifest
from livebot.model_ports import Judgement, Question
from livebot.ports import Decision

OPEN_MAX = 20_000  # signals that are open at once; beyond, the oldest are no longer followed
SOURCE = "drift:"  # of problems; a scope follows
SCORE = ""  # its name among those of features
FEATURES_TOLD = 3
SYMBOLS_TOLD = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStanding:
    """What is known of one model (`scope/version`) since it was first heard of.

    `all_symbols` pools every trade; `moved` has the stability index of each feature that has moved, largest first; those that
    are made of the time of day or week are left out, as any few days have other ones than the training;
    `score_index` that of its confidences (None: too few rows); `rows` were judged, of which the last are compared;
    `worn` says in sentences what passes its bound.
    """

    model: str
    strategy: str
    all_symbols: Standing
    symbols: Mapping[str, Standing]
    rows: int
    indexes: Mapping[str, float]
    moved: Mapping[str, float]
    score_index: float | None
    worn: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Watched:
    model: str
    strategy: str
    trades: TradePool
    names: tuple[str, ...] = ()
    of_time: frozenset[str] = frozenset()
    spread: SpreadPool | None = None
    symbols: "OrderedDict[str, TradePool]" = field(default_factory=OrderedDict)


@dataclass(frozen=True, slots=True)
class _Followed:
    model: str
    symbol: str
    confidence: float


class DriftWatch:
    """One for a daemon, or for a reading of its ledger; a listener of the bus."""

    def __init__(self, terms: DriftTerms, manifest_of: Callable[[str], Manifest | None]) -> None:
        """Nothing was heard.  `manifest_of` a model (`scope/version`) is asked once for each; None: its inputs are not compared."""
        self.name = "drift"
        self._terms = terms
        self._manifest_of = manifest_of
        self._watched: OrderedDict[str, _Watched] = OrderedDict()  # by scope, the least recently heard of first
        self._open: OrderedDict[str, _Followed] = OrderedDict()  # by signal
        self._pools = 0  # of symbols, in all

    # What it hears

    def hear(self, items: Iterable[Fact | Decision]) -> None:
        """Facts in the order in which they happened; what concerns no model is passed over."""
        for item in items:
            if isinstance(item, SignalScheduled | SignalOpening):
                self._opened(item)
            elif isinstance(item, EntryCancelled):
                self._open.pop(item.signal_id, None)
            elif isinstance(item, SignalClosed):
                self._closed(item)

    def saw(self, questions: Sequence[Question], judgements: Sequence[Judgement]) -> None:
        """What models were asked and what they answered, also where the entry was refused for it."""
        for question, judgement in zip(questions, judgements, strict=True):
            if judgement.model is None or judgement.confidence is None:
                continue
            spread = self._of(judgement.model, question.strategy).spread
            row = np.array((*question.evidence, judgement.confidence), dtype=np.float64)
            if spread is not None and len(row) == spread.columns and bool(np.isfinite(row).all()):
                spread.add(row)

    def _opened(self, fact: SignalScheduled | SignalOpening) -> None:
        if fact.model is None or fact.confidence is None:
            return
        self._of(fact.model, fact.strategy)
        self._open[fact.signal_id] = _Followed(fact.model, fact.symbol, fact.confidence)
        if len(self._open) > OPEN_MAX:
            self._open.popitem(last=False)

    def _closed(self, fact: SignalClosed) -> None:
        followed = self._open.pop(fact.signal_id, None)
        watched = None if followed is None else self._watched.get(_scope(followed.model))
        if followed is None or watched is None or watched.model != followed.model:
            return  # opened without a model, or under a version that is no longer in use
        won = fact.pnl_net > 0
        watched.trades.add(followed.confidence, won)
        self._pool(watched, followed.symbol).add(followed.confidence, won)

    def _of(self, model: str, strategy: str) -> _Watched:
        scope = _scope(model)
        watched = self._watched.get(scope)
        if watched is None or watched.model != model:
            if watched is not None:
                self._pools -= len(watched.symbols)
            watched = self._watched[scope] = self._begin(model, strategy)
        self._watched.move_to_end(scope)
        if len(self._watched) > self._terms.symbols:  # with a scope for each symbol there are as many
            _, gone = self._watched.popitem(last=False)
            self._pools -= len(gone.symbols)
        return watched

    def _begin(self, model: str, strategy: str) -> _Watched:
        manifest = self._manifest_of(model)
        watched = _Watched(model, strategy, TradePool(self._terms))
        if manifest is not None:
            bins = (*manifest.feature_bins, manifest.score_bins)
            edges, shares = np.array([each.edges for each in bins]), np.array([each.shares for each in bins])
            watched.names, watched.of_time = manifest.feature_names, made_of_time(manifest.feature_set)
            usual = np.array([each.usual for each in bins])
            watched.spread = SpreadPool(edges, shares, usual, self._terms)
        return watched

    def _pool(self, watched: _Watched, symbol: str) -> TradePool:
        pool = watched.symbols.get(symbol)
        if pool is None:
            if self._pools >= self._terms.symbols:
                self._forget_one()
            pool = watched.symbols[symbol] = TradePool(self._terms)
            self._pools += 1
        watched.symbols.move_to_end(symbol)
        return pool

    def _forget_one(self) -> None:
        """Of the scope that was heard of least recently, the symbol that traded least recently."""
        watched = next(each for each in self._watched.values() if each.symbols)
        watched.symbols.popitem(last=False)
        self._pools -= 1

    # What it says

    def standings(self) -> tuple[ModelStanding, ...]:
        """Of each model in use, by its name."""
        return tuple(sorted(map(self._standing, self._watched.values()), key=lambda each: each.model))

    def _standing(self, watched: _Watched) -> ModelStanding:
        pooled = watched.trades.standing()
        symbols = {symbol: pool.standing() for symbol, pool in sorted(watched.symbols.items())}
        indexes, bounds, score, rows = _spread(watched, self._terms)
        falling = sorted(indexes.items(), key=lambda pair: -pair[1])
        moved = {name: value for name, value in falling if value > bounds[name]}
        worn = (*pooled.worn, *_of_symbols(symbols), *_of_spread(moved, score, bounds.get(SCORE, 0.0)))
        return ModelStanding(
            model=watched.model,
            strategy=watched.strategy,
            all_symbols=pooled,
            symbols=symbols,
            rows=rows,
            indexes=indexes,
            moved=moved,
            score_index=score,
            worn=worn,
        )


def of_models(models: Collection[str], facts: Iterable[Fact]) -> Iterator[Fact]:
    """Of facts in the order in which they happened, those of signals that one of these models (`scope/version`) let through.

    A ledger may hold the same hours of a simulated market more than once, under versions that were in use one after the
    other: in the order of the market's time they would drive each other out of the watch.
    """
    followed: set[str] = set()
    for fact in facts:
        if isinstance(fact, SignalScheduled | SignalOpening):
            if fact.model in models:
                followed.add(fact.signal_id)
                yield fact
        elif isinstance(fact, EntryCancelled | SignalClosed) and fact.signal_id in followed:
            followed.discard(fact.signal_id)
            yield fact


def problems_of(standings: Iterable[ModelStanding]) -> dict[str, str | None]:
    """Source to sentence, as a daemon's problems take them; None where nothing is wrong (any more)."""
    return {SOURCE + _scope(each.model): sentence_of(each) for each in standings}


def sentence_of(standing: ModelStanding) -> str | None:
    """What is wrong with a model, in one sentence; None: nothing."""
    if not standing.worn:
        return None
    told = "; ".join(standing.worn)
    return f"model {standing.model} wears out: {told}.  `livebot drift` says more, `livebot train` makes a new version"


def _spread(watched: _Watched, terms: DriftTerms) -> tuple[dict[str, float], dict[str, float], float | None, int]:
    """The index of each feature, their bounds and that of the SCORE, the score's index, and how many rows were judged."""
    spread = watched.spread
    if spread is None or spread.rows < terms.minimum_trades:
        return {}, {}, None, 0 if spread is None else spread.seen
    *features, score = spread.indexes().tolist()
    bounds = dict(zip((*watched.names, SCORE), spread.bounds().tolist(), strict=True))
    named = zip(watched.names, features, strict=True)
    indexes = {name: value for name, value in named if name not in watched.of_time}
    return indexes, bounds, score, spread.seen


def _of_symbols(symbols: Mapping[str, Standing]) -> Iterator[str]:
    worn = [symbol for symbol, standing in symbols.items() if standing.worn]
    for symbol in worn[:SYMBOLS_TOLD]:
        yield f"in {symbol} {' and '.join(symbols[symbol].worn)}"
    if len(worn) > SYMBOLS_TOLD:
        yield f"and so in {len(worn) - SYMBOLS_TOLD} more symbols"


def _of_spread(moved: Mapping[str, float], score: float | None, bound: float) -> Iterator[str]:
    if moved:
        told = ", ".join(f"{name} (PSI {value:.2f})" for name, value in list(moved.items())[:FEATURES_TOLD])
        more = f" and {len(moved) - FEATURES_TOLD} more" if len(moved) > FEATURES_TOLD else ""
        yield f"what it looks at has moved away from its training: {told}{more}"
    if score is not None and score > bound:
        yield f"its confidences have moved away from those of its training (PSI {score:.2f})"


def _scope(model: str) -> str:
    return model.rpartition("/")[0]
