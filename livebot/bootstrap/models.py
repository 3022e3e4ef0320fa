"""The models of a daemon: what asks them, who looks for new versions, and what is told of them.

scikit-learn comes with this module: only a daemon whose config has a model imports it.

Rules of this file: the event loop neither reads a model nor asks one, each of which has a thread of its own; a version is
taken up between two batches, and until it has passed its checks the one before answers; whatever is wrong with a model is a
problem in a plain sentence, and stops nobody from trading what no model judges; neither the start nor the stop waits for a
model longer than a bound, and one that hangs is left to itself on its thread.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from time import monotonic

import structlog
from threadpoolctl import threadpool_limits

from livebot.bootstrap.drift_looks import DriftLooks
from livebot.bootstrap.model_drift import ModelDrift
from livebot.bootstrap.model_texts import words_of
from livebot.bootstrap.model_threads import ModelThread
from livebot.bootstrap.strategies import asked_model, judged_plans
from livebot.config.load import LoadedConfig
from livebot.config.model_terms import confidence_settings, drift_terms, own_packages, serving_terms
from livebot.config.models import ModelConfig
from livebot.config.root import Paths
from livebot.config.secrets import model_key
from livebot.config.venue import SIMULATOR
from livebot.features.feature_set import FeatureSet, make_feature_set
from livebot.features.model_features import MODEL_FEATURES_VERSION, model_feature_set_name, model_features
from livebot.learning.coverage import TrainingQueue, queue_path
from livebot.learning.registry import Registry
from livebot.learning.serving import ModelServing, NoteKind, ScopeStatus, ServedStrategy, ServingNote
from livebot.model_ports import Judgement, Question
from livebot.ports import Clock, Listener, ModelStatus
from livebot.runtime.models.confidence import ConfidenceParts
from livebot.runtime.models.shadow_desk import ShadowParts
from livebot.runtime.problems import Report
from livebot.runtime.settings import ConfidenceSettings
from livebot.strategies.interface import Strategy

LOOK_S = 60.0  # for one look at models/, one at how they wear out, and the reading of the ledger
STOP_S = 2.0  # for what models are doing at the end
STUCK = "model:stuck"

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
        self._words = tuple(words_of(loaded, section, plan) for plan in judged_plans(loaded))
        self._serving = ModelServing(registry, terms, tuple(served(loaded, section)), queue)
        worn = drift_terms(section)
        self._drift = None if worn is None else ModelDrift(worn, registry, paths.state, config.system)
        self._drift_looks = None if self._drift is None else DriftLooks(self._drift, report)
        # Each prediction sets and puts back how many threads BLAS has, which is one number for all: two beside each other
        # would leave each other's behind.
        opened.enter_context(threadpool_limits(limits=1, user_api="blas"))
        self._judging, self._shadowing = ModelThread("models"), ModelThread("models-shadow")
        self._looking = ModelThread("models-look")
        self._look_under_way: asyncio.Future[tuple[ServingNote, ...]] | None = None
        self._looking_told: str | None = None
        opened.callback(self._let_go)

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
            give_up=self._give_up,
            shadows=ShadowParts(
                shadows=self._serving,
                aside=None if self._settings.deadline_s is None else self._shadowing.submit,
                give_up=self._give_up_shadow,
            ),
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

    # Models that do not come back

    def _give_up(self) -> str:
        name = self._serving.give_up()
        self._judging.replace()
        return self._given_up(name)

    def _give_up_shadow(self) -> str:
        name = self._serving.give_up(shadow=True)
        self._shadowing.replace()
        return self._given_up(name)

    def _given_up(self, name: str | None) -> str:
        text = f"{f'model {name}' if name else 'what models were asked'} has not come back within {self._settings.hang_s:g} s"
        _log.error("model_hangs", model=name, what=text)
        self._note("model", {"kind": "hangs", "scope": (name or "").rpartition("/")[0], "version": None, "text": text})
        self._tell_stuck()
        return text

    def _tell_stuck(self) -> None:
        names = self._serving.stuck
        self._report(
            STUCK,
            f"{', '.join(names)} has not come back within {self._settings.hang_s:g} s (model.serving.hang_seconds) and is not "
            "asked again until it has: entries that it judges are refused, other models go on; put another version in its "
            "place (`livebot models rollback SCOPE` or `livebot train`), and restart the daemon when it suits you"
            if names
            else None,
        )

    def _let_go(self) -> None:
        """The end: whoever does not come to an end within STOP_S altogether is left to end with the program."""
        until_s = monotonic() + STOP_S
        threads = (self._judging, self._shadowing, self._looking, self._drift_looks)
        ended = [thread.close(max(until_s - monotonic(), 0)) for thread in threads if thread is not None]
        if not all(ended):
            _log.warning(
                "models_not_waited_for",
                models=self._serving.asking,
                what="what a model was doing has not come to an end; it held nothing that is kept, and the stop goes on",
            )

    # Looking for new versions

    async def begin(self) -> None:
        """Load what there is, and recall what became of its signals, before anybody trades.

        What cannot be loaded within LOOK_S is gone on without: its entries are refused until it is.  So is what cannot be
        recalled in that time, and what is wrong with models is told when it has been.
        """
        now_ms = self._clock.now_ms()
        await self._look(now_ms)
        used = {f"{each.scope}/{each.version}": each.train_end_ms for each in self.status()}
        trained = {name: end_ms for name, end_ms in used.items() if end_ms is not None}
        if self._drift_looks is not None and trained:
            await self._drift_looks.recall(self._ledger, trained, now_ms, LOOK_S)
        await self._look_at_drift(now_ms)

    async def run(self) -> None:
        """Look every so often, until cancelled."""
        while True:
            await asyncio.sleep(float(self._section.serving.poll_seconds))
            now_ms = self._clock.now_ms()
            await self._look(now_ms)
            await self._look_at_drift(now_ms)

    async def _look(self, now_ms: int) -> None:
        look = self._look_under_way
        if look is None:
            look = self._look_under_way = self._looking.submit(partial(self._serving.look, now_ms))
        await asyncio.wait((look,), timeout=LOOK_S)
        self._tell_stuck()
        if not look.done():
            self._tell_looking(
                f"a look at the models takes longer than {LOOK_S:g} s (a disk or a file does not answer)"
            )
            return
        self._look_under_way = None
        try:
            notes = look.result()
        except Exception as error:  # noqa: BLE001 - in a model's file is somebody else's code; the next look tries again
            self._tell_looking(f"models cannot be looked at ({type(error).__name__}: {error})", error)
            return
        self._tell_looking(None)
        for note in notes:
            self._tell(note)
        self._tell_standing(self._serving.status(now_ms))

    def _tell_looking(self, why: str | None, error: BaseException | None = None) -> None:
        if why is not None and why != self._looking_told:
            _log.error("models_not_looked_at", why=why, exc_info=error)
        self._looking_told = why
        text = f"{why}; those in use go on, and no new version is taken up" if why is not None else None
        self._report("model:looking", text)

    async def _look_at_drift(self, now_ms: int) -> None:
        if self._drift_looks is not None:
            await self._drift_looks.look(now_ms, LOOK_S)

    def _tell(self, note: ServingNote) -> None:
        tell = _log.info if note.kind in (NoteKind.LOADED, NoteKind.COVERED) else _log.warning
        tell("model", kind=note.kind.value, scope=note.scope, version=note.version, what=note.text)
        fields = {"kind": note.kind.value, "scope": note.scope, "version": note.version, "symbol": note.symbol}
        self._note("model", {**fields, "text": note.text})

    def _tell_standing(self, statuses: Sequence[ScopeStatus]) -> None:
        by_strategy = defaultdict[str, list[ScopeStatus]](list)
        for each in statuses:
            by_strategy[each.strategy].append(each)
        for words in self._words:
            for source, sentence in words.problems(by_strategy[words.strategy]).items():
                self._report(source, sentence)


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
        return replace(settings, deadline_s=None)
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
