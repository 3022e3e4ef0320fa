"""The kernel between a model venue and a random market, with everything checked after every step.

Rules of this file: it does with requests what the daemon does (save, carry out, ask about what is in the dark, compare
with the venue), only more erratically; what it expects is worked out from the venue's books and from the facts, never by
the kernel's own functions.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from random import Random

from livebot.core import risk
from livebot.core.candidate import Candidate
from livebot.core.entry import Adjustment, Averaging, BreakEven, ExitPlan, PartialLevel, Trailing
from livebot.core.exposure import exposure_of, protected
from livebot.core.facts import (
    EntryCancelled,
    Exposure,
    Fact,
    OrderFailed,
    PositionReduced,
    SignalClosed,
    SignalClosing,
    SignalOpened,
    SignalOpening,
    SignalScheduled,
)
from livebot.core.inputs import (
    Adjusted,
    Admitted,
    Amend,
    AskAdmission,
    Cancel,
    CandleClosed,
    ClosedOutside,
    Compare,
    EntriesWithdrawn,
    ExitRequested,
    Input,
    OrderAccepted,
    OrderEvent,
    OrderFilled,
    OrderOutcome,
    OrderRejected,
    Request,
    Step,
    Submit,
    SymbolState,
)
from livebot.core.kernel import step
from livebot.core.leaving import DUST, TOO_LARGE
from livebot.core.market import MINUTE_MS, Candle, Side
from livebot.core.order import ZERO, Fill, Leg, OrderKind, OrderRecord, OrderRequest, OrderStatus, client_order_id
from livebot.core.repricing import worst_price
from livebot.core.rules import EntryRules, FixedNotional, LimitEntries, Rules
from livebot.core.signal import CloseReason, Closing, Idle, Open, Opening, Scheduled, Signal
from livebot.errors import IllegalTransition
from tests.core.examples import INSTRUMENT
from tests.core.venue_model import LOT, ModelOrder, ModelVenue, Traits

RULES = Rules(
    system="perp",
    strategy="trend",
    instrument=INSTRUMENT,
    sizing=FixedNotional(Decimal(100)),
    entry=EntryRules(),
    exits=ExitPlan(),
    schedule_ms=MINUTE_MS,
)
CHASING = LimitEntries(offset=Decimal("0.01"), timeout_ms=MINUTE_MS, reprices=3, chase=Decimal("0.03"))
EMPTY = SymbolState(system="perp", strategy="trend", symbol=INSTRUMENT.symbol, signal=Idle())
LEGS = {leg.value: leg for leg in Leg}
MOST_ORDERS = 2 * len(Leg)
MOST_REQUESTS = 6
QUIET_TURNS = 1_000
PLANS = (
    ExitPlan(),
    ExitPlan(trailing=Trailing(distance=Decimal("0.02"), after=Decimal("0.01"))),
    ExitPlan(break_even=BreakEven(after=Decimal("0.02"), offset=Decimal("0.001"))),
    ExitPlan(
        partial_levels=(
            PartialLevel(gain=Decimal("0.01"), fraction=Decimal("0.3")),
            PartialLevel(gain=Decimal("0.03"), fraction=Decimal("0.3")),
        )
    ),
    ExitPlan(averaging=Averaging(step=Decimal("0.01"), fraction=Decimal("0.5"), times=2)),
    ExitPlan(
        trailing=Trailing(distance=Decimal("0.03")),
        break_even=BreakEven(after=Decimal("0.01")),
        partial_levels=(PartialLevel(gain=Decimal("0.02"), fraction=Decimal("0.5")),),
        averaging=Averaging(step=Decimal("0.02"), fraction=Decimal("0.3"), times=1),
    ),
)


def approve(candidate: Candidate) -> risk.Approved:
    """The portfolio's yes."""
    return risk.Approved(candidate.order, candidate, risk._SEAL)


def leg_of(order_id: str) -> Leg:
    """What a client order id says of its leg."""
    return LEGS[order_id[22]]


def number_of(order_id: str) -> int:
    """What a client order id says of its signal's number."""
    return int(order_id[16:22], 16)


