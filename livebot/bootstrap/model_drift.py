"""The drift watch inside a daemon: fed from the bus and from what models answer, and looked at on a thread of its own.

Rules of this file: hearing and seeing only put aside, so that neither the loop nor an answer waits; one thread alone touches
the watch; what is put aside between two looks is bounded, the oldest goes first; what is told keeps its figures for a while,
or each row would make another sentence of it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.core.facts import EntryCancelled, Fact, SignalClosed, SignalOpening, SignalScheduled
from livebot.errors import BadInput, LivebotError
from livebot.learning.drift import DriftTerms
from livebot.learning.drift_watch import SOURCE, DriftWatch, ModelStanding, of_models, problems_of
from livebot.learning.due import Trigger, read_triggers, write_triggers
from livebot.learning.manifest import Manifest
from livebot.learning.registry import Registry
from livebot.model_ports import Judgement, Question
from livebot.ports import Decision

FACTS_MAX = 20_000
BATCHES_MAX = 2_000
FILE_SOURCE = "drift-file"
TOLD_FOR_MS = 3_600_000

_HEARD = (SignalScheduled, SignalOpening, EntryCancelled, SignalClosed)


class ModelDrift:
    """A Listener; `look` is called by one thread only."""

    name = "drift"

    def __init__(self, terms: DriftTerms, registry: Registry, state: Path, system: str) -> None:
        """Nothing was heard."""
        self._registry = registry
        self._watch = DriftWatch(terms, self._manifest)
        self._state = state
        self._system = system
        self._facts: deque[Fact] = deque(maxlen=FACTS_MAX)
        self._batches: deque[tuple[Sequence[Question], Sequence[Judgement]]] = deque(maxlen=BATCHES_MAX)
        self._terms = terms
        self._triggers: tuple[Trigger, ...] | None = None  # as they stand in the file; None: nobody knows
        self._unjudged: dict[str, Trigger] = {}  # those of the process before, by model
        self._worn: set[str] = set()  # the sources of problems that stand
        self._told: dict[str, tuple[int, str]] = {}  # when, and which sentence, by model
        self.figures: Mapping[str, Mapping[str, float]] = {}

    def hear(self, items: Iterable[Fact | Decision]) -> None:
        """What the bus publishes."""
        self._facts.extend(item for item in items if isinstance(item, _HEARD))

    def saw(self, questions: Sequence[Question], judgements: Sequence[Judgement]) -> None:
        """What models were asked and what they answered."""
        self._batches.append((questions, judgements))

    def recall(self, ledger: Path, models: Mapping[str, int], now_ms: int) -> None:
        """What became of signals of these models (`scope/version`) before this process; once, before anything is heard; blocking.

        Each comes with the end of its training.  That and `now_ms` are the market's time, as are the ledger's facts: when a
        version was made says nothing here, for a replayed or hastened market has a time of its own.

        Raises:
            BadInput, Transient: the ledger cannot be read.

        """
        if not ledger.is_file():
            return
        first_ms = min(models.values(), default=now_ms)
        since_ms = first_ms if first_ms <= now_ms else None  # a market from before the training: then all of it
        with LedgerReader(ledger) as reader:
            self._watch.hear(of_models(models, reader.outcomes(since_ms)))

    def look(self, now_ms: int) -> dict[str, str | None]:
        """What is wrong with each model (None: nothing any more), by source of a problem; asks for trainings; blocking."""
        while self._batches:
            self._watch.saw(*self._batches.popleft())
        while self._facts:
            self._watch.hear((self._facts.popleft(),))
        standings = self._watch.standings()
        self.figures = {each.model.rpartition("/")[0]: _figures(each) for each in standings}
        own = problems_of(standings)
        inherited = self._inherited(standings)
        told = {
            _source_of(each.model): self._steady(each.model, own[_source_of(each.model)], now_ms) for each in standings
        }
        found = {**told, **{_source_of(each.model): each.why for each in inherited}}
        gone = self._worn - found.keys()
        self._worn = {source for source, sentence in found.items() if sentence is not None}
        asked = (*inherited, *self._wanted(standings, own, now_ms))
        return {**dict.fromkeys(gone), **found, FILE_SOURCE: self._ask_for_training(asked)}

    def _steady(self, model: str, sentence: str | None, now_ms: int) -> str | None:
        if sentence is None:
            self._told.pop(model, None)
            return None
        told_ms, before = self._told.get(model, (now_ms, sentence))
        if abs(now_ms - told_ms) >= TOLD_FOR_MS:
            told_ms, before = now_ms, sentence
        self._told[model] = told_ms, before
        return before

    def _inherited(self, standings: Sequence[ModelStanding]) -> tuple[Trigger, ...]:
        """What the process before asked for and this one cannot judge yet, because it has seen too little of that model.

        Of trades the ledger tells, but of what a model looked at nothing is kept.
        """
        if self._triggers is None:
            self._triggers = self._before()
            self._unjudged = {each.model: each for each in self._triggers or ()}
        for each in standings:
            if each.worn or each.rows >= self._terms.minimum_trades:
                self._unjudged.pop(each.model, None)
        for model in list(self._unjudged):
            if not self._in_use(model):
                del self._unjudged[model]
        return tuple(self._unjudged.values())

    def _before(self) -> tuple[Trigger, ...] | None:
        """What stands in the file; None if that cannot be read, so that it is written anew."""
        try:
            return read_triggers(self._state, self._system)
        except LivebotError:
            return None

    def _in_use(self, model: str) -> bool:
        scope, _, version = model.rpartition("/")
        try:
            return self._registry.current(scope) == version
        except BadInput:
            return True  # who loads it tells of that

    def _wanted(
        self, standings: Sequence[ModelStanding], found: Mapping[str, str | None], now_ms: int
    ) -> Iterator[Trigger]:
        since = {each.model: each.since_ms for each in self._triggers or ()}
        for each in standings:
            why = found[_source_of(each.model)]
            if why is not None:
                began_ms = since.get(each.model, now_ms)
                yield Trigger(strategy=each.strategy, model=each.model, why=why, since_ms=began_ms)

    def _ask_for_training(self, triggers: tuple[Trigger, ...]) -> str | None:
        known = None if self._triggers is None else {(each.strategy, each.model) for each in self._triggers}
        if known == {(each.strategy, each.model) for each in triggers}:
            return None  # the words may differ from look to look
        try:
            write_triggers(self._state, self._system, triggers, SystemFiles())
        except LivebotError as error:
            return f"{error}; `livebot train --if-due` does not hear that a model wears out until it can be written"
        self._triggers = triggers
        return None

    def _manifest(self, model: str) -> Manifest | None:
        scope, _, version = model.rpartition("/")
        try:
            return self._registry.manifest(scope, version)
        except BadInput:
            return None  # it is told by who loads it


def _source_of(model: str) -> str:
    return SOURCE + model.rpartition("/")[0]


def _figures(standing: ModelStanding) -> dict[str, float]:
    """What is drawn over time: indexes, hit rate, calibration error and the sum of log-likelihoods, where they are known."""
    trades = standing.all_symbols
    values = {
        "feature_stability": max(standing.indexes.values(), default=None),
        "score_stability": standing.score_index,
        "hit_rate": trades.won,
        "expected_hit_rate": trades.said,
        "calibration_error": trades.error,
        "cusum": trades.cusum if trades.trades else None,
    }
    return {name: value for name, value in values.items() if value is not None}
