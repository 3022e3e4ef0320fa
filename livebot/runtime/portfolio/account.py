"""What the account is worth, from what the venue said once and from facts and marks since.

Rules of this file: money is in quote currency and decimal; nothing is known before the venue was asked.
"""

from decimal import Decimal

from livebot.core.order import ZERO
from livebot.runtime.portfolio.exposure_book import ExposureBook


class Account:
    """The wallet without any signal of this process, and what its signals have brought since."""

    def __init__(self, book: ExposureBook) -> None:
        """Not known; `book` says what open signals are worth."""
        self._book = book
        self._base: Decimal | None = None  # what the wallet would hold without any signal of this process
        self._closed = ZERO  # net PnL of the signals that closed, and of what they left that is gone, in this process

    @property
    def known(self) -> bool:
        """Whether the venue has said what it holds."""
        return self._base is not None

    @property
    def equity(self) -> Decimal:
        """Wallet with unrealised PnL at the last marks; 0 as long as the wallet is not known."""
        if self._base is None:
            return ZERO
        return self._base + self._closed + self._book.booked + self._book.unrealised

    @property
    def cash_moved(self) -> Decimal:
        """What the signals of this process brought in less what is invested in open ones and in what is carried.

        It moves exactly as the venue's wallet less the cost of its positions, however the venue nets strategies.
        """
        return self._closed + self._book.booked - self._book.invested

    def set_wallet(self, wallet: Decimal, *, paid: bool) -> None:
        """What the venue says the account holds, unrealised PnL not counted; `paid`: what is open was paid for out of it."""
        invested = self._book.invested if paid else ZERO
        self._base = wallet + invested - self._closed - self._book.booked

    def move_cash(self, amount: Decimal) -> None:
        """Money came in (or went out, below 0) apart from any trade of ours."""
        if self._base is not None:
            self._base += amount

    def closed(self, pnl_net: Decimal) -> None:
        """A signal closed, or what one had left is gone."""
        self._closed += pnl_net