def next_entry(
    state: SymbolState,
    *,
    side: Side = Side.LONG,
    quantity: Decimal = Decimal(1),
    price: Decimal = Decimal(100),
    limit_price: Decimal | None = None,
    stop_loss: Decimal | None = None,
    take_profit: Decimal | None = None,
    lifetime_ms: int = 60 * MINUTE_MS,
    schedule_ms: int = 3 * MINUTE_MS,
    exits: ExitPlan = PLANS[0],
    ts_ms: int = 0,
    chasing: LimitEntries | None = None,
    post_only: bool = False,
) -> Candidate:
    """The next entry of this state, 5 % to the stop and 10 % to the target unless said."""
    number, sign = state.number + 1, side.sign
    entry_price = limit_price or price
    worst = None if chasing is None else worst_price(side, entry_price, chasing, INSTRUMENT)
    dearest = max(entry_price, worst or entry_price)
    signal = Signal(
        number=number,
        side=side,
        quantity=quantity,
        reference_price=price,
        limit_price=limit_price,
        stop_loss=entry_price * (1 - sign * Decimal("0.05")) if stop_loss is None else stop_loss,
        take_profit=entry_price * (1 + sign * Decimal("0.1")) if take_profit is None else take_profit,
        lifetime_ms=lifetime_ms,
        created_ms=ts_ms,
        schedule_expires_ms=None if limit_price is None else ts_ms + schedule_ms,
        exits=exits,
        reason="because",
        worst_price=worst,
        reprices_left=0 if chasing is None else chasing.reprices,
    )
    order = OrderRequest(
        client_order_id=client_order_id(
            state.system, state.strategy, state.symbol, number=number, leg=Leg.ENTRY, attempt=1
        ),
        symbol=state.symbol,
        leg=Leg.ENTRY,
        attempt=1,
        side=side.entry_order,
        kind=OrderKind.MARKET if limit_price is None else OrderKind.LIMIT,
        quantity=quantity,
        price=limit_price,
        post_only=post_only and limit_price is not None,
    )
    return Candidate(
        strategy=state.strategy,
        symbol=state.symbol,
        side=side,
        order=order,
        signal=signal,
        price=dearest,
        notional=quantity * dearest,
        risk=quantity * abs(dearest - signal.stop_loss),
        confidence=None,
        ts_ms=ts_ms,
    )


def rules_for(traits: Traits, chance: Random) -> Rules:
    """Rules that fit the venue, with one of the ways in which orders may be sent."""
    return replace(
        RULES,
        instrument=replace(INSTRUMENT, minimum_quantity=traits.least, maximum_quantity=traits.most),
        resting_target=not traits.locks,
        replaces_stops=not traits.locks and chance.random() < 0.5,
        amend_interval_ms=chance.choice((0, 0, 2_000, 90_000)),
        limit_entries=chance.choice((None, CHASING)),
        post_only=chance.random() < 0.5,
    )


@dataclass(slots=True)
class Tightest:
    """Stop and target of one signal as far as they have come."""

    number: int
    stop_loss: Decimal
    take_profit: Decimal


