"""What an operator may ask of the running daemon and be told by it, as Protocols and values.

Rules of this file: those of `ports`; nothing in here is written to disk.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from livebot.ports import LimitUse, SystemStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """An order of ours that may still trade, as last saved: prices and quantities are exact decimals."""

    symbol: str
    strategy: str
    signal_id: str
    client_order_id: str
    venue_order_id: str | None
    leg: str  # entry | average | stop | target | partial | exit
    side: str  # buy | sell
    kind: str  # market | limit | stop_market
    status: str  # intended | unknown | working
    quantity: Decimal
    filled: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    reduce_only: bool
    confirmed: bool  # the venue has acknowledged exactly this
    cancel_requested: bool
    sent_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioStatus:
    """What all symbols together are worth and may do; money in quote currency."""

    trading_state: str
    state_reason: str
    causes: tuple[str, ...]  # what reduces trading now and passes by itself: sentences
    equity: Decimal
    day_pnl: Decimal
    open_signals: int
    reservations: int  # approved orders that nothing is heard of yet
    reserved: Decimal  # their notional


class SystemControl(Protocol):
    """What an operator may ask of the running daemon.  `symbols` None means all.  Raises Rejected with a sentence."""

    def status(self) -> SystemStatus:
        """As of now."""
        ...

    async def look(self) -> SystemStatus:
        """The same, without holding up the event loop: what was looked at first is a moment older than the rest."""
        ...

    def portfolio(self) -> PortfolioStatus:
        """As of now."""
        ...

    def limits(self) -> tuple[LimitUse, ...]:
        """Each limit: what is used of it now, and what is allowed."""
        ...

    def knows(self, symbol: str) -> bool:
        """Whether it is a symbol of this system."""
        ...

    def orders(self, symbol: str | None) -> Iterable[OrderLine]:
        """Orders of ours that may still trade, of one symbol or of all; each is made when it is asked for."""
        ...

    async def pause(self, symbols: Sequence[str] | None) -> str:
        """No new entries; open signals are managed on.  Returns a sentence, as do all below."""
        ...

    async def resume(self, symbols: Sequence[str] | None) -> str:
        """Lift a pause or a win-rate switch-off."""
        ...

    async def restart(self, symbols: Sequence[str] | None) -> str:
        """Evict the instances and start the worker again from its file; lifts a quarantine."""
        ...

    async def flatten(self, symbols: Sequence[str] | None) -> str:
        """Cancel entries, close positions at the market, and see at the venue that they are; says how far it has come.

        What is not done when the answer is due goes on.  Rejected: nothing was begun.
        """
        ...

    async def adopt(
        self,
        symbols: Sequence[str] | None,
        *,
        stop: Decimal | None = None,
        target: Decimal | None = None,
        strategy: str | None = None,
    ) -> str:
        """Make signals of ours of positions that are not; `stop` and `target` are prices, for one symbol only."""
        ...

    async def dismiss(self, symbols: Sequence[str] | None) -> str:
        """Let what is not ours stay there, and trade the symbols again for as long as it stays as it is."""
        ...

    async def halt(self, reason: str) -> str:
        """TradingState HALTED, latched on disk."""
        ...

    async def unhalt(self, reason: str) -> str:
        """Back to ACTIVE; a reason is required."""
        ...

    async def reload(self) -> str:
        """Read the config again and take over what can change while the daemon runs; what is wrong changes nothing."""
        ...

    async def log_level(self, level: str) -> str:
        """Log from this level on (debug, info, warning or error), until the daemon is restarted."""
        ...
