"""Which versions of a scope are still needed, and which only take up the disk.

Rules of this file: whatever somebody may still ask for is kept: what a pointer names, what an open signal was opened by, what
the manifest of a kept one names as its parent, and the newest; where that cannot be known, nothing is removed.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from livebot.errors import BadInput
from livebot.learning.registry import Registry
from livebot.learning.scopes import POINTERS

NEWEST, OPEN, PARENT, MADE = "among the newest", "an open signal", "parent of a kept one", "just made"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """The versions of a scope: `kept` with the reason, and `removable`, oldest first."""

    scope: str
    kept: Mapping[str, str] = field(default_factory=dict)
    removable: tuple[str, ...] = ()


def pruning_of(
    registry: Registry, scope: str, keep: int, opened_by: Collection[str], made: Collection[str] = ()
) -> Pruning:
    """What may go of a scope.

    The newest `keep` (1 or more) stay; `opened_by` are the models (`scope/version`) of open signals, `made` those that this
    run made.  Of parents only those are kept that a kept version itself names: all of them together would be all there are.

    Raises:
        BadInput: no scope, or a pointer cannot be read.
        Fatal: its folder cannot be read.

    """
    versions = registry.versions(scope)
    kept = dict.fromkeys(versions[-keep:], NEWEST)
    for why, models in ((OPEN, opened_by), (MADE, made)):
        kept |= {version: why for version in versions if f"{scope}/{version}" in models}
    for pointer in POINTERS:
        version = registry.pointed(scope, pointer)
        if version in versions:
            kept[version] = pointer
    parents = {_parent(registry, scope, version) for version in kept}
    kept |= {version: PARENT for version in versions if version in parents and version not in kept}
    return Pruning(scope=scope, kept=kept, removable=tuple(each for each in versions if each not in kept))


def _parent(registry: Registry, scope: str, version: str) -> str | None:
    with suppress(BadInput):  # one that cannot be read names nobody
        return registry.manifest(scope, version).parent
    return None
