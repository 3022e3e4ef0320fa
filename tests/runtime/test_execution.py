"""Orders on their way out: what an answer means, what no answer means, and when an order was never there."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.denial import TradingState
from livebot.core.inputs import (
    Cancel,
    OrderAbsent,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    OrderUnknown,
)
from livebot.core.limits import Limits
from livebot.core.market import OrderSide
from livebot.core.order import Fill, Leg, OrderKind, OrderRequest, OrderStatus, VenueOrder, VenuePosition
from livebot.core.risk import Approved, approve_reduction, judge
from livebot.errors import BadInput, Fatal, Rejected, Transient, Unknown
from livebot.ports import VenueNotice
from livebot.runtime.settings import ExecutionSettings
from livebot.runtime.venue.execution import Execution
from tests.core.examples import CANDIDATE, USAGE
from tests.core.kernel_driver import RULES
from tests.core.signal_story import Story
from tests.virtual_loop import VirtualClock, run, settle

D = Decimal
BTC, ETH, SOL = "BTC/USDT", "ETH/USDT", "SOL/USDT"
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
    refuses_repeated_ids = True
    positions_may_lag = True

    def __init__(self, *, window_ms: int = 1_000) -> None:
        self.absence_window_ms = window_ms
        self.answers: dict[str, list] = {}
        self.calls: list[tuple[float, str]] = []
        self.looked_at: list[frozenset[str] | None] = []

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

    async def fetch_open_orders(self, symbols=None):
        self.looked_at.append(symbols)
        return await self._answer("fetch_open_orders", ())

    async def fetch_positions(self):
        return await self._answer("fetch_positions", ())

    async def fetch_account(self):
        return await self._answer("fetch_account", None)

    def times(self, call: str) -> list[float]:
        return [at for at, name in self.calls if name == call]


@pytest.mark.parametrize(
    ("may_lag", "window_ms", "lag_s"), [(True, 1_000, 10.0), (True, 20_000, 20.0), (False, 20_000, 0.0)]
)
def test_a_list_of_positions_may_be_as_far_behind_as_is_configured_or_as_the_venues_window_lasts(
    may_lag, window_ms, lag_s
):
    """Whichever is longer; not at all where the venue's list is never behind."""
    venue = Venue(window_ms=window_ms)
    venue.positions_may_lag = may_lag
    assert execution(venue).lag_s == lag_s


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
def test_no_answer_is_unknown(answer, text, logs):
    """Never a failure: it may have happened; why is in the log."""
    outcome = run(execution(Venue().will("submit", answer)).submit(approve_reduction(STOP)))
    assert isinstance(outcome, OrderUnknown)
    assert (outcome.client_order_id, outcome.text) == ("stop-1", text)
    assert [(line["event"], line["symbol"], line["order"], line["why"]) for line in logs] == [
        ("order_unknown", BTC, "stop-1", text)
    ]


def test_what_makes_an_order_unknown_is_in_the_log(logs):
    """The venue's own words, and its code."""
    unknown = OrderUnknown(client_order_id="stop-1", text="position limit exceeded (code 110090)", ts_ms=0)
    assert run(execution(Venue().will("submit", unknown)).submit(approve_reduction(STOP))) == unknown
    assert [(line["what"], line["why"]) for line in logs] == [("stop order", unknown.text)]


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


@pytest.mark.parametrize("error", [Rejected("no"), BadInput("no"), Unknown("no"), Fatal("no")])
def test_an_error_in_place_of_an_outcome_says_nothing_of_the_order(error):
    """It is asked for, like any that was not answered."""
    outcome = run(execution(Venue().will("submit", error)).submit(approve_reduction(STOP)))
    assert outcome == OrderUnknown(client_order_id="stop-1", text="no", ts_ms=0)


