"""How a running system follows another config: limits, terms, who runs where, and by which params.

Rules of this file: what can fail is done before anything changes; what changes, changes at one moment, with no await in
between; whoever is not concerned keeps its worker and its instances; what is open is managed on, whatever the config says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from livebot.core.limits import Limits
from livebot.core.market import Instrument
from livebot.core.performance import WinRate
from livebot.errors import LivebotError, Rejected, Transient
from livebot.runtime.settings import LossLimit
from livebot.runtime.supervision.supervisor import Supervisor
from livebot.runtime.system import System
from livebot.runtime.universe.roster import RETIRE_S

TAKE_ON_S = 30.0  # for the venue to say all of what has to be known of new symbols
ADMITTED_AT_ONCE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadPlan:
    """What another config asks of a running system.

    `keys` differ, `changes` says how.  `made_anew` are strategies with other params, `contextual` those with features made
    of other symbols.  `strategies` and `watched` say who runs on a symbol and what they look at; `added` are symbols on
    which something runs that nothing ran on by the config before; `symbols` (None: they are found by a universe) are
    those of the config that the venue has.  `switch` makes the other config the one that parts are made from.
    """

    keys: tuple[str, ...]
    changes: tuple[str, ...]
    limits: Limits
    loss_limit: LossLimit | None
    win_rate: WinRate | None
    made_anew: frozenset[str]
    contextual: frozenset[str]
    strategies: Callable[[str], tuple[str, ...]]
    watched: Callable[[str], frozenset[str]]
    added: tuple[str, ...]
    symbols: tuple[str, ...] | None
    switch: Callable[[], None]


class Following:
    """For one system; `admit` makes the venue ready for a symbol that was not known at the start."""

    def __init__(self, system: System, admit: Callable[[str], Awaitable[None]]) -> None:
        """Nothing is followed yet."""
        self._system = system
        self._admit = admit

    async def follow(self, plan: ReloadPlan, *, stopping: asyncio.Event) -> tuple[str, ...]:
        """Work under another config from now on; what the operator should know of it besides.

        Raises:
            LivebotError: it cannot be, or not now; nothing was changed.

        """
        system = self._system
        async with nullcontext() if system.universe is None else system.universe.changing:
            self._check(plan)
            instruments = await self._instruments(plan)
            if stopping.is_set():
                raise Rejected("livebot is stopping")
            system.parts.activity.begin()  # a simulated market waits
            try:
                renewed = self._switch(plan, instruments)
                await self._renew(renewed)
                await asyncio.sleep(0)  # those begin, so that their work is seen
            finally:
                system.parts.activity.end()
        return self._told(plan)

    def _check(self, plan: ReloadPlan) -> None:
        system = self._system
        lacking = sorted(name for name in plan.contextual if not system.workers.contexts.reads(name))
        if lacking:
            raise Rejected(f"needs a restart: {', '.join(lacking)} would begin to use features made of other symbols")
        if system.universe is None:
            if plan.symbols is not None and set(plan.symbols) != set(system.parts.strategies):
                raise Rejected("needs a restart: symbols; the symbols of this system cannot change while it runs")
        elif plan.symbols is None:
            bare = sorted(each for each in system.universe.members if self._loses_all(each, plan))
            if bare:
                raise Rejected(
                    f"needs a restart: strategies; none would be left for {', '.join(bare)}, which the universe holds"
                )

    def _loses_all(self, symbol: str, plan: ReloadPlan) -> bool:
        return bool(self._system.workers.configured.get(symbol)) and not plan.strategies(symbol)

    # New symbols

    async def _instruments(self, plan: ReloadPlan) -> Mapping[str, Instrument]:
        """Of all that are to be taken on; the venue is ready for them then.  Raises LivebotError: for one it is not."""
        roster = self._system.roster
        new = [symbol for symbol in plan.added if symbol not in roster.symbols]
        try:
            async with asyncio.timeout(TAKE_ON_S):
                return await self._admitted(new)
        except TimeoutError:
            self._give_up(new)
            text = f"the venue does not tell all of {', '.join(new)} within {TAKE_ON_S:g} s; reload again"
            raise Transient(text) from None
        except LivebotError:
            self._give_up(new)
            raise

    async def _admitted(self, new: Sequence[str]) -> Mapping[str, Instrument]:
        if not new:
            return {}
        turns = asyncio.Semaphore(ADMITTED_AT_ONCE)

        async def admit(symbol: str) -> LivebotError | None:
            async with turns:
                try:
                    await self._admit(symbol)
                except LivebotError as error:
                    return error
            return None

        refused = await asyncio.gather(*(admit(symbol) for symbol in new))
        told = dict(zip(new, refused, strict=True)) if any(refused) else await self._system.roster.instruments(new)
        wrong = [f"{symbol}: {each}" for symbol, each in told.items() if isinstance(each, LivebotError)]
        if wrong:
            raise Rejected(
                f"cannot be traded: {'; '.join(wrong)}; correct `symbols`, or restart if the venue has it by now"
            )
        return {symbol: each for symbol, each in told.items() if isinstance(each, Instrument)}

    def _give_up(self, new: Sequence[str]) -> None:
        for symbol in new:
            self._system.roster.give_up(symbol)

    # The moment

    def _switch(self, plan: ReloadPlan, instruments: Mapping[str, Instrument]) -> Sequence[str]:
        """Everything changes; the symbols that have to be run anew for it."""
        system = self._system
        roster, workers = system.roster, system.workers
        system.portfolio.replace_limits(plan.limits, loss_limit=plan.loss_limit, win_rate=plan.win_rate)
        plan.switch()
        if system.universe is not None:
            if plan.symbols is None:
                system.universe.look_soon()
            else:
                system.universe.follow_config(plan.symbols)
                workers.contexts.belong(plan.symbols)
        renewed = [symbol for symbol in sorted(roster.symbols) if self._concerns(symbol, plan)]
        workers.renew_rules()
        for symbol, instrument in instruments.items():
            roster.take_on(symbol, instrument)
        for symbol in plan.added:
            if self._supervisor.ended(symbol):
                roster.wake(symbol)  # it was only looked after to the end of what was open
        roster.follow()
        system.config_loaded_ms = system.parts.clock.now_ms()
        system.housekeeping.evaluate()
        return renewed

    def _concerns(self, symbol: str, plan: ReloadPlan) -> bool:
        """Whether others run there from now on, or with other params; nobody decides by the old ones any more."""
        roster, workers = self._system.roster, self._system.workers
        names = plan.strategies(symbol)
        others_run = bool(names) and names != workers.configured.get(symbol)  # no names: it departs as it is
        if others_run:
            workers.line_up(symbol, names)
        if not others_run and plan.made_anew.isdisjoint(workers.strategies[symbol]):
            return False
        if names:
            roster.look_at(symbol, plan.watched(symbol))
        for instance in workers.instances.of(symbol):
            if instance.strategy_name in plan.made_anew or instance.strategy_name not in (
                names or (instance.strategy_name,)
            ):
                instance.retire()
        return True

    async def _renew(self, symbols: Sequence[str]) -> None:
        ask = self._system.workers.ask_to_stop
        await asyncio.gather(*(self._supervisor.renew(symbol, ask, RETIRE_S) for symbol in symbols))

    # Afterwards

    def _told(self, plan: ReloadPlan) -> tuple[str, ...]:
        """Signals that go on where the config no longer names their strategy."""
        return tuple(
            f"{state.symbol}: the signal of {state.strategy} is open still and managed to its end"
            for state in self._system.workers.last_states()
            if state.orders and state.strategy not in plan.strategies(state.symbol)
        )

    @property
    def _supervisor(self) -> Supervisor:
        assert self._system.supervisor is not None
        return self._system.supervisor
