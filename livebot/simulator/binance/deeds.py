"""What the local Binance can be told to do at once: delist, close by hand, liquidate, let listen keys expire.

Rules of this file: what is done here is done to the account as somebody else would do it, and is told to clients in
Binance's own messages.
"""

import contextlib
from collections.abc import Callable, Sequence

from livebot.errors import Rejected
from livebot.simulator.binance.account import BinanceAccount
from livebot.simulator.venue import HAND, LIQUIDATION
from livebot.simulator.venue_listings import Listing


class AccountDeeds:
    """`venue_faults.Deeds` of one account; `expire` ends all user streams and returns how many there were."""

    def __init__(self, account: BinanceAccount, expire: Callable[[], int]) -> None:
        self._account = account
        self._listings = account.listings
        self._expire = expire

    def check(self, symbols: Sequence[str]) -> None:
        """Raises BadInput for one that is not traded here, listed or not."""
        self._listings.named(symbols)

    def delist(self, symbols: Sequence[str]) -> None:
        """Positions are settled at the price, orders cancelled, and nothing is traded any more.  Raises BadInput."""
        for listing in self._listings.named(symbols):
            self._close(listing)
            for record in self._account.records.live():
                if record.listing is listing:
                    self._account.withdraw(record, "EXPIRED")
            for algo in self._account.records.waiting():
                if algo.listing is listing:
                    self._account.withdraw(algo, "EXPIRED")
            self._account.settle()
            self._listings.delist(listing)

    def list_again(self, symbols: Sequence[str]) -> None:
        """As before."""
        for listing in self._listings.named(symbols):
            self._listings.list_again(listing)

    def close_positions(self, symbols: Sequence[str]) -> None:
        """At the market, without a client order id.  Raises BadInput."""
        for listing in self._listings.named(symbols or self._account.venue.symbols):
            self._close(listing)
        self._account.settle()

    def liquidate(self, symbols: Sequence[str]) -> None:
        """At the market, by an order of the venue's own; coins are nobody's to take.  Raises BadInput."""
        for listing in self._listings.named(symbols or self._account.venue.symbols):
            if not listing.spot:
                self._close(listing, by=LIQUIDATION)
        self._account.settle()

    def expire_listen_keys(self) -> str:
        """All user streams end: those of the futures by their key, those of spot by their subscription."""
        return f"expire_listen_key: {self._expire()} user streams have ended"

    def _close(self, listing: Listing, *, by: str = HAND) -> None:
        with contextlib.suppress(Rejected):  # it is flat
            self._account.venue.close_by_hand(listing.symbol, self._account.now_ms(), by=by)
