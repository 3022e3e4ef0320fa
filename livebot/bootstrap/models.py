"""The models of a daemon: what asks them, who looks for new versions, and what is told of them.

scikit-learn comes with this module: only a daemon whose config has a model imports it.

Rules of this file: the event loop neither reads a model nor asks one, each of which has a thread of its own; a version is
taken up between two batches, and until it has passed its checks the one before answers; whatever is wrong with a model is a
problem in a plain sentence, and stops nobody from trading what no model judges.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

import structlog

from livebot.adapters.state_files.file_workers import ThreadWorkers
from livebot.bootstrap.model_drift import ModelDrift
from livebot.bootstrap.strategies import asked_model, judged_plans
from livebot.config.load import LoadedConfig
from livebot.config.model_terms import confidence_settings, drift_terms, own_packages, serving_terms
from livebot.config.models import ModelConfig
from livebot.config.root import Paths
from livebot.config.secrets import model_key
from livebot.config.venue import SIMULATOR
from livebot.errors import LivebotError
from livebot.features.feature_set import FeatureSet, make_feature_set
from livebot.features.model_features import MODEL_FEATURES_VERSION, model_feature_set_name, model_features
from livebot.learning.coverage import TrainingQueue, queue_path
from livebot.learning.registry import Registry
from livebot.learning.serving import ModelServing, NoteKind, ScopeStatus, ServedStrategy, ServingNote, Untrained
from livebot.model_ports import Judgement, Question
from livebot.ports import Clock, Listener, ModelStatus
from livebot.runtime.models.confidence import ConfidenceParts
from livebot.runtime.problems import Report
from livebot.runtime.settings import ConfidenceSettings
from livebot.strategies.interface import Strategy

NAMED = 5  # symbols in a sentence
TOLD = 3  # problems in a sentence

Note = Callable[[str, Mapping[str, object]], None]

_log = structlog.get_logger(__name__)


class DaemonModels:
    """One for a daemon whose config has a model."""

    def __init__(
        self,
        loaded: LoadedConfig,
        paths: Paths,
        environ: Mapping[str, str],
        clock: Clock,
        report: Report,
        note: Note,
        opened: AsyncExitStack,
    ) -> None:
        """Nothing is loaded: `begin` comes first.  `opened` ends the threads.

        Raises:
            BadInput: the key, or the name of a scope, cannot be used.
            Fatal: the machine gives no threads.

        """
        section = asked_model(loaded)
        assert section is not None  # nobody makes this without
        config = loaded.config
        self._section = section
        self._ledger = paths.ledger
        self._settings = _settings(loaded, section)
        self._clock = clock
        self._report = report
        self._note = note
        registry = Registry(paths.models, model_key(environ), own_packages(section))
        terms, queue = serving_terms(section), TrainingQueue(queue_path(paths.state), config.system)
        self._blocks, self._passes = terms.untrained is Untrained.BLOCK, terms.untrained is Untrained.PASS
        self._strategies = tuple(plan.id for plan in judged_plans(loaded))
        self._serving = ModelServing(registry, terms, tuple(served(loaded, section)), queue)
        worn = drift_terms(section)
        self._drift = None if worn is None else ModelDrift(worn, registry, paths.state, config.system)
        self._judging, self._looking = ThreadWorkers(1, "models"), ThreadWorkers(1, "models-look")
        opened.callback(self._judging.close)
        opened.callback(self._looking.close)

    # What the daemon is made of

    @property
    def parts(self) -> ConfidenceParts:
        """What asks them."""
        return ConfidenceParts(
            confidences=self,
            # where time stands still while something is thought about, nobody is held up
            aside=None if self._settings.deadline_s is None else self._judging.submit,
            settings=self._settings,
            note=self._note,
            status=self.status,
        )

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Who hears what became of signals."""
        return () if self._drift is None else (self._drift,)

    @property
    def drift(self) -> Mapping[str, Mapping[str, float]]:
        """By scope: how far the model has moved from what it was trained on, by name of the figure, as of the last look."""
        return {} if self._drift is None else self._drift.figures

    def status(self) -> tuple[ModelStatus, ...]:
        """Each scope, as of now."""
        return tuple(map(_status_of, self._serving.status(self._clock.now_ms())))

    # The models as they are asked: on their thread

    def asked_for(self, strategy: str) -> bool:
        """Whether entries of this strategy are judged."""
        return self._serving.asked_for(strategy)

    def judge(self, questions: Sequence[Question], now_ms: int) -> tuple[Judgement, ...]:
        """One judgement for each question, in order."""
        judgements = self._serving.judge(questions, now_ms)
        if self._drift is not None:
            self._drift.saw(questions, judgements)
        return judgements

    # Looking for new versions

    async def begin(self) -> None:
        """Load what there is, and recall what became of its signals, before anybody trades."""
        await self._look()
        made = [each.created_ms for each in self.status() if each.created_ms is not None]
        if self._drift is not None and made:
            try:
                await self._looking.submit(partial(self._drift.recall, self._ledger, min(made)))
            except LivebotError as error:
                _log.warning("drift_not_recalled", why=str(error), what="the watch over the models begins anew")

    async def run(self) -> None:
        """Look every so often, until cancelled."""
        while True:
            await asyncio.sleep(float(self._section.serving.poll_seconds))
            await self._look()

    async def _look(self) -> None:
        now_ms = self._clock.now_ms()
        try:
            notes = await self._looking.submit(partial(self._serving.look, now_ms))
        except Exception as error:  # noqa: BLE001 - in a model's file is somebody else's code; the next look tries again
            _log.error("models_not_looked_at", exc_info=error)
            self._report(
                "model:looking", f"models cannot be looked at ({type(error).__name__}: {error}); those in use go on"
            )
            return
        self._report("model:looking", None)
        for note in notes:
            self._tell(note)
        self._tell_standing(self._serving.status(now_ms))
        await self._look_at_drift(now_ms)

    async def _look_at_drift(self, now_ms: int) -> None:
        if self._drift is None:
            return
        try:
            found = await self._looking.submit(partial(self._drift.look, now_ms))
        except LivebotError as error:
            _log.warning("drift_not_looked_at", why=str(error))
            return
        for source, sentence in found.items():
            self._report(source, sentence)

    def _tell(self, note: ServingNote) -> None:
        tell = _log.info if note.kind in (NoteKind.LOADED, NoteKind.COVERED) else _log.warning
        tell("model", kind=note.kind.value, scope=note.scope, version=note.version, what=note.text)
        fields = {"kind": note.kind.value, "scope": note.scope, "version": note.version, "symbol": note.symbol}
        self._note("model", {**fields, "text": note.text})

    def _tell_standing(self, statuses: Sequence[ScopeStatus]) -> None:
        by_strategy = defaultdict[str, list[ScopeStatus]](list)
        for each in statuses:
            by_strategy[each.strategy].append(each)
        for strategy in self._strategies:
            found = by_strategy[strategy]
            problems = [*self._missing(strategy, found), *(text for each in found for text in each.problems)]
            self._report(f"model:{strategy}", _few(problems, TOLD, "; "))
            self._report(f"model-stale:{strategy}", _stale(strategy, found))
            self._report(f"model-uncovered:{strategy}", self._uncovered(strategy, found))

    def _missing(self, strategy: str, found: Sequence[ScopeStatus]) -> Iterator[str]:
        if all(each.version is None for each in found):
            what = "its entries pass without one" if self._passes else f"{strategy} opens nothing"
            yield f"{strategy}: no model is in use, so {what}; `livebot train` makes one"

    def _uncovered(self, strategy: str, found: Sequence[ScopeStatus]) -> str | None:
        symbols = sorted({symbol for each in found for symbol in each.uncovered})
        if not symbols or not self._blocks:
            return None
        return (
            f"{strategy}: no model was trained on {_few(symbols, NAMED, ', ')}, so {strategy} opens nothing there; "
            "they wait for `livebot train --if-due`, and trade as soon as a version covers them"
        )


