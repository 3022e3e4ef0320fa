"""The runtime's questions about an order whose answer was lost, asked through stock ccxt of a local exchange."""

import pytest

from livebot.adapters.clock import SystemClock
from livebot.core.inputs import OrderAbsent, OrderEnded, OrderFilled, OrderUnknown
from livebot.core.market import OrderSide
from livebot.core.order import Leg
from livebot.runtime.settings import ExecutionSettings
from livebot.runtime.venue.execution import Execution
from tests.adapters.ccxt_venue.desk import BTC, D, approved, binance_seat, order, seat, stop
from tests.virtual_loop import REAL_WAIT_S


def executing(s) -> Execution:
    """The runtime's execution over the seat's exchange, in a hurry."""
    settings = ExecutionSettings(order_timeout_s=REAL_WAIT_S, unknown_poll_s=0.05, retry_backoff_s=0.05)
    return Execution(s.exchange, SystemClock(), settings, lambda _: True)


@pytest.mark.parametrize("opened", [seat, binance_seat])
async def test_a_lost_answer_becomes_the_whole_story(tmp_path, opened):
    async with opened(tmp_path) as s:
        execution = executing(s)
        s.arm("cut", "order/create")
        assert isinstance(await execution.submit(approved(order())), OrderUnknown)
        story = await execution.ask(order())
        assert [type(event) for event in story] == [OrderFilled, OrderEnded]
        assert story[0].fill.quantity == D("0.2")
        await execution.submit(approved(stop("90")))
        snapshot = await execution.look()
        assert snapshot.quantity(BTC) == D("0.2")
        assert list(snapshot.orders) == [stop().client_order_id]
        assert snapshot.unnamed == ()


async def test_an_order_that_never_arrived_is_absent_only_after_the_window(tmp_path, monkeypatch):
    async with seat(tmp_path) as s:
        monkeypatch.setattr(type(s.exchange), "absence_window_ms", 300)
        execution = executing(s)
        s.arm("lose", "order/create")
        with s.hasty():
            assert isinstance(await execution.submit(approved(order())), OrderUnknown)
        assert [type(event) for event in await execution.ask(order())] == [OrderAbsent]


async def test_a_late_order_is_found_inside_the_window(tmp_path, monkeypatch):
    async with seat(tmp_path) as s:
        monkeypatch.setattr(type(s.exchange), "absence_window_ms", 60_000)
        execution = executing(s)
        s.arm("late", "order/create", seconds=0.6)
        with s.hasty():
            assert isinstance(await execution.submit(approved(order())), OrderUnknown)
        story = await execution.ask(order())
        assert [type(event) for event in story] == [OrderFilled, OrderEnded]


async def test_a_look_does_not_count_stops_that_came_with_an_entry_as_anybodys(tmp_path):
    async with seat(tmp_path) as s:
        await s.desk.client(options={"enableUnifiedAccount": True, "enableUnifiedMargin": False}).create_order(
            BTC, "market", "buy", 0.1, None, {"stopLoss": {"triggerPrice": 90}, "tpslMode": "Partial"}
        )
        snapshot = await executing(s).look()
        assert snapshot.unnamed == ()
        assert snapshot.orders == {}
        assert snapshot.quantity(BTC) == D("0.1")


async def test_cancelling_what_is_gone_is_told_so_that_it_is_asked_about(tmp_path):
    async with seat(tmp_path) as s:
        execution = executing(s)
        await execution.submit(approved(order(price="90")))
        assert await execution.cancel(BTC, order().client_order_id)
        assert not await execution.cancel(BTC, order().client_order_id)
        request = order(Leg.EXIT, OrderSide.SELL, number=7)
        assert not await execution.cancel(BTC, request.client_order_id)
