"""What a stock ccxt client sees of the local Binance's markets: symbols, candles, tickers, over REST and streams."""

import asyncio

import ccxt
import pytest

from tests.simulator.binance.desk import local_binance, overhear
from tests.simulator.builders import BTC, ETH, START_MS, flat
from tests.simulator.local_desk import SPOT, soon

STILL = [flat(100.0)] * 40
MOVES = [(float(100 + n), float(101 + n), float(99 + n), float(100.5 + n)) for n in range(40)]
FUTURES, COINS = "wss://fstream.binance.com", "wss://stream.binance.com:9443"


async def test_stock_clients_load_their_markets_and_tell_them_apart(tmp_path):
    async with local_binance(tmp_path, {BTC: STILL, SPOT: STILL, ETH: STILL}) as desk:
        futures, spot = desk.futures(), desk.spot()
        swap = (await futures.load_markets())[BTC]
        assert set(futures.markets) == {BTC, ETH}
        assert (swap["id"], swap["swap"], swap["linear"], swap["active"]) == ("BTCUSDT", True, True, True)
        coins = (await spot.load_markets())[SPOT]
        assert set(spot.markets) == {BTC, ETH, SPOT}
        assert (coins["id"], coins["spot"], coins["active"]) == ("BTCUSDT", True, True)
        for market in (swap, coins):
            assert (market["precision"]["amount"], market["precision"]["price"]) == (0.001, 0.1)
            assert (market["limits"]["cost"]["min"], market["limits"]["amount"]["min"]) == (5, 0.001)
        filters = {each["filterType"]: each for each in swap["info"]["filters"]}
        assert (filters["PERCENT_PRICE"]["multiplierUp"], filters["MIN_NOTIONAL"]["notional"]) == ("1.05", "5")
        for client in (futures, spot):
            assert abs(await client.fetch_time() - client.milliseconds()) < 2000
            assert abs(await client.load_time_difference()) < 2000
        tickers = await futures.fetch_tickers([BTC, ETH])
        assert (set(tickers), tickers[BTC]["last"]) == ({BTC, ETH}, 100)
        assert (await spot.fetch_ticker(SPOT))["symbol"] == SPOT
        assert set(await spot.fetch_tickers([SPOT])) == {SPOT}
        assert (await spot.fetch_ticker(BTC))["symbol"] == BTC
        assert (await futures.fetch_last_prices([BTC]))[BTC]["price"] == 100
        assert (await spot.public_get_ticker_price({"symbol": "BTCUSDT"}))["price"] == "100.0"
        assert (await futures.fetch_funding_rate(BTC))["fundingRate"] == 0.0001
        assert set(await futures.fetch_funding_rates()) == {BTC, ETH}
        assert await futures.fapipublic_get_ping() == await spot.public_get_ping() == {}


async def test_candles_are_oldest_first_with_the_forming_one_at_the_end(tmp_path):
    async with local_binance(tmp_path, {BTC: MOVES, SPOT: MOVES}) as desk:
        await desk.step(31)
        for client, symbol in ((desk.futures(), BTC), (desk.spot(), SPOT)):
            got = await client.fetch_ohlcv(symbol, "1m", limit=5)
            assert [row[1] for row in got] == [127, 128, 129, 130, 131]
            assert got[-1][:5] == [START_MS + 31 * 60_000, 131, 131, 131, 131]
            since = await client.fetch_ohlcv(symbol, "1m", since=START_MS + 60_000, limit=4)
            assert [row[1] for row in since] == [101, 102, 103, 104]
            until = await client.fetch_ohlcv(symbol, "1m", limit=3, params={"until": START_MS + 5 * 60_000})
            assert [row[1] for row in until] == [103, 104, 105]
            span = {"until": START_MS + 3 * 60_000 + 30_000}
            both = await client.fetch_ohlcv(symbol, "1m", since=START_MS + 30_000, params=span)
            assert [row[1] for row in both] == [101, 102, 103]
            fives = await client.fetch_ohlcv(symbol, "5m", limit=3)
            assert [row[:5] for row in fives] == [
                [START_MS + 20 * 60_000, 120, 125, 119, 124.5],
                [START_MS + 25 * 60_000, 125, 130, 124, 129.5],
                [START_MS + 30 * 60_000, 130, 131, 129, 131],
            ]
            assert len(await client.fetch_ohlcv(symbol, "1m", limit=1000)) == 32
            ticker = await client.fetch_ticker(symbol)
            assert (ticker["last"], ticker["open"]) == (131, 100)
            with pytest.raises(ccxt.BadRequest, match="-1120"):
                await client.fetch_ohlcv(symbol, "7m")
            with pytest.raises(ccxt.BadRequest, match="-1102"):
                await client.fetch_ohlcv(symbol, "")
            with pytest.raises(ccxt.BadRequest, match="-1130"):
                await client.fetch_ohlcv(symbol, params={"startTime": "x"})


