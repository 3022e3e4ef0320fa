"""One symbol in a backtest: what a live daemon's worker does with candles and order events, in the same order.

Rules of this file: every change of a state is a kernel step, every entry asks the portfolio; a close has two parts: first
all symbols take their events and candles and ask for leave (`take`), then each publishes its facts and sends its orders
(`commit`), as live, where nobody's orders leave before everybody has looked at the close.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from livebot.backtest.account import Account
from livebot.backtest.entering import Desk, Entering, Judges
from livebot.backtest.horizon import NEVER, Watch, add_state, first_touch
from livebot.backtest.instance import Instance, Wish
from livebot.backtest.membership import Membership
from livebot.backtest.tape import Tape
from livebot.core.exposure import awaits_entry, others_that_leave
from livebot.core.facts import Fact
from livebot.core.inputs import (
    Adjusted,
    Admitted,
    Amend,
    AskAdmission,
    Cancel,
    CandleClosed,
    Compare,
    EntriesWithdrawn,
    ExitRequested,
    Input,
    OrderAbsent,
    OrderAccepted,
    OrderEvent,
    OrderFilled,
    Request,
    Submit,
)
from livebot.core.kernel import step
from livebot.core.market import MINUTE_MS, decimal_of
from livebot.core.order import ZERO, Leg, OrderKind, OrderRequest, OrderStatus
from livebot.core.risk import Approved
from livebot.core.signal import CloseReason, Closing, Idle, Open, Opening, Scheduled
from livebot.errors import Fatal
from livebot.ports import Decision
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.simulator.book import BookOrder

_HOLDING = (Open, Closing)
_LEAVING = (Leg.EXIT, Leg.PARTIAL)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surroundings:
    """What all symbols of a run share.

    `value_others` brings the marks of the other symbols up to date, as this one may see them, before equity is used;
    `judges` of what is wanted at a close; `end` is the minute after the last; without `skip` each minute is looked at.
    """

    account: Account
    portfolio: Portfolio
    publish: Callable[[Sequence[Fact | Decision]], None]
    may_open: Callable[[str], bool]
    value_others: Callable[["SymbolRun"], None]
    judges: Judges
    end: int
    skip: bool


class SymbolRun:
    """`place` is its place among the symbols; `marked` the minute at whose close the portfolio last valued it."""

    def __init__(
        self, place: int, tape: Tape, instances: tuple[Instance, ...], membership: Membership, shared: Surroundings
    ) -> None:
        """Nothing is open."""
        self.symbol = tape.symbol
        self.place = place
        self.tape = tape
        self.instances = instances
        self.inbox = shared.account.inboxes[tape.symbol]
        self.marked = -1
        self._membership = membership
        self._shared = shared
        self._account = shared.account
        self._portfolio = shared.portfolio
        self._end = min(shared.end, tape.stop)
        self._facts: list[Fact | Decision] = []
        self._requests: list[tuple[Instance, Request]] = []
        self._doubted = False  # whether account and signals have to be compared
        self._candle_seen = tape.first - 1  # the last minute that the kernel was shown
        desk = Desk(
            portfolio=shared.portfolio,
            judges=shared.judges,
            value=lambda: shared.value_others(self),
            apply=self._apply,
            tell=self._note,
        )
        self.entering = Entering(tape, desk)

    @property
    def idle(self) -> bool:
        """No strategy has a signal here."""
        return all(type(instance.state.signal) is Idle for instance in self.instances)

    @property
    def holds(self) -> bool:
        """Whether anything here is worth what the price says."""
        return any(type(instance.state.signal) in _HOLDING for instance in self.instances)

    @property
    def leaves(self) -> bool:
        """Whether a wish to leave would still change anything."""
        signals = [instance.state.signal for instance in self.instances]
        return any(
            isinstance(signal, Open) or (isinstance(signal, Scheduled | Opening) and signal.cancel is None)
            for signal in signals
        )

    @property
    def awaits_entry(self) -> bool:
        """Whether something may still open that nobody has taken back."""
        return any(awaits_entry(instance.state.signal, instance.state.orders) for instance in self.instances)

    @property
    def quantity(self) -> float:
        """The net position of all its signals, positive long."""
        return float(self._net())

    def _net(self) -> Decimal:
        net = ZERO
        for instance in self.instances:
            signal = instance.state.signal
            if isinstance(signal, Open | Closing):
                net += signal.signal.side.sign * signal.position.quantity
        return net

    def is_member(self, minute: int) -> bool:
        """Whether it belongs to the universe at the close of this minute."""
        return self._membership.has(minute)

    # When

    def next_minute(self, after: int) -> int:
        """The first minute later than this one at whose close something can happen; NEVER if none is left."""
        begin = max(after + 1, self.tape.first)
        if begin >= self._end or not self._shared.skip:
            return begin if begin < self._end else NEVER
        if self.idle and not self._account.working(self.symbol):
            return self._next_wished(begin)
        watch, nearest = Watch(), NEVER
        for instance in self.instances:
            signal = instance.state.signal
            if type(signal) is Idle:
                nearest = min(nearest, instance.next_wish(begin))
                continue
            if not add_state(watch, instance.state, instance.rules):
                return self._present(begin)
            if instance.manages and type(signal) is Open:
                nearest = min(nearest, instance.next_managed(begin))
        for order in self._account.working(self.symbol):
            if order.running:
                return self._present(begin)
            watch.level(order.level, falls=_trades_lower(order))
        nearest = min(nearest, watch.until)
        if watch.watches:
            watch.until = nearest
            nearest = first_touch(watch, self.tape, begin, self._end)
        return self._present(nearest) if nearest < self._end else NEVER

    def _next_wished(self, begin: int) -> int:
        """The first minute at which a member that has nothing open wants something."""
        while True:
            first, stop = self._membership.span_from(begin)
            nearest = min((each.next_wish(first, stop) for each in self.instances), default=NEVER)
            if nearest < stop or stop >= self._end:
                return self._present(nearest) if nearest < min(stop, self._end) else NEVER
            begin = stop

    def _present(self, minute: int) -> int:
        """This minute, or if it is missing the next one that is not."""
        while minute < self._end and not self.tape.has(minute):
            minute += 1
        return minute if minute < self._end else NEVER

    # The first part of a close

    def take(self, minute: int, *, wish: Callable[["SymbolRun"], None] | None) -> None:
        """Order events, then what the portfolio wishes of it, then the candle of this minute; nothing is sent yet."""
        member = self._membership.has(minute)
        self._portfolio.blocks.outside(self.symbol, stands=not member)
        asked = member or not self.idle  # who has left is asked as long as something is open, and opens nothing
        self._take_events()
        close_ms = (minute + 1) * MINUTE_MS
        if wish is not None:
            wish(self)
        if self.tape.has(minute):
            self._take_candle(minute, close_ms, asked=asked)

    def leave(self, reason: CloseReason) -> None:
        """Someone with the right to do so wants its signals ended."""
        for instance in self.instances:
            self._apply(instance, ExitRequested(reason, self._account.now_ms))

    def withdraw(self) -> None:
        """Trading is not ACTIVE any more: entries that have not filled are taken back."""
        for instance in self.instances:
            self._apply(instance, EntriesWithdrawn(self._account.now_ms))

    def mark(self, minute: int) -> None:
        """Have the portfolio value this symbol at the close of this minute."""
        if self.marked != minute:
            self.marked = minute
            self._portfolio.mark(self.symbol, self.tape.last_close(minute))

    def _take_events(self) -> None:
        events = self.inbox[:]
        self.inbox.clear()
        for event in events:
            instance = self._owner(event)
            if instance is not None:
                self._apply(instance, event)

    def _owner(self, event: OrderEvent) -> Instance | None:
        order_id = event.fill.client_order_id if type(event) is OrderFilled else event.client_order_id  # type: ignore[union-attr]
        for instance in self.instances:
            for record in instance.state.orders:
                if record.request.client_order_id == order_id:
                    return instance
        return None

    def _take_candle(self, minute: int, close_ms: int, *, asked: bool) -> None:
        self.mark(minute)
        for instance in self.instances:
            if type(instance.state.signal) is not Idle:
                self._show_candles(instance, minute)
            signal = instance.state.signal
            if type(signal) is Idle:
                wish = instance.wish_at(minute) if asked else None
                if wish is not None:
                    self._wished(instance, wish, close_ms)
            elif type(signal) is Open and instance.manages and instance.closes_with(minute):
                self._manage(instance, signal, minute, close_ms)
        self._candle_seen = minute

    def _show_candles(self, instance: Instance, minute: int) -> None:
        """The kernel sees the minute's candle, and before it the minutes that are missing, in which nothing traded."""
        first = minute
        while first - 1 > self._candle_seen and not self.tape.has(first - 1):
            first -= 1
        for each in range(first, minute + 1):
            self._apply(instance, CandleClosed(self.tape.candle(each), (each + 1) * MINUTE_MS))

    def _wished(self, instance: Instance, wish: Wish, close_ms: int) -> None:
        if wish.skipped is not None:
            self._note(instance.verdict(close_ms, None, "skipped", wish.skipped))
        elif wish.entry is not None:
            self.entering.enter(instance, wish.entry, close_ms)

    def _manage(self, instance: Instance, signal: Open, minute: int, close_ms: int) -> None:
        skipped = instance.skipped_at(minute)
        if skipped is not None:
            self._note(instance.verdict(close_ms, None, "skipped", skipped))
            return
        adjustment = instance.manage(minute, signal)
        if adjustment is not None:
            self._apply(instance, Adjusted(adjustment, decimal_of(self.tape.last_close(minute)), close_ms))

    # The second part

    @property
    def has_news(self) -> bool:
        """Whether a live worker would save something now, and look at no verdict before that is done."""
        return bool(self._requests) or any(isinstance(each, Fact) for each in self._facts)

    def commit(self) -> None:
        """Publish and send until nothing more follows."""
        asked: set[str] = set()
        while True:
            while self._facts or self._requests:
                facts, self._facts = self._facts, []
                requests, self._requests = self._requests, []
                if facts:
                    self._shared.publish(facts)
                for instance, request in requests:
                    self._carry_out(instance, request)
            if self.entering.waits:
                self.entering.carry_out()
                continue
            if not self.inbox and not self._ask(asked):
                break
            self._take_events()
        if self._doubted:
            self._doubted = False
            self._compare()

    def _carry_out(self, instance: Instance, request: Request) -> None:
        match request:
            case Submit():
                self._submit(instance, request.approved)
            case Amend():
                self._amend(instance, request.approved)
            case Cancel():
                self._account.cancel(request.symbol, request.client_order_id)
            case Compare():
                self._doubted = True  # what the account has told already comes first
            case AskAdmission():
                raise Fatal("an admission is asked for at once, never carried out")

    def _submit(self, instance: Instance, approved: Approved) -> None:
        order = approved.order
        if order.leg.opens and not self._shared.may_open(self.symbol):
            self._withdraw(instance, order)
            return
        if order.leg in _LEAVING and not self._may_leave(instance, order):
            self._withdraw(instance, order)  # it is asked for again with the next candle
            return
        self._apply(instance, self._account.submit(order))

    def _withdraw(self, instance: Instance, order: OrderRequest) -> None:
        self._apply(instance, OrderAbsent(client_order_id=order.client_order_id, ts_ms=self._account.now_ms))

    def _may_leave(self, instance: Instance, order: OrderRequest) -> bool:
        """Whether nothing else can close what this order is to close, where strategies share a position."""
        if all(other is instance or type(other.state.signal) is Idle for other in self.instances):
            return True
        beside = others_that_leave(instance.state.orders, order)
        if order.leg is Leg.PARTIAL:
            return all(record.status is OrderStatus.WORKING and record.confirmed for record in beside)
        for record in beside:
            for event in self._account.story(record.request):
                if self._owner(event) is instance:
                    self._apply(instance, event)
        signal = instance.state.signal
        left = others_that_leave(instance.state.orders, order)
        for record in left:
            self.inbox.extend(self._account.story(record.request))
        return not left and isinstance(signal, Open | Closing) and order.quantity <= signal.position.closable

    def _amend(self, instance: Instance, approved: Approved) -> None:
        order = approved.order
        if order.leg.opens and not self._shared.may_open(self.symbol):
            self.inbox.extend(self._account.story(order))  # it stays as it is, and the state learns how that is
            return
        outcome = self._account.amend(order)
        if isinstance(outcome, OrderAccepted) or self._works(instance, order.client_order_id):
            self._apply(instance, outcome)

    def _works(self, instance: Instance, order_id: str) -> bool:
        return any(
            record.request.client_order_id == order_id and record.status is OrderStatus.WORKING
            for record in instance.state.orders
        )

    def _ask(self, asked: set[str]) -> bool:
        """Ask the account about orders whose fate is not known, each once; says whether there were any."""
        unknown = [
            record.request
            for instance in self.instances
            for record in instance.state.orders
            if record.status is OrderStatus.UNKNOWN and record.request.client_order_id not in asked
        ]
        for request in unknown:
            asked.add(request.client_order_id)
            self.inbox.extend(self._account.story(request))
        return bool(unknown)

    def _compare(self) -> None:
        """Raises Fatal: signals and account differ, which no run can bring about."""
        ours = self._net()
        held = self._account.engine.holdings.quantity(self.symbol)
        if ours != held:
            raise Fatal(f"{self.symbol}: the account holds {held} and the signals {ours}; this is a fault of livebot")

    # Steps

    def _apply(self, instance: Instance, event: Input) -> None:
        made = step(instance.state, event, instance.rules)
        instance.state = made.state
        self._facts.extend(made.facts)
        for request in made.requests:
            if type(request) is AskAdmission:
                self._ask_admission(instance, request)
            else:
                self._requests.append((instance, request))

    def _ask_admission(self, instance: Instance, request: AskAdmission) -> None:
        candidate = request.candidate
        self._shared.value_others(self)
        verdict = self._portfolio.admit(candidate, candidate.ts_ms)
        if isinstance(verdict, Approved):
            self._apply(instance, Admitted(verdict, candidate.ts_ms))

    def _note(self, decision: Decision) -> None:
        self._facts.append(decision)


def _trades_lower(order: BookOrder) -> bool:
    """Whether it trades at its level or below it: a buy limit, a stop that sells."""
    return (order.sign < 0) is (order.request.kind is OrderKind.STOP_MARKET)