def test_a_venue_that_takes_no_orders_stops_entries_until_it_takes_one():
    """Answers to questions do not lift that: the key may be one that can only read."""
    venue = Venue().will(
        "submit", Fatal("read-only key"), OrderRejected(client_order_id="x", code="", text="", ts_ms=0)
    )
    told: list[VenueNotice] = []
    made = Execution(venue, VirtualClock(0), SETTINGS, lambda _: True, told.append)  # type: ignore[arg-type]
    assert isinstance(run(made.submit(approve_reduction(STOP))), OrderUnknown)
    (notice,) = told
    assert (notice.source, notice.blocks_entries, notice.reconcile) == ("orders", True, False)
    assert notice.text == "the venue takes no orders from us: read-only key; nothing opens until it takes one"
    run(made.insisted(venue.fetch_positions))
    run(made.submit(approve_reduction(STOP)))
    assert len(told) == 1
    run(made.submit(approve_reduction(STOP)))
    run(made.submit(approve_reduction(STOP)))
    assert told[1:] == [VenueNotice(source="orders", text=None)]


# ---------------------------------------------------------------- taking back


def test_taking_back_is_repeated_for_a_while():
    """It is safe to ask twice."""
    venue = Venue().will("cancel", Transient("no"), Unknown("no"), None)
    assert run(execution(venue).cancel(BTC, "stop-1"))
    assert venue.times("cancel") == [0.0, 0.1, 0.3]


def test_taking_back_takes_no_longer_than_an_order_may_take():
    """Whoever waits for it has other orders to send: perhaps a stop."""

    async def main() -> float:
        venue = Venue().will("cancel", Transient("no"), 5.0, 5.0, 5.0)
        assert not await execution(venue).cancel(BTC, "stop-1")
        return asyncio.get_running_loop().time()

    assert run(main()) == SETTINGS.order_timeout_s


@pytest.mark.parametrize(
    "answers",
    [
        [Rejected("there is no such order")],
        [BadInput("what is that")],
        [Fatal("the key was revoked")],
        [Transient("no"), Unknown("no"), Unknown("no")],
        [Transient("no")] * 3,
        [5.0, 5.0, 5.0],
    ],
)
def test_what_cannot_be_taken_back_has_to_be_asked_about(answers):
    """Unknown there, or nobody answers."""
    assert not run(execution(Venue().will("cancel", *answers)).cancel(BTC, "stop-1"))


# ---------------------------------------------------------------- asking


def test_an_order_that_is_not_found_is_absent_only_after_the_window():
    """It is looked for again and again, and a last time when the window has passed."""
    venue = Venue(window_ms=1_200)
    assert run(execution(venue).ask(STOP)) == (OrderAbsent(client_order_id="stop-1", ts_ms=1_200),)
    assert venue.times("fetch_order") == [0.0, 0.5, 1.2]  # each time after twice the wait, and at the window's end


@pytest.mark.parametrize(
    ("at_s", "answer", "asked"),
    [
        (0.7, Transient("the connection was cut"), [0.0, 0.5, 1.0, 2.0]),
        (1.1, Transient("the connection was cut"), [0.0, 0.5, 1.0, 2.4]),
        (0.7, 1.5, [0.0, 0.5, 2.2, 3.5]),
    ],
    ids=["between-questions", "during-the-last-one", "for-long"],
)
def test_an_order_that_is_sent_again_while_it_is_asked_about_has_its_whole_window(at_s, answer, asked):
    """The copy may arrive until then; while it is in flight nothing is asked.  The third question takes a while."""

    async def main() -> None:
        answers = [] if isinstance(answer, Exception) else [answer]
        venue = Venue().will("submit", *answers, Transient("the connection was cut"))
        venue.will("fetch_order", None, None, 0.3, None)
        sending = execution(venue)
        question = asyncio.ensure_future(sending.ask(STOP))
        await asyncio.sleep(at_s)
        assert isinstance(await sending.submit(approve_reduction(STOP)), OrderUnknown)
        sent_s = asyncio.get_running_loop().time()
        (event,) = await question
        assert isinstance(event, OrderAbsent)
        assert event.ts_ms >= (sent_s + 1.0) * 1_000
        assert venue.times("fetch_order") == asked

    run(main())


