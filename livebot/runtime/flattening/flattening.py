"""Everything of ours closed, and seen to be closed: asked for, asked for again while it is not, and checked at the venue.

Who says when an exit is sent is the kernel, which never sends a second one while the first may still trade; here it is
only wished for again, at times that grow further apart, and somebody is found to hear the wish: a guard where no worker
acts, another run of the worker where it has not heard for long.

Rules of this file: the first wish goes out before `begin` returns; while a symbol is under way nothing opens there; a symbol
is done only when our states say so and a look at the venue, begun after that, shows it too; it is never given up while
this process lives; what is not ours is left alone and named.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

import structlog

from livebot.core.inputs import SymbolState
from livebot.core.order import ZERO, Leg
from livebot.core.signal import CloseReason
from livebot.errors import LivebotError, Rejected
from livebot.runtime.flattening.flat_check import Sighting, closed, remark, sighting, why_open
from livebot.runtime.flattening.flatten_answer import reasons
from livebot.runtime.inbox import Ask
from livebot.runtime.supervision.supervisor import ChildState, Supervisor
from livebot.runtime.supervision.workers import Workers
from livebot.runtime.system_parts import SystemParts
from livebot.runtime.venue.execution import Execution
from livebot.runtime.venue.foreign import Foreign
from livebot.runtime.venue.reconcile import VenueSnapshot

SOURCE = "flatten"
ASK_AGAIN_S, ASK_AGAIN_MOST_S = 1.0, 60.0  # then twice as long each time; the kernel tries with each candle by itself
LOOK_AGAIN_S = 1.0  # between two looks at the venue when all have closed by our states
LOOK_PARTLY_S = 5.0  # while some have not
LOOKS = 3  # in a row that show something beyond ours: then it is not ours, and not a trade that is told late
TOLD_AFTER_S = TOLD_EVERY_S = 10.0  # what is closed by then is no problem to tell of
TICK_S, TICK_MOST_S = 0.05, 1.0
AT_HAND = 3  # so many orders, each answered as late as may be, a worker may have at hand before it hears

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Leaving:
    """One symbol under way; times are of the loop.

    `due_s` is when it is wished for again, `tries` how often it was, `exits` the sum of the exits' numbers; a
    guard is looked for again at `guard_due_s`; at `unheard_s` nobody has heard the wish for too long; `looks` is how often
    in a row the venue has shown so much beyond ours.
    """

    reason: CloseReason
    since_s: float
    due_s: float
    unheard_s: float
    tries: int = 1
    exits: int = 0
    guards: int = 0
    guard_due_s: float = 0.0
    beyond: Decimal = ZERO
    looks: int = 0


class Flattening:
    """One for the whole system; `supervisor` gives the one that runs the workers, once there is one."""

    def __init__(
        self,
        parts: SystemParts,
        workers: Workers,
        execution: Execution,
        foreign: Foreign,
        supervisor: Callable[[], Supervisor | None],
    ) -> None:
        """Nothing is under way."""
        self._system = parts.name
        self._workers = workers
        self._execution = execution
        self._blocks = parts.portfolio.blocks
        self._foreign = foreign
        self._problems = parts.problems
        self._supervisor = supervisor
        self._timeout_s = parts.execution_settings.order_timeout_s
        self._patience_s = AT_HAND * self._timeout_s
        self._leaving: dict[str, _Leaving] = {}
        self._remarks: dict[str, str] = {}  # what the last look has shown to stay, by symbol
        self._looking: asyncio.Task[None] | None = None
        self._looked_s = 0.0
        self._told_s = 0.0
        self._wanted = asyncio.Event()
        self._moved = asyncio.Event()
        self._running = asyncio.Event()
        self.stopped = False

    # What is wished for

    def begin(self, symbols: Iterable[str], reason: CloseReason) -> None:
        """Have these closed; those that are under way go on as they are."""
        now_s = asyncio.get_running_loop().time()
        if not self._leaving:
            self._looked_s = now_s - LOOK_AGAIN_S
        for symbol in symbols:
            if symbol in self._leaving or symbol not in self._workers.inboxes:
                continue
            self._blocks.flattening(symbol, stands=True)
            self._remarks.pop(symbol, None)
            leaving = _Leaving(reason, now_s, now_s + ASK_AGAIN_S, now_s + self._patience_s)
            leaving.exits, _ = self._exits(symbol)
            self._leaving[symbol] = leaving
            self._workers.leave(symbol, reason)
            self._find_somebody(symbol, leaving, now_s)
        self._wanted.set()

    def leave(self, symbol: str, reason: CloseReason) -> None:
        """Have one closed, as `begin` does."""
        self.begin((symbol,), reason)

    async def until_running(self) -> None:
        """Return when what is wished for is followed up."""
        await self._running.wait()

    async def until_flat(self, symbols: Iterable[str]) -> None:
        """Return when none of these is under way any more, or when the daemon stops."""
        wanted = frozenset(symbols)
        while not self.stopped and not wanted.isdisjoint(self._leaving):
            await self._moved.wait()

    def left(self, symbols: Iterable[str]) -> Mapping[str, str]:
        """Those of them that are under way, and why."""
        return {symbol: self._why(symbol) for symbol in symbols if symbol in self._leaving}

    def remarks(self, symbols: Iterable[str]) -> tuple[str, ...]:
        """What stays at the venue though they are flat, in words."""
        return tuple(self._remarks[symbol] for symbol in symbols if symbol in self._remarks)

    # The work

    async def run(self) -> None:
        """Until cancelled."""
        self._running.set()
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                while self._leaving and not self.stopped:
                    self._round()
                    await asyncio.sleep(self._tick_s())
        finally:
            self.stop()
            if self._looking is not None:
                self._looking.cancel()

    def stop(self) -> None:
        """The daemon stops: whoever waits is told how far it has come."""
        if self._leaving and not self.stopped:
            _log.error("not_flat", symbols=sorted(self._leaving), what="the daemon stops; stops stay at the venue")
        self.stopped = True
        self._tell_moved()

    def _tick_s(self) -> float:
        """The longer it takes the less often it is looked at."""
        oldest_s = min((each.since_s for each in self._leaving.values()), default=0.0)
        return min(max((asyncio.get_running_loop().time() - oldest_s) / 20, TICK_S), TICK_MOST_S)

    def _round(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._looking is not None and self._looking.done():
            self._looking.result()
            self._looking = None
        done = []
        for symbol in tuple(self._leaving):
            if symbol not in self._workers.inboxes:
                self._end(symbol)  # it was let go of, which nobody is who has something open
                self._tell_moved()
            elif closed(self._workers.of(symbol)):
                done.append(symbol)
            else:
                self._press(symbol, self._leaving[symbol], now_s)
        # One look for all, since each costs the venue's patience; it may take long, and the others are pressed meanwhile.
        apart_s = LOOK_AGAIN_S if len(done) == len(self._leaving) else LOOK_PARTLY_S
        if done and self._looking is None and now_s >= self._looked_s + apart_s:
            self._looking = asyncio.create_task(self._look(done), name="flatten:look")
        self._tell(now_s)

    def _press(self, symbol: str, leaving: _Leaving, now_s: float) -> None:
        """Wish for it again when no exit is on its way any more, and see to it that somebody hears it."""
        if not self._workers.inboxes[symbol].wanted_closed:
            leaving.unheard_s = now_s + self._patience_s
        elif now_s >= leaving.unheard_s:
            leaving.unheard_s = now_s + 2 * self._patience_s
            self._replace(symbol)
        self._find_somebody(symbol, leaving, now_s)
        exits, live = self._exits(symbol)
        if live or exits != leaving.exits:  # one is on its way, or somebody has just tried
            leaving.exits, leaving.due_s = exits, now_s + _wait_s(leaving.tries)
        elif now_s >= leaving.due_s:
            leaving.tries += 1
            leaving.due_s = now_s + _wait_s(leaving.tries)
            self._workers.leave(symbol, leaving.reason)

    def _find_somebody(self, symbol: str, leaving: _Leaving, now_s: float) -> None:
        idle = not self._workers.inboxes[symbol].is_open and self._workers.busy(symbol)
        if idle and now_s >= leaving.guard_due_s and not self.stopped:
            leaving.guards += 1
            leaving.guard_due_s = now_s + _wait_s(leaving.guards)
            self._workers.stand_in(symbol)

    def _replace(self, symbol: str) -> None:
        """Whoever runs it has not heard in a long time: it may hang in something that it waits for."""
        supervisor = self._supervisor()
        if supervisor is None or supervisor.status(symbol).state is not ChildState.RUNNING:
            return
        _log.error("worker_replaced", symbol=symbol, what="it was to close and did not hear; another run takes over")
        with suppress(Rejected):  # the workers are stopping
            supervisor.restart((symbol,))

    def _exits(self, symbol: str) -> tuple[int, bool]:
        """A number that grows with each new exit, and whether all that have to leave have one on its way."""
        number, live = 0, True
        for state in self._workers.of(symbol):
            exits = [record for record in state.orders if record.request.leg is Leg.EXIT]
            number += sum(record.request.attempt for record in exits)
            live = live and (closed((state,)) or any(record.status.live for record in exits))
        return number, live

    # At the venue

    async def _look(self, symbols: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                seen = await self._execution.look(symbols)
        except (TimeoutError, LivebotError) as error:
            _log.warning("flatten_not_verified", why=str(error) or "the venue does not answer")
            return
        finally:
            self._looked_s = asyncio.get_running_loop().time()
        for symbol in symbols:
            states = self._workers.of(symbol)
            if symbol in self._leaving and symbol in self._workers.inboxes and closed(states):
                await self._judge(symbol, states, seen)
        self._tell(self._looked_s)
        self._tell_moved()

    async def _judge(self, symbol: str, states: Sequence[SymbolState], seen: VenueSnapshot) -> None:
        found, leaving = sighting(self._system, symbol, states, seen), self._leaving[symbol]
        for order_id in (*found.strays, *found.opening):
            _log.warning("flatten_takes_back", symbol=symbol, order=order_id)
            await self._execution.cancel(symbol, order_id)
        if not found.clear:
            return
        if self._may_be_late(symbol, leaving, found):
            self._workers.inboxes[symbol].put(Ask())
            return
        instrument, position = self._workers.instrument(symbol), seen.positions.get(symbol)
        said = remark(symbol, found, instrument, ZERO if position is None else position.average_price)
        if said is not None:
            self._remarks[symbol] = said
        self._end(symbol)

    def _may_be_late(self, symbol: str, leaving: _Leaving, found: Sighting) -> bool:
        """Whether what is beyond ours may be a trade of ours that the venue counts later; what was known is not."""
        lot_step = self._workers.instrument(symbol).lot_step
        if abs(found.beyond) < lot_step or found.beyond == self._foreign.quantity(symbol):
            return False
        leaving.looks = leaving.looks + 1 if found.beyond == leaving.beyond else 1
        leaving.beyond = found.beyond
        return leaving.looks < LOOKS

    def _end(self, symbol: str) -> None:
        leaving = self._leaving.pop(symbol)
        self._blocks.flattening(symbol, stands=False)
        took_s = asyncio.get_running_loop().time() - leaving.since_s
        _log.info("flat", symbol=symbol, took_s=round(took_s, 2), tries=leaving.tries, left=self._remarks.get(symbol))

    # What is told

    def _why(self, symbol: str) -> str:
        states, inbox = self._workers.of(symbol), self._workers.inboxes.get(symbol)
        if inbox is not None and not inbox.is_open and not closed(states):
            supervisor = self._supervisor()
            state = "not started" if supervisor is None else supervisor.status(symbol).state.value
            return f"nobody acts for it just now ({state}), which is tried again"
        if self._leaving[symbol].looks:
            return f"the venue shows {self._leaving[symbol].beyond} there, and is asked again"
        return why_open(states)

    def _tell(self, now_s: float) -> None:
        late = [symbol for symbol, each in self._leaving.items() if now_s >= each.since_s + TOLD_AFTER_S]
        if not late:
            self._problems.report(SOURCE, None)
        elif now_s >= self._told_s + TOLD_EVERY_S:
            self._told_s = now_s
            self._problems.report(SOURCE, f"still closing {reasons(self.left(late))}")

    def _tell_moved(self) -> None:
        self._moved.set()
        self._moved.clear()


def _wait_s(tries: int) -> float:
    return min(ASK_AGAIN_S * 2.0 ** min(tries - 1, 10), ASK_AGAIN_MOST_S)
