"""Removing versions of models that nobody needs any more, by a config's `retrain.keep_versions`.

Rules of this file: the signals' files are read and never written; where one of them cannot be read, nothing is removed, for it may
be of an open signal; a scope that cannot be looked at is told, and hinders no other.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from livebot.adapters.state_files.sealed_json import unseal
from livebot.adapters.state_files.signal_names import SUFFIX
from livebot.adapters.state_files.signal_store import STATES
from livebot.adapters.state_files.state_schemas import SIGNAL_UPGRADES
from livebot.core.signal import Idle
from livebot.errors import BadInput, LivebotError
from livebot.learning.pruning import Pruning, pruning_of
from livebot.learning.registry import Registry


def models_of_open_signals(signals: Path) -> frozenset[str]:
    """The models (`scope/version`) by which signals were opened that are not closed yet; blocking.

    Raises:
        BadInput: a file of a symbol cannot be read; naming it and the mend.

    """
    found = set()
    for path in sorted(signals.glob(f"*/*{SUFFIX}")):
        try:
            state = STATES.from_tree(unseal(path.read_bytes(), SIGNAL_UPGRADES))
        except FileNotFoundError:
            continue
        except (LivebotError, OSError) as error:
            raise BadInput(
                f"{path} cannot be read ({error}), so nobody knows which version its signal was opened by; no version is removed "
                "until the daemon has set it aside at its start"
            ) from None
        if not isinstance(state.signal, Idle) and state.signal.signal.model is not None:
            found.add(state.signal.signal.model)
    return frozenset(found)


def prunings(
    registry: Registry, signals: Path, scopes: Sequence[str], keep: int, made: Collection[str] = ()
) -> tuple[tuple[Pruning, ...], tuple[str, ...]]:
    """What may go of each of these scopes, and a sentence for each that could not be looked at.

    Raises:
        BadInput: as `models_of_open_signals`.

    """
    opened_by = models_of_open_signals(signals)
    found, problems = [], []
    for scope in scopes:
        try:
            found.append(pruning_of(registry, scope, keep, opened_by, made))
        except LivebotError as error:
            problems.append(f"{scope}: {error}; no version of it is removed")
    return tuple(found), tuple(problems)


def prune_after_training(
    registry: Registry, signals: Path, scopes: Sequence[str], keep: int | None, made: Collection[str]
) -> Iterator[str]:
    """Remove what nobody needs of these scopes; a sentence for each scope where something went, or went wrong."""
    if keep is None or not scopes:
        return
    try:
        found, problems = prunings(registry, signals, scopes, keep, made)
    except LivebotError as error:
        yield f"old versions were not removed: {error}"
        return
    yield from problems
    for each in found:
        if not each.removable:
            continue
        try:
            removed = registry.remove(each.scope, each.removable)
        except LivebotError as error:
            yield f"{each.scope}: old versions were not all removed: {error}"
            continue
        yield f"{each.scope}: {len(removed)} old versions were removed (retrain.keep_versions: {keep})"
