"""What an order's outcome is, by what the exchange and the network did: stock ccxt over TLS to a local Bybit."""

import asyncio
import time
from contextlib import nullcontext

import pytest

from livebot.adapters.ccxt_venue.urgency import PRESENT, Urgency
from livebot.core.inputs import OrderAccepted, OrderFilled, OrderRejected, OrderUnknown
from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderStatus
from livebot.errors import Rejected, Transient
from tests.adapters.ccxt_venue.desk import BTC, QUIET, D, order, replace, seat, stop


async def test_an_order_is_accepted_with_the_id_of_the_venue_and_what_we_sent(tmp_path):
    async with seat(tmp_path) as s:
        outcome = await s.submit(order(price="90", quantity="0.1"))
        found = await s.exchange.fetch_order(BTC, outcome.client_order_id)
        assert isinstance(outcome, OrderAccepted)
        assert (outcome.quantity, outcome.price, outcome.trigger_price) == (D("0.1"), D(90), None)
        assert (found.venue_order_id, found.status) == (outcome.venue_order_id, OrderStatus.WORKING)


HIDDEN = [  # and what ccxt raises for each
    ("silence", {}),  # RequestTimeout
    ("cut", {}),  # ExchangeNotAvailable
    ("truncate", {}),  # ExchangeError
    ("html", {}),  # no exception, no id
    ("empty", {}),  # no exception, no id
    ("status", {"status": 503}),
    ("status", {"status": 500}),
    ("status", {"status": 504}),
]


async def test_whatever_hides_the_answer_the_outcome_is_unknown_and_the_truth_is_found_by_client_id(tmp_path):
    async with seat(tmp_path) as s:
        for number, (fault, more) in enumerate(HIDDEN):
            s.arm(fault, "order/create", **more)
            request = order(number=number)
            with s.hasty() if fault == "silence" else nullcontext():
                outcome = await s.submit(request)
            assert isinstance(outcome, OrderUnknown), (fault, outcome)
            found = await s.exchange.fetch_order(BTC, request.client_order_id)
            assert found.status is OrderStatus.FILLED, fault
            assert len(await s.exchange.fetch_fills(BTC, request.client_order_id)) == 1, fault


async def test_a_failure_that_the_venue_admits_is_unknown_whatever_its_code(tmp_path):
    async with seat(tmp_path) as s:
        for text in ("Request timeout, please try again later", "System error. Please try again later."):
            s.arm("refuse", "order/create", code=10016, text=text)
            assert isinstance(await s.submit(order()), OrderUnknown)
        assert await s.exchange.fetch_order(BTC, order().client_order_id) is None


async def test_a_lost_request_is_unknown_and_later_not_found(tmp_path):
    async with seat(tmp_path) as s:
        s.arm("lose", "order/create")
        with s.hasty():
            assert isinstance(await s.submit(order()), OrderUnknown)
        assert await s.exchange.fetch_order(BTC, order().client_order_id) is None


async def test_an_order_carried_out_late_is_unknown_at_first(tmp_path):
    async with seat(tmp_path) as s:
        server, arrives = s.desk.server, asyncio.Event()
        carry_out_late = server._carry_out_late

        async def when_the_test_says(carry_out, _seconds):
            await arrives.wait()
            await carry_out_late(carry_out, 0.0)

        server._carry_out_late = when_the_test_says
        s.arm("late", "order/create", seconds=1.0)
        with s.hasty():
            assert isinstance(await s.submit(order()), OrderUnknown)
        assert await s.exchange.fetch_order(BTC, order().client_order_id) is None
        arrives.set()
        await s.until(lambda: s.of(OrderFilled))
        assert (await s.exchange.fetch_order(BTC, order().client_order_id)).filled == D("0.2")


