"""What the universe's watch is made of, and what follows from a choice.

Rules of this file: who lists the symbols is asked a few times and no longer; if it does not answer, the last universe
stands; a member that leaves is departing until nothing of it is open any more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from livebot.core.universe import Selection, choose
from livebot.core.universe_memory import UniverseMemory
from livebot.core.universe_rules import Listing, UniverseRules, first_match
from livebot.errors import BadInput, Fatal, LivebotError, Transient
from livebot.runtime.problems import Report
from livebot.universe_ports import UniverseSource, UniverseStore

ATTEMPTS = 3
BACKOFF_S = 1.0  # doubled each time
ASK_S = 60.0  # for one attempt
SOURCE, FILE = "universe", "universe.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseParts:
    """`memory` is the universe that the system starts with; `strategies` says who runs on a symbol.

    `fixed`: the symbols are those of the config, and it is only looked whether the venue still lists them.
    `admit` makes the venue ready for a symbol that was not known at the start; it may raise every LivebotError.
    """

    rules: UniverseRules
    source: UniverseSource
    store: UniverseStore
    refresh_ms: int
    memory: UniverseMemory
    strategies: Callable[[str], tuple[str, ...]]
    watched: Callable[[str], frozenset[str]]
    admit: Callable[[str], Awaitable[None]]
    fixed: bool = False


class Forgetful:
    """A UniverseStore for symbols that the config remembers."""

    async def load(self) -> None:
        """Nothing."""

    async def save(self, memory: UniverseMemory) -> None:
        """Nothing has to be kept."""


class Unlisted:
    """A UniverseSource where nobody lists symbols: those of the config are all there are, and nobody asks for others."""

    name = "the venue"

    async def listings(self) -> Sequence[Listing]:
        """Nothing."""
        return ()


async def listings_of(source: UniverseSource) -> Sequence[Listing]:
    """What is listed, asked for up to `ATTEMPTS` times.

    Raises:
        Transient: it is not told.
        Fatal: the venue refuses us.

    """
    wait_s = BACKOFF_S
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with asyncio.timeout(ASK_S):
                return await source.listings()
        except TimeoutError:
            error: LivebotError = Transient(f"{source.name} does not list its symbols within {ASK_S:g} s")
        except Transient as failure:
            error = failure
        if attempt < ATTEMPTS:
            await asyncio.sleep(wait_s)
            wait_s *= 2
    raise error


def followed(memory: UniverseMemory, selection: Selection, now_ms: int) -> UniverseMemory:
    """What is remembered after a choice."""
    chosen = selection.membership
    departing = {symbol: since_ms for symbol, since_ms in memory.departing if symbol not in chosen.since_ms}
    departing |= dict.fromkeys(selection.left, now_ms)
    return UniverseMemory(
        asked_ms=now_ms,
        members=tuple(sorted(chosen.since_ms.items())),
        left=tuple(sorted(chosen.left_ms.items())),
        departing=tuple(sorted(departing.items())),
    )


async def first_choice(
    rules: UniverseRules, source: UniverseSource, store: UniverseStore, now_ms: Callable[[], int], report: Report
) -> UniverseMemory:
    """The universe to start with, durable: chosen anew, from the last one on.

    If the symbols are not told, it is the last one without what is denied by now.

    Raises:
        Transient: they are not told, and there was no universe before.
        Fatal: the venue refuses us, the file is of another system, or it cannot be written.

    """
    try:
        memory = await store.load()
    except BadInput as error:
        report(FILE, str(error))
        memory = None
    before = memory or UniverseMemory()
    try:
        listings = await listings_of(source)
    except Transient as error:
        if memory is None or not memory.members:
            raise
        report(SOURCE, stale_text(memory, error))
        following = _without_denied(memory, rules, now_ms())
    else:
        at_ms = now_ms()
        following = followed(before, choose(rules, listings, before.membership, at_ms), at_ms)
    await store.save(following)
    if not following.symbols:
        text = f"no symbol of {source.name} passes the filters of the universe"
        raise Fatal(f"{text}; see which and why with: livebot universe --explain")
    return following


def stale_text(memory: UniverseMemory, error: LivebotError, *, fixed: bool = False) -> str:
    """What the operator is told while the symbols are not told; `fixed`: they are those of the config."""
    if fixed:
        return f"it cannot be seen whether the venue still lists the symbols of the config: {error}; it is asked again"
    return f"the universe stays as it was ({len(memory.members)} symbols): {error}; it is asked again"


def _without_denied(memory: UniverseMemory, rules: UniverseRules, now_ms: int) -> UniverseMemory:
    denied = {symbol for symbol, _ in memory.members if first_match(rules.deny, symbol) is not None}
    return UniverseMemory(
        asked_ms=memory.asked_ms,
        members=tuple(pair for pair in memory.members if pair[0] not in denied),
        left=memory.left,
        departing=tuple(sorted({**dict(memory.departing), **dict.fromkeys(denied, now_ms)}.items())),
    )
