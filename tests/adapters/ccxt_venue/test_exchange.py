"""Questions to the venue: lists page by page, and sentences instead of surprises when an answer is not usable."""

import asyncio

import pytest

from livebot.adapters.ccxt_venue.health import Health
from livebot.adapters.ccxt_venue.remembered import Remembered
from livebot.adapters.ccxt_venue.sound_answers import is_sound
from livebot.core.inputs import OrderEnded
from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderStatus
from livebot.errors import BadInput, Fatal, Transient
from livebot.ports import VenueNotice
from tests.adapters.ccxt_venue.desk import BTC, QUIET, D, order, replace, seat, stop
from tests.simulator.builders import ETH


def rest_by_hand(s, count: int) -> None:
    """So many limit orders of somebody else in the same account."""
    for number in range(count):
        s.desk.venue.place_by_hand(order(price="80", quantity="0.1", number=100 + number), s.desk.venue.now_ms)


async def test_every_open_order_is_listed_page_by_page_also_conditional_ones(tmp_path):
    async with seat(tmp_path) as s:
        await s.submit(order())
        await s.submit(stop("90"))
        rest_by_hand(s, 53)
        listed = await s.exchange.fetch_open_orders()
        assert len(listed) == 54
        assert len({each.venue_order_id for each in listed}) == 54
        assert [each.trigger_price for each in listed if each.client_order_id == stop().client_order_id] == [D(90)]


async def test_a_list_without_an_end_is_refused(tmp_path):
    async with seat(tmp_path, settings=replace(QUIET, pages=1)) as s:
        rest_by_hand(s, 51)
        with pytest.raises(Transient, match="bybit: open orders: more than 1 pages"):
            await s.exchange.fetch_open_orders()


async def test_an_order_is_found_wherever_it_is_and_with_its_trades(tmp_path):
    still = [(100.0, 100.0, 100.0, 100.0)] * 3
    async with seat(tmp_path, {BTC: still, ETH: still}) as s:
        await s.submit(order(symbol=ETH))
        request = order(Leg.EXIT, OrderSide.SELL, "0.1", symbol=ETH)
        await s.submit(request)
        found = await s.exchange.fetch_order(ETH, request.client_order_id)
        assert (found.status, found.filled, found.reduce_only) == (OrderStatus.FILLED, D("0.1"), True)
        fills = await s.exchange.fetch_fills(ETH, request.client_order_id)
        assert [(each.side, each.quantity, each.client_order_id) for each in fills] == [
            (OrderSide.SELL, D("0.1"), request.client_order_id)
        ]
        assert await s.exchange.fetch_fills(BTC, order().client_order_id) == ()
        positions = await s.exchange.fetch_positions()
        assert [(each.symbol, each.quantity, each.average_price) for each in positions] == [(ETH, D("0.1"), D(100))]
        account = await s.exchange.fetch_account()
        assert account.wallet == D(10_000) - D("0.015")


QUESTIONS = (
    ("order/realtime", lambda exchange: exchange.fetch_order(BTC, order().client_order_id)),
    ("order/realtime", lambda exchange: exchange.fetch_open_orders()),
    ("position/list", lambda exchange: exchange.fetch_positions()),
    ("account/wallet-balance", lambda exchange: exchange.fetch_account()),
    ("execution/list", lambda exchange: exchange.fetch_fills(BTC, order().client_order_id)),
)


async def test_an_answer_about_other_orders_is_not_the_one_that_was_asked_for(tmp_path):
    async with seat(tmp_path) as s:
        await s.submit(order(price="90", number=2))
        listed, traded = s.connection.orders.fetch_open_orders, s.connection.orders.fetch_my_trades

        async def all_orders(symbol, *_, params):  # a venue that does not heed what it is asked by
            return await listed(symbol)

        async def all_trades(symbol, *_, params):
            return await traded(symbol)

        s.connection.orders.fetch_open_orders, s.connection.orders.fetch_my_trades = all_orders, all_trades
        assert await s.exchange.fetch_order(BTC, order().client_order_id) is None
        assert (await s.exchange.fetch_order(BTC, order(number=2).client_order_id)).status is OrderStatus.WORKING
        await s.submit(order(number=3))
        assert await s.exchange.fetch_fills(BTC, order(number=2).client_order_id) == ()
        assert len(await s.exchange.fetch_fills(BTC, order(number=3).client_order_id)) == 1


