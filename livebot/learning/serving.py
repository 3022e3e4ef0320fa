"""The models in use: which version of which scope, what changed since the last look, and the answers they give.

Rules of this file: `look` reads the disk and `judge` never does; what is in use is one reference, replaced as a whole, so that
a batch is answered by one version from its first row to its last; a version that fails its checks changes nothing; nobody
passes without a confidence because models could not be looked at.

`look` is called every so often in a thread (the first time before anybody trades), `judge` in another and `shadows` in a
third, each by one caller at a time; who asked may give up a caller that does not come back (`give_up`) and ask anew in another
thread.  None knows the clock: they are told the market's time.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

from livebot.errors import LivebotError
from livebot.features.feature_set import FeatureSet
from livebot.learning.coverage import TrainingQueue, Waiting
from livebot.learning.judging import Scope, ServingTerms, Untrained, judged, shadows_of
from livebot.learning.loaded import LoadedModel
from livebot.learning.registry import CHALLENGER, CURRENT, Registry
from livebot.learning.scopes import by_symbol, check_pattern, is_version, pattern_of_scopes, scope_of
from livebot.model_ports import Judgement, Question, Shadow

__all__ = [
    "ModelServing", "NoteKind", "ScopeStatus", "ServedStrategy", "ServingNote", "ServingTerms", "Untrained",
]  # fmt: skip

UNCOVERED_MAX = 4_096  # symbols found uncovered between two looks


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedStrategy:
    """A strategy whose entries are judged: its id, the pattern of its scope, and the features that the daemon computes."""

    strategy: str
    feature_set: FeatureSet
    pattern: str = "{strategy}"


class NoteKind(Enum):
    """What a look found, by what somebody may want to do about it."""

    LOADED = "loaded"  # a version came into use (or into shadow)
    REFUSED = "refused"  # a version failed its checks; what was in use is still in use
    GONE = "gone"  # `current` names none any more; what was in use is still in use
    COVERED = "covered"  # a symbol that waited is covered from now on
    FAULT = "fault"  # something else went wrong: the queue could not be written, a model failed while it judged


@dataclass(frozen=True, slots=True)
class ServingNote:
    """Something to tell, once; `version` and `symbol` where it is about one."""

    kind: NoteKind
    scope: str
    text: str
    version: str | None = None
    symbol: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeStatus:
    """A scope as operators see it.  Times are UTC ms.

    `uncovered` symbols wait for training, and those of them that open nothing meanwhile are `blocked`; `symbols_own`: it is one
    symbol's, not that of all; `unusable`: one should decide here, and failed its checks.
    """

    scope: str
    strategy: str
    version: str | None
    challenger: str | None
    created_ms: int | None
    train_end_ms: int | None
    stale: bool
    covered: tuple[str, ...]
    uncovered: tuple[str, ...]
    problems: tuple[str, ...]
    blocked: tuple[str, ...] = ()
    symbols_own: bool = False
    unusable: bool = False


class ModelServing:
    """All models of a daemon; implements model_ports.Confidences and model_ports.Shadows."""

    def __init__(
        self,
        registry: Registry,
        terms: ServingTerms,
        served: Sequence[ServedStrategy],
        queue: TrainingQueue | None = None,
    ) -> None:
        """Nothing is read: until the first `look` every question is refused.

        Raises:
            BadInput: a pattern or a strategy's id makes no scope.

        """
        self._registry = registry
        self._terms = terms
        self._served = {each.strategy: each for each in served}
        self._queue = queue
        self._shared = {each.strategy: scope_of(check_pattern(each.pattern), each.strategy) for each in served}
        self._scopes: Mapping[str, Scope] = MappingProxyType({})
        self._names: dict[tuple[str, str], str] = {}
        self._wanting: deque[Waiting] = deque(maxlen=UNCOVERED_MAX)
        self._faults: deque[tuple[str, str]] = deque(maxlen=UNCOVERED_MAX)  # model, sentence
        self._told: dict[tuple[str, str], str] = {}  # (scope, what) -> the problem that stands, told once
        self._unknown = dict.fromkeys(self._served, _NOT_LOOKED)  # by strategy: why nobody knows which models it has
        self._judging: Sequence[LoadedModel] = ()  # at which the batch that `judge` was asked about last may stand
        self._shadowing: Sequence[LoadedModel] = ()  # the same of `shadows`
        self._stuck: tuple[LoadedModel, ...] = ()  # that were given up

    # ------------------------------------------------------------------ asked by the daemon

    def asked_for(self, strategy: str) -> bool:
        """Whether entries of this strategy are judged."""
        return strategy in self._served

    def judge(self, questions: Sequence[Question], now_ms: int) -> tuple[Judgement, ...]:
        """One judgement for each question, in order; of a strategy that nobody asks for, one that lets it pass."""
        scopes = self._scopes
        places = [place for place, question in enumerate(questions) if question.strategy in self._served]
        asked = [questions[place] for place in places]
        where = [self._scope_of(each.strategy, each.symbol, scopes) for each in asked]
        self._judging = self._may_hang(scope.model for scope in where)
        answers = judged(asked, where, self._terms, now_ms)
        for row in answers.uncovered:
            each = asked[row]
            self._wanting.append(Waiting(strategy=each.strategy, symbol=each.symbol, since_ms=now_ms))
        self._remember_faults(answers.faults)
        if len(places) == len(questions):
            return tuple(answers.judgements)
        given = dict(zip(places, answers.judgements, strict=True))
        return tuple(given.get(place, _PASSES) for place in range(len(questions)))

    def shadowed(self, strategy: str) -> bool:
        """Whether a challenger answers in any scope of this strategy."""
        return any(scope.strategy == strategy and scope.challenger is not None for scope in self._scopes.values())

    def shadows(self, questions: Sequence[Question]) -> tuple[tuple[Shadow, ...], ...]:
        """What the challenger of each question's scope says of it, if it can."""
        scopes = self._scopes
        places = [place for place, question in enumerate(questions) if question.strategy in self._served]
        asked = [questions[place] for place in places]
        where = [self._scope_of(each.strategy, each.symbol, scopes) for each in asked]
        self._shadowing = self._may_hang(scope.challenger for scope in where)
        told, faults = shadows_of(asked, where)
        self._remember_faults(faults)
        given = dict(zip(places, told, strict=True))
        return tuple(given.get(place, ()) for place in range(len(questions)))

    def give_up(self, *, shadow: bool = False) -> str | None:
        """Nobody waits any longer for the `judge` (or `shadows`) that is under way; which model it stands at, if any.

        That one is not asked again until it has come back.
        """
        for model in self._shadowing if shadow else self._judging:
            if model.asking:
                self._stuck = (*(each for each in self._stuck if each is not model and each.asking), model)
                return model.name
        return None

    @property
    def asking(self) -> tuple[str, ...]:
        """The models in use that somebody waits for right now."""
        models = [model for scope in self._scopes.values() for model in (scope.model, scope.challenger)]
        return tuple(model.name for model in models if model is not None and model.asking)

    @property
    def stuck(self) -> tuple[str, ...]:
        """The models in use that were given up and have not come back."""
        used = {id(model) for scope in self._scopes.values() for model in (scope.model, scope.challenger)}
        return tuple(model.name for model in self._stuck if model.asking and id(model) in used)

    def look(self, now_ms: int) -> tuple[ServingNote, ...]:
        """Take into use what the registry names by now, let go of symbols that are covered by now; blocking.

        Returns what is to be told, each thing once.  Raises nothing for a version, a pointer or a queue that is in a bad way:
        what was in use goes on.
        """
        notes: list[ServingNote] = []
        scopes = dict(self._scopes)
        known = []
        for served in self._served.values():
            names, why = self._scopes_of(served, notes)
            if why is None:
                known.append(served.strategy)
            elif served.strategy in self._unknown:
                self._unknown[served.strategy] = why
            for name in names:
                held = scopes.get(name) or Scope(name=name, strategy=served.strategy)
                if name == self._shared[served.strategy] and not self._asks_shared(served):
                    scopes[name] = held
                    continue
                model = self._taken(name, CURRENT, served, held.model, notes)
                scopes[name] = replace(
                    held,
                    model=model,
                    challenger=self._taken(name, CHALLENGER, served, held.challenger, notes),
                    unusable=self._told.get((name, CURRENT)) if model is None else None,
                )
        self._scopes = MappingProxyType(scopes)
        for strategy in known:
            self._unknown.pop(strategy, None)
        self._tell_faults(notes)
        self._look_at_queue(notes)
        return tuple(notes)

    def status(self, now_ms: int) -> tuple[ScopeStatus, ...]:
        """Each scope that was looked at, by its name; who waits stands with the scope that is for all symbols."""
        waiting = self._queue.waiting if self._queue is not None else ()
        found = []
        for scope in self._scopes.values():
            shared = scope.name == self._shared[scope.strategy]
            here = tuple(each.symbol for each in waiting if shared and each.strategy == scope.strategy)
            found.append(self._status_of(scope, here, now_ms))
        return tuple(sorted(found, key=lambda each: each.scope))

    # ------------------------------------------------------------------ inside

    def _may_hang(self, models: Iterable[LoadedModel | None]) -> tuple[LoadedModel, ...]:
        """Those that a batch which begins now may stand at: one that hangs since before refuses at once."""
        stuck = {id(each) for each in self._stuck if each.asking}
        return tuple(each for each in dict.fromkeys(models) if each is not None and id(each) not in stuck)

    def _status_of(self, scope: Scope, uncovered: tuple[str, ...], now_ms: int) -> ScopeStatus:
        known = None if scope.model is None else scope.model.manifest
        shadow = None if scope.challenger is None else scope.challenger.manifest
        return ScopeStatus(
            scope=scope.name,
            strategy=scope.strategy,
            version=None if known is None else known.version,
            challenger=None if shadow is None else shadow.version,
            created_ms=None if known is None else known.created_ms,
            train_end_ms=None if known is None else known.train_end_ms,
            stale=known is not None and self._terms.stale(known.train_end_ms, now_ms),
            covered=() if known is None else tuple(sorted(known.symbols)),
            uncovered=uncovered,
            problems=tuple(text for (of, _), text in self._told.copy().items() if of == scope.name),
            blocked=tuple(symbol for symbol in uncovered if self._opens_nothing(scope.strategy, symbol)),
            symbols_own=scope.name != self._shared[scope.strategy],
            unusable=scope.unusable is not None,
        )

    def _opens_nothing(self, strategy: str, symbol: str) -> bool:
        """Of a symbol that no model was trained on."""
        scope = self._scope_of(strategy, symbol, self._scopes)
        if self._terms.untrained is Untrained.PASS:
            return scope.model is None and scope.unusable is not None
        alone = scope.model is None or not scope.model.manifest.shared
        return alone or self._terms.untrained is Untrained.BLOCK

    def _scope_of(self, strategy: str, symbol: str, scopes: Mapping[str, Scope]) -> Scope:
        """Where a symbol's questions go: its own scope, else (if one may fall back) that of all of them."""
        served = self._served[strategy]
        shared = self._shared[strategy]
        if by_symbol(served.pattern):
            name = self._names.get((strategy, symbol))
            if name is None:
                name = self._names[strategy, symbol] = scope_of(served.pattern, strategy, symbol)
            own = scopes.get(name)
            if own is not None and own.model is not None:
                return own
            if self._terms.untrained is not Untrained.FALLBACK:
                return own or Scope(name=name, strategy=strategy, unusable=self._unknown.get(strategy))
        return scopes.get(shared) or Scope(name=shared, strategy=strategy, unusable=self._unknown.get(strategy))

    def _asks_shared(self, served: ServedStrategy) -> bool:
        return not by_symbol(served.pattern) or self._terms.untrained is Untrained.FALLBACK

    def _scopes_of(self, served: ServedStrategy, notes: list[ServingNote]) -> tuple[tuple[str, ...], str | None]:
        """The scopes of a strategy, and why these may not be all."""
        shared = self._shared[served.strategy]
        if not by_symbol(served.pattern):
            return (shared,), None
        like = pattern_of_scopes(served.pattern, served.strategy)
        try:
            found = tuple(scope for scope in self._registry.scopes() if like.fullmatch(scope) and scope != shared)
        except (LivebotError, OSError) as error:
            text = f"which models {served.strategy} has cannot be seen: {error}"
            self._tell(notes, NoteKind.REFUSED, shared, "scopes", f"{text}; those in use go on")
            return (shared,), text
        self._mended(shared, "scopes")
        return (shared, *found), None

    def _taken(
        self, scope: str, pointer: str, served: ServedStrategy, held: LoadedModel | None, notes: list[ServingNote]
    ) -> LoadedModel | None:
        """What a pointer names by now; `held` goes on if that cannot be used."""
        version = None
        try:
            version = self._registry.pointed(scope, pointer)
            if version is None and pointer == CHALLENGER:
                held = None
            elif version is None and held is not None:
                self._tell(notes, NoteKind.GONE, scope, pointer, _GONE.format(name=held.name), held.manifest.version)
                return held
            elif version is not None and (held is None or held.manifest.version != version):
                held = self._registry.load(scope, version, served.feature_set)
                deed = "decides from now on" if pointer == CURRENT else "answers in shadow from now on"
                notes.append(ServingNote(NoteKind.LOADED, scope, f"model {held.name} {deed}", version))
            elif version is not None and held is not None and version not in self._registry.versions(scope):
                self._tell(notes, NoteKind.GONE, scope, pointer, _REMOVED.format(name=held.name), version)
                return held
        except (LivebotError, OSError) as error:
            still = f"{held.name} goes on" if held is not None else "none is in use"
            self._tell(notes, NoteKind.REFUSED, scope, pointer, f"{error}; {still}", version)
            return held
        self._mended(scope, pointer)
        return held

    def _remember_faults(self, faults: Sequence[tuple[str, str]]) -> None:
        stuck = self.stuck  # of these it is told as long as it lasts, and not as long as the version is in use
        self._faults.extend(each for each in faults if each[0] not in stuck)

    def _tell_faults(self, notes: list[ServingNote]) -> None:
        """Each fault stands as long as the version that failed is in use."""
        models = [model for scope in self._scopes.values() for model in (scope.model, scope.challenger)]
        used = {model.manifest.version for model in models if model is not None}
        for scope, what in list(self._told):
            if is_version(what) and what not in used:
                self._mended(scope, what)
        while self._faults:
            name, text = self._faults.popleft()
            scope, _, version = name.rpartition("/")
            self._tell(notes, NoteKind.FAULT, scope, version, text, version)

    def _look_at_queue(self, notes: list[ServingNote]) -> None:
        if self._queue is None:
            return
        wanted = []
        while self._wanting:
            wanted.append(self._wanting.popleft())
        try:
            change = self._queue.update(wanted, self._covers)
        except LivebotError as error:
            self._tell(notes, NoteKind.FAULT, "", "queue", str(error))
            return
        self._mended("", "queue")
        if change.note is not None:
            notes.append(ServingNote(NoteKind.FAULT, "", change.note))
        for each in change.covered:
            if each.strategy in self._served:  # else nobody asks for it any more
                text = f"{each.symbol} is covered from now on, and {each.strategy} may trade it"
                notes.append(ServingNote(NoteKind.COVERED, self._shared[each.strategy], text, symbol=each.symbol))

    def _covers(self, waiting: Waiting) -> bool:
        if waiting.strategy not in self._served:
            return True  # nobody waits any more
        scope = self._scope_of(waiting.strategy, waiting.symbol, self._scopes)
        return scope.model is not None and waiting.symbol in scope.model.covered

    def _tell(
        self, notes: list[ServingNote], kind: NoteKind, scope: str, what: str, text: str, version: str | None = None
    ) -> None:
        """Tell of a problem, unless that was the last that was told of it."""
        if self._told.get((scope, what)) != text:
            self._told[scope, what] = text
            notes.append(ServingNote(kind, scope, text, version))

    def _mended(self, scope: str, what: str) -> None:
        self._told.pop((scope, what), None)


_PASSES = Judgement()
_NOT_LOOKED = "the models have not been looked at yet"
_GONE = "`current` names no version any more; {name} goes on until the daemon stops"
_REMOVED = (
    "the folder of {name} is gone: it goes on from memory, and a restart would find none; put it back, or promote another "
    "(livebot models list)"
)