def test_what_can_no_longer_arrive_is_forgotten():
    """When something else is sent."""

    async def main() -> None:
        sending = execution(Venue())
        for number in range(20):
            await sending.submit(approve_reduction(replace(STOP, client_order_id=f"stop-{number}")))
            await asyncio.sleep(1.0)
        assert list(sending._sent_s) == [f"stop-{number}" for number in range(16, 20)]

    run(main())


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
    """Accepted while it works, filled, ended."""
    fills = (a_fill("t1"), a_fill("t2"))
    working = venue_order(filled=1)
    venue = (
        Venue().will("fetch_order", working, venue_order(OrderStatus.FILLED, 2)).will("fetch_fills", fills[:1], fills)
    )
    assert run(execution(venue).ask(STOP)) == (accepted(STOP), OrderFilled(fills[0], 7))
    assert run(execution(venue).ask(STOP)) == (
        OrderFilled(fills[0], 7),
        OrderFilled(fills[1], 7),
        OrderEnded(client_order_id="stop-1", status=OrderStatus.FILLED, filled=D(2), ts_ms=0),
    )


@pytest.mark.parametrize("replaces_stops", [True, False])
def test_a_stop_that_was_triggered_and_has_ended_is_not_taken_for_a_changed_one(replaces_stops):
    """The plain order that came of it has no trigger; another stop, or a change, would be for a position that is gone."""
    story = Story(rules=replace(RULES, replaces_stops=replaces_stops)).open(2)
    stop = story.record(Leg.STOP).request
    fill = replace(a_fill(quantity=2), client_order_id=stop.client_order_id)
    ended = replace(venue_order(OrderStatus.FILLED, 2), kind=OrderKind.MARKET, trigger_price=None)
    venue = Venue().will("fetch_order", ended).will("fetch_fills", (fill,))
    asked = []
    for event in run(execution(venue).ask(stop)):
        asked += story.feed(replace(event, ts_ms=60_000)).requests
    assert [type(each) for each in asked] == [Cancel]  # the target
    assert story.told[-1] == "SignalClosing"


def test_a_refusal_is_told_as_such():
    """Nothing else came of it."""
    venue = Venue().will("fetch_order", venue_order(OrderStatus.REJECTED))
    (event,) = run(execution(venue).ask(STOP))
    assert isinstance(event, OrderRejected)


def test_fills_that_are_counted_and_not_listed_yet_are_waited_for():
    """As long as the window lasts; what is withheld longer is left to the caller."""
    counted = venue_order(OrderStatus.FILLED, 2)
    venue = Venue().will("fetch_order", counted, counted).will("fetch_fills", (a_fill(),), (a_fill(), a_fill("t2")))
    assert len(run(execution(venue).ask(STOP))) == 3
    assert venue.times("fetch_order") == [0.0, 0.5]
    stingy = Venue().will("fetch_order", *[counted] * 9).will("fetch_fills", *[(a_fill(),)] * 9)
    assert [type(each) for each in run(execution(stingy).ask(STOP))] == [OrderFilled, OrderEnded]
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


@pytest.mark.parametrize("error", [Rejected("rubbish"), BadInput("rubbish"), Unknown("rubbish")])
@pytest.mark.parametrize("call", ["fetch_order", "fetch_fills"])
def test_an_answer_that_cannot_be_used_is_no_answer(call, error):
    """It is asked again, and the operator is told when it happens time and again; it blocks nothing."""
    venue = Venue().will("fetch_order", *[venue_order(OrderStatus.FILLED, 1)] * 9).will("fetch_fills", (a_fill(),))
    venue.answers[call] = [error] * 4 + venue.answers[call]
    told: list[VenueNotice] = []
    made = Execution(venue, VirtualClock(0), SETTINGS, lambda _: True, told.append)  # type: ignore[arg-type]
    assert len(run(made.ask(STOP))) == 2
    assert venue.times(call)[:5] == [0.0, 0.1, 0.3, 0.7, 1.1]
    wrong = "the venue gives answers that cannot be used (rubbish); it is asked on"
    assert told == [VenueNotice(source="answers", text=wrong), VenueNotice(source="answers", text=None)]


