"""Whether it is time to train: by the clock, for symbols that wait, or because a model wears out.

Rules of this file: what the daemon asks for lies in its state folder and is written by it alone; what the training
remembers lies beside the models and is written by it alone; so neither waits for the other, and either may be lost: what
was lost is asked for again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.durable_files import fatal_of
from livebot.adapters.state_files.file_layer import FileLayer
from livebot.adapters.state_files.sealed_json import seal, unseal
from livebot.core.market import DAY_MS
from livebot.errors import BadInput
from livebot.learning.coverage import Waiting
from livebot.learning.whole_files import replace_file

TRIGGER_FILE = "drift.json"  # in state/
MEMORY_FILE = "training.json"  # in models/
LOCK_FILE = "training.lock"  # in models/
SYMBOLS_TOLD = 5
REFUSED = "refused"  # what came of a training that made no version
UNENDED = "it did not end"
_BETWEEN = "; "
_HOUR_MS = 3_600_000
_WEEK_MS = 168 * _HOUR_MS

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainTerms:
    """When to train: the config's `model.retrain`."""

    every_ms: int | None = 168 * _HOUR_MS
    new_symbols: bool = True
    on_drift: bool = True
    pause_ms: int = 6 * _HOUR_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """The daemon asks for a training of a strategy, because this model (`scope/version`) wears out; `since_ms` UTC."""

    strategy: str
    model: str
    why: str
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The last training of a strategy, whatever came of it.

    `short` are the symbols that it found too little history of, or that waited and that it did not cover for another reason;
    `worn` the models (`scope/version`) that had worn out; `judged` the symbols that waited and that only a version covers which
    did not show enough to be used.  `outcome` is `outcome_of` what came of it, or UNENDED.
    """

    strategy: str
    began_ms: int
    outcome: str
    short: tuple[str, ...] = ()
    worn: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether it was refused in every scope, or did not end."""
        return all(part == UNENDED or part.endswith(f": {REFUSED}") for part in self.outcome.split(_BETWEEN))


def outcome_of(states: Iterable[tuple[str, str]]) -> str:
    """What came of each scope (scope, state), in one text."""
    return _BETWEEN.join(f"{scope}: {state}" for scope, state in states)


@dataclass(frozen=True, slots=True)
class _Triggers:
    triggers: tuple[Trigger, ...] = ()


@dataclass(frozen=True, slots=True)
class _Attempts:
    attempts: tuple[Attempt, ...] = ()


_TRIGGERS: Codec[_Triggers] = Codec(_Triggers)
_ATTEMPTS: Codec[_Attempts] = Codec(_Attempts)


def reasons(  # noqa: PLR0913 - each is a source of its own
    strategy: str,
    terms: RetrainTerms,
    *,
    now_ms: int,
    newest_ms: int | None,
    in_use: Collection[str],
    last: Attempt | None,
    waiting: Sequence[Waiting],
    triggers: Sequence[Trigger],
) -> tuple[str, ...]:
    """Why this strategy is to be trained now, in sentences; none: nothing is due.

    `newest_ms` is when its newest version was made (None: there is none), `in_use` are its models (`scope/version`).
    A symbol or a drift waits `pause_ms` after the last training, and so does the next try after one that failed; a symbol
    that was found short of history then, and a model that wore out and was kept all the same, wait a day.  A symbol of
    `judged` waits for the schedule (a week without one): who is judged anew each day is found good by chance before long.
    Moments of triggers are not looked at: a simulated market has its own.  What is dated later than now is of a clock that
    was wrong then, and counts as never.
    """
    if last is not None and last.began_ms > now_ms:
        last = None
    if last is not None and last.failed:
        if now_ms - last.began_ms < terms.pause_ms:
            return ()
        last = None
    moments = (newest_ms, None if last is None else last.began_ms)
    trained_ms = max((each for each in moments if each is not None and each <= now_ms), default=None)
    if trained_ms is None:
        return ("it was never trained",)
    found = []
    if terms.every_ms is not None and now_ms - trained_ms >= terms.every_ms:
        found.append(
            f"the last training was {_hours(now_ms - trained_ms)} ago, and it is due every {_hours(terms.every_ms)}"
        )
    if now_ms - trained_ms < terms.pause_ms:
        return tuple(found)
    if terms.new_symbols:
        passed_over = _passed_over(terms, last, now_ms)
        new = [each.symbol for each in waiting if each.strategy == strategy and each.symbol not in passed_over]
        if new:
            more = f" and {len(new) - SYMBOLS_TOLD} more" if len(new) > SYMBOLS_TOLD else ""
            found.append(f"no model covers {', '.join(new[:SYMBOLS_TOLD])}{more}")
    if terms.on_drift:
        known = () if last is None or now_ms - last.began_ms >= DAY_MS else last.worn
        worn = [each for each in triggers if each.strategy == strategy and each.model in in_use]
        found += [each.why for each in worn if each.model not in known]
    return tuple(found)


def _passed_over(terms: RetrainTerms, last: Attempt | None, now_ms: int) -> frozenset[str]:
    """The symbols for which it is too soon, by what the last training found of them."""
    if last is None:
        return frozenset()
    age_ms = now_ms - last.began_ms
    short = last.short if age_ms < DAY_MS else ()
    judged = last.judged if age_ms < (terms.every_ms or _WEEK_MS) else ()
    return frozenset((*short, *judged))


def _hours(span_ms: int) -> str:
    return f"{span_ms / _HOUR_MS:.0f} h"


# Files


def read_triggers(state: Path, system: str) -> tuple[Trigger, ...]:
    """What the daemon asks for; blocking.

    Raises:
        BadInput: the file is damaged, or of another system.
        Fatal: it cannot be read, or is of another version of livebot.

    """
    found = _read(state / TRIGGER_FILE, system, _TRIGGERS)
    return () if found is None else found.triggers


def write_triggers(state: Path, system: str, triggers: Iterable[Trigger], layer: FileLayer) -> None:
    """Ask for these trainings, and for no others; blocking.

    Raises:
        Fatal: not written, and the old file still stands.

    """
    _write(state / TRIGGER_FILE, system, _TRIGGERS.to_tree(_Triggers(tuple(triggers))), layer)


def read_attempts(models: Path, system: str) -> dict[str, Attempt]:
    """The last training of each strategy; blocking.

    Raises:
        BadInput: the file is damaged, or of another system.
        Fatal: it cannot be read, or is of another version of livebot.

    """
    found = _read(models / MEMORY_FILE, system, _ATTEMPTS)
    return {} if found is None else {each.strategy: each for each in found.attempts}


def remember_attempt(models: Path, system: str, attempt: Attempt, layer: FileLayer) -> None:
    """Put this training in the place of the last one of its strategy; a damaged memory begins anew; blocking.

    Raises:
        Fatal: not written.

    """
    try:
        known = read_attempts(models, system)
    except BadInput:
        known = {}
    known[attempt.strategy] = attempt
    _write(models / MEMORY_FILE, system, _ATTEMPTS.to_tree(_Attempts(tuple(known.values()))), layer)


def _read(path: Path, system: str, codec: Codec[T]) -> T | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise fatal_of("read", path, error) from error
    try:
        tree = unseal(data)
        owner = tree.pop("system", None)
        if owner != system:
            raise BadInput(f"it is of system {owner}, and this is {system}")
        return codec.from_tree(tree)
    except BadInput as error:
        raise BadInput(f"{path} is damaged: {error}; remove it, what it holds is found anew") from None


def _write(path: Path, system: str, tree: Mapping[str, object], layer: FileLayer) -> None:
    replace_file(layer, path, seal({"system": system, **tree}))
