"""The models in use: which version of which scope, what changed since the last look, and the answers they give.

Rules of this file: `look` reads the disk and `judge` never does; what is in use is one reference, replaced as a whole, so that
a batch is answered by one version from its first row to its last; a version that fails its checks changes nothing.

`look` is called every so often in a thread (the first time before anybody trades), `judge` in another, each by one caller at a
time.  Neither knows the clock: both are told the market's time.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

from livebot.errors import LivebotError
from livebot.features.feature_set import FeatureSet
from livebot.learning.coverage import TrainingQueue, Waiting
from livebot.learning.judging import Scope, ServingTerms, Untrained, judged
from livebot.learning.loaded import LoadedModel
from livebot.learning.registry import CHALLENGER, CURRENT, Registry
from livebot.learning.scopes import by_symbol, check_pattern, is_version, pattern_of_scopes, scope_of
from livebot.model_ports import Judgement, Question

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
    """A scope as operators see it.  Times are UTC ms; `uncovered` symbols wait for training."""

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


class ModelServing:
    """All models of a daemon; implements model_ports.Confidences."""

    def __init__(
        self,
        registry: Registry,
        terms: ServingTerms,
        served: Sequence[ServedStrategy],
        queue: TrainingQueue | None = None,
    ) -> None:
        """Nothing is read: until the first `look` every question is answered as without a model.

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
        answers = judged(asked, where, self._terms, now_ms)
        for row in answers.uncovered:
            each = asked[row]
            self._wanting.append(Waiting(strategy=each.strategy, symbol=each.symbol, since_ms=now_ms))
        self._faults.extend(answers.faults)
        if len(places) == len(questions):
            return tuple(answers.judgements)
        given = dict(zip(places, answers.judgements, strict=True))
        return tuple(given.get(place, _PASSES) for place in range(len(questions)))

    def look(self, now_ms: int) -> tuple[ServingNote, ...]:
        """Take into use what the registry names by now, let go of symbols that are covered by now; blocking.

        Returns what is to be told, each thing once.  Raises nothing for a version, a pointer or a queue that is in a bad way:
        what was in use goes on.
        """
        notes: list[ServingNote] = []
        scopes = dict(self._scopes)
        for served in self._served.values():
            for name in self._scopes_of(served, notes):
                held = scopes.get(name) or Scope(name=name, strategy=served.strategy)
                model = self._taken(name, CURRENT, served, held.model, notes)
                scopes[name] = replace(
                    held,
                    model=model,
                    challenger=self._taken(name, CHALLENGER, served, held.challenger, notes),
                    unusable=self._told.get((name, CURRENT)) if model is None else None,
                )
        self._scopes = MappingProxyType(scopes)
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
        )

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
                return own or Scope(name=name, strategy=strategy)
        return scopes.get(shared) or Scope(name=shared, strategy=strategy)

    def _scopes_of(self, served: ServedStrategy, notes: list[ServingNote]) -> tuple[str, ...]:
        shared = self._shared[served.strategy]
        if not by_symbol(served.pattern):
            return (shared,)
        like = pattern_of_scopes(served.pattern, served.strategy)
        try:
            found = tuple(scope for scope in self._registry.scopes() if like.fullmatch(scope) and scope != shared)
        except (LivebotError, OSError) as error:
            self._tell(notes, NoteKind.REFUSED, shared, "scopes", str(error))
            return (shared,)
        self._mended(shared, "scopes")
        return (shared, *found)

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
        except (LivebotError, OSError) as error:
            still = f"{held.name} goes on" if held is not None else "none is in use"
            self._tell(notes, NoteKind.REFUSED, scope, pointer, f"{error}; {still}", version)
            return held
        self._mended(scope, pointer)
        return held

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
_GONE = "`current` names no version any more; {name} goes on until the daemon stops"
