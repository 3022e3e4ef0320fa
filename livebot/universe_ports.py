"""Protocols of the universe: who lists symbols, and who remembers which were chosen.

Rules of this file: those of `ports`.
"""

from collections.abc import Sequence
from typing import Protocol

from livebot.core.universe_memory import UniverseMemory
from livebot.core.universe_rules import Listing


class UniverseSource(Protocol):
    """Whoever lists the symbols of a market, with what is known of each."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    async def listings(self) -> Sequence[Listing]:
        """All of them, as of now.  Raises Transient (try again later) or Fatal (it refuses us)."""
        ...


class UniverseStore(Protocol):
    """state/universe.json."""

    async def load(self) -> UniverseMemory | None:
        """None if there is none yet.

        Raises:
            BadInput: it is damaged, and was set aside.
            Fatal: it is of another system or version, or cannot be read.

        """
        ...

    async def save(self, memory: UniverseMemory) -> None:
        """Durable when it returns.  Raises Fatal."""
        ...
