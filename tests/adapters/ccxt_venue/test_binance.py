"""Binance's USD-M futures: conditional orders with ids of their own, one user stream, errors by URL, keys to listen by."""

import asyncio

import ccxt
import pytest

from livebot.adapters.ccxt_venue.exchange import CcxtExchange
from livebot.adapters.clock import SystemClock
from livebot.core.inputs import OrderAccepted, OrderEnded, OrderFilled, OrderRejected, OrderUnknown
from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderKind, OrderStatus
from livebot.errors import Fatal, Rejected, Transient
from livebot.simulator.api_key import ApiKey
from livebot.simulator.binance import BinanceSettings
from tests.adapters.ccxt_venue.desk import (
    BTC,
    PROMPT,
    QUIET,
    STILL,
    D,
    Keys,
    approved,
    binance_seat,
    local_binance,
    open_connection,
    order,
    replace,
    stop,
)

FALLING = [(100.0, 100.0, 100.0, 100.0)] * 3 + [(100.0, 100.0, 80.0, 85.0)] * 20


async def test_an_entry_and_its_stop_from_acceptance_to_the_fill_under_our_ids(tmp_path):
    async with binance_seat(tmp_path, FALLING) as s:
        assert isinstance(await s.submit(order()), OrderAccepted)
        assert isinstance(await s.submit(stop("90")), OrderAccepted)
        listed = await s.exchange.fetch_open_orders()
        assert [(each.client_order_id, each.trigger_price) for each in listed] == [(stop().client_order_id, D(90))]
        assert (await s.exchange.fetch_positions())[0].quantity == D("0.2")
        assert (await s.exchange.fetch_account()).wallet == D("9999.99")
        await s.desk.step(5)
        await s.until(lambda: len(s.of(OrderEnded)) == 2)
        ended, fill = s.of(OrderEnded)[1], s.of(OrderFilled)[1].fill
        told = [each for each in s.of(OrderAccepted) if each.client_order_id == stop().client_order_id]
        assert {each.trigger_price for each in told} == {D(90)}  # of what came of it too: it was not changed
        assert (ended.client_order_id, ended.status, ended.filled) == (
            stop().client_order_id,
            OrderStatus.FILLED,
            D("0.2"),
        )
        assert (fill.client_order_id, fill.side, fill.quantity) == (stop().client_order_id, OrderSide.SELL, D("0.2"))
        found = await s.exchange.fetch_order(BTC, stop().client_order_id)
        assert (found.status, found.filled) == (OrderStatus.FILLED, D("0.2"))
        fills = await s.exchange.fetch_fills(BTC, stop().client_order_id)
        assert [each.trade_id for each in fills] == [fill.trade_id]
        assert not s.notices


async def test_a_stop_that_moves_is_placed_anew_under_its_id_and_the_old_ones_end_is_no_news(tmp_path):
    async with binance_seat(tmp_path) as s:
        await s.submit(order())
        first = await s.submit(stop("90"))
        await s.until(lambda: [each for each in s.of(OrderAccepted) if each.trigger_price])
        moved = await s.amend(stop("91"))
        assert isinstance(moved, OrderAccepted)
        assert moved.venue_order_id != first.venue_order_id
        found = await s.exchange.fetch_order(BTC, stop().client_order_id)
        assert (found.status, found.trigger_price, found.venue_order_id) == (
            OrderStatus.WORKING,
            D(91),
            moved.venue_order_id,
        )
        await s.until(lambda: len([each for each in s.of(OrderAccepted) if each.trigger_price]) == 2)
        assert [each.client_order_id for each in s.of(OrderEnded)] == [order().client_order_id]
        assert len(await s.exchange.fetch_open_orders()) == 1
        await s.exchange.cancel(BTC, stop().client_order_id)
        await s.until(lambda: len(s.of(OrderEnded)) == 2)
        assert isinstance(await s.amend(stop("92")), OrderUnknown)  # it is gone: ask


async def test_a_move_that_fails_half_way_is_unknown_or_refused_and_what_is_left_is_found(tmp_path):
    async with binance_seat(tmp_path) as s:
        await s.submit(order())
        await s.submit(stop("90"))
        await s.until(lambda: [each for each in s.of(OrderAccepted) if each.trigger_price])
        s.exchange._news.venue_ids.drop(stop().client_order_id)  # as after a restart: it is looked for first
        s.arm("status", "algoOrder", times=None)
        assert isinstance(await s.amend(stop("91")), OrderUnknown)  # not even found
        s.desk.server.faults.clear()
        s.arm("refuse", "algoOrder/cancel", code=-1001, text="Internal error")
        assert isinstance(await s.amend(stop("91")), OrderUnknown)  # perhaps cancelled
        assert (await s.exchange.fetch_order(BTC, stop().client_order_id)).trigger_price == D(90)
        s.arm("refuse", "algoOrder/create", code=-2021, text="Order would immediately trigger.")
        assert isinstance(await s.amend(stop("91")), OrderRejected)  # cancelled, and not placed anew
        found = await s.exchange.fetch_order(BTC, stop().client_order_id)
        assert found.status is OrderStatus.CANCELED


