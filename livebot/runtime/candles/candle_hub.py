"""From the feed to the inboxes: each closed candle goes to its own symbol's worker and to those that look at it.

Rules of this file: the boards of features made of other symbols take a candle before the workers do, so that a worker
that works off the last candle of a close finds it complete; a symbol that no board wants pays nothing for them.
"""

from collections.abc import Callable, Mapping, Sequence

from livebot.core.market import MINUTE_MS, Candle
from livebot.ports import CandleFeed
from livebot.runtime.candles.context_board import ContextBoard
from livebot.runtime.candles.contexts import Contexts
from livebot.runtime.inbox import CandleOf, Inbox, Reload


class CandleHub:
    """Connects one feed to all inboxes."""

    def __init__(
        self,
        feed: CandleFeed,
        inboxes: Mapping[str, Inbox],
        watchers: Mapping[str, Sequence[str]],
        contexts: Contexts | None = None,
    ) -> None:
        """`watchers` are, for each symbol, the other symbols whose workers want its candles too."""
        self._feed = feed
        self._contexts = contexts
        self._inboxes = inboxes
        self._watchers = watchers
        self.last_close_ms: dict[str, int] = {}
        self.newest_close_ms = 0

    def connect(self, on_new_close: Callable[[], None]) -> None:
        """Listen for every symbol; `on_new_close` is called once for each new close, before anyone gets its first candle.

        A symbol that is only looked at has no inbox of its own.
        """
        looked_at = () if self._contexts is None else self._contexts.symbols
        for symbol in dict.fromkeys((*self._inboxes, *self._watchers, *looked_at)):
            self._feed.listen(symbol, self._deliverer(symbol, self._targets(symbol), on_new_close))

    def reload(self, symbol: str) -> None:
        """Have everybody who has taken candles of a symbol load its history anew."""
        for board in self._boards(symbol):
            board.reload(symbol)
        for inbox in self._targets(symbol):
            inbox.put(Reload(symbol))

    def _targets(self, symbol: str) -> tuple[Inbox, ...]:
        names = (symbol, *self._watchers.get(symbol, ()))
        return tuple(self._inboxes[name] for name in dict.fromkeys(names) if name in self._inboxes)

    def _boards(self, symbol: str) -> tuple[ContextBoard, ...]:
        return () if self._contexts is None else self._contexts.boards_of(symbol)

    def _deliverer(
        self, symbol: str, targets: tuple[Inbox, ...], on_new_close: Callable[[], None]
    ) -> Callable[[Candle], None]:
        boards = self._boards(symbol)

        def deliver(candle: Candle) -> None:
            close_ms = candle.ts_ms + MINUTE_MS
            if close_ms > self.newest_close_ms:
                self.newest_close_ms = close_ms
                on_new_close()
            self.last_close_ms[symbol] = max(close_ms, self.last_close_ms.get(symbol, 0))
            for board in boards:
                board.take(symbol, candle)
            item = CandleOf(symbol, candle)
            for inbox in targets:
                inbox.put(item)

        return deliver
