"""The operator's hands on the running system: every command of the control port.

Rules of this file: what must survive a crash is durable before the answer is given; a command that cannot be carried out
raises Rejected with a sentence and changes nothing; one that holds but could not be made durable says so.
"""

from collections.abc import Sequence

from livebot.core.signal import CloseReason
from livebot.errors import Fatal, Rejected
from livebot.ports import SystemStatus
from livebot.runtime.status import status_of
from livebot.runtime.supervisor import Supervisor
from livebot.runtime.system import System

SHOWN = 10  # symbols named in an answer


class Control:
    """A SystemControl over one System."""

    def __init__(self, system: System) -> None:
        """Commands reach this system."""
        self._system = system

    def status(self) -> SystemStatus:
        """As of now."""
        return status_of(self._system)

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
        """Cancel entries and close positions at the market."""
        self._supervisor()
        chosen = self._chosen(symbols)
        for symbol in chosen:
            self._system.workers.leave(symbol, CloseReason.OPERATOR)
        busy = [symbol for symbol in chosen if self._system.workers.busy(symbol)]
        if not busy:
            return f"nothing is open on {_named(chosen)}"
        return f"closing {_named(busy)} at the market; new entries are not stopped by this, see pause and halt"

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
        return f"trading is {portfolio.trading_state.value}: {reason}"

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
        known = tuple(self._system.workers.strategies)
        if symbols is None:
            return known
        unknown = [symbol for symbol in symbols if symbol not in known]
        if unknown:
            raise Rejected(f"{', '.join(unknown)}: not a symbol of this system; it has {', '.join(known)}")
        if not symbols:
            raise Rejected("name a symbol, or say --all")
        return tuple(dict.fromkeys(symbols))


def _named(symbols: Sequence[str]) -> str:
    shown = ", ".join(symbols[:SHOWN])
    return shown if len(symbols) <= SHOWN else f"{shown} and {len(symbols) - SHOWN} more"
