"""Nothing that the account's streams tell is lost, and a stream that says nothing is found out."""

import asyncio

from livebot.core.inputs import OrderAccepted, OrderEnded, OrderFilled
from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderKind, OrderStatus
from tests.adapters.ccxt_venue.desk import BTC, PROMPT, QUIET, D, order, replace, seat, stop
from tests.simulator.builders import ETH

FALLING = [(100.0, 100.0, 100.0, 100.0)] * 3 + [(100.0, 100.0, 80.0, 85.0)] * 20


async def test_a_burst_is_told_whole_and_in_order_with_our_ids_and_every_trade_once(tmp_path):
    async with seat(tmp_path) as s:
        requests = [order(number=n, quantity="0.1") for n in range(10)]
        for request in requests:
            await s.submit(request)
        await s.until(lambda: len(s.of(OrderEnded)) == 10)
        fills = s.of(OrderFilled)
        assert [each.fill.client_order_id for each in fills] == [each.client_order_id for each in requests]
        assert len({each.fill.trade_id for each in fills}) == 10
        assert [each.status for each in s.of(OrderEnded)] == [OrderStatus.FILLED] * 10
        assert fills[0].fill.fee == D("0.005")
        assert not s.notices


async def test_a_resting_order_is_told_from_acceptance_to_its_end(tmp_path):
    async with seat(tmp_path, FALLING) as s:
        await s.submit(order())
        await s.submit(stop("90"))
        s.events.clear()
        await s.desk.step(5)
        await s.until(lambda: s.of(OrderEnded))
        told = [type(event) for event in s.events]
        assert told[-2:] == [OrderFilled, OrderEnded]
        ended = s.of(OrderEnded)[0]
        assert (ended.client_order_id, ended.status, ended.filled) == (
            stop().client_order_id,
            OrderStatus.FILLED,
            D("0.2"),
        )
        assert s.of(OrderFilled)[0].fill.side is OrderSide.SELL


async def test_an_order_told_of_has_the_values_that_the_venue_has(tmp_path):
    async with seat(tmp_path) as s:
        await s.submit(order(price="90"))
        await s.amend(order(price="91", quantity="0.3"))
        await s.exchange.cancel(BTC, order().client_order_id)
        await s.until(lambda: s.of(OrderEnded))
        accepted = s.of(OrderAccepted)
        assert [(each.price, each.quantity) for each in accepted] == [(D(90), D("0.2")), (D(91), D("0.3"))]
        assert s.of(OrderEnded)[0].status is OrderStatus.CANCELED


async def test_messages_told_twice_or_late_are_passed_on_as_they_are(tmp_path):
    async with seat(tmp_path) as s:
        s.arm("duplicate", "execution")
        await s.submit(order())
        await s.until(lambda: len(s.of(OrderFilled)) == 2)
        first, second = s.of(OrderFilled)
        assert first == second  # the same trade id: the kernel knows it again
        s.arm("reorder", "execution")
        await s.submit(order(number=2))
        await s.until(lambda: len(s.of(OrderFilled)) == 3)
        assert isinstance(s.events[-2], OrderEnded)


async def test_orders_of_others_are_not_told_but_their_trades_ask_for_a_comparison(tmp_path):
    async with seat(tmp_path) as s:
        other = s.desk.client(options={"enableUnifiedAccount": True, "enableUnifiedMargin": False})
        await other.create_order(BTC, "limit", "buy", 0.2, 90, {"clientOrderId": "by-hand"})
        await other.create_order(BTC, "market", "buy", 0.2)
        await s.until(lambda: s.said("events"))
        assert not s.events
        notice = s.said("events")[0]
        assert (notice.symbol, notice.reconcile, notice.blocks_entries, notice.text) == (BTC, True, False, None)
        listed = await s.exchange.fetch_open_orders()
        assert [(each.client_order_id, each.attached) for each in listed] == [("by-hand", False)]


async def test_after_a_broken_socket_the_streams_stand_again_and_a_comparison_is_asked_for(tmp_path):
    async with seat(tmp_path, settings=replace(QUIET, reconnect_s=0.05)) as s:
        s.arm("disconnect", "order")
        await s.submit(order())
        await s.until(lambda: s.said("private stream") and s.said("private stream")[-1].text is None)
        assert len(s.said("private stream")) == 2
        down, up = s.said("private stream")[0], s.said("private stream")[-1]
        assert down.blocks_entries
        assert "the private stream is down" in down.text
        assert (up.text, up.reconcile) == (None, True)
        s.events.clear()
        await s.submit(order(number=2))
        await s.until(lambda: s.of(OrderEnded))
        assert len(s.of(OrderFilled)) == 1