REFUSALS = [
    (110007, "ab not enough for new order", "ab not enough for new order (code 110007)"),  # InsufficientFunds
    (110003, "Order price is out of permissible range", "Order price is out of permissible range (code 110003)"),
    (10001, "Qty invalid", "Qty invalid (code 10001)"),  # BadRequest
    (10003, "API key is invalid.", "API key is invalid (code 10003)"),  # AuthenticationError
    (10027, "Trading Banned", "Trading Banned (code 10027)"),  # PermissionDenied
]


async def test_a_refusal_with_the_venues_code_is_definite(tmp_path):
    async with seat(tmp_path) as s:
        for code, text, said in REFUSALS:
            s.arm("refuse", "order/create", code=code, text=text)
            outcome = await s.submit(order())
            assert isinstance(outcome, OrderRejected)
            assert (outcome.code, outcome.text) == (str(code), f"bybit: {said}")
        assert await s.exchange.fetch_order(BTC, order().client_order_id) is None


async def test_an_id_that_is_there_already_is_asked_for_and_not_called_refused(tmp_path):
    async with seat(tmp_path) as s:
        first = await s.submit(order(price="90"))
        again = await s.submit(order(price="90"))
        assert isinstance(first, OrderAccepted)
        assert isinstance(again, OrderUnknown)
        assert len(await s.exchange.fetch_open_orders()) == 1


async def test_too_many_orders_at_once_are_sent_again_under_their_ids(tmp_path):
    async with seat(tmp_path) as s:
        s.arm("refuse", "order/create", code=10006, text="Too many visits.", times=2)
        assert isinstance(await s.submit(order()), OrderAccepted)
        s.arm("refuse", "order/create", code=10006, text="Too many visits.", times=4)
        outcome = await s.submit(order(number=2))
        assert isinstance(outcome, OrderRejected)
        assert outcome.code == "10006"


async def test_a_refused_timestamp_is_mended_and_the_order_sent_again(tmp_path):
    async with seat(tmp_path) as s:
        s.arm("skew", seconds=-8.0)  # our requests come from the future now
        began = time.monotonic()
        outcome = await s.submit(order())
        assert isinstance(outcome, OrderAccepted)
        assert abs(s.connection.skew_ms + 8_000) <= (time.monotonic() - began) * 1_000  # what a reading takes
        notice = s.said("clock")[-1]
        assert notice.blocks_entries
        assert "behind this machine's" in notice.text
        s.arm("skew", seconds=0.0)
        assert isinstance(await s.submit(order(number=2)), OrderAccepted)
        await s.until(lambda: s.said("clock")[-1].text is None)


async def test_what_the_venue_cannot_do_is_refused_before_anything_is_sent(tmp_path):
    async with seat(tmp_path) as s:
        s.arm("cut", "order/create")
        outcome = await s.submit(
            order(Leg.TARGET, OrderSide.SELL, price="110", trigger=None, post_only=False, number=3)
        )
        assert isinstance(outcome, OrderUnknown)  # a target is fine; the fault struck
        wrong = order(Leg.EXIT, OrderSide.SELL, trigger="90")
        outcome = await s.submit(wrong)
        assert isinstance(outcome, OrderRejected)
        assert outcome.code == "unsupported"
        assert "only a protective stop is a stop order" in outcome.text


async def test_a_stop_is_amended_in_place_and_the_answer_is_what_we_asked_for(tmp_path):
    async with seat(tmp_path) as s:
        await s.submit(order())
        first = await s.submit(stop("90"))
        changed = await s.amend(stop("91", "0.1"))
        assert isinstance(changed, OrderAccepted)
        assert changed.venue_order_id == first.venue_order_id
        assert (changed.trigger_price, changed.quantity) == (D(91), D("0.1"))
        found = await s.exchange.fetch_order(BTC, stop().client_order_id)
        assert (found.trigger_price, found.quantity, found.status) == (D(91), D("0.1"), OrderStatus.WORKING)


