"""Orders on their way out: what an answer means, what no answer means, and when an order was never there."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.inputs import OrderAbsent, OrderAccepted, OrderEnded, OrderFilled, OrderRejected, OrderUnknown
from livebot.core.market import OrderSide
from livebot.core.order import Fill, Leg, OrderKind, OrderRequest, OrderStatus, VenueOrder, VenuePosition
from livebot.core.risk import Approved, Limits, TradingState, approve_reduction, judge
from livebot.errors import BadInput, Rejected, Transient
from livebot.runtime.execution import Execution
from livebot.runtime.settings import ExecutionSettings
from tests.core.examples import CANDIDATE, USAGE
from tests.virtual_loop import VirtualClock, run, settle

D = Decimal
BTC = "BTC/USDT"
STOP = OrderRequest(
    client_order_id="stop-1",
    symbol=BTC,
    leg=Leg.STOP,
    attempt=1,
    side=OrderSide.SELL,
    kind=OrderKind.STOP_MARKET,
    quantity=D(2),
    trigger_price=D(90),
    reduce_only=True,
)
SETTINGS = ExecutionSettings(
    order_timeout_s=2.0, unknown_poll_s=0.5, retries=2, retry_backoff_s=0.1, retry_backoff_maximum_s=0.4
)


def an_entry() -> Approved:
    verdict = judge(replace(USAGE, trading_state=TradingState.ACTIVE), Limits(), CANDIDATE)
    assert isinstance(verdict, Approved)
    return verdict


def accepted(request: OrderRequest) -> OrderAccepted:
    return OrderAccepted(
        client_order_id=request.client_order_id,
        venue_order_id="v1",
        quantity=request.quantity,
        price=request.price,
        trigger_price=request.trigger_price,
        ts_ms=0,
    )


class Venue:
    """Answers as told: each answer is a value, an error, or a number of seconds to wait before the next one."""

    name = "venue"

    def __init__(self, *, window_ms: int = 1_000) -> None:
        self.absence_window_ms = window_ms
        self.answers: dict[str, list] = {}
        self.calls: list[tuple[float, str]] = []

    def will(self, call: str, *answers) -> "Venue":
        self.answers.setdefault(call, []).extend(answers)
        return self

    async def _answer(self, call: str, default):
        self.calls.append((round(asyncio.get_running_loop().time(), 3), call))
        answers = self.answers.get(call, [])
        while answers:
            answer = answers.pop(0)
            if isinstance(answer, float):
                await asyncio.sleep(answer)
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer
        return default

    async def submit(self, approved):
        return await self._answer("submit", accepted(approved.order))

    async def amend(self, approved):
        return await self._answer("amend", accepted(approved.order))

    async def cancel(self, symbol, client_order_id):
        return await self._answer("cancel", None)

    async def fetch_order(self, symbol, client_order_id):
        return await self._answer("fetch_order", None)

    async def fetch_fills(self, symbol, client_order_id):
        return await self._answer("fetch_fills", ())

    async def fetch_open_orders(self):
        return await self._answer("fetch_open_orders", ())

    async def fetch_positions(self):
        return await self._answer("fetch_positions", ())

    def times(self, call: str) -> list[float]:
        return [at for at, name in self.calls if name == call]


def execution(venue: Venue, may_open: Callable[[str], bool] = lambda _: True) -> Execution:
    return Execution(venue, VirtualClock(0), SETTINGS, may_open)  # type: ignore[arg-type]


def venue_order(status: OrderStatus = OrderStatus.WORKING, filled: int = 0) -> VenueOrder:
    return VenueOrder(
        client_order_id="stop-1",
        venue_order_id="v1",
        symbol=BTC,
        side=OrderSide.SELL,
        kind=OrderKind.STOP_MARKET,
        quantity=D(2),
        filled=D(filled),
        status=status,
        trigger_price=D(90),
    )


def a_fill(trade: str = "t1", quantity: int = 1) -> Fill:
    return Fill(
        trade_id=trade,
        client_order_id="stop-1",
        ts_ms=7,
        side=OrderSide.SELL,
        price=D(90),
        quantity=D(quantity),
        fee=D(0),
    )


# ---------------------------------------------------------------- sending


def test_an_answer_is_passed_on():
    """Whatever it is, of a submission and of an amendment."""
    no = OrderRejected(client_order_id="stop-1", code="no", text="no", ts_ms=0)
    venue = Venue().will("amend", no)
    made = execution(venue)
    assert run(made.submit(approve_reduction(STOP))) == accepted(STOP)
    assert run(made.amend(approve_reduction(STOP))) == no
    assert made.in_flight == 0


@pytest.mark.parametrize(
    ("answer", "text"), [(5.0, "no answer within 2 s"), (Transient("the line is dead"), "the line is dead")]
)
def test_no_answer_is_unknown(answer, text):
    """Never a failure: it may have happened."""
    outcome = run(execution(Venue().will("submit", answer)).submit(approve_reduction(STOP)))
    assert isinstance(outcome, OrderUnknown)
    assert (outcome.client_order_id, outcome.text) == ("stop-1", text)


def test_an_order_in_flight_outlives_the_task_that_sent_it():
    """A worker that is cancelled does not cut the line; nothing is said of the order before its answer is there."""

    async def main() -> None:
        venue = Venue().will("submit", 1.0)
        made = execution(venue)
        worker = asyncio.create_task(made.submit(approve_reduction(STOP)))
        await settle()
        worker.cancel()
        await settle()
        assert made.in_flight == 1
        asking = asyncio.create_task(made.ask(STOP))
        taking_back = asyncio.create_task(made.cancel(BTC, "stop-1"))
        changing = asyncio.create_task(made.amend(approve_reduction(STOP)))
        other = asyncio.create_task(made.cancel(BTC, "another"))
        await asyncio.gather(asking, taking_back, changing, other)
        assert [name for at, name in venue.calls if at < 1.0] == ["submit", "cancel"]
        assert venue.times("fetch_order")[0] == 1.0
        assert made.in_flight == 0

    run(main())


def test_who_stops_can_wait_for_what_is_in_flight():
    """Each is bounded by its timeout."""

    async def main() -> None:
        made = execution(Venue().will("submit", 9.0, 9.0))
        sending = asyncio.create_task(made.submit(approve_reduction(STOP)))
        await settle()
        await made.settled()
        assert asyncio.get_running_loop().time() == 2.0
        assert isinstance(await sending, OrderUnknown)
        await made.settled()

    run(main())


def test_what_would_open_something_passes_a_last_gate():
    """What was approved a moment ago is not sent once nothing may open; what protects always is."""
    venue = Venue()
    asked = []
    made = execution(venue, lambda symbol: bool(asked.append(symbol)))
    assert run(made.submit(an_entry())) == OrderAbsent(client_order_id="lb1", ts_ms=0)
    assert venue.calls == []
    assert asked == [BTC]
    assert run(made.submit(approve_reduction(STOP))) == accepted(STOP)
    assert isinstance(run(execution(venue).submit(an_entry())), OrderAccepted)


# ---------------------------------------------------------------- taking back


def test_taking_back_is_repeated_for_a_while():
    """It is safe to ask twice."""
    venue = Venue().will("cancel", Transient("no"), 5.0, None)
    assert run(execution(venue).cancel(BTC, "stop-1"))
    assert venue.times("cancel") == [0.0, 0.1, 2.3]


@pytest.mark.parametrize("answers", [[Rejected("there is no such order")], [Transient("no")] * 3, [5.0, 5.0, 5.0]])
def test_what_cannot_be_taken_back_has_to_be_asked_about(answers):
    """Unknown there, or nobody answers."""
    assert not run(execution(Venue().will("cancel", *answers)).cancel(BTC, "stop-1"))


# ---------------------------------------------------------------- asking


def test_an_order_that_is_not_found_is_absent_only_after_the_window():
    """It is looked for again and again, and a last time when the window has passed."""
    venue = Venue(window_ms=1_200)
    assert run(execution(venue).ask(STOP)) == (OrderAbsent(client_order_id="stop-1", ts_ms=1_200),)
    assert venue.times("fetch_order") == [0.0, 0.5, 1.0, 1.2]


def test_a_venue_without_delay_is_believed_at_once():
    """Its window is 0."""
    venue = Venue(window_ms=0)
    assert run(execution(venue).ask(STOP)) == (OrderAbsent(client_order_id="stop-1", ts_ms=0),)
    assert venue.times("fetch_order") == [0.0]


def test_an_order_that_turns_up_within_the_window_is_found():
    """It was on its way."""
    venue = Venue().will("fetch_order", None, venue_order())
    assert run(execution(venue).ask(STOP)) == (replace(accepted(STOP), ts_ms=500),)


def test_the_story_is_told_in_the_order_in_which_it_happened():
    """Accepted, filled, ended."""
    fills = (a_fill("t1"), a_fill("t2"))
    venue = Venue().will("fetch_order", venue_order(OrderStatus.FILLED, 2)).will("fetch_fills", fills)
    assert run(execution(venue).ask(STOP)) == (
        accepted(STOP),
        OrderFilled(fills[0], 7),
        OrderFilled(fills[1], 7),
        OrderEnded(client_order_id="stop-1", status=OrderStatus.FILLED, filled=D(2), ts_ms=0),
    )


def test_a_refusal_is_told_as_such():
    """Nothing else came of it."""
    venue = Venue().will("fetch_order", venue_order(OrderStatus.REJECTED))
    (event,) = run(execution(venue).ask(STOP))
    assert isinstance(event, OrderRejected)


def test_fills_that_are_counted_and_not_listed_yet_are_waited_for():
    """As long as the window lasts; what is withheld longer is left to the caller."""
    counted = venue_order(OrderStatus.FILLED, 2)
    venue = Venue().will("fetch_order", counted, counted).will("fetch_fills", (a_fill(),), (a_fill(), a_fill("t2")))
    assert len(run(execution(venue).ask(STOP))) == 4
    assert venue.times("fetch_order") == [0.0, 0.5]
    stingy = Venue().will("fetch_order", *[counted] * 9).will("fetch_fills", *[(a_fill(),)] * 9)
    assert [type(each) for each in run(execution(stingy).ask(STOP))] == [OrderAccepted, OrderFilled, OrderEnded]
    assert stingy.times("fetch_order") == [0.0, 0.5, 1.0]


def test_a_question_is_asked_until_it_is_answered():
    """With growing pauses, for ever; each attempt has its time."""
    venue = Venue().will("fetch_positions", *[Transient("no")] * 5, 5.0, ())
    made = execution(venue)
    assert run(made.answered(venue.fetch_positions)) == ()
    assert venue.times("fetch_positions") == [0.0, 0.1, 0.3, 0.7, 1.1, 1.5, 3.9]
    venue = Venue().will("fetch_positions", 5.0)
    assert run(execution(venue).answered(venue.fetch_positions, timeout_s=9.0)) == ()
    assert venue.times("fetch_positions") == [0.0]


def test_what_is_not_passing_is_not_repeated():
    """It goes to who asked."""
    venue = Venue().will("fetch_positions", BadInput("there is no such thing"))
    with pytest.raises(BadInput):
        run(execution(venue).answered(venue.fetch_positions))


def test_a_look_takes_positions_before_orders():
    """An order that closes a position between the two is then missing among the orders, and is asked about."""
    position = VenuePosition(symbol=BTC, quantity=D(2), average_price=D(100))
    venue = Venue().will("fetch_positions", (position,)).will("fetch_open_orders", (venue_order(),))
    seen = run(execution(venue).look())
    assert [name for _, name in venue.calls] == ["fetch_positions", "fetch_open_orders"]
    assert seen.quantity(BTC) == 2
    assert seen.orders == {"stop-1": venue_order()}
