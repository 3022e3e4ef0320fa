"""The account's wallet against what our own trades explain.

Rules of this file: the venue's number is right and is taken over, whatever the difference; a difference is told once, when
two looks in a row show the same; while the venue holds what is not ours, nothing is judged.
"""

from decimal import Decimal

from livebot.core.wording import number
from livebot.runtime.problems import Problems

SOURCE = "wallet"


class WalletWatch:
    """One for each account.  `tolerance` is a ratio of the wallet."""

    def __init__(self, problems: Problems, tolerance: Decimal) -> None:
        """The wallet was not seen yet."""
        self._problems = problems
        self._tolerance = tolerance
        self._explained: Decimal | None = None
        self._suspected: Decimal | None = None
        self.told = 0

    def forget(self) -> None:
        """What comes now cannot be compared with what was seen before."""
        self._explained = self._suspected = None
        self._problems.report(SOURCE, None)

    def see(self, wallet: Decimal, cost: Decimal, moved: Decimal) -> None:
        """What the venue says at a moment at which nothing is under way, all in quote currency.

        `cost` is what its positions cost at its average prices (shorts negative), `moved` the portfolio's `cash_moved`.
        """
        beyond = wallet - cost - moved
        within = self._tolerance * abs(wallet)
        if self._explained is None or abs(beyond - self._explained) <= within:
            self._take_over(beyond, None)
        elif self._suspected is None or abs(beyond - self._suspected) > within:
            self._suspected = beyond  # an answer may be older than our trades: the next look must show it too
        else:
            self.told += 1
            text = (
                f"the wallet is {number(wallet)}, and {number(beyond - self._explained)} of it is not explained by our "
                "trades: a deposit or a withdrawal, funding or interest, or trading by hand; the venue's number was "
                "taken over"
            )
            self._take_over(beyond, text)

    def _take_over(self, beyond: Decimal, text: str | None) -> None:
        self._explained, self._suspected = beyond, None
        self._problems.report(SOURCE, text)
