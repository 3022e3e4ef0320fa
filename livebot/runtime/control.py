"""The operator's hands on the running system: every command of the control port.

Rules of this file: what must survive a crash is durable before the answer is given; a command that cannot be carried out
raises Rejected with a sentence and changes nothing.
"""

from collections.abc import Sequence

from livebot.core.signal import CloseReason, Idle
from livebot.errors import Rejected
from livebot.ports import SystemStatus
from livebot.runtime.status import status_of
from livebot.runtime.system import System


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
        chosen = self._chosen(symbols)
        for symbol in chosen:
            self._system.portfolio.blocks.pause(symbol)
        await self._system.save_memory()
        return f"paused {_named(chosen)}: nothing new opens there, open signals are managed on"

    async def resume(self, symbols: Sequence[str] | None) -> str:
        """Lift a pause or a win-rate switch-off."""
        chosen = self._chosen(symbols)
        now_ms = self._system.parts.clock.now_ms()
        lifted = [symbol for symbol in chosen if self._system.portfolio.blocks.resume(symbol, now_ms)]
        await self._system.save_memory()
        if not lifted:
            return f"nothing was paused or switched off on {_named(chosen)}"
        return f"resumed {_named(lifted)}"

    async def restart(self, symbols: Sequence[str] | None) -> str:
        """Evict the instances and start the workers again from their files; lifts a quarantine."""
        chosen = self._chosen(symbols)
        supervisor = self._system.supervisor
        if supervisor is None:
            raise Rejected("nothing was restarted: the workers have not been started")
        supervisor.restart(chosen)
        for symbol in chosen:
            self._system.portfolio.blocks.lift_quarantine(symbol)
            self._system.problems.report(f"quarantine:{symbol}", None)
        await self._system.save_memory()
        return f"restarting {_named(chosen)} from the state files"

    async def flatten(self, symbols: Sequence[str] | None) -> str:
        """Cancel entries and close positions at the market."""
        chosen = self._chosen(symbols)
        self._system.leave(chosen, CloseReason.OPERATOR)
        busy = [
            instance.symbol
            for instance in self._system.instances
            if instance.symbol in chosen and not isinstance(instance.state.signal, Idle)
        ]
        if not busy:
            return f"nothing is open on {_named(chosen)}"
        return f"closing {_named(sorted(set(busy)))} at the market; new entries are not stopped by this, see pause and halt"

    async def halt(self, reason: str) -> str:
        """TradingState HALTED, latched on disk before this returns."""
        self._system.apply_change(self._system.portfolio.halt(reason or "by the operator"))
        await self._system.save_memory()
        return "HALTED: nothing opens until `livebot unhalt --reason ...`, over any restart; exits go on"

    async def unhalt(self, reason: str) -> str:
        """Back to ACTIVE."""
        self._system.apply_change(self._system.portfolio.unhalt(reason, self._system.parts.clock.now_ms()))
        await self._system.save_memory()
        return f"trading is {self._system.portfolio.trading_state.value}: {reason}"

    def _chosen(self, symbols: Sequence[str] | None) -> tuple[str, ...]:
        known = tuple(self._system.inboxes)
        if symbols is None:
            return known
        unknown = [symbol for symbol in symbols if symbol not in known]
        if unknown:
            raise Rejected(f"{', '.join(unknown)}: not a symbol of this system; it has {', '.join(known)}")
        if not symbols:
            raise Rejected("name a symbol, or say --all")
        return tuple(dict.fromkeys(symbols))


def _named(symbols: Sequence[str]) -> str:
    shown = ", ".join(symbols[:10])
    return shown if len(symbols) <= 10 else f"{shown} and {len(symbols) - 10} more"
