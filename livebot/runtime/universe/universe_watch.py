"""Looks from time to time which symbols are to be traded, and follows: new ones are taken on, others let go of.

Rules of this file: a choice is on disk before anything follows from it; who leaves opens nothing from that moment on, is
managed to the close of what is open, and is let go of then, however long the venue takes to tell of new ones; what it
lists no longer is asked nothing any more, and its open position is told to the operator until the venue shows it gone; while
a look is under way a simulated market waits.
"""

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import structlog

from livebot.core.market import MINUTE_MS, Instrument
from livebot.core.universe import Selection, choose
from livebot.core.universe_memory import UniverseMemory, UniverseStatus
from livebot.core.wording import number
from livebot.errors import Fatal, LivebotError, Transient
from livebot.ports import Clock
from livebot.runtime.inbox import Activity
from livebot.runtime.portfolio.blocks import Blocks
from livebot.runtime.problems import Problems
from livebot.runtime.system_parts import SystemParts
from livebot.runtime.universe.roster import Roster
from livebot.runtime.universe.universe_choice import FILE, SOURCE, UniverseParts, followed, listings_of, stale_text
from livebot.runtime.venue.foreign import Foreign
from livebot.runtime.waiting import Bell

_log = structlog.get_logger(__name__)
T = TypeVar("T")