def test_one_answer_that_cannot_be_used_is_not_worth_a_word():
    """Twice neither."""
    venue = Venue().will("fetch_positions", *[Rejected("rubbish")] * 2)
    told: list[VenueNotice] = []
    made = Execution(venue, VirtualClock(0), SETTINGS, lambda _: True, told.append)  # type: ignore[arg-type]
    assert run(made.look()).positions == {}
    assert told == []


def test_several_questions_that_are_not_answered_well_are_one_problem():
    """It passes with the last of them, also if that is given up."""

    async def main() -> None:
        venue = Venue().will("fetch_positions", *[Rejected("rubbish")] * 5).will("fetch_account", *[Unknown("no")] * 99)
        told: list[VenueNotice] = []
        made = Execution(venue, VirtualClock(0), SETTINGS, lambda _: True, told.append)  # type: ignore[arg-type]
        first = asyncio.create_task(made.insisted(venue.fetch_positions))
        second = asyncio.create_task(made.insisted(venue.fetch_account))
        await first
        assert [notice.text is None for notice in told] == [False, False]
        second.cancel()
        await settle()
        assert told[-1] == VenueNotice(source="answers", text=None)

    run(main())


def test_a_venue_that_refuses_us_is_asked_on_and_the_operator_is_told():
    """Once, until it answers; the pause is the longest there is."""
    venue = Venue().will("fetch_order", *[Fatal("the key was revoked")] * 3, venue_order())
    told: list[VenueNotice] = []
    made = Execution(venue, VirtualClock(0), SETTINGS, lambda _: True, told.append)  # type: ignore[arg-type]
    assert run(made.ask(STOP)) == (replace(accepted(STOP), ts_ms=1_200),)
    text = "the venue refuses us: the key was revoked; nothing opens until it answers again"
    assert set(told[:-1]) == {VenueNotice(source="questions", text=text, blocks_entries=True)}
    assert told[-1] == VenueNotice(source="questions", text=None)


def test_a_look_that_is_refused_is_refused_to_who_can_wait_and_repeated_for_who_cannot():
    """The account's comparison comes round again; a worker needs what it asks for."""
    venue = Venue().will("fetch_positions", Fatal("no"), Fatal("no"), ())
    made = execution(venue)
    with pytest.raises(Fatal):
        run(made.look())
    made = execution(venue)
    assert run(made.insisted_look()).positions == {}


def test_a_look_shows_the_orders_of_those_who_share_it_and_all_if_one_wants_all():
    async def looks(made, *wanted):
        await asyncio.gather(*(made.look(symbols) for symbols in wanted))

    async def at_once(made):
        await looks(made, (BTC,), (ETH,))
        await looks(made, (BTC,), None, (ETH,))
        await looks(made, (SOL,))

    async def one_after_the_other(made):
        first = asyncio.create_task(looks(made, (BTC,), (ETH,)))
        await asyncio.sleep(0.1)  # under way: who comes now has the next one
        await looks(made, (SOL,), (BTC,))
        await first

    venue = Venue()
    run(at_once(execution(venue)))
    assert venue.looked_at == [{BTC, ETH}, None, {SOL}]
    venue = Venue().will("fetch_positions", 1.0, ())
    run(one_after_the_other(execution(venue)))
    assert venue.looked_at == [{BTC, ETH}, {SOL, BTC}]


def test_a_look_takes_positions_before_orders():
    """An order that closes a position between the two is then missing among the orders, and is asked about."""
    position = VenuePosition(symbol=BTC, quantity=D(2), average_price=D(100))
    venue = Venue().will("fetch_positions", (position,)).will("fetch_open_orders", (venue_order(),))
    seen = run(execution(venue).look())
    assert [name for _, name in venue.calls] == ["fetch_positions", "fetch_open_orders"]
    assert seen.quantity(BTC) == 2
    assert seen.orders == {"stop-1": venue_order()}
