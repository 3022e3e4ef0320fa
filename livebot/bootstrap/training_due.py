"""Which strategies of a config are to be trained now, and why.

Rules of this file: the daemon's files and the registry are read and never written; what cannot be read is told and holds up
nobody, for it is what a training would mend.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from livebot.config.model_terms import retrain_terms
from livebot.config.models import ModelConfig
from livebot.config.root import Paths
from livebot.errors import LivebotError
from livebot.learning.coverage import Waiting, queue_path, read_queue
from livebot.learning.due import Attempt, Trigger, read_attempts, read_triggers, reasons
from livebot.learning.registry import Registry
from livebot.learning.scopes import by_symbol, pattern_of_scopes, scope_of
from livebot.learning.spec import TrainingMode

T = TypeVar("T")
SYMBOLS_TOLD = 5
_MADE = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTerms:
    """Of what is asked whether it is due.  `symbols` are those that each strategy runs on, as far as the config names them."""

    section: ModelConfig
    paths: Paths
    registry: Registry
    system: str
    now_ms: int
    symbols: Mapping[str, Sequence[str]]


def due(terms: DueTerms, chosen: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Why each strategy is to be trained, and what is to be said of files that could not be read."""
    notes: list[str] = []
    waiting = waiting_in(terms.paths.state, terms.system, notes)
    triggers: tuple[Trigger, ...] = _read(lambda: read_triggers(terms.paths.state, terms.system), (), notes)
    attempts: dict[str, Attempt] = _read(lambda: read_attempts(terms.paths.models, terms.system), {}, notes)
    found = {}
    for strategy in chosen:
        newest_ms, in_use = _versions_of(terms, strategy, notes)
        mine = _trainable(terms, strategy, waiting, notes)
        why = reasons(
            strategy,
            retrain_terms(terms.section.retrain),
            now_ms=terms.now_ms,
            newest_ms=newest_ms,
            in_use=in_use,
            last=attempts.get(strategy),
            waiting=mine,
            triggers=triggers,
        )
        if why:
            found[strategy] = why
        elif mine:
            notes.append(
                f"{strategy}: entries of {_few([each.symbol for each in mine])} wait for a model, and it is too soon to train "
                "again: after retrain.pause_hours, a day where history was short, retrain.every_hours where a version was not used"
            )
    return found, tuple(notes)


def waiting_in(state: Path, system: str, notes: list[str]) -> tuple[Waiting, ...]:
    """Who waits to be covered."""
    return _read(lambda: read_queue(queue_path(state), system), (), notes)


def worn_in(state: Path, system: str, strategy: str) -> tuple[str, ...]:
    """The models that the daemon says have worn out; what cannot be read was told, or is asked for again."""
    triggers: tuple[Trigger, ...] = _read(lambda: read_triggers(state, system), (), [])
    return tuple(each.model for each in triggers if each.strategy == strategy)


def _read(read: Callable[[], T], otherwise: T, notes: list[str]) -> T:
    try:
        return read()
    except LivebotError as error:
        notes.append(str(error))
        return otherwise


def _trainable(terms: DueTerms, strategy: str, waiting: Sequence[Waiting], notes: list[str]) -> tuple[Waiting, ...]:
    """Those of a strategy who wait and whom a training would cover: others would have it train for ever, and for nothing."""
    mine = tuple(each for each in waiting if each.strategy == strategy)
    section = terms.section
    if section.training_mode == TrainingMode.SINGLE_SYMBOL.value:
        one = section.single_symbol or next(iter(terms.symbols.get(strategy, ())), None)
        wanted: Sequence[str] | None = None if one is None else (one,)
        why = f"model.training_mode is {section.training_mode}"
    else:
        wanted, why = section.multi_symbol_symbols or None, "model.multi_symbol_symbols does not name them"
    if wanted is None:
        return mine
    vain = [each.symbol for each in mine if each.symbol not in wanted]
    if vain:
        notes.append(f"{strategy}: no training will cover {_few(vain)}, for which entries wait: {why}")
    return tuple(each for each in mine if each.symbol in wanted)


def _few(symbols: Sequence[str]) -> str:
    more = f" and {len(symbols) - SYMBOLS_TOLD} more" if len(symbols) > SYMBOLS_TOLD else ""
    return ", ".join(symbols[:SYMBOLS_TOLD]) + more


def _versions_of(terms: DueTerms, strategy: str, notes: list[str]) -> tuple[int | None, frozenset[str]]:
    """When the newest version of any of its scopes was made, and the models in use."""
    made: list[int] = []
    in_use = set()
    for scope in _scopes(terms, strategy):
        current = _read(partial(terms.registry.current, scope), None, notes)
        if current is not None:
            in_use.add(f"{scope}/{current}")
        moments = (made_at(version) for version in terms.registry.versions(scope))
        # one that is dated later than now was made under a wrong clock, and says nothing of when
        made += [at_ms for at_ms in moments if at_ms is not None and at_ms <= terms.now_ms]
    return max(made, default=None), frozenset(in_use)


def _scopes(terms: DueTerms, strategy: str) -> tuple[str, ...]:
    pattern = terms.section.model_path_pattern
    if not by_symbol(pattern):
        return (scope_of(pattern, strategy),)
    like = pattern_of_scopes(pattern, strategy)
    return tuple(scope for scope in terms.registry.scopes() if like.fullmatch(scope))


def made_at(version: str) -> int | None:
    """When a version was made, by its name; UTC ms, to the second; None if that is no moment."""
    try:
        made = datetime.strptime(version.partition("-")[0], _MADE).replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(made.timestamp() * 1000)