async def test_a_frozen_stream_that_answers_pings_is_found_out_by_an_accepted_order(tmp_path):
    async with seat(tmp_path, settings=replace(PROMPT, silence_s=1.0, probe_s=600.0)) as s:
        s.arm("freeze", "order", "execution")
        await s.submit(order())
        s.patient()
        await s.submit(order(number=3))  # nor of this one, but that is the same silence
        await s.until(lambda: s.said("private stream") and s.said("private stream")[-1].text is None)
        silent, back = s.said("private stream")[0], s.said("private stream")[-1]
        assert f"it did not tell of the order {order().client_order_id}" in silent.text
        assert silent.blocks_entries
        assert back.reconcile
        await s.submit(order(number=2))
        await s.until(lambda: s.of(OrderFilled))
        await asyncio.sleep(0.4)
        assert len(s.said("private stream")) == 3  # silent, down, standing again


async def test_a_lost_fill_of_a_resting_order_is_found_out_by_asking_for_the_newest_trades(tmp_path):
    async with seat(tmp_path, FALLING, settings=replace(PROMPT, silence_s=0.1, probe_s=0.05)) as s:
        s.patient()
        await s.submit(order())
        await s.submit(stop("90"))
        await s.until(lambda: len(s.of(OrderAccepted)) == 1)
        s.arm("drop", "execution", "order", times=None)
        await s.desk.step(5)
        await s.until(lambda: s.said("private stream") and s.said("private stream")[-1].text is None)
        assert "it did not tell of the trade" in s.said("private stream")[0].text
        # and the comparison finds it
        found = await s.exchange.fetch_order(BTC, stop().client_order_id)
        assert (found.status, found.kind) == (OrderStatus.FILLED, OrderKind.STOP_MARKET)


async def test_a_quiet_account_is_left_alone(tmp_path):
    async with seat(tmp_path, settings=replace(PROMPT, silence_s=0.05, probe_s=0.02)) as s:
        s.patient()
        await s.submit(order())
        await s.until(lambda: s.of(OrderFilled))
        assert s.exchange._news._awaited == {}
        await asyncio.sleep(0.4)
        assert not s.notices


async def test_each_symbol_has_its_own_listener_and_the_last_one_counts(tmp_path):
    still = [(100.0, 100.0, 100.0, 100.0)] * 5
    async with seat(tmp_path, {BTC: still, ETH: still}) as s:
        bitcoin, ether = [], []
        s.exchange.listen(BTC, bitcoin.append)
        s.exchange.listen(ETH, ether.append)
        await s.submit(order(symbol=ETH))
        await s.submit(order(Leg.ENTRY))
        await s.until(lambda: len(bitcoin) == len(ether) == 2)
        assert not s.events
        assert {event.fill.client_order_id for event in ether if isinstance(event, OrderFilled)} == {
            order(symbol=ETH).client_order_id
        }


async def test_a_message_that_cannot_be_read_asks_for_a_comparison_and_breaks_nothing(tmp_path):
    async with seat(tmp_path) as s:
        client = s.connection.orders
        ours = order().client_order_id
        client.handle_order(
            None, {"data": [{"symbol": "BTCUSDT", "orderLinkId": ours, "orderId": "1", "tpslMode": ""}]}
        )
        await asyncio.sleep(0)
        assert [(each.symbol, each.reconcile) for each in s.notices] == [(BTC, True)]
        client.handle_my_trades(None, {"data": [{"symbol": "BTCUSDT", "category": "linear", "orderLinkId": ours}]})
        client.handle_my_trades(None, {"data": [{"symbol": {}, "execType": "Trade"}, 7, None]})
        client.handle_my_trades(None, {"data": [{"execType": "Funding", "symbol": "BTCUSDT"}]})
        client.handle_order(None, {"data": "nothing"})
        assert not s.events
        await s.submit(order(number=2))
        await s.until(lambda: s.of(OrderEnded))