async def test_an_amendment_of_an_order_that_is_gone_is_refused_and_one_without_answer_unknown(tmp_path):
    async with seat(tmp_path) as s:
        await s.submit(order())
        assert isinstance(await s.amend(order(price="80")), OrderRejected)
        await s.submit(stop("90"))
        s.arm("cut", "order/amend")
        assert isinstance(await s.amend(stop("91")), OrderUnknown)
        assert isinstance(await s.amend(stop("91")), OrderUnknown)  # it looks like that already
        assert (await s.exchange.fetch_order(BTC, stop().client_order_id)).trigger_price == D(91)
        s.arm("refuse", "order/amend", code=34040, text="not modified")
        assert isinstance(await s.amend(stop("91")), OrderUnknown)


async def test_an_entry_that_waits_long_for_its_turn_is_not_sent_and_an_exit_waits(tmp_path):
    """Its price would be one of the past; what reduces goes whenever it can."""
    async with seat(tmp_path, settings=replace(QUIET, turn_s=0.05)) as s:
        others = [asyncio.create_task(s.connection.pace.turn(Urgency.OPENS)) for _ in range(1_000)]
        await asyncio.sleep(0)
        refused = await s.submit(order())
        assert isinstance(refused, OrderRejected)
        assert refused.code == "pace"
        assert "more orders wait than the venue takes within 0.05 s" in refused.text
        assert not s.desk.venue.open_orders()
        exits = await s.submit(order(Leg.EXIT, OrderSide.SELL))
        assert exits.code not in ("pace", "")  # the venue's own: nothing is held
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        assert await s.exchange.fetch_order(BTC, order().client_order_id) is None


async def test_a_call_is_as_urgent_as_it_is_and_what_its_task_asks_for_next_is_not(tmp_path):
    """Else the candles that a worker wants after it has taken a stop back would go before questions about orders."""
    async with seat(tmp_path) as s:
        await s.submit(order(price="90"))
        urgencies = []
        cancel = s.connection.orders.cancel_order

        async def watched(*arguments, **options):
            urgencies.append(PRESENT.get())
            return await cancel(*arguments, **options)

        s.connection.orders.cancel_order = watched
        before = PRESENT.get()
        await s.exchange.cancel(BTC, order().client_order_id)
        assert (urgencies, PRESENT.get()) == ([Urgency.TAKES_BACK], before)


async def test_a_cancelled_order_ends_and_cancelling_it_again_is_refused(tmp_path):
    async with seat(tmp_path) as s:
        request = order(price="90")
        await s.submit(request)
        await s.exchange.cancel(BTC, request.client_order_id)
        assert (await s.exchange.fetch_order(BTC, request.client_order_id)).status is OrderStatus.CANCELED
        s.exchange._news.ended.drop(request.client_order_id)  # as if the stream had not told
        with pytest.raises(Rejected, match=r"order not exists or too late to cancel \(code 110001\)"):
            await s.exchange.cancel(BTC, request.client_order_id)


async def test_a_cancellation_without_answer_is_transient(tmp_path):
    async with seat(tmp_path) as s:
        for number, (fault, more) in enumerate((("cut", {}), ("silence", {}), ("refuse", {"code": 10016}))):
            await s.submit(order(price="90", number=number))
            s.arm(fault, "order/cancel", **more)
            with pytest.raises(Transient), s.hasty() if fault == "silence" else nullcontext():
                await s.exchange.cancel(BTC, order(number=number).client_order_id)


async def test_orders_at_once_go_out_at_once_and_none_is_refused_for_its_rate(tmp_path):
    async with seat(tmp_path) as s:
        send, on_the_way, most = s.connection.orders.fetch, 0, 0

        async def counting(url, *arguments, **options):
            nonlocal on_the_way, most
            on_the_way += "order/create" in url
            most = max(most, on_the_way)
            answer = await send(url, *arguments, **options)
            on_the_way -= "order/create" in url
            return answer

        s.connection.orders.fetch = counting
        outcomes = await asyncio.gather(*(s.submit(order(number=n, quantity="0.1")) for n in range(10)))
        assert most == 10
        assert {type(outcome) for outcome in outcomes} == {OrderAccepted}
