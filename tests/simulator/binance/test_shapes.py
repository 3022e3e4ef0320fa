"""The local Binance's messages have the fields of Binance's samples and captures, with values of the same kind."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.binance.desk import local_binance
from tests.simulator.builders import BTC, flat
from tests.simulator.local_desk import SPOT

PROTOCOL = Path(__file__).resolve().parents[4] / "shared/data/protocol"
SAMPLES = PROTOCOL / "binance_bybit_fixtures/binance"
STILL = [flat(100.0)] * 10
FALLS = [flat(100.0), flat(100.0), (100.0, 100.0, 80.0, 80.0), flat(80.0), flat(80.0)]
# Said by Binance of trailing stops only, of orders in one respect only, or under another name in what is documented.
NOT_OURS = {"AP", "cr", "st", "type"}
NO_FUTURES = {"positionSide", "ps", "cumQuote", "maker"}
NO_SPOT = {"orderListId", "isMaker", "isIsolated", "M", "bidQty"}

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="../shared/data/protocol is not there")


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def captured(event: str, **wanted: str) -> Any:
    """A message somebody has seen, by its event."""
    for line in (PROTOCOL / "user_data_real.jsonl").read_text().splitlines():
        message = json.loads(line)["msg"]
        inner = message.get("o") if isinstance(message.get("o"), dict) else message
        if message.get("e") == event and all(inner.get(name) == value for name, value in wanted.items()):
            return message
    raise LookupError(event)


def differences(ours: Any, theirs: Any, where: str = "", *, also: frozenset[str] = frozenset()) -> list[str]:
    """Where ours lacks a field of theirs, or has another kind of value in it."""
    if theirs is None or ours is None:
        return []
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            return [f"{where}: {type(ours).__name__} is not an object"]
        skipped = NOT_OURS | also
        lacking = [f"{where}.{name}: lacking" for name in theirs if name not in ours and name not in skipped]
        return lacking + [
            each
            for name in theirs
            if name in ours
            for each in differences(ours[name], theirs[name], f"{where}.{name}", also=also)
        ]
    if isinstance(theirs, list):
        if not isinstance(ours, list):
            return [f"{where}: {type(ours).__name__} is not a list"]
        if where.endswith("kline"):
            pairs = zip(ours[0], theirs[0], strict=True)
            return [f"{where}: {mine!r} is not like {its!r}" for mine, its in pairs if type(mine) is not type(its)]
        return differences(ours[0], theirs[0], f"{where}[0]", also=also) if ours and theirs else []
    return [] if type(ours) is type(theirs) else [f"{where}: {ours!r} is not like {theirs!r}"]


def as_said(client: Any) -> list[Any]:
    """The bodies of answers, as they were before ccxt made text of their numbers."""
    heard: list[Any] = []
    handle = client.handle_errors

    def hear(code, reason, url, method, headers, body, response, *rest):
        heard.append(json.loads(body))
        return handle(code, reason, url, method, headers, body, response, *rest)

    client.handle_errors = hear
    return heard


async def test_futures_answers_are_like_the_samples(tmp_path):
    async with local_binance(tmp_path, {BTC: STILL, SPOT: STILL}) as desk:
        client = desk.futures()
        await client.load_markets()
        heard = as_said(client)
        btc = {"symbol": "BTCUSDT"}
        made = await client.create_order(BTC, "limit", "buy", 1, 90)
        await client.fetch_order(made["id"], BTC)
        await client.create_order(BTC, "market", "buy", 1)
        await client.create_order(BTC, "market", "sell", 1, None, {"stopLossPrice": 90, "reduceOnly": True})
        await client.fetch_open_orders(BTC, params={"trigger": True})
        await client.fapiprivatev2_get_positionrisk(btc)
        await client.fapiprivatev2_get_balance()
        await client.fapiprivatev2_get_account()
        await client.fetch_my_trades(BTC)
        new, asked, market, algo, algos, risk, balance, account, trades = heard
        http = "futures/http_json"
        assert differences(asked, sample(f"{http}/order_response")) == []
        for row in (new, market):
            assert differences(row, sample(f"{http}/order_response"), also=frozenset({"time"})) == []
        for rows in (algos, [algo]):
            assert differences(rows, sample(f"{http}/open_algo_orders")) == []
        assert differences(risk, sample(f"{http}/position_risk")) == []
        assert differences(balance, sample(f"{http}/balance")) == []
        assert differences(account, sample(f"{http}/account_info_v2")) == []
        for row in (new, asked, market, algo, *trades):
            assert not NO_SPOT & set(row)
        assert NO_FUTURES & set(new) == {"positionSide", "cumQuote"}
        assert {"buyer", "maker", "positionSide", "realizedPnl", "commissionAsset"} <= set(trades[0])


async def test_exchange_info_is_like_what_was_captured(tmp_path):
    lines = (PROTOCOL / "raw_captures/BINANCE_FUTURES.0").read_text().splitlines()
    captured_info = json.loads(lines[0].partition(": ")[2])
    async with local_binance(tmp_path, {BTC: STILL, SPOT: STILL}) as desk:
        _, ours, _ = await desk.raw("https://fapi.binance.com/fapi/v1/exchangeInfo")
        assert differences(ours, captured_info, also=frozenset({"assets"})) == []
        theirs = {each["filterType"]: each for each in captured_info["symbols"][0]["filters"]}
        mine = {each["filterType"]: each for each in ours["symbols"][0]["filters"]}
        assert differences(mine, theirs) == []
        _, spot, _ = await desk.raw("https://api.binance.com/api/v3/exchangeInfo")
        assert differences(spot, sample("spot/http_json/exchange_info_response")) == []


async def test_spot_answers_are_like_the_samples(tmp_path):
    async with local_binance(tmp_path, {BTC: STILL, SPOT: STILL}) as desk:
        client = desk.spot()
        await client.load_markets()
        heard = as_said(client)
        await client.create_order(SPOT, "market", "buy", 1)
        made = await client.create_order(SPOT, "limit", "buy", 1, 90, {"clientOrderId": "x"})
        await client.fetch_order(made["id"], SPOT)
        await client.fetch_open_orders(SPOT)
        await client.fetch_orders(SPOT)
        await client.fetch_my_trades(SPOT)
        await client.fetch_balance()
        await client.fetch_ticker(SPOT)
        await client.fetch_ohlcv(SPOT)
        await client.fetch_time()
        await client.cancel_order(made["id"], SPOT)
        names = (
            *("new_order_full", None, "order", "open_orders", "all_orders", "account_trades", "account"),
            *("ticker_24hr", "klines", "server_time", "cancel_order"),
        )
        for answer, name in zip(heard, names, strict=True):
            if name is not None:
                where = "kline" if name == "klines" else name
                assert differences(answer, sample(f"spot/http_json/{name}_response"), where) == []
        for row in (heard[0], heard[1], heard[2], heard[5][0]):
            assert not NO_FUTURES & set(row)


async def test_pushed_market_messages_are_like_the_samples(tmp_path):
    async with local_binance(tmp_path, {BTC: STILL, SPOT: STILL}) as desk:
        wire = await desk.wire("wss://fstream.binance.com/market/ws/0")
        await wire.ask("SUBSCRIBE", ["btcusdt@kline_1m", "btcusdt@ticker"])
        streams = "futures/market_data_json"
        assert differences(await wire.hear(), sample(f"{streams}/kline_stream_open")) == []
        assert differences(await wire.hear(), sample(f"{streams}/ticker_stream")) == []
        await desk.step()
        assert differences(await wire.hear(), sample(f"{streams}/kline_stream_closed")) == []


async def test_pushed_futures_account_messages_are_like_the_samples_and_what_was_captured(tmp_path):
    async with local_binance(tmp_path, FALLS) as desk:
        client = desk.futures()
        key = (await client.fapiprivate_post_listenkey())["listenKey"]
        wire = await desk.wire(f"wss://fstream.binance.com/private/ws?listenKey={key}")
        events = "futures/user_data_json"
        await client.create_order(BTC, "market", "buy", 1)
        new, account, lite, trade = [await wire.hear() for _ in range(4)]
        assert differences(new, sample(f"{events}/order_update_new")) == []
        position = account["a"]["P"][0]
        assert differences(account, sample(f"{events}/account_update")) == []
        assert {"cr", "mt", "iw", "ps"} <= set(position)
        assert differences(lite, sample(f"{events}/trade_lite")) == []
        for theirs in (sample(f"{events}/order_update_trade"), captured("ORDER_TRADE_UPDATE")):
            assert differences(trade, theirs) == []
        assert set(captured("ORDER_TRADE_UPDATE")["o"]) <= set(trade["o"])
        assert "ps" in trade["o"]
        await client.create_order(BTC, "market", "sell", 1, None, {"stopLossPrice": 95, "clientOrderId": "c"})
        algo = await wire.hear()
        later = frozenset({"ap", "aq", "act", "rm"})  # said once there is something to say
        assert differences(algo, sample(f"{events}/algo_update_new"), also=later) == []
        await desk.step(3)
        finished = [await wire.hear() for _ in range(7)][-1]
        assert differences(finished, sample(f"{events}/algo_update_canceled"), also=frozenset({"rm"})) == []


async def test_pushed_spot_account_messages_are_like_the_samples_and_what_was_captured(tmp_path):
    async with local_binance(tmp_path, {SPOT: STILL}) as desk:
        client = desk.spot()
        wire = await desk.wire("wss://ws-api.binance.com/ws-api/v3")
        subscribed = await wire.ask("userDataStream.subscribe.signature", client.sign_params({}))
        assert subscribed == {"id": 1, "status": 200, "result": {"subscriptionId": 0}}
        await client.create_order(SPOT, "limit", "buy", 1, 90, {"clientOrderId": "x"})
        new, position = await wire.hear(), await wire.hear()
        events = "spot/user_data_json"
        assert differences(new, sample(f"{events}/execution_report_wrapped")) == []
        assert differences(position, sample(f"{events}/account_position_wrapped")) == []
        await client.cancel_order(None, SPOT, {"clientOrderId": "x"})
        cancelled, _ = (await wire.hear())["event"], await wire.hear()
        assert (cancelled["C"], cancelled["x"]) == ("x", "CANCELED")
        await client.create_order(SPOT, "market", "buy", 1)
        trade = [(await wire.hear())["event"] for _ in range(4)][2]
        for ours, execution, status in (
            (new["event"], "NEW", "NEW"),
            (trade, "TRADE", "FILLED"),
            (cancelled, "CANCELED", "CANCELED"),
        ):
            theirs = captured("executionReport", x=execution, X=status)
            assert set(theirs) <= set(ours)
            assert differences(ours, theirs) == []
            assert "ps" not in ours