async def test_a_question_without_a_usable_answer_is_transient_and_names_the_venue(tmp_path):
    async with seat(tmp_path) as s:
        for endpoint, ask in QUESTIONS:
            for fault, more in (("status", {}), ("truncate", {}), ("refuse", {}), ("refuse", {"code": 10006})):
                s.arm(fault, endpoint, times=None, **more)
                with pytest.raises(Transient, match="bybit: "):
                    await ask(s.exchange)
                s.desk.server.faults.clear()


async def test_a_page_instead_of_an_answer_is_never_taken_for_an_empty_list(tmp_path):
    async with seat(tmp_path) as s:
        await s.submit(order())
        await s.until(lambda: s.of(OrderEnded))
        s.exchange._news.ended.drop(order().client_order_id)  # what the stream has told is not asked for
        for endpoint, ask in QUESTIONS:
            for fault in ("html", "empty"):
                s.arm(fault, endpoint, times=None)
                with pytest.raises(Transient):
                    await ask(s.exchange)
                s.desk.server.faults.clear()


async def test_what_cannot_be_read_stops_only_those_who_trade_it(tmp_path):
    async with seat(tmp_path) as s:
        client = s.connection.orders
        order_row = {"symbol": "X/USDT:USDT", "id": "1", "side": "buy", "amount": "1", "status": "??", "info": {}}
        position_row = {"symbol": "X/USDT:USDT", "contracts": "1", "side": "long", "hedged": True, "info": {}}

        async def orders(*_, params):
            return [order_row]

        async def positions(*_, params):
            return [position_row]

        client.fetch_open_orders, client.fetch_positions = orders, positions
        assert await s.exchange.fetch_open_orders() == ()
        assert await s.exchange.fetch_positions() == ()
        order_row["symbol"] = position_row["symbol"] = BTC
        order_row["clientOrderId"] = order().client_order_id
        with pytest.raises(Transient, match=f"order 1 of {BTC}: .* 'status'"):
            await s.exchange.fetch_open_orders()
        with pytest.raises(Fatal, match="one-way"):
            await s.exchange.fetch_positions()


async def test_a_position_that_cannot_be_read_is_not_taken_for_none_where_a_signal_is_guarded(tmp_path):
    """The config may have lost a symbol that still has a position."""
    async with seat(tmp_path) as s:
        row = {"symbol": "X/USDT:USDT", "contracts": "1", "side": "?", "hedged": False, "info": {}}

        async def positions(*_, params):
            return [row]

        s.connection.orders.fetch_positions = positions
        s.exchange.listen("X/USDT:USDT", s.events.append)
        with pytest.raises(Transient, match="position of X/USDT:USDT"):
            await s.exchange.fetch_positions()


async def test_an_order_of_somebody_else_that_cannot_be_read_stops_entries_on_its_symbol_and_nothing_else(tmp_path):
    async with seat(tmp_path) as s:
        row = {"symbol": BTC, "id": "1", "side": "buy", "amount": "1", "status": "??", "info": {}}
        rows = [row]

        async def orders(*_, params):
            return list(rows)

        s.connection.orders.fetch_open_orders = orders
        assert await s.exchange.fetch_open_orders() == ()
        await s.until(lambda: s.said("open orders"))
        (said,) = s.said("open orders")
        assert (said.symbol, said.blocks_entries) == (BTC, True)
        assert f"order 1 of {BTC}" in said.text
        assert "cancel it there" in said.text
        rows.clear()
        await s.exchange.fetch_open_orders()
        await s.until(lambda: s.said("open orders")[-1].text is None)


async def test_symbols_that_settle_differently_cannot_share_an_account(tmp_path):
    async with seat(tmp_path) as s:
        with pytest.raises(BadInput, match="settle in USDC and USDT"):
            s.connection.settle((BTC, "BTC/USDC:USDC"))


