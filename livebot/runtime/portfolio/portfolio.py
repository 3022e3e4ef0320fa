"""The portfolio: the gate before an order, and the first to hear every fact.

Rules of this file: `admit` checks and reserves without an await, so two candidates can never share the same room;
exposure, PnL and trading state come from facts and marks, never from guesses; whatever goes wrong in here stops new
entries and nothing else; HALTED is lifted by an operator alone, over any restart.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

import structlog

from livebot.core.candidate import Candidate
from livebot.core.denial import DenialCode, Denied, TradingState
from livebot.core.facts import (
    Exposure,
    Fact,
    PositionReduced,
    RemainderGone,
    RemainderKept,
    RemainderTaken,
    SignalClosed,
    SignalOpened,
    StopMoved,
    TargetMoved,
)
from livebot.core.limits import Limits
from livebot.core.order import ZERO
from livebot.core.performance import WinRate
from livebot.core.risk import Approved, exceeded, judge
from livebot.ports import Decision, LimitUse, PortfolioMemory
from livebot.runtime.portfolio.account import Account
from livebot.runtime.portfolio.blocks import Blocks
from livebot.runtime.portfolio.counting import Counting
from livebot.runtime.portfolio.exposure_book import NOTHING_CARRIED, Carried, ExposureBook, Key, Reservation
from livebot.runtime.portfolio.limit_use import limit_use
from livebot.runtime.portfolio.loss_watch import LossWatch, StateChange
from livebot.runtime.portfolio.order_history import OrderHistory, in_order
from livebot.runtime.portfolio.over_limits import LIMITS, OverLimits
from livebot.runtime.portfolio.repeats import is_entry, looks_back_ms
from livebot.runtime.portfolio.streaks import Streaks
from livebot.runtime.problems import Report
from livebot.runtime.settings import LossLimit

_log = structlog.get_logger(__name__)


class Portfolio:
    """One object, two faces: `admit` for the workers, `hear` for the bus.

    `blocks` stops entries symbol by symbol.  Money is in quote currency.
    """

    def __init__(
        self, limits: Limits, *, loss_limit: LossLimit | None, win_rate: WinRate | None, report: Report
    ) -> None:
        """Empty and ACTIVE.  It admits nothing before `set_wallet`; `report` hears what goes wrong in here."""
        self.blocks = Blocks(win_rate, limits.repeated_executions, report)
        self._limits = limits
        self._report = report
        self._book = ExposureBook()
        self._account = Account(self._book)
        self._watch = LossWatch(limits, loss_limit)
        self._over = OverLimits()
        self._sequences: dict[Key, int] = {}
        self._orders = OrderHistory(limits)
        self._streaks = Streaks(limits.losing_streak)
        self._counting = Counting(
            book=self._book,
            account=self._account,
            watch=self._watch,
            orders=self._orders,
            streaks=self._streaks,
            blocks=self.blocks,
        )
        self._files: dict[Key, int] = {}  # facts up to these are in what the files carried at the start
        self._saved: PortfolioMemory | None = None
        self._counts = dict.fromkeys(("admitted", "denied", "opened", "closed"), 0)

    @property
    def name(self) -> str:
        """As a listener of the bus."""
        return "portfolio"

    # The gate

    def admit(self, candidate: Candidate, now_ms: int, *, age_ms: int = 0) -> Approved | Denied:
        """Check and reserve in one go; an approved order that is not sent after all must be released.

        `age_ms` is how old the close is that it was decided on, by the clock.
        """
        try:
            verdict = self._judge(candidate, now_ms, age_ms)
        except Exception as error:  # noqa: BLE001 - what cannot be judged must not get through
            verdict = Denied(DenialCode.CHECK_FAILED, f"the portfolio failed: {type(error).__name__}: {error}")
        self._counts["admitted" if isinstance(verdict, Approved) else "denied"] += 1
        return verdict

    def exceeded(self, candidate: Candidate, now_ms: int) -> tuple[str, ...]:
        """The limits that something exceeds which is there already, and counts from now on whether they allow it or not."""
        usage = self._counting.usage((candidate.strategy, candidate.symbol), candidate, now_ms, 0)
        return exceeded(usage, self._limits, candidate)

    def release(self, strategy: str, symbol: str) -> None:
        """Give back the room of an approved order that was not sent after all."""
        key = (strategy, symbol)
        if self._book.reservation(key) is not None:
            self._book.put(key, self._book.exposure(key), None)
            self._orders.not_sent(key)

    def set_clusters(self, clusters: Mapping[str, str]) -> None:
        """By symbol the cluster that its signals count in from now on; a symbol that is not there is one by itself."""
        self._book.set_clusters(clusters)

    def replace_limits(self, limits: Limits, *, loss_limit: LossLimit | None, win_rate: WinRate | None) -> None:
        """Other limits from now on.  What is open already beyond them stays open; what was not counted begins to be."""
        before, self._limits = self.limit_use(), limits
        self._watch.replace_limits(limits, loss_limit)
        self._orders.replace_limits(limits)
        self._streaks.replace_rule(limits.losing_streak)
        self.blocks.replace_rules(win_rate, limits.repeated_executions)
        self._over.begin(before, self.limit_use())

    def close_gate(self) -> None:
        """The daemon is stopping: nothing opens any more."""
        self.blocks.close_gate()

    def _judge(self, candidate: Candidate, now_ms: int, age_ms: int) -> Approved | Denied:
        fault = self.blocks.first_fault
        if fault is not None:
            return Denied(DenialCode.CHECK_FAILED, fault)
        if not self._account.known:
            return Denied(DenialCode.CHECK_FAILED, "what the account is worth is not known yet")
        if candidate.notional <= 0:
            return Denied(DenialCode.CHECK_FAILED, f"a notional of {candidate.notional} is not above 0")
        key = (candidate.strategy, candidate.symbol)
        usage = self._counting.usage(key, candidate, now_ms, age_ms)
        verdict = judge(usage, self._limits, candidate)
        if isinstance(verdict, Approved):
            signal = candidate.signal
            signal_id = None if signal is None else f"{candidate.strategy}/{candidate.symbol}#{signal.number}"
            reservation = Reservation(candidate.side, candidate.notional, signal_id, candidate.risk)
            self._book.put(key, self._book.exposure(key), reservation)
            self._orders.let_through(key, candidate, now_ms)
            self._counting.last = candidate, usage
        return verdict

    # Facts and marks

    def hear(self, items: Iterable[Fact | Decision]) -> None:
        """Take facts in, in order; one it has heard already changes nothing.

        Raises:
            Exception: a fact could not be taken in.  The others were, and nothing opens until the daemon is restarted.

        """
        failed: Exception | None = None
        for item in items:
            if not isinstance(item, Fact):
                continue
            try:
                self._take_in(item)
            except Exception as error:  # noqa: BLE001 - what it cannot count it must not add to
                failed = error
        if failed is not None:
            self._fail(failed)
            raise failed

    def recovered(
        self, strategy: str, symbol: str, exposure: Exposure, sequence: int, carried: Carried = NOTHING_CARRIED
    ) -> None:
        """A worker has read its file again: this is what the file says, and no order waits for leave any more.

        Facts after `sequence` will be heard.  Publish the file's outbox first.
        """
        key = (strategy, symbol)
        self._sequences[key] = sequence
        reservation = self._book.reservation(key)
        if reservation is not None and reservation.signal_id is None and exposure.pending_notional:
            self._orders.sent(key)  # the averaging order is in the file, though no fact has told of it
        else:
            self._orders.not_sent(key)
        self._book.put(key, exposure, None)
        self._book.carry(key, carried)

    def mark(self, symbol: str, price: float) -> None:
        """The symbol's last price; what is no price is ignored."""
        self._book.mark(symbol, price)

    def set_wallet(self, wallet: Decimal, *, paid: bool = False) -> None:
        """What the venue says the account holds, unrealised PnL not counted; equity follows from here.

        `paid`: what is open was paid for out of it.
        """
        self._account.set_wallet(wallet, paid=paid)
        self._watch.begin(self.equity)

    def move_cash(self, amount: Decimal) -> None:
        """Money came in (or went out, below 0) apart from any trade of ours, such as funding."""
        self._account.move_cash(amount)

    def _take_in(self, fact: Fact) -> None:
        key = (fact.strategy, fact.symbol)
        if fact.sequence <= self._sequences.get(key, 0):
            return
        self._sequences[key] = fact.sequence
        reservation = self._book.reservation(key)
        if reservation is not None and _settles(fact, reservation):
            reservation = None
            self._orders.sent(key)
        self._book.put(key, fact.exposure, reservation)
        if is_entry(fact):
            if self.blocks.entered(fact):
                _log.warning("symbol_paused", symbol=fact.symbol, strategy=fact.strategy)
        elif isinstance(fact, SignalOpened):
            self._counts["opened"] += 1
        elif isinstance(fact, SignalClosed):
            self._counts["closed"] += 1
            self._account.closed(fact.pnl_net)
            self._watch.closed(fact)
            self._streaks.closed(fact)
            if self.blocks.closed(fact):
                _log.warning("symbol_switched_off", symbol=fact.symbol)
        elif isinstance(fact, RemainderKept | RemainderTaken | RemainderGone):
            self._carry(key, fact)

    def _carry(self, key: Key, fact: RemainderKept | RemainderTaken | RemainderGone) -> None:
        if fact.sequence <= self._files.get(key, 0):
            return
        sign, before = 1 if isinstance(fact, RemainderKept) else -1, self._book.carried(key)
        left = Carried(before.quantity + sign * fact.quantity, before.cost + sign * fact.cost)
        self._book.carry(key, left if left.quantity else NOTHING_CARRIED)
        if isinstance(fact, RemainderGone):
            self._account.closed(fact.pnl_net)

    def _fail(self, error: Exception) -> None:
        text = f"the portfolio could not take in a fact ({type(error).__name__}: {error}); nothing opens, restart it"
        _log.error("portfolio_failed", exc_info=error)
        self.blocks.fault(self.name, text)
        self._report(self.name, text)

    # What it is worth

    @property
    def equity(self) -> Decimal:
        """Wallet with unrealised PnL at the last marks; 0 as long as the wallet is not known."""
        return self._account.equity

    @property
    def cash_moved(self) -> Decimal:
        """As the venue's wallet less the cost of its positions moves (see Account)."""
        return self._account.cash_moved

    @property
    def day_pnl(self) -> Decimal:
        """Since the UTC day began, or since the daemon first saw the account."""
        start = self._watch.day_start_equity
        return ZERO if start is None else self.equity - start

    @property
    def open_signals(self) -> int:
        """Signals that are not Idle, and room reserved for such."""
        return self._book.open_signals

    @property
    def reserved(self) -> tuple[int, Decimal]:
        """Approved orders that no fact tells of yet, and their notional."""
        return self._book.reserved

    def exposure(self, strategy: str, symbol: str) -> Exposure:
        """What the last fact said."""
        return self._book.exposure((strategy, symbol))

    def counts(self) -> Mapping[str, int]:
        """Admitted, denied, opened and closed since the start of the process."""
        return self._counts

    def limit_use(self) -> tuple[LimitUse, ...]:
        """A row for each limit that is set, by its name in the config."""
        return limit_use(self._limits, self._counting)

    # Trading state

    @property
    def trading_state(self) -> TradingState:
        """What is allowed at all."""
        return self._watch.state

    @property
    def state_reason(self) -> str:
        """Why it is not ACTIVE, or why it became so."""
        return self._watch.reason

    @property
    def causes(self) -> tuple[str, ...]:
        return self._watch.causes

    @property
    def flatten_wanted(self) -> bool:
        """The loss limit was reached and says to close everything; true until an operator lifts the halt."""
        return self._watch.flatten_wanted

    def evaluate(self, now_ms: int) -> StateChange | None:
        """Let the day roll, and let losses move the trading state; None if it stays.

        The new state holds at once; save `memory()` before it is announced.
        """
        self._counting.pass_time(now_ms)
        self.blocks.pass_time(now_ms)
        if not self._account.known:
            return None
        change = self._watch.evaluate(now_ms, self._counting.worth())
        if not self._over.stands:
            return change
        return self._watch.cause(LIMITS, self._over.sentence(self.limit_use())) or change

    def cause(self, source: str, reason: str | None) -> StateChange | None:
        """Trading is REDUCING at most while `source` gives a reason, and ACTIVE again by itself when the last has passed.

        None: that changes nothing.  It holds at once, and over no restart: whoever sees it sees it again.
        """
        return self._watch.cause(source, reason)

    def latch(self, reason: str) -> StateChange | None:
        """As `halt`, by something that only an operator can judge; None if it is HALTED already."""
        return self._watch.latch(reason)

    def halt(self, reason: str) -> StateChange:
        """Nothing opens until `unhalt`, over any restart."""
        return self._watch.halt(reason)

    def unhalt(self, reason: str, now_ms: int) -> StateChange:
        """Back to ACTIVE.  Drawdown and loss limit count from here on; a daily loss still reduces until tomorrow.

        Raises:
            Rejected: it is not halted, or no reason is given.

        """
        return self._watch.unhalt(reason, now_ms, self._counting.worth() if self._account.known else None)

    # Memory

    @property
    def looks_back_ms(self) -> int:
        """How far back the facts of orders matter after a restart."""
        return looks_back_ms(self._limits.repeated_executions)

    def memory(self) -> PortfolioMemory:
        """What must outlive the process."""
        return self._watch.memory(self.blocks)

    @property
    def dirty(self) -> bool:
        """Whether `memory()` differs from what was saved last."""
        return self.memory() != self._saved

    def saved(self, memory: PortfolioMemory) -> None:
        """This memory is durable."""
        self._saved = memory

    def restore(
        self,
        memory: PortfolioMemory | None,
        exposures: Mapping[Key, Exposure],
        closes: Iterable[SignalClosed] = (),
        carried: Mapping[Key, Carried] = MappingProxyType({}),
        entries: Iterable[Fact] = (),
    ) -> None:
        """Begin from the remembered, what the state files expose and carry, and all signals that ever closed.

        `closes` are the ledger's and those still in an outbox, in any order, repeated or not; so are `entries`, the facts
        of orders of the last `looks_back_ms`.  They are not counted again when a worker publishes its outbox.
        """
        remembered = memory or PortfolioMemory()
        self._saved = memory
        known, orders = in_order(closes), in_order(entries)
        self._watch.restore(remembered, known)
        self.blocks.restore(remembered, known, filter(is_entry, orders))
        self._streaks.restore(known)
        self._orders.restore((*known, *orders))
        for fact in (*known, *orders):
            key = (fact.strategy, fact.symbol)
            self._sequences[key] = max(fact.sequence, self._sequences.get(key, 0))
            self._counting.pass_time(fact.ts_ms)
        for key, exposure in exposures.items():
            self._book.put(key, exposure, None)
        for key, each in carried.items():
            self._book.carry(key, each)
            self._files[key] = each.sequence


def _settles(fact: Fact, reservation: Reservation) -> bool:
    """Whether the fact's exposure tells what became of the reserved order, so that the room need not be kept apart."""
    if reservation.signal_id is not None:
        # a fact of the signal before may come after the admission of the next one
        return fact.signal_id == reservation.signal_id
    # An averaging order is admitted without a fact of its own: a fact of the same candle may not know of it yet.
    return fact.exposure.pending_notional > 0 or not isinstance(fact, StopMoved | TargetMoved | PositionReduced)