async def test_the_end_of_an_order_that_could_not_be_taken_back_is_told(tmp_path):
    async with binance_seat(tmp_path) as s:
        await s.submit(order())
        await s.submit(stop("90"))
        s.arm("refuse", "algoOrder/cancel", code=-1001, text="Internal error")
        await s.amend(stop("91"))
        await s.exchange.cancel(BTC, stop().client_order_id)
        await s.until(lambda: len(s.of(OrderEnded)) == 2)


async def test_refusals_and_gone_orders_are_definite_and_an_id_twice_is_not(tmp_path):
    async with binance_seat(tmp_path) as s:
        assert isinstance(await s.submit(order(price="90")), OrderAccepted)
        assert isinstance(await s.submit(order(price="90")), OrderUnknown)
        assert isinstance(await s.amend(order(price="91")), OrderAccepted)
        refused = await s.submit(order(quantity="5000", number=2))
        assert isinstance(refused, OrderRejected)
        assert refused.code.startswith("-")
        with pytest.raises(Rejected):
            await s.exchange.cancel(BTC, order(number=9).client_order_id)
        assert await s.exchange.fetch_order(BTC, stop(number=9).client_order_id) is None
        assert await s.exchange.fetch_fills(BTC, order(number=9).client_order_id) == ()


async def test_a_lost_answer_is_unknown_and_found_by_client_id(tmp_path):
    async with binance_seat(tmp_path) as s:
        for number, request in enumerate((order(number=1), stop("90", number=1))):
            s.arm("cut", "order/create" if number == 0 else "algoOrder/create")
            assert isinstance(await s.submit(request), OrderUnknown)
            assert (await s.exchange.fetch_order(BTC, request.client_order_id)) is not None


async def test_a_stop_that_was_triggered_is_found_by_the_order_that_came_of_it_whatever_its_id(tmp_path):
    """Else it seems to have ended without a fill, and another stop is placed for a position that is gone."""
    async with binance_seat(tmp_path, FALLING) as s:
        await s.submit(order())
        await s.submit(stop("90"))
        await s.desk.step(5)
        await s.until(lambda: len(s.of(OrderEnded)) == 2)
        s.exchange._news.ended.drop(stop().client_order_id)  # as if the stream had not told
        client = s.connection.orders
        ask, hidden = client.fetch_order, {"by our id": True, "by its own": False}

        async def under_another_id(number, symbol, params):
            if not params.get("trigger") and hidden["by our id" if number is None else "by its own"]:
                raise ccxt.OrderNotFound('binance {"code":-2013,"msg":"Order does not exist."}')
            return await ask(number, symbol, params)

        client.fetch_order = under_another_id
        found = await s.exchange.fetch_order(BTC, stop().client_order_id)
        assert (found.status, found.filled, found.client_order_id) == (
            OrderStatus.FILLED,
            D("0.2"),
            stop().client_order_id,
        )
        assert (found.kind, found.trigger_price) == (OrderKind.STOP_MARKET, D(90))
        (fill,) = await s.exchange.fetch_fills(BTC, stop().client_order_id)
        assert (fill.client_order_id, fill.quantity) == (stop().client_order_id, D("0.2"))
        hidden["by its own"] = True
        with pytest.raises(Transient, match="was triggered"):
            await s.exchange.fetch_order(BTC, stop().client_order_id)


async def test_a_triggered_stop_that_fills_in_parts_is_not_taken_for_one_that_waits(tmp_path):
    """The conditional order stays listed beside the plain one, under the same client id, and says that nothing is filled."""
    async with binance_seat(tmp_path) as s:
        await s.submit(order())
        await s.submit(stop("90"))
        client, name = s.connection.orders, stop().client_order_id
        (waiting,) = await client.fetch_open_orders(None, None, None, {"trigger": True})
        triggered = {**waiting, "info": {**waiting["info"], "algoStatus": "TRIGGERED", "actualOrderId": "77"}}
        plain = {**waiting, "id": "77", "type": "market", "triggerPrice": None, "filled": 0.1, "info": {}}
        listed, ask = client.fetch_open_orders, client.fetch_order

        async def both(symbol, since, limit, params):
            await listed(symbol, since, limit, params)
            return [triggered] if params.get("trigger") else [plain]

        async def one(number, symbol, params):
            if not params.get("trigger") and number is None:
                raise ccxt.OrderNotFound('binance {"code":-2013,"msg":"Order does not exist."}')
            return (
                triggered if params.get("trigger") else plain if number == "77" else await ask(number, symbol, params)
            )

        client.fetch_open_orders, client.fetch_order = both, one
        assert [(each.client_order_id, each.filled) for each in await s.exchange.fetch_open_orders()] == [
            (name, D("0.1"))
        ]
        found = await s.exchange.fetch_order(BTC, name)
        assert (found.status, found.filled, found.trigger_price) == (OrderStatus.WORKING, D("0.1"), D(90))