async def test_closing_twice_is_fine_and_then_nothing_is_sent(tmp_path):
    async with seat(tmp_path) as s:
        await s.exchange.close()
        await s.exchange.close()
        with pytest.raises(Transient, match="the connection is closed"):
            await s.exchange.fetch_positions()
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith(("watch_", "private", "clock"))]


async def test_an_order_that_nobody_waits_for_any_more_is_not_expected_to_be_told_of(tmp_path):
    async with seat(tmp_path) as s:
        s.arm("silence", "order/create")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await s.submit(order(price="90"))
        assert s.exchange._news._awaited == {}


async def test_the_name_and_the_window_are_the_venues(tmp_path):
    async with seat(tmp_path) as s:
        assert s.exchange.name == "bybit"
        assert s.exchange.absence_window_ms == 20_000
        assert s.exchange.refuses_repeated_ids
        assert s.exchange.positions_may_lag


@pytest.mark.parametrize(
    ("url", "answer", "sound"),
    [
        ("https://api.bybit.com/v5/position/list?category=linear", {"result": {"list": []}}, True),
        ("https://api.bybit.com/v5/position/list?category=linear", {"result": {}}, False),
        ("https://api.bybit.com/v5/position/list", {"result": None}, False),
        ("https://api.bybit.com/v5/position/list", [], False),
        ("https://api.bybit.com/v5/order/create", {"result": {}}, True),
        ("https://api.bybit.com/v5/order/create", None, False),
        ("https://api.bybit.com/v5/order/create", "text", False),
        ("https://fapi.binance.com/fapi/v3/positionRisk?x=1", [], True),
        ("https://fapi.binance.com/fapi/v3/positionRisk?x=1", {}, False),
        ("https://testnet.binancefuture.com/fapi/v1/openOrders", {"msg": ""}, False),
    ],
)
def test_what_is_not_the_documented_list_is_no_answer(url, answer, sound):
    assert is_sound(url, answer) is sound


async def test_what_stands_is_told_to_who_listens_late_and_only_changes_are_told():
    health, heard = Health("bybit"), []
    health.right("ban")
    health.wrong("ban", "banned")
    health.wrong("ban", "banned")
    health.listen(heard.append)
    health.wrong("ban", "banned")
    await asyncio.sleep(0)
    assert [each.text for each in heard] == ["banned"]
    health.wrong("ban", "banned for longer")
    health.right("ban")
    health.right("ban")
    await asyncio.sleep(0)
    assert [each.text for each in heard] == ["banned", "banned for longer", None]
    health.compare("A")
    health.compare("A")
    await asyncio.sleep(0)
    assert heard[-1] == heard[-2] == VenueNotice(source="bybit events", text=None, symbol="A", reconcile=True)
    assert health.standing == ()


async def test_a_task_that_ends_by_a_mistake_of_ours_stops_entries_and_one_that_is_cancelled_does_not():
    health, heard = Health("bybit"), []
    health.listen(heard.append)

    async def fail():
        raise RuntimeError("a mistake")

    cancelled = asyncio.create_task(asyncio.sleep(60))
    for task, part in ((asyncio.create_task(fail()), "private stream"), (cancelled, "clock")):
        health.watch_over(task, part)
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.sleep(0.01)
    assert [(each.source, each.blocks_entries, each.reconcile) for each in heard] == [
        ("bybit private stream", True, True)
    ]
    assert "has stopped working (RuntimeError, see the log); restart the daemon" in heard[0].text


async def test_a_listener_that_raises_does_not_end_the_stream(tmp_path):
    async with seat(tmp_path) as s:
        raised = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["exception"]))

        def refuse(_):
            raise RuntimeError("full")

        s.exchange.listen(BTC, refuse)
        await s.submit(order())
        await s.until(lambda: len(raised) == 2)
        s.exchange.listen(BTC, s.events.append)
        await s.submit(order(number=2))
        await s.until(lambda: len(s.events) == 2)


def test_the_oldest_is_forgotten():
    things = Remembered(2)
    for name in ("a", "b", "a", "c"):
        things.put(name, name)
    assert (things.names(), len(things)) == (("a", "c"), 2)
    assert things.get("b") is None
    things.drop("a")
    things.drop("a")
    assert things.names() == ("c",)