POLL_S = 1.0  # how often those that depart are looked at when no candle comes, or nobody is there whose candles could
IDLE_S = (
    60.0  # while nobody departs, and a new minute wakes us when it is time: how soon it is seen that the clock was set
)
TAKE_ON_S = 30.0
ADMITTED_AT_ONCE = 10
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
        self._rules = parts.rules
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
        self._due = Bell()
        self._held = False  # a simulated market waits for us
        self.changing = asyncio.Lock()  # held by who changes what is run: a look, or a reload of the config

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

    def follow_config(self, symbols: Collection[str]) -> None:
        """The symbols of the config are these from now on (only where they are fixed): who is not among them departs."""
        now_ms, memory = self._clock.now_ms(), self._memory
        since_ms, departing = dict(memory.members), dict(memory.departing)
        unlisted = set(self._rules.always) - since_ms.keys()
        members = {symbol: since_ms.get(symbol, now_ms) for symbol in symbols if symbol not in unlisted}
        departing |= {symbol: now_ms for symbol in self._roster.symbols if symbol not in departing}
        departing = {symbol: at_ms for symbol, at_ms in departing.items() if symbol not in members}
        for symbol in unlisted.difference(symbols, self._resting):
            self._problems.report(_source(symbol), None)
        self._rules = replace(self._rules, top=max(1, len(symbols)), always=tuple(sorted(symbols)))
        self._memory = replace(
            memory, members=tuple(sorted(members.items())), departing=tuple(sorted(departing.items()))
        )
        for symbol in (*members, *departing):
            self._blocks.outside(symbol, stands=symbol in departing)
        self._due.ring()

    @property
    def members(self) -> tuple[str, ...]:
        """Who is in it."""
        return self._memory.membership.symbols

    def look_soon(self) -> None:
        """Who may be traded has changed otherwise than at the venue."""
        self._next_ms = self._clock.now_ms()
        self._due.ring()

    def see_close(self, close_ms: int) -> None:
        """A new minute has closed."""
        if not self._held and (close_ms >= self._next_ms or self._memory.departing):
            self._held = True
            self._activity.begin()
            self._due.ring()

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
            await self._due.within(self._patience_s())  # rung or not: it is time
            self._due.silence()
            try:
                async with self.changing:
                    await self._round()
                await asyncio.sleep(0)  # who was taken on begins, so that its work is seen
            finally:
                self._release()

    def _patience_s(self) -> float:
        if self._memory.departing or not self._roster.symbols:
            return POLL_S
        return min(max((self._next_ms - self._clock.now_ms()) / 1000, POLL_S), IDLE_S)

    async def _round(self) -> None:
        wanted = await self._look() if self._clock.now_ms() >= self._next_ms else ()
        taking = asyncio.create_task(self._take_on(wanted), name="universe: take on") if wanted else None
        try:
            await self._see_off()
            while taking is not None and (await asyncio.wait((taking,), timeout=POLL_S))[1]:
                await self._see_off()
            if taking is not None:
                taking.result()
        finally:
            if taking is not None:
                taking.cancel()

    def _release(self) -> None:
        if self._held:
            self._held = False
            self._activity.end()

    # A look

    async def _look(self) -> Sequence[str]:
        """Follow what is listed now; the symbols that are to be taken on."""
        now_ms, parts = self._clock.now_ms(), self._parts
        try:
            listings = await listings_of(parts.source)
        except LivebotError as error:
            self._stale = stale_text(self._memory, error, fixed=parts.fixed)
            self._problems.report(SOURCE, self._stale)
            self._next_ms = now_ms + min(parts.refresh_ms, RETRY_MS)
            return ()
        self._stale = None
        self._problems.report(SOURCE, None)
        self._next_ms = now_ms + parts.refresh_ms
        await self._renew_instruments({each.symbol for each in listings})
        selection = choose(self._rules, listings, self._memory.membership, now_ms)
        if await self._remembered(followed(self._memory, selection, now_ms)):
            return await self._follow(selection, {each.symbol for each in listings})
        return ()

    async def _renew_instruments(self, listed: Collection[str]) -> None:
        """Steps, minimums and maximums change while a symbol is traded."""
        try:
            await _in_time(self._roster.renew_instruments(listed))
        except LivebotError as error:
            _log.warning("instruments_not_told", why=str(error))

    async def _remembered(self, memory: UniverseMemory) -> bool:
        try:
            await self._parts.store.save(memory)
        except Fatal as error:
            self._problems.report(FILE, f"{error}; the universe stays as it was")
            return False
        self._problems.report(FILE, None)
        self._memory = memory
        return True

    async def _follow(self, selection: Selection, listed: Collection[str]) -> Sequence[str]:
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
        # Those that are traded, or have something open.
        present = [each for each in dict.fromkeys((*selection.membership.symbols, *departing)) if each in listed]
        for symbol in present:
            if symbol in self._resting:
                self._wake(symbol)
        for symbol in departing:
            if symbol not in listed and self._roster.busy(symbol):
                await self._rest(symbol)
        return [each for each in present if each not in self._roster.symbols and self._is_wanted(each)]

    def _is_wanted(self, symbol: str) -> bool:
        member = symbol in dict(self._memory.members)
        return self._roster.busy(symbol) or (member and bool(self._parts.strategies(symbol)))

    # Those that are taken on

    async def _take_on(self, symbols: Sequence[str]) -> None:
        turns = asyncio.Semaphore(ADMITTED_AT_ONCE)
        ready = await asyncio.gather(*(self._admitted(symbol, turns) for symbol in symbols))
        admitted = [symbol for symbol, is_ready in zip(symbols, ready, strict=True) if is_ready]
        if not admitted:
            return
        found: Mapping[str, Instrument | LivebotError]
        try:
            found = await _in_time(self._roster.instruments(admitted))
        except LivebotError as error:
            found = dict.fromkeys(admitted, error)
        for symbol, told in found.items():
            if isinstance(told, LivebotError):
                self._cannot(symbol, told)
            else:
                self._roster.take_on(symbol, told)
                self._problems.report(_source(symbol), None)

    async def _admitted(self, symbol: str, turns: asyncio.Semaphore) -> bool:
        async with turns:
            try:
                await _in_time(self._roster.admit(symbol))
            except LivebotError as error:
                self._cannot(symbol, error)
                return False
        return True

    def _cannot(self, symbol: str, error: LivebotError) -> None:
        self._roster.give_up(symbol)
        text = f"{symbol} is in the universe and cannot be traded yet: {error}; it is tried again at the next look"
        self._problems.report(_source(symbol), text)

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
        if not self._parts.fixed or symbol not in self._rules.always:
            return None
        return (
            f"{symbol}: {self._parts.source.name} no longer lists it; it opens nothing and is asked for no longer: take it out "
            "of `symbols`"
        )

    def _wake(self, symbol: str) -> None:
        self._resting.discard(symbol)
        self._problems.report(_source(symbol), None)
        self._roster.wake(symbol)


def universe_watch_of(parts: SystemParts, roster: Roster, foreign: Foreign) -> UniverseWatch | None:
    """The watch of a system; None if its symbols never change."""
    if parts.universe is None:
        return None
    return UniverseWatch(
        parts.universe,
        roster,
        clock=parts.clock,
        activity=parts.activity,
        blocks=parts.portfolio.blocks,
        foreign=foreign,
        problems=parts.problems,
    )


async def _in_time(answer: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(TAKE_ON_S):
            return await answer
    except TimeoutError:
        raise Transient(f"the venue tells nothing of it within {TAKE_ON_S:g} s") from None


def _source(symbol: str) -> str:
    return f"{SOURCE}:{symbol}"
