"""Looks from time to time which symbols are to be traded, and follows: new ones are taken on, others let go of.

Rules of this file: a choice is on disk before anything follows from it; who leaves opens nothing from that moment on, is
managed to the close of what is open, and is let go of then; what the venue lists no longer is asked nothing any more, and
its open position is told to the operator until the venue shows it gone; while a look is under way a simulated market waits.
"""

import asyncio
from collections.abc import Collection
from dataclasses import replace

import structlog

from livebot.core.market import MINUTE_MS
from livebot.core.universe import Selection, choose
from livebot.core.universe_memory import UniverseMemory, UniverseStatus
from livebot.core.wording import number
from livebot.errors import Fatal, LivebotError, Transient
from livebot.ports import Clock
from livebot.runtime.blocks import Blocks
from livebot.runtime.foreign import Foreign
from livebot.runtime.inbox import Activity
from livebot.runtime.problems import Problems
from livebot.runtime.roster import Roster
from livebot.runtime.universe_choice import FILE, SOURCE, UniverseParts, followed, listings_of, stale_text

_log = structlog.get_logger(__name__)

POLL_S = 1.0  # how often those that depart are looked at when no candle comes
TAKE_ON_S = 30.0
RETRY_MS = 5 * MINUTE_MS  # of the market's time, until a venue that did not answer is asked again


