"""The venue itself closes a position, as each protocol tells of it: by a trade of a kind of its own."""

from livebot.simulator.venue import LIQUIDATION
from tests.simulator.binance.desk import local_binance
from tests.simulator.binance.test_user_streams import user_wire
from tests.simulator.builders import BTC, ETH, flat
from tests.simulator.bybit.desk import local_bybit
from tests.simulator.local_desk import SPOT, soon, until

STILL = {BTC: [flat(100.0)] * 10, ETH: [flat(10.0)] * 10}


async def test_bybit_lists_it_apart_from_plain_trades(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        await client.create_order(BTC, "market", "buy", 1, None, {"stopLoss": {"triggerPrice": 80}})
        await client.create_order(ETH, "market", "sell", 2)
        assert (await desk.control("POST", {"kind": "liquidate", "symbols": [BTC]}))[0] == 200
        assert [each["symbol"] for each in await client.fetch_positions()] == [ETH]
        assert await client.fetch_open_orders(BTC) == []
        assert [trade["side"] for trade in await client.fetch_my_trades(BTC)] == ["buy"]
        (trade,) = await client.fetch_my_trades(BTC, params={"execType": "BustTrade"})
        assert (trade["side"], trade["amount"], trade["price"]) == ("sell", 1, 100)
        told = trade["info"]
        assert (told["execType"], told["createType"], told["orderLinkId"]) == ("BustTrade", "CreateByLiq", "")
        assert await client.fetch_my_trades(BTC, params={"execType": "AdlTrade"}) == []


async def test_bybit_s_stream_tells_its_kind(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        await client.create_order(BTC, "market", "buy", 1)
        heard = []
        client.handle_my_trades = lambda _, message: heard.extend(message["data"])
        watching = client.spawn(client.watch_my_trades)
        await until(lambda: "execution" in desk.server._streams.wanted("private"))
        await desk.control("POST", {"kind": "liquidate"})
        await until(lambda: heard)
        watching.cancel()
        assert [(row["execType"], row["side"]) for row in heard] == [("BustTrade", "Sell")]


async def test_binance_calls_it_calculated(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        wire = await user_wire(desk, client)
        await client.create_order(BTC, "market", "buy", 1)
        assert len([await wire.hear() for _ in range(4)]) == 4
        await desk.control("POST", [{"kind": "partial", "pieces": 2}, {"kind": "liquidate"}])
        await desk.step()
        told = [message["o"] for _ in range(7) if (message := await soon(wire.hear()))["e"] == "ORDER_TRADE_UPDATE"]
        assert [(each["x"], each["X"]) for each in told] == [
            ("NEW", "NEW"),
            ("CALCULATED", "PARTIALLY_FILLED"),
            ("CALCULATED", "FILLED"),
        ]
        assert len({each["c"] for each in told}) == 1
        assert told[0]["c"].startswith(LIQUIDATION)
        assert await client.fetch_positions() == []
        assert [trade["side"] for trade in await client.fetch_my_trades(BTC)] == ["buy", "sell", "sell"]


async def test_coins_are_not_taken(tmp_path):
    async with local_bybit(tmp_path, {SPOT: STILL[BTC]}) as desk:
        client = desk.client()
        await client.create_order(SPOT, "market", "buy", 2)  # less its fee it is still whole lots, which could be sold
        await desk.control("POST", {"kind": "liquidate"})
        assert (await client.fetch_balance())["BTC"]["total"] == 1.999