def served(loaded: LoadedConfig, section: ModelConfig) -> Iterator[ServedStrategy]:
    """The strategies whose entries are judged, with the features that they say with them."""
    for plan in judged_plans(loaded):
        yield ServedStrategy(
            strategy=plan.id, feature_set=evidence_set(plan.make(), section), pattern=section.model_path_pattern
        )


def evidence_set(strategy: Strategy[object], section: ModelConfig) -> FeatureSet:
    """What the model of a strategy looks at, as its manifest names it."""
    name = section.features
    return make_feature_set(
        model_feature_set_name(name), MODEL_FEATURES_VERSION, strategy.timeframe, model_features(name)
    )


def _settings(loaded: LoadedConfig, section: ModelConfig) -> ConfidenceSettings:
    """Without a deadline where the market's time stands still while something is thought about."""
    settings, exchange = confidence_settings(section.serving), loaded.config.exchange
    if exchange.id == SIMULATOR and not exchange.simulator.speed:
        return ConfidenceSettings(coalesce_s=settings.coalesce_s, deadline_s=None, on_deadline=settings.on_deadline)
    return settings


def _status_of(each: ScopeStatus) -> ModelStatus:
    return ModelStatus(
        scope=each.scope,
        strategy=each.strategy,
        version=each.version,
        shadow=each.challenger,
        created_ms=each.created_ms,
        train_end_ms=each.train_end_ms,
        stale=each.stale,
        covered=len(each.covered),
        uncovered=each.uncovered,
    )


def _stale(strategy: str, found: Sequence[ScopeStatus]) -> str | None:
    scopes = [f"{each.scope}/{each.version}" for each in found if each.stale]
    if not scopes:
        return None
    return (
        f"{strategy}: {_few(scopes, TOLD, ', ')} is older than model.serving.expiration_hours allows and is refused, so "
        f"{strategy} opens nothing; `livebot train` makes a new version"
    )


def _few(texts: Sequence[str], most: int, between: str) -> str | None:
    if not texts:
        return None
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return between.join(texts[:most]) + more