async def test_a_gap_of_the_market_is_left_out_of_its_candles(tmp_path):
    async with local_binance(tmp_path, [flat(100.0), flat(101.0), None, None, flat(104.0), flat(105.0)]) as desk:
        await desk.step(5)
        got = await desk.futures().fetch_ohlcv(BTC, "1m", limit=10)
        assert [row[1] for row in got] == [100, 101, 104, 105]


async def test_candles_are_pushed_closed_ones_with_the_flag(tmp_path):
    async with local_binance(tmp_path, {BTC: MOVES, ETH: MOVES, SPOT: MOVES}) as desk:
        for client, symbol, other in ((desk.futures(), BTC, ETH), (desk.spot(), SPOT, SPOT)):
            began = desk.venue.minute_ms
            price = float(desk.venue.price(BTC))
            first = await soon(client.watch_ohlcv(symbol))
            assert first[-1][:5] == [began, price, price, price, price]
            seen = overhear(client, "handle_ohlcv")
            waiting = asyncio.ensure_future(client.watch_ohlcv(symbol))
            await asyncio.sleep(0)
            await desk.step()
            await soon(waiting)
            while len(seen) < 2:
                await asyncio.sleep(0.01)
            assert [(each["k"]["t"], each["k"]["x"], float(each["k"]["c"])) for each in seen] == [
                (began, True, price + 0.5),
                (began + 60_000, False, price + 1),
            ]
            bulk = await soon(client.watch_ohlcv_for_symbols([[symbol, "5m"], [other, "5m"]]))
            assert next(iter(bulk.values()))["5m"][-1][1] == 100


async def test_higher_frames_close_when_their_last_minute_does(tmp_path):
    async with local_binance(tmp_path, [*MOVES[:6], None, *MOVES[7:]]) as desk:
        wire = await desk.wire(f"{FUTURES}/market/ws/1")
        assert await wire.ask("SUBSCRIBE", ["btcusdt@kline_5m", "btcusdt@kline_1m"]) == {"result": None, "id": 1}
        assert [(await wire.hear())["k"]["i"] for _ in "12"] == ["5m", "1m"]
        await desk.step(5)
        told = [(await wire.hear())["k"] for _ in range(16)]
        closed = [each for each in told if each["x"]]
        five = next(each for each in closed if each["i"] == "5m")
        assert len(closed) == 6
        assert (five["o"], five["h"], five["l"], five["c"], five["v"]) == ("100", "105", "99", "104.5", "5")
        assert five["T"] == START_MS + 5 * 60_000 - 1
        await desk.step(2)
        told = [(await wire.hear())["k"] for _ in range(5)]
        assert [each["t"] for each in told if each["x"]] == [START_MS + 5 * 60_000]


async def test_tickers_are_pushed_in_full_short_and_all_at_once(tmp_path):
    async with local_binance(tmp_path, {BTC: MOVES, ETH: MOVES, SPOT: MOVES}) as desk:
        futures, spot = desk.futures(), desk.spot()
        assert (await soon(futures.watch_ticker(BTC)))["last"] == 100
        assert (await soon(spot.watch_ticker(SPOT)))["symbol"] == SPOT
        waiting = asyncio.ensure_future(futures.watch_tickers([BTC, ETH]))
        await soon(waiting)
        waiting = asyncio.ensure_future(futures.watch_ticker(BTC))
        await asyncio.sleep(0.01)
        await desk.step()
        assert (await soon(waiting))["last"] == 101
        wire = await desk.wire(f"{COINS}/ws/1")
        await wire.ask("SUBSCRIBE", ["!miniTicker@arr", "btcusdt@ticker"])
        told = await wire.hear()
        assert [(each["e"], each["s"]) for each in told] == [("24hrMiniTicker", "BTCUSDT")]
        assert (await wire.hear())["e"] == "24hrTicker"
        await desk.step()
        assert float((await wire.hear())[0]["c"]) == 102