CLOSES_ALL = {  # as Binance lists the stop that its own app sets for a whole position
    "algoId": 2146760,
    "clientAlgoId": "web_stop",
    "algoType": "CONDITIONAL",
    "orderType": "STOP_MARKET",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "positionSide": "BOTH",
    "timeInForce": "GTC",
    "quantity": "0.000",
    "algoStatus": "NEW",
    "triggerPrice": "90.0",
    "price": "0.00",
    "workingType": "CONTRACT_PRICE",
    "closePosition": True,
    "reduceOnly": True,
    "createTime": 1750485492076,
    "updateTime": 1750485492076,
}


async def test_a_stop_by_hand_that_closes_whatever_is_held_keeps_no_list_from_being_read(tmp_path):
    """It has no quantity, and ccxt makes nothing of the zero."""
    async with binance_seat(tmp_path) as s:
        client = s.connection.orders
        listed = client.fetch_open_orders

        async def with_one_by_hand(*arguments, params):
            by_hand = [client.parse_order(CLOSES_ALL)] if params.get("trigger") else []
            return await listed(*arguments, params=params) + by_hand

        client.fetch_open_orders = with_one_by_hand
        await s.submit(order())
        await s.submit(stop("90"))
        ours, by_hand = await s.exchange.fetch_open_orders()
        assert (ours.client_order_id, ours.quantity) == (stop().client_order_id, D("0.2"))
        assert (by_hand.client_order_id, by_hand.quantity, by_hand.trigger_price) == ("web_stop", D(0), D(90))
        assert not by_hand.attached


async def test_what_the_stream_has_told_costs_no_question(tmp_path):
    """Each question has its weight, and the minute's weight is what a stop is taken back with."""
    async with binance_seat(tmp_path, FALLING) as s:
        await s.submit(order())
        await s.submit(order(Leg.TARGET, OrderSide.SELL, price="120"))
        await s.submit(stop("90"))
        await s.until(lambda: len(s.of(OrderAccepted)) == 2)
        asked = []

        async def asking(*arguments, **_):
            asked.append(arguments)
            raise AssertionError(arguments)

        client = s.connection.orders
        find, client.fetch_order = client.fetch_order, asking
        assert isinstance(await s.amend(order(Leg.TARGET, OrderSide.SELL, price="121")), OrderAccepted)
        assert isinstance(await s.amend(stop("91")), OrderAccepted)
        await s.desk.step(5)
        await s.until(lambda: len(s.of(OrderEnded)) == 3)  # the entry, the stop, and the target which is left alone
        client.fetch_my_trades = client.cancel_order = asking
        for request, filled in ((order(), "0.2"), (stop(), "0.2"), (order(Leg.TARGET), "0")):
            found = await s.exchange.fetch_order(BTC, request.client_order_id)
            fills = await s.exchange.fetch_fills(BTC, request.client_order_id)
            assert (found.client_order_id, found.filled) == (request.client_order_id, D(filled))
            assert sum(fill.quantity for fill in fills) == D(filled)
            with pytest.raises(Rejected, match="it has ended"):
                await s.exchange.cancel(BTC, request.client_order_id)
        assert not asked
        client.fetch_order = find


async def test_what_the_stream_told_of_an_order_is_the_past_once_it_is_sent_again_under_its_id(tmp_path):
    async with binance_seat(tmp_path) as s:
        request = order(price="90")
        await s.submit(request)
        await s.exchange.cancel(BTC, request.client_order_id)
        await s.until(lambda: s.of(OrderEnded))
        assert isinstance(await s.submit(request), OrderAccepted)
        assert (await s.exchange.fetch_order(BTC, request.client_order_id)).status is OrderStatus.WORKING
        await s.exchange.cancel(BTC, request.client_order_id)


async def test_a_question_is_asked_where_the_stream_has_told_of_an_end_and_not_of_every_trade(tmp_path):
    async with binance_seat(tmp_path) as s:
        await s.submit(order())
        await s.until(lambda: s.of(OrderEnded))
        s.exchange._news._fills.drop(order().client_order_id)
        (fill,) = await s.exchange.fetch_fills(BTC, order().client_order_id)
        assert fill.quantity == D("0.2")


