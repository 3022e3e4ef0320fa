"""What connections say about themselves: told to the operator, kept from opening anything, compared with the venue.

What concerns the account as a whole and does not pass within moments is a cause that reduces trading.

Rules of this file: what a source said last is what stands; each port's sources are its own; hearing never waits and never
raises.
"""

from collections.abc import Callable

from livebot.ports import VenueNotice
from livebot.runtime.portfolio.blocks import Blocks
from livebot.runtime.problems import Problems


class Notices:
    """One for the whole system.

    `compare(symbol)` has a symbol, or all for None, compared with the venue soon; `reload(symbol)` its history loaded anew;
    `cause(source, sentence)` reduces trading, with None it has passed.
    """

    def __init__(
        self,
        problems: Problems,
        blocks: Blocks,
        compare: Callable[[str | None], None],
        reload: Callable[[str], None],
        cause: Callable[[str, str | None], None],
    ) -> None:
        """Nothing was said."""
        self._cause = cause
        self._problems = problems
        self._blocks = blocks
        self._compare = compare
        self._reload = reload

    def of(self, port: str) -> Callable[[VenueNotice], None]:
        """Who hears the notices of this port."""
        return lambda notice: self._hear(f"{port}:{notice.source}", notice)

    def _hear(self, source: str, notice: VenueNotice) -> None:
        # The block first: what is told while it is told must not open anything.
        self._blocks.venue(source, notice.symbol, stands=notice.text is not None and notice.blocks_entries)
        self._cause(source, notice.text if notice.reduces else None)
        self._problems.report(source, notice.text)
        if notice.reconcile:
            self._compare(notice.symbol)
        if notice.reload and notice.symbol is not None:
            self._reload(notice.symbol)
