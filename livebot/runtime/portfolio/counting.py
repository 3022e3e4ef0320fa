"""All that limits are held against, gathered from where it is counted.

Rules of this file: nothing is decided and nothing is changed; a candidate's own reservation is never among what is used.
"""

from livebot.core.candidate import Candidate
from livebot.core.limits import Usage
from livebot.core.market import Side
from livebot.runtime.portfolio.account import Account
from livebot.runtime.portfolio.blocks import Blocks
from livebot.runtime.portfolio.exposure_book import ExposureBook, Key
from livebot.runtime.portfolio.loss_watch import LossWatch, Worth
from livebot.runtime.portfolio.order_history import OrderHistory
from livebot.runtime.portfolio.streaks import Streaks


class Counting:
    """The portfolio's parts that count."""

    def __init__(
        self,
        *,
        book: ExposureBook,
        account: Account,
        watch: LossWatch,
        orders: OrderHistory,
        streaks: Streaks,
        blocks: Blocks,
    ) -> None:
        """They go on counting."""
        self.book = book
        self.account = account
        self.watch = watch
        self.orders = orders
        self.streaks = streaks
        self.blocks = blocks
        self.now_ms = 0  # the latest time that was heard of
        self.last: tuple[Candidate, Usage] | None = None  # the last order that was approved

    def pass_time(self, now_ms: int) -> None:
        """It is so late."""
        self.now_ms = max(self.now_ms, now_ms)

    def worth(self) -> Worth:
        """What the account is worth."""
        book = self.book
        return Worth(equity=self.account.equity, open_pnl=book.booked + book.unrealised, valued=book.valued)

    def usage(self, key: Key, candidate: Candidate, now_ms: int, age_ms: int) -> Usage:
        """What the limits bind now."""
        book, orders, side, symbol = self.book, self.orders, candidate.side, key[1]
        used, watch, equity = book.beside(key, side), self.watch, self.account.equity
        self.pass_time(now_ms)
        return Usage(
            trading_state=watch.state,
            blocks=self.blocks.of(symbol),
            symbol_side=self._side_against(symbol, side) or used.side,
            open_signals=used.open_signals,
            open_signals_of_strategy=used.open_signals_of_strategy,
            cluster=book.cluster_of(symbol),
            open_signals_of_cluster=used.open_signals_of_cluster,
            gross_exposure=used.notional,
            net_exposure=used.net,
            symbol_exposure=used.notional_of_symbol,
            base_exposure=used.notional_of_base,
            risk_of_signal=used.risk_of_signal,
            risk_in_all=used.risk,
            last_price=book.last_price(symbol),
            age_ms=age_ms,
            sent_before=orders.sent_before(key, candidate),
            same_order_ms=orders.same_order_ms(key, candidate.order, now_ms),
            orders_last_second=orders.last_second(now_ms),
            orders_last_minute=orders.last_minute(now_ms),
            orders_today=orders.today(now_ms),
            cooldown_ms=self.streaks.cooldown_ms(symbol, now_ms),
            equity=equity,
            day_start_equity=equity if watch.day_start_equity is None else watch.day_start_equity,
            peak_equity=equity if watch.peak_equity is None else watch.peak_equity,
        )

    def _side_against(self, symbol: str, side: Side) -> Side | None:
        """The side of what is not ours and may stay there, if it is the other one: the venue would net them."""
        if side.sign * self.blocks.dismissed_quantity(symbol) >= 0:
            return None
        return Side.SHORT if side is Side.LONG else Side.LONG