async def test_as_many_trades_of_an_order_are_asked_for_as_the_venue_gives_at_once(tmp_path):
    """It lists no further pages, and an order at the market may take a hundred others."""
    async with binance_seat(tmp_path) as s:
        await s.submit(order())
        await s.until(lambda: s.of(OrderEnded))
        s.exchange._news.ended.drop(order().client_order_id)
        asked = []
        traded = s.connection.orders.fetch_my_trades

        async def counting(symbol, since, limit, params):
            asked.append(limit)
            return await traded(symbol, since, limit, params)

        s.connection.orders.fetch_my_trades = counting
        assert len(await s.exchange.fetch_fills(BTC, order().client_order_id)) == 1
        assert asked == [1_000]


async def test_a_stop_that_was_not_placed_anew_is_not_waited_for_on_the_stream(tmp_path):
    """Its end was no news; the stream is not silent for not telling of it again."""
    async with binance_seat(tmp_path, settings=replace(PROMPT, silence_s=0.1, probe_s=0.05)) as s:
        s.patient()
        await s.submit(order())
        await s.submit(stop("90"))
        await s.until(
            lambda: len(s.of(OrderAccepted)) >= 1 and stop().client_order_id in s.exchange._news.working.names()
        )
        s.arm("refuse", "algoOrder/create", code=-2021, text="Order would immediately trigger.")
        assert isinstance(await s.amend(stop("91")), OrderRejected)
        await asyncio.sleep(0.6)
        assert not s.said("private stream")


async def test_after_a_broken_socket_the_stream_stands_again_and_a_comparison_is_asked_for(tmp_path):
    async with binance_seat(tmp_path, settings=replace(QUIET, reconnect_s=0.01)) as s:
        s.exchange._streams.reconnect("by the test")
        await s.until(lambda: s.said("private stream") and s.said("private stream")[-1].text is None)
        assert s.said("private stream")[-1].reconcile
        await s.submit(order())
        await s.until(lambda: s.of(OrderFilled))


async def test_a_lost_end_of_a_resting_order_is_found_out_by_asking_for_the_open_ones(tmp_path):
    async with binance_seat(tmp_path, FALLING, settings=replace(PROMPT, silence_s=0.1, probe_s=0.05)) as s:
        s.patient()
        await s.submit(order())
        await s.submit(stop("90"))
        await s.until(lambda: s.of(OrderFilled))
        await asyncio.sleep(0.2)
        assert not s.notices
        s.arm("drop", "order", times=None)
        await s.desk.step(5)
        await s.until(lambda: s.said("private stream") and s.said("private stream")[-1].text is None)
        assert f"it did not tell of the end of the order {stop().client_order_id}" in s.said("private stream")[0].text


async def test_a_listen_key_that_expires_is_asked_for_anew(tmp_path):
    async with binance_seat(tmp_path, settings=replace(QUIET, reconnect_s=0.01)) as s:
        s.arm("expire_listen_key")
        await s.until(lambda: s.said("private stream") and s.said("private stream")[-1].text is None)
        assert "is down" in s.said("private stream")[0].text
        await s.submit(order())
        await s.until(lambda: s.of(OrderFilled))


async def test_a_key_that_may_read_and_not_trade_is_fatal_before_any_order(tmp_path):
    reader = BinanceSettings(keys={"key": ApiKey("secret", state="read_only")})
    async with local_binance(tmp_path, STILL, settings=reader) as desk:
        connection = await open_connection(desk, Keys("key", "secret"), "binance")
        try:
            with pytest.raises(Fatal, match="binance: the key may not trade here: switch on 'Enable Futures'"):
                await CcxtExchange.open(connection, SystemClock(), (BTC,), QUIET)
        finally:
            await connection.close()


async def test_an_account_that_cannot_trade_so_is_fatal_and_says_what_to_do(tmp_path):
    async with local_binance(tmp_path, STILL, settings=BinanceSettings(dual_side=True)) as desk:
        for keys, words in (
            (Keys("key", "secret"), "set the position mode to one-way"),
            (Keys("nobody", "secret"), "LIVEBOT_API_KEY"),
        ):
            connection = await open_connection(desk, keys, venue="binance")
            with pytest.raises(Fatal, match=words):
                await CcxtExchange.open(connection, SystemClock(), (BTC,), QUIET)
            await connection.close()


async def test_it_may_be_called_by_ccxts_name_for_it(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        connection = await open_connection(desk, venue="binanceusdm")
        exchange = await CcxtExchange.open(connection, SystemClock(), (BTC,), QUIET)
        assert isinstance(await exchange.submit(approved(order())), OrderAccepted)
        assert (await exchange.fetch_account()).wallet == D("9999.99")
        await exchange.close()


async def test_an_entry_cannot_carry_a_stop_here_and_goes_without(tmp_path):
    async with binance_seat(tmp_path) as s:
        outcome = await s.submit(replace(order(Leg.ENTRY), attached_stop=D(90)))
        assert isinstance(outcome, OrderAccepted)
        assert await s.exchange.fetch_open_orders() == ()