async def test_streams_can_be_named_in_the_address_listed_and_left(tmp_path):
    async with local_binance(tmp_path, {BTC: MOVES, SPOT: MOVES}) as desk:
        wrapped = await desk.wire(f"{FUTURES}/stream?streams=btcusdt@kline_1m/nousdt@kline_1m")
        told = await wrapped.hear()
        assert (told["stream"], told["data"]["e"]) == ("btcusdt@kline_1m", "kline")
        await desk.step()
        assert [(await wrapped.hear())["data"]["k"]["x"] for _ in "12"] == [True, False]
        named = await desk.wire(f"{COINS}/ws/btcusdt@kline_1m")
        assert len((await named.hear())["k"]["o"].partition(".")[2]) == 8
        assert (await named.ask("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@kline_1m"]
        assert (await named.ask("UNSUBSCRIBE", ["btcusdt@kline_1m"]))["result"] is None
        await desk.step()
        assert await named.quiet()


async def test_wrong_requests_are_answered_and_unknown_streams_are_silent(tmp_path):
    async with local_binance(tmp_path, {BTC: MOVES}) as desk:
        wire = await desk.wire(f"{FUTURES}/market/ws/0")
        silent = ["nousdt@kline_1m", "btcusdt@kline_7m", "btcusdt@depth", "btcusdt"]
        assert (await wire.ask("SUBSCRIBE", silent))["result"] is None
        await desk.step()
        assert await wire.quiet()
        assert (await wire.ask("DANCE"))["error"]["code"] == 2
        assert (await wire.ask("SUBSCRIBE", ["a b"]))["error"]["code"] == 2
        assert (await wire.ask("SUBSCRIBE", "btcusdt"))["error"]["code"] == 2
        assert (await wire.say("{"))["error"]["code"] == 3
        many = [f"c{n}usdt@kline_1m" for n in range(1025)]
        assert (await wire.ask("SUBSCRIBE", many))["error"]["code"] == 4
        for _ in range(11):
            await wire.socket.send_str('{"method": "LIST_SUBSCRIPTIONS", "id": 1}')
        while (message := await soon(wire.socket.receive())).type.name == "TEXT":
            assert message.json()["id"] == 1
        assert message.type.name in {"CLOSED", "ERROR", "CLOSE"}


async def test_many_topics_are_told_without_holding_the_loop(tmp_path):
    symbols = [f"C{n}/USDT:USDT" for n in range(40)]
    async with local_binance(tmp_path, dict.fromkeys(symbols, STILL)) as desk:
        wire = await desk.wire(f"{FUTURES}/market/ws/0")
        await wire.ask("SUBSCRIBE", [f"c{n}usdt@kline_1m" for n in range(40)])
        await desk.step()
        told = [await wire.hear() for _ in range(120)]
        assert sum(each["k"]["x"] for each in told) == 40


async def test_the_server_lets_time_pass_by_itself_and_testnet_hosts_end_here_too(tmp_path):
    async with local_binance(tmp_path, {BTC: MOVES[:6], SPOT: MOVES[:6]}) as desk:
        wire = await desk.wire("wss://fstream.binancefuture.com/ws/btcusdt@kline_1m")
        await wire.hear()
        await desk.server.run(minutes=3)
        assert [(await wire.hear())["k"]["x"] for _ in range(6)] == [True, False] * 3
        client = desk.spot()
        client.set_sandbox_mode(True)
        assert SPOT in await client.load_markets()
        assert (await soon(client.watch_ohlcv(SPOT)))[-1][1] == 103
        status, _, _ = await desk.raw("https://fapi.binance.com/fapi/v1/time")
        assert status == 200
        for url in ("api.binance.com/api/v9/time", "api.binance.com/fapi/v1/time", "fapi.binance.com/api/v3/time"):
            async with desk.session().get(f"https://{url}") as answer:
                assert answer.status == 404