class UniverseWatch:
    """One for the whole system."""

    def __init__(
        self,
        parts: UniverseParts,
        roster: Roster,
        *,
        clock: Clock,
        activity: Activity,
        blocks: Blocks,
        foreign: Foreign,
        problems: Problems,
    ) -> None:
        """Nothing is looked at before `run`."""
        self._parts = parts
        self._roster = roster
        self._clock = clock
        self._activity = activity
        self._blocks = blocks
        self._foreign = foreign
        self._problems = problems
        self._memory = parts.memory
        self._next_ms = parts.memory.asked_ms + parts.refresh_ms
        self._stale: str | None = None
        self._resting: set[str] = set()
        self._due = asyncio.Event()
        self._held = False  # a simulated market waits for us

    def begin(self) -> None:
        """Close the gate to those that departed before the start; once it is known who has something open.

        Who has, and is not remembered at all, departs too.
        """
        members, now_ms = dict(self._memory.members), self._clock.now_ms()
        departing = {symbol: now_ms for symbol in self._roster.symbols if symbol not in members}
        departing |= dict(self._memory.departing)
        self._memory = replace(self._memory, departing=tuple(sorted(departing.items())))
        for symbol in departing:
            self._blocks.outside(symbol, stands=True)

    def see_close(self, close_ms: int) -> None:
        """A new minute has closed."""
        if not self._held and (close_ms >= self._next_ms or self._memory.departing):
            self._held = True
            self._activity.begin()
            self._due.set()

    def status(self) -> UniverseStatus | None:
        """As of now; None if the symbols are those of the config."""
        if self._parts.fixed:
            return None
        memory = self._memory
        return UniverseStatus(
            asked_ms=memory.asked_ms,
            next_ms=self._next_ms,
            members=memory.membership.symbols,
            departing=tuple(symbol for symbol, _ in memory.departing if symbol not in self._resting),
            resting=tuple(sorted(self._resting)),
            problem=self._stale,
        )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._due.wait()
            except TimeoutError:
                pass  # it is time all the same
            self._due.clear()
            try:
                if self._clock.now_ms() >= self._next_ms:
                    await self._look()
                await self._see_off()
                await asyncio.sleep(0)  # who was taken on begins, so that its work is seen
            finally:
                self._release()

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._activity.end()

    # A look

    async def _look(self) -> None:
        now_ms, parts = self._clock.now_ms(), self._parts
        try:
            listings = await listings_of(parts.source)
        except LivebotError as error:
            self._stale = stale_text(self._memory, error)
            self._problems.report(SOURCE, self._stale)
            self._next_ms = now_ms + min(parts.refresh_ms, RETRY_MS)
            return
        self._stale = None
        self._problems.report(SOURCE, None)
        self._next_ms = now_ms + parts.refresh_ms
        selection = choose(parts.rules, listings, self._memory.membership, now_ms)
        if await self._remembered(followed(self._memory, selection, now_ms)):
            await self._follow(selection, {each.symbol for each in listings})

    async def _remembered(self, memory: UniverseMemory) -> bool:
        try:
            await self._parts.store.save(memory)
        except Fatal as error:
            self._problems.report(FILE, f"{error}; the universe stays as it was")
            return False
        self._problems.report(FILE, None)
        self._memory = memory
        return True

    async def _follow(self, selection: Selection, listed: Collection[str]) -> None:
        for symbol in selection.left:
            self._blocks.outside(symbol, stands=True)
            self._problems.report(_source(symbol), self._taken_off(symbol))
        for symbol in selection.entered:
            self._blocks.outside(symbol, stands=False)
        if selection.entered or selection.left:
            reasons = {each.symbol: each.text for each in selection.verdicts if each.symbol in selection.left}
            members = len(selection.membership.since_ms)
            _log.info(
                "universe",
                asked_ms=self._memory.asked_ms,
                members=members,
                entered=list(selection.entered),
                left=reasons,
            )
        departing = [symbol for symbol, _ in self._memory.departing]
        for symbol in (*selection.membership.symbols, *departing):
            if symbol in listed:
                await self._run(symbol)
        for symbol in departing:
            if symbol not in listed and self._roster.busy(symbol):
                await self._rest(symbol)

    async def _run(self, symbol: str) -> None:
        """A listed symbol that is traded, or has something open."""
        if symbol in self._resting:
            self._wake(symbol)
        elif symbol not in self._roster.symbols and self._is_wanted(symbol):
            try:
                await self._taken_on(symbol)
            except LivebotError as error:
                text = (
                    f"{symbol} is in the universe and cannot be traded yet: {error}; it is tried again at the next look"
                )
                self._problems.report(_source(symbol), text)
                return
            self._problems.report(_source(symbol), None)

    def _is_wanted(self, symbol: str) -> bool:
        member = symbol in dict(self._memory.members)
        return self._roster.busy(symbol) or (member and bool(self._parts.strategies(symbol)))

    async def _taken_on(self, symbol: str) -> None:
        try:
            async with asyncio.timeout(TAKE_ON_S):
                await self._roster.take_on(symbol)
        except TimeoutError:
            raise Transient(f"the venue tells nothing of it within {TAKE_ON_S:g} s") from None

    # Those that depart

    async def _see_off(self) -> None:
        gone = [symbol for symbol, _ in self._memory.departing if await self._is_gone(symbol)]
        if not gone:
            return
        left = tuple(pair for pair in self._memory.departing if pair[0] not in gone)
        if await self._remembered(replace(self._memory, departing=left)):
            for symbol in gone:
                self._blocks.outside(symbol, stands=False)
                self._problems.report(_source(symbol), self._taken_off(symbol))
            _log.info("universe_let_go", symbols=gone)

    async def _is_gone(self, symbol: str) -> bool:
        roster = self._roster
        if symbol not in roster.symbols:
            return not roster.busy(symbol)
        if symbol not in self._resting:
            return await roster.let_go(symbol)
        # the venue shows that its position has changed, or the operator has restarted it
        if self._foreign.quantity(symbol) or not roster.ended(symbol):
            self._wake(symbol)
        return False

    async def _rest(self, symbol: str) -> None:
        if symbol in self._resting or symbol not in self._roster.symbols or not await self._roster.rest(symbol):
            return
        self._resting.add(symbol)
        held = self._roster.quantity(symbol)
        what = f"a position of {number(held)}" if held else "orders"
        text = (
            f"{symbol}: {self._parts.source.name} no longer lists it, and it is asked nothing more about it; {what} of ours "
            f"cannot be managed here: look there; `livebot restart {symbol}` looks again, and so does livebot once the "
            "venue shows another position"
        )
        self._problems.report(_source(symbol), text)

    def _taken_off(self, symbol: str) -> str | None:
        """What is told of a symbol of the config that is let go of; of others nothing."""
        if not self._parts.fixed or symbol not in self._parts.rules.always:
            return None
        return (
            f"{symbol}: {self._parts.source.name} no longer lists it; it opens nothing and is asked for no longer: take it out "
            "of `symbols`"
        )

    def _wake(self, symbol: str) -> None:
        self._resting.discard(symbol)
        self._problems.report(_source(symbol), None)
        self._roster.wake(symbol)


def _source(symbol: str) -> str:
    return f"{SOURCE}:{symbol}"