class Driver:
    """One (strategy, symbol) and its venue.  Methods that begin with a verb are what may happen next, in any order."""

    def __init__(self, chance: Random, traits: Traits, *, prompt: bool = False, rules: Rules | None = None) -> None:
        """A `prompt` one carries out all requests before anything else happens, as the daemon does."""
        self.chance = chance
        self.rules = rules or rules_for(traits, chance)
        self.prompt = prompt
        self.venue = ModelVenue(traits, chance)
        self.state = EMPTY
        self.todo: deque[Request] = deque()
        self.admitted: dict[str, Decimal] = {}  # order id -> the price that room was kept for
        self.room = ZERO  # quote, for the entry of the present signal
        self.asking: dict[str, bool] = {}  # order id -> only whether it lives
        self.asked: set[str] = set()
        self.facts: list[Fact] = []
        self.outside: list[Fill] = []  # what the kernel was told of closing by hand, as it books it
        self.tightest: Tightest | None = None
        self.highest = self.lowest = self.opened_at = self.venue.price
        self.counts: dict[str, int] = {}

    # What may happen

    def enter(self, *, limit: bool, side: Side, plan: int) -> None:
        """A strategy wants in, and may."""
        if not isinstance(self.state.signal, Idle):
            return
        price = self.venue.price
        away = Decimal(self.chance.randrange(3))
        candidate = next_entry(
            self.state,
            side=side,
            quantity=LOT * (1 + self.chance.randrange(2000)),
            price=price,
            limit_price=price - side.sign * away if limit else None,
            lifetime_ms=MINUTE_MS * self.chance.choice((2, 10, 1000)),
            exits=PLANS[plan % len(PLANS)],
            ts_ms=self.venue.now_ms,
            chasing=self.rules.limit_entries if limit else None,
            post_only=self.rules.post_only,
        )
        self.feed(Admitted(approve(candidate), self.venue.now_ms))

    def carry_out(self) -> None:
        """The oldest request goes to the venue; now and then its answer is slower than the venue's other news."""
        if not self.todo:
            return
        request = self.todo.popleft()
        venue = self.venue
        if isinstance(request, Compare):
            self.reconcile()
            return
        if isinstance(request, Cancel):
            if not venue.cancel(request.client_order_id):
                self.ask_later(request.client_order_id)
            return
        assert isinstance(request, Submit | Amend)
        order = request.approved.order
        outcome = venue.submit(order) if isinstance(request, Submit) else venue.amend(order)
        if isinstance(request, Amend) and not isinstance(outcome, OrderAccepted):
            self.not_amended(outcome)
        elif not venue.calm and not self.prompt and self.chance.random() < 0.2:
            venue.events.insert(0, outcome)
        else:
            self.hear(outcome)

    def carry_out_all(self) -> None:
        while self.todo:
            self.carry_out()

    def not_amended(self, outcome: OrderOutcome) -> None:
        """As the daemon: what became of the order is asked; of a refused change only whether the order lives."""
        order_id = outcome.client_order_id
        record = self.find(order_id)
        if record is None:
            return
        refused = isinstance(outcome, OrderRejected) and record.venue_order_id is not None and not record.confirmed
        if refused and self.prompt:  # the kernel must bear being told; when it cannot be about anything else
            self.feed(outcome)
        self.ask_later(order_id, whether_it_lives=refused)

    def tell(self, index: int) -> None:
        """One piece of news arrives, not always the oldest."""
        if self.venue.events:
            self.hear(self.venue.take(index % len(self.venue.events)))

    def answer(self) -> None:
        """The venue is asked about one order."""
        if self.asking:
            order_id = next(iter(self.asking))
            whether_it_lives = self.asking.pop(order_id)
            if order_id in self.asked:  # not without a pause, and no request takes as long as that
                self.carry_out_all()
                self.venue.now_ms += 1_000
            self.asked.add(order_id)
            for event in self.venue.ask(order_id):
                if not (whether_it_lives and isinstance(event, OrderAccepted)):
                    self.hear(event)

    def move(self, ticks: int) -> None:
        """The price moves by so many tenths."""
        self.wait()
        price = max(self.venue.price + Decimal(ticks) / 10, Decimal(1))
        self.highest, self.lowest = max(self.highest, price), min(self.lowest, price)
        self.venue.move(price)

    def close_candle(self) -> None:
        """A minute is over; no request takes as long as that."""
        self.carry_out_all()
        venue = self.venue
        venue.now_ms += MINUTE_MS - venue.now_ms % MINUTE_MS
        candle = Candle(
            venue.now_ms - MINUTE_MS,
            float(self.opened_at),
            float(self.highest),
            float(self.lowest),
            float(venue.price),
            1.0,
        )
        self.feed(CandleClosed(candle, venue.now_ms))
        self.highest = self.lowest = self.opened_at = venue.price
        present, held = self.state.signal, self.held()
        if isinstance(present, Closing) and held > 0:
            dust = not self.rules.instrument.takes(held, INSTRUMENT.round_price(present.position.entry_price))
            assert dust or self.live_records(Leg.EXIT), "closing, and no exit is on its way after a candle"

    def wait(self) -> None:
        """Some time passes, within the minute."""
        left = MINUTE_MS - 1 - self.venue.now_ms % MINUTE_MS
        self.venue.now_ms += min(left, self.chance.randrange(3000))

    def leave(self, reason: CloseReason) -> None:
        """Someone wants out."""
        self.feed(ExitRequested(reason, self.venue.now_ms))

    def withdraw(self) -> None:
        """Trading is not ACTIVE any more."""
        self.feed(EntriesWithdrawn(self.venue.now_ms))

    def adjust(self, stop: int, target: int) -> None:
        """The strategy wants other prices; None for 0."""
        price = float(self.venue.price)
        adjustment = Adjustment(
            stop_loss=price + stop / 10 if stop else None, take_profit=price + target / 10 if target else None
        )
        self.feed(Adjusted(adjustment, self.venue.price, self.venue.now_ms))

    def close_by_hand(self) -> None:
        """Somebody takes lots off the position at the venue."""
        lots = int(abs(self.venue.net) / LOT)
        if lots:
            self.venue.close_by_hand(LOT * (1 + self.chance.randrange(lots)))

    def make_coarser(self) -> None:
        """The venue has larger lots and ticks from now on; what rests there stays as it is."""
        self.venue.lot, self.venue.tick = Decimal("0.01"), Decimal("0.1")
        changes = {"lot_step": self.venue.lot, "tick_size": self.venue.tick}
        least = max(self.venue.lot, self.rules.instrument.minimum_quantity)
        instrument = replace(self.rules.instrument, minimum_quantity=least, **changes)
        self.rules = replace(self.rules, instrument=instrument)

    def reconcile(self) -> None:
        """Ask about all that is unsettled, then believe the venue about the position."""
        with self.venue.at_peace():
            for _ in range(2):
                self.carry_out_all()
                for record in self.state.orders:
                    if not record.settled:
                        for event in self.venue.ask(record.request.client_order_id):
                            self.hear(event)
            missing = self.held_by_state() - abs(self.venue.net)
        assert missing >= 0, "the venue holds more than we know of"
        present = self.state.signal
        if not missing:
            return
        assert isinstance(present, Open | Closing)
        gone = ClosedOutside(quantity=missing, price=self.venue.price, ts_ms=self.venue.now_ms)
        side = present.signal.side.exit_order
        fill = Fill(trade_id="", client_order_id="", ts_ms=0, side=side, price=gone.price, quantity=missing, fee=ZERO)
        self.outside.append(fill)
        self.feed(gone)

    def crash(self) -> None:
        """Everything but the saved state and the venue is lost; then recovery, as the daemon does it."""
        self.todo.clear()
        self.asking.clear()
        self.venue.events.clear()
        self.venue.now_ms += self.chance.randrange(3000)
        self.reconcile()

    def crash_while_saving(self) -> None:
        """A piece of news was worked on, and what came of it never reached the disk."""
        if self.venue.events:
            self.venue.events.pop(0)
        self.crash()

    # Feeding

    def hear(self, event: OrderEvent) -> None:
        """As the daemon: events of orders that the state does not know are put aside."""
        order_id = event.fill.client_order_id if isinstance(event, OrderFilled) else event.client_order_id
        if self.find(order_id) is not None:
            self.feed(event)

    def feed(self, event: Input) -> Step:
        """One step; all that must hold after any step is checked here."""
        before = self.state
        fingerprint = hash(before)
        if isinstance(event, Admitted):
            candidate = event.approved.candidate
            assert candidate is not None
            self.admitted[candidate.order.client_order_id] = candidate.price
        made = step(before, event, self.rules)
        assert made == step(before, event, self.rules), "not deterministic"
        assert hash(before) == fingerprint, "the input was changed"
        self.state = made.state
        self.check_step(before, event, made)
        self.facts.extend(made.facts)
        if len(made.state.outbox) > 50:  # the ledger has them
            self.state = replace(made.state, outbox=())
        for request in made.requests:
            if isinstance(request, Cancel):
                self.check_replacement(request)
            if isinstance(request, Amend):
                self.count(f"{request.approved.order.leg.name} changed")
            if isinstance(request, AskAdmission):
                self.admit(request.candidate)
            else:
                self.todo.append(request)
        self.ask_about_the_dark()
        return made

    def admit(self, candidate: Candidate) -> None:
        """The portfolio decides at once."""
        if self.chance.random() < 0.7:
            self.feed(Admitted(approve(candidate), candidate.ts_ms))

    def ask_later(self, order_id: str, *, whether_it_lives: bool = False) -> None:
        self.asking.setdefault(order_id, whether_it_lives)

    def ask_about_the_dark(self) -> None:
        for record in self.state.orders:
            if record.status is OrderStatus.UNKNOWN or not (record.settled or record.status.live):
                self.ask_later(record.request.client_order_id)

    # What must hold after every step

    def check_step(self, before: SymbolState, event: Input, made: Step) -> None:
        state = made.state
        self.count(type(event).__name__)
        for fact in made.facts:
            self.count(type(fact).__name__)
            if isinstance(fact, OrderFailed) and fact.code == TOO_LARGE:
                self.count(TOO_LARGE)
        assert [fact.sequence for fact in made.facts] == list(
            range(before.sequence + 1, before.sequence + 1 + len(made.facts))
        )
        assert state.sequence == before.sequence + len(made.facts)
        assert state.outbox == before.outbox + made.facts
        assert len(state.orders) <= MOST_ORDERS, "the state grows"
        assert len(made.requests) <= MOST_REQUESTS, "one input, too many requests"
        self.check_intents(state, made)
        self.note_repeated_entries(made)
        self.check_exposure(state, made)
        self.check_room(state)
        self.clear_dust(made.facts)
        self.check_tightening(state)
        self.check_protection(state)
        self.check_venue(state)
        for fact in made.facts:
            if isinstance(fact, SignalClosed):
                self.check_profit(fact)

    def check_intents(self, state: SymbolState, made: Step) -> None:
        known = {record.request.client_order_id: record for record in state.orders}
        for request in made.requests:
            if isinstance(request, Submit):
                order = request.approved.order
                assert known[order.client_order_id].request == order
                assert known[order.client_order_id].status is OrderStatus.INTENDED
                assert order.reduce_only is not order.leg.opens
            elif isinstance(request, Amend):
                assert known[request.approved.order.client_order_id].request.client_order_id
                assert known[request.approved.order.client_order_id].status.live
            elif isinstance(request, Cancel):
                assert known[request.client_order_id].cancel_requested

    def check_exposure(self, state: SymbolState, made: Step) -> None:
        seen, expected = exposure_of(state.signal, state.orders), self.expected_exposure(state)
        assert seen == expected
        for value in (seen.quantity, seen.open_notional, seen.pending_notional, seen.risk_to_stop):
            assert value >= 0
        for fact in made.facts:
            assert fact.exposure == expected

    def note_repeated_entries(self, made: Step) -> None:
        """An entry that the venue refused is sent again, in the room that was kept for it."""
        for request in made.requests:
            if isinstance(request, Submit) and request.approved.order.leg is Leg.ENTRY:
                order = request.approved.order
                if order.attempt > 1:
                    self.count("ENTRY sent again")
                    before = f"{order.client_order_id[:-2]}{order.attempt - 1:02x}"
                    assert order.price is not None
                    self.admitted[order.client_order_id] = max(self.admitted[before], order.price)
                else:
                    self.room = order.quantity * self.admitted[order.client_order_id]

    def check_room(self, state: SymbolState) -> None:
        """What resting entries have bought and may still buy fits into the room, and is no more than we count."""
        family = client_order_id("perp", "trend", INSTRUMENT.symbol, number=state.number, leg=Leg.ENTRY, attempt=1)[:-2]
        orders = [order for name, order in self.venue.orders.items() if name.startswith(family)]
        entries = [order for order in orders if order.request.kind is OrderKind.LIMIT]
        if isinstance(state.signal, Idle) or not entries:
            return
        resting = sum((order.remaining * (order.request.price or 0) for order in entries if order.working), ZERO)
        bought = sum((fill.quantity * fill.price for order in entries for fill in order.fills), ZERO)
        assert resting + bought <= self.room, (
            "more than was admitted",
            resting,
            bought,
            self.room,
            orders,
            state.orders,
        )
        known = state.signal.position.entries if isinstance(state.signal, Open | Closing) else ()
        heard = sum((fill.quantity * fill.price for fill in known if fill.client_order_id.startswith(family)), ZERO)
        average = any(record.request.leg is Leg.AVERAGE for record in state.orders)
        counted = exposure_of(state.signal, state.orders).pending_notional
        assert average or resting + bought - heard <= counted, "less is counted than may be bought"

    def clear_dust(self, facts: tuple[Fact, ...]) -> None:
        """What was told as dust is there, too little for the venue, and somebody sells it elsewhere."""
        for told, reduced in pairwise(facts):
            if isinstance(told, OrderFailed) and told.code == DUST:
                self.count(DUST)
                assert isinstance(reduced, PositionReduced)
                assert not self.rules.instrument.takes(reduced.quantity, reduced.price)
                assert abs(self.venue.net) <= reduced.quantity, "more is there than was told as dust"
                self.venue.close_by_hand(reduced.quantity)
                self.outside.append(
                    Fill(
                        trade_id="",
                        client_order_id="",
                        ts_ms=0,
                        side=reduced.side.exit_order,
                        price=reduced.price,
                        quantity=reduced.quantity,
                        fee=ZERO,
                    )
                )

    def expected_exposure(self, state: SymbolState) -> Exposure:
        present = state.signal
        if isinstance(present, Idle):
            return Exposure()
        signal = present.signal
        pending = pending_notional = ZERO
        for record in state.orders:
            if record.request.leg in (Leg.ENTRY, Leg.AVERAGE):
                waiting = isinstance(present, Scheduled) and present.waiting
                most = record.request.quantity if record.status.live or waiting else record.reported_filled
                pending += most - record.filled
                pending_notional += (most - record.filled) * self.admitted[record.request.client_order_id]
        if isinstance(present, Scheduled | Opening):
            return Exposure(
                side=signal.side,
                pending_notional=pending_notional,
                risk_to_stop=abs(pending_notional - pending * signal.stop_loss),
            )
        entries, exits = present.position.entries, present.position.exits
        bought = sum((fill.quantity for fill in entries), ZERO)
        paid = sum((fill.quantity * fill.price for fill in entries), ZERO)
        sold = sum((fill.quantity for fill in exits), ZERO)
        got = sum((fill.quantity * fill.price for fill in exits), ZERO)
        fees = sum((fill.fee for fill in (*entries, *exits)), ZERO)
        average, quantity = paid / bought, max(ZERO, bought - sold)  # exits may be heard of before entries
        cost = quantity * average + pending_notional
        loss = signal.side.sign * (cost - (quantity + pending) * present.stop_loss)
        return Exposure(
            side=signal.side,
            quantity=quantity,
            entry_price=average,
            open_notional=quantity * average,
            pending_notional=pending_notional,
            risk_to_stop=max(ZERO, loss),
            booked=signal.side.sign * (got - paid * sold / bought) - fees,
        )

    def check_tightening(self, state: SymbolState) -> None:
        present = state.signal
        if not isinstance(present, Open | Closing):
            return
        signal, last = present.signal, self.tightest
        if last is None or last.number != signal.number:
            last = Tightest(signal.number, signal.stop_loss, signal.take_profit)
        sign = signal.side.sign
        assert sign * (present.stop_loss - last.stop_loss) >= 0, "the stop was loosened"
        assert sign * (present.take_profit - last.take_profit) <= 0, "the target was loosened"
        self.tightest = Tightest(signal.number, present.stop_loss, present.take_profit)
        for record in state.orders:
            if record.request.leg is Leg.STOP and record.status.live:
                assert record.request.trigger_price is not None
                assert sign * (record.request.trigger_price - signal.stop_loss) >= 0

    def check_protection(self, state: SymbolState) -> None:
        if isinstance(state.signal, Open) and self.rules.replaces_stops:
            self.check_stops_beside_each_other(state.signal)
        elif isinstance(state.signal, Open):
            stops = self.live_records(Leg.STOP)
            assert len(stops) <= 1
            wanted = self.held(but_for=self.making_room())
            if wanted > 0:
                assert stops, "open, and no stop is wanted"
                covered = stops[0].request.quantity - stops[0].filled
                assert covered >= wanted
                held_back = self.rules.amend_interval_ms and stops[0].amended_ms is not None
                assert held_back or covered == wanted or self.unheard()
                held_back = self.rules.amend_interval_ms and stops[0].amended_ms is not None
                assert held_back or stops[0].request.trigger_price == state.signal.stop_loss
        elif isinstance(state.signal, Idle):
            assert not state.orders

    def check_stops_beside_each_other(self, present: Open) -> None:
        live = self.live_records(Leg.STOP)
        stops = [record for record in live if not record.cancel_requested]
        assert len(stops) <= 3
        if self.held() <= 0:
            return
        assert stops, "open, and no stop is wanted"
        newest = stops[-1]
        refused = self.tried(Leg.STOP) - newest.request.attempt
        if newest.status is not OrderStatus.WORKING or refused or self.rules.amend_interval_ms:
            return
        assert newest.request.quantity - newest.filled == self.held() or self.unheard()
        assert newest.request.trigger_price == present.stop_loss
        assert len(stops) == 1 or not newest.confirmed

    def check_replacement(self, cancel: Cancel) -> None:
        """Of an open position no stop is taken back for which there is no other."""
        record = self.find(cancel.client_order_id)
        if record is None or record.request.leg is not Leg.STOP or not isinstance(self.state.signal, Open):
            return
        if self.rules.replaces_stops and self.held() > 0:
            self.count("STOP replaced")
            wanted = min(self.held(), record.request.quantity - record.filled)
            assert any(
                other.confirmed
                and other.status is OrderStatus.WORKING
                and not other.cancel_requested
                and other.request.quantity - other.filled >= wanted
                for other in self.live_records(Leg.STOP)
            ), "a stop is taken back, and no other one protects"

    def check_venue(self, state: SymbolState) -> None:
        opening = [order for order in self.venue.live() if order.request.leg.opens]
        assert len(opening) <= 1, "two live entry orders"
        for record in state.orders:
            assert record.request.leg.protects or record.filled <= record.request.quantity
        if isinstance(state.signal, Idle):
            assert not self.venue.live(), "idle, and an order lives at the venue"
            assert not self.venue.late, "idle, and an order may still land"

    def check_profit(self, fact: SignalClosed) -> None:
        number = int(fact.signal_id.rpartition("#")[2])
        fills = [fill for fill in self.venue.fills if number_of(fill.client_order_id) == number]
        entries = [fill for fill in fills if leg_of(fill.client_order_id).opens]
        exits = [fill for fill in fills if not leg_of(fill.client_order_id).opens] + self.outside
        self.outside = []
        assert sum((fill.quantity for fill in entries), ZERO) == sum((fill.quantity for fill in exits), ZERO)
        paid = sum((Fraction(fill.quantity) * Fraction(fill.price) for fill in entries), Fraction(0))
        got = sum((Fraction(fill.quantity) * Fraction(fill.price) for fill in exits), Fraction(0))
        fees = sum((Fraction(fill.fee) for fill in (*entries, *exits)), Fraction(0))
        assert Fraction(fact.pnl_net) == fact.side.sign * (got - paid) - fees
        assert Fraction(fact.fees) == fees
        assert fact.exposure == Exposure()

    # Reading

    def live_records(self, leg: Leg) -> list:
        return [record for record in self.state.orders if record.request.leg is leg and record.status.live]

    def held_by_state(self) -> Decimal:
        present = self.state.signal
        return present.position.quantity if isinstance(present, Open | Closing) else ZERO

    def held(self, *, but_for: Decimal = ZERO) -> Decimal:
        """What the venue's reports leave of the position, but for so much of it, in whole lots."""
        reducing = (record for record in self.state.orders if not record.request.leg.opens)
        unheard = sum((record.reported_filled - record.filled for record in reducing), ZERO)
        exact = self.held_by_state() - unheard - but_for
        return exact - exact % self.venue.lot

    def unheard(self) -> bool:
        """Whether something has closed a part of the position, and its fills are still to come."""
        return any(
            record.reported_filled > record.filled for record in self.state.orders if not record.request.leg.opens
        )

    def making_room(self) -> Decimal:
        """How much smaller the stop is for a partial exit that cannot stand beside it."""
        partials = [] if self.rules.resting_target else self.live_records(Leg.PARTIAL)
        return sum((record.request.quantity - record.filled for record in partials), ZERO)

    def find(self, order_id: str) -> OrderRecord | None:
        return next((record for record in self.state.orders if record.request.client_order_id == order_id), None)

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    # Coming to rest

    def come_to_rest(self) -> None:
        """With a venue that behaves from now on, everything settles soon, and then all books agree."""
        with self.venue.at_peace():
            self._come_to_rest()

    def _come_to_rest(self) -> None:
        candles = 0
        begun = self.venue.now_ms // MINUTE_MS
        for _ in range(QUIET_TURNS):
            if self.venue.now_ms // MINUTE_MS > begun:
                self.reconcile()
                self.close_candle()
                begun = self.venue.now_ms // MINUTE_MS
            if self.turn():
                continue
            if self.at_rest() and self.agrees():
                break
            if self.at_rest() or self.held_by_state() != abs(self.venue.net):
                self.reconcile()
            else:
                candles += 1
                assert candles <= 8, f"not at rest after {candles} candles"
                self.close_candle()
        else:
            raise AssertionError("requests never end")
        self.check_rest()

    def turn(self) -> bool:
        """One thing that is waiting is done; False if nothing is."""
        running = any(order.running for order in self.venue.live())
        waiting: tuple[tuple[bool, Callable[[], None]], ...] = (
            (running and self.chance.random() < 0.5, self.venue.work),
            (bool(self.venue.events), lambda: self.tell(0)),
            (bool(self.todo), self.carry_out),
            (bool(self.asking), self.answer),
            (bool(self.venue.late or self.venue.late_changes), self.venue.land),
            (running, self.venue.work),
        )
        for due, act in waiting:
            if due:
                act()
                return True
        return False

    def at_rest(self) -> bool:
        present = self.state.signal
        if isinstance(present, Open):
            stops, targets = self.live_records(Leg.STOP), self.live_records(Leg.TARGET)
            return (
                all(record.confirmed for record in stops + targets)
                and all(self.in_line(present, record) for record in stops + targets)
                and (bool(targets) or not self.wants_target())
            )
        return isinstance(present, Idle) or (
            isinstance(present, Scheduled) and present.cancel is None and not present.waiting
        )

    def in_line(self, present: Open, record: OrderRecord) -> bool:
        """Whether no change of this order is held back."""
        wanted = (present.stop_loss, None) if record.request.leg is Leg.STOP else (None, present.take_profit)
        left = record.request.quantity - record.filled
        return not self.held() or (record.request.trigger_price, record.request.price, left) == (*wanted, self.held())

    def wants_target(self) -> bool:
        """Whether a position at rest has a target at the venue."""
        return self.rules.resting_target and self.tried(Leg.TARGET) < self.rules.protection_attempts

    def tried(self, leg: Leg) -> int:
        attempts = [record.request.attempt for record in self.state.orders if record.request.leg is leg]
        return max(attempts, default=0)

    def agrees(self) -> bool:
        """Whether each live order looks at the venue as it does here, and so does the position."""
        here = {record.request.client_order_id: record.request for record in self.state.orders if record.status.live}
        there = {order.request.client_order_id: order.request for order in self.venue.live()}
        return here == there and self.held_by_state() == abs(self.venue.net)

    def check_rest(self) -> None:
        present, live = self.state.signal, self.venue.live()
        if not isinstance(present, Open):
            return
        stops, targets = of_leg(live, Leg.STOP), of_leg(live, Leg.TARGET)
        quantity = self.held()
        if not quantity:
            return  # less than a lot; what rests from before may close it
        assert [(order.remaining, order.request.trigger_price) for order in stops] == [(quantity, present.stop_loss)]
        assert protected(present, self.state.orders)
        assert self.rules.resting_target or not targets
        if targets or self.wants_target():
            assert [(order.remaining, order.request.price) for order in targets] == [(quantity, present.take_profit)]

    def finish(self) -> None:
        """Everybody goes home: nothing is left anywhere, and each signal's facts make one whole story."""
        self.come_to_rest()
        self.leave(CloseReason.OPERATOR)
        self.come_to_rest()
        assert isinstance(self.state.signal, Idle)
        assert not self.venue.net
        self.check_stories()

    def check_stories(self) -> None:
        assert [fact.sequence for fact in self.facts] == list(range(1, len(self.facts) + 1))
        for number in range(1, self.state.number + 1):
            mine = [fact for fact in self.facts if fact.signal_id.endswith(f"#{number}")]
            assert isinstance(mine[0], SignalOpening | SignalScheduled)
            assert isinstance(mine[-1], SignalClosed | EntryCancelled)
            ends = [fact for fact in mine if isinstance(fact, SignalClosed | EntryCancelled)]
            assert len(ends) == 1
            opened = sum(isinstance(fact, SignalOpened) for fact in mine)
            closing = sum(isinstance(fact, SignalClosing) for fact in mine)
            assert opened == closing == isinstance(mine[-1], SignalClosed)


def of_leg(orders: list[ModelOrder], leg: Leg) -> list[ModelOrder]:
    """Those of one leg."""
    return [order for order in orders if order.request.leg is leg]


def raises_and_changes_nothing(state: SymbolState, event: Input) -> bool:
    """Whether the kernel refuses this input."""
    fingerprint = hash(state)
    try:
        step(state, event, RULES)
    except IllegalTransition:
        return hash(state) == fingerprint
    return False
