"""The operator's hands on the running system: every command of the control port.

Rules of this file: what must survive a crash is durable before the answer is given; a command that cannot be carried out
raises Rejected with a sentence and changes nothing; one that holds but could not be made durable says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from decimal import Decimal

from livebot.control_ports import OrderLine, PortfolioStatus
from livebot.core.signal import CloseReason
from livebot.errors import BadInput, Fatal, Rejected
from livebot.ports import LimitUse, SystemStatus
from livebot.runtime.flattening.flatten_answer import before_of, flat, still_closing, unattended
from livebot.runtime.inbox import Adopt
from livebot.runtime.operator.order_lines import order_lines
from livebot.runtime.operator.status import portfolio_of, status_in_pieces, status_of
from livebot.runtime.supervision.supervisor import Supervisor
from livebot.runtime.system import System
from livebot.runtime.waiting import within

SHOWN = 10  # symbols named in an answer
ADOPTION_S = FLATTEN_S = 25.0  # less than a command may take


class Control:
    """A SystemControl over one System."""

    def __init__(
        self,
        system: System,
        *,
        set_log_level: Callable[[str], None] | None = None,
        reload: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        """Commands reach this system; None: nobody can change what the log tells, or reload the config."""
        self._system = system
        self._set_log_level = set_log_level
        self._reload = reload

    def status(self) -> SystemStatus:
        """As of now."""
        return status_of(self._system)

    async def look(self) -> SystemStatus:
        """The same, without holding up the event loop."""
        return await status_in_pieces(self._system)

    def portfolio(self) -> PortfolioStatus:
        """As of now."""
        return portfolio_of(self._system.portfolio)

    def limits(self) -> tuple[LimitUse, ...]:
        """Each limit: what is used of it now, and what is allowed."""
        return self._system.portfolio.limit_use()

    def knows(self, symbol: str) -> bool:
        """Whether it is a symbol of this system."""
        return symbol in self._system.workers.strategies

    def orders(self, symbol: str | None) -> Iterable[OrderLine]:
        """Orders of ours that may still trade, as last saved."""
        return order_lines(self._system.workers.last_states(), symbol)

    async def pause(self, symbols: Sequence[str] | None) -> str:
        """No new entries; open signals are managed on."""
        self._must_remember()
        chosen = self._chosen(symbols)
        for symbol in chosen:
            self._system.portfolio.blocks.pause(symbol)
        await self._save("the pause")
        return f"paused {_named(chosen)}: nothing new opens there, open signals are managed on"

    async def resume(self, symbols: Sequence[str] | None) -> str:
        """Lift a pause or a win-rate switch-off."""
        self._must_remember()
        chosen = self._chosen(symbols)
        now_ms = self._system.parts.clock.now_ms()
        lifted = [symbol for symbol in chosen if self._system.portfolio.blocks.resume(symbol, now_ms)]
        await self._save("the end of the pause")
        if not lifted:
            return f"nothing was paused or switched off on {_named(chosen)}"
        return f"resumed {_named(lifted)}"

    async def restart(self, symbols: Sequence[str] | None) -> str:
        """Evict the instances and start the workers again from their files; lifts a quarantine."""
        supervisor, chosen = self._supervisor(), self._chosen(symbols)
        supervisor.restart(chosen)
        for symbol in chosen:
            self._system.portfolio.blocks.lift_quarantine(symbol)
            self._system.problems.report(f"quarantine:{symbol}", None)
        await self._save("the end of the quarantine")
        return f"restarting {_named(chosen)} from the state files"

    async def flatten(self, symbols: Sequence[str] | None) -> str:
        """Cancel entries, close positions at the market, and see at the venue that they are; says how far it came.

        What is not done when the answer has to be given goes on.

        Raises:
            Rejected: nothing was begun.

        """
        flattening, loop = self._system.flattening, asyncio.get_running_loop()
        until_s = loop.time() + FLATTEN_S
        await within(FLATTEN_S, flattening.until_running)
        self._supervisor()
        if flattening.stopped:
            raise Rejected("livebot is stopping and nothing was begun; what is open keeps its stops at the venue")
        chosen, states = self._chosen(symbols), self._system.workers.last_states
        before = before_of(chosen, states())
        flattening.begin(chosen, CloseReason.OPERATOR)
        await within(until_s - loop.time(), lambda: flattening.until_flat(chosen))
        if left := flattening.left(chosen):
            return still_closing(left, chosen, stopped=flattening.stopped)
        nobodys = unattended(self._system.workers.strategies, states()) if symbols is None else ()
        return flat(chosen, before, flattening.remarks(chosen), nobodys)

    async def adopt(
        self,
        symbols: Sequence[str] | None,
        *,
        stop: Decimal | None = None,
        target: Decimal | None = None,
        strategy: str | None = None,
    ) -> str:
        """Make signals of ours of positions that are not, one after another.

        Raises:
            Rejected: one of them could not be adopted; the sentence says also which ones were.

        """
        self._supervisor()
        foreign = self._system.foreign
        chosen = self._chosen(symbols)
        if symbols is None:
            chosen = tuple(symbol for symbol in chosen if foreign.quantity(symbol))
        if (stop is not None or target is not None) and len(chosen) > 1:
            raise Rejected("a stop or a target is for one symbol alone; nothing was adopted")
        if not chosen:
            raise Rejected("the venue holds nothing that is not ours; nothing was adopted")
        said: list[str] = []
        refused: list[str] = []
        for symbol in chosen:
            try:
                said.append(await self._adopt_one(symbol, stop, target, strategy))
            except Rejected as error:
                refused.append(str(error))
        if refused:
            raise Rejected("; ".join((*refused, *said)))
        return "; ".join(said)

    async def _adopt_one(self, symbol: str, stop: Decimal | None, target: Decimal | None, strategy: str | None) -> str:
        wish = Adopt(self._strategy_for(symbol, strategy), stop, target, asyncio.get_running_loop().create_future())
        inbox = self._system.workers.inboxes[symbol]
        if not inbox.is_open:
            raise Rejected(f"nobody runs {symbol} just now; nothing was adopted: `livebot restart {symbol}` first")
        inbox.put(wish)
        try:
            async with asyncio.timeout(ADOPTION_S):
                said = await wish.answer
        except TimeoutError:
            text = f"{symbol}: no answer within {ADOPTION_S:g} s, the venue may be slow; `livebot status` shows what came of it"
            raise Rejected(text) from None
        left = self._system.foreign.orders_of(symbol)
        if left:
            ids = ", ".join(order.venue_order_id for order in left[:SHOWN])
            said += f"; order {ids} is not ours either and stays: cancel it at the venue, or dismiss it"
        return said

    def _strategy_for(self, symbol: str, wanted: str | None) -> str:
        names = self._system.workers.configured.get(symbol, ())
        if not names:
            raise Rejected(f"no strategy of the config runs on {symbol}; nothing was adopted")
        if wanted is None and len(names) > 1:
            raise Rejected(f"{', '.join(names)} run on {symbol}: say with --strategy which one; nothing was adopted")
        if wanted is not None and wanted not in names:
            raise Rejected(f"{wanted} does not run on {symbol}, {', '.join(names)} does; nothing was adopted")
        return wanted or names[0]

    async def dismiss(self, symbols: Sequence[str] | None) -> str:
        """Let what is not ours stay there, and trade the symbols again for as long as it stays as it is.

        Raises:
            Rejected: nothing is there on one of them; nothing was changed.

        """
        self._must_remember()
        foreign = self._system.foreign
        chosen = foreign.symbols if symbols is None else tuple(dict.fromkeys(symbols))
        clean = [symbol for symbol in chosen if symbol not in foreign.symbols]
        if clean or not chosen:
            where = f" on {_named(clean)}" if clean else ""
            raise Rejected(f"the venue shows nothing that is not ours{where}; nothing was changed")
        said = [foreign.dismiss(symbol) for symbol in chosen]
        await self._save("the dismissal")
        return f"left alone while it stays as it is: {'; '.join(said)}"

    async def halt(self, reason: str) -> str:
        """TradingState HALTED, latched on disk before this returns."""
        self._must_remember()
        self._system.housekeeping.changed(self._system.portfolio.halt(reason.strip() or "by the operator"))
        await self._save("HALTED")
        return "HALTED: nothing opens until `livebot unhalt --reason ...`, over any restart; exits go on"

    async def unhalt(self, reason: str) -> str:
        """Back to ACTIVE."""
        self._must_remember()
        portfolio = self._system.portfolio
        self._system.housekeeping.changed(portfolio.unhalt(reason, self._system.parts.clock.now_ms()))
        await self._save("the end of the halt")
        return f"trading is {portfolio.trading_state.value}: {portfolio.state_reason}"

    async def reload(self) -> str:
        """Follow the config file as it is now.  Raises Rejected, with all that is wrong: what held before holds on."""
        if self._reload is None:
            raise Rejected("livebot was not started with a config that could be reloaded")
        return await self._reload()

    async def log_level(self, level: str) -> str:
        """Log from this level on, until the daemon is restarted."""
        if self._set_log_level is None:
            raise Rejected("the log of this process is not livebot's to change")
        try:
            self._set_log_level(level)
        except BadInput as error:
            raise Rejected(str(error)) from error
        return f"the log tells {level} and above until livebot is restarted"

    def _must_remember(self) -> None:
        if not self._system.housekeeping.remembers:
            raise Rejected("livebot is starting and has not read its memory yet; try again in a moment")

    def _supervisor(self) -> Supervisor:
        supervisor = self._system.supervisor
        if supervisor is None:
            raise Rejected("livebot is starting and its workers do not run yet; try again in a moment")
        return supervisor

    async def _save(self, what: str) -> None:
        try:
            await self._system.housekeeping.save()
        except Fatal as error:
            text = f"{what} holds now, but it is not on disk and would not outlive this process: {error}"
            raise Rejected(text) from error

    def _chosen(self, symbols: Sequence[str] | None) -> tuple[str, ...]:
        known = self._system.workers.strategies
        if symbols is None:
            return tuple(known)
        unknown = [symbol for symbol in symbols if symbol not in known]
        if unknown:
            raise Rejected(f"{_named(unknown)}: not a symbol of this system; it has {_named(tuple(known))}")
        if not symbols:
            raise Rejected("name a symbol, or say --all")
        return tuple(dict.fromkeys(symbols))


def _named(symbols: Sequence[str]) -> str:
    shown = ", ".join(symbols[:SHOWN])
    return shown if len(symbols) <= SHOWN else f"{shown} and {len(symbols) - SHOWN} more"
