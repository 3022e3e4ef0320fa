"""Keys, signatures, receive windows, weights, order limits and bans of the local Binance."""

from dataclasses import replace
from types import SimpleNamespace

import ccxt
import pytest

from livebot.simulator.binance import ApiKey, BinanceSettings, Limits
from livebot.simulator.binance.codes import Refused
from livebot.simulator.binance.gate import Traffic
from tests.simulator.binance.desk import local_binance
from tests.simulator.builders import BTC, flat
from tests.simulator.local_desk import SPOT

STILL = [flat(100.0)] * 10
PUBLIC = {"fetchCurrencies": False, "fetchMargins": False}
LIMITS = Limits(
    weight_per_minute=10, orders_per_ten_seconds=3, orders_per_minute=5, stream_messages_per_second=5, patience=2
)


async def test_keys_windows_and_signatures_are_checked(tmp_path):
    keys = {"key": ApiKey("secret"), "reader": ApiKey("r", "read_only"), "old": ApiKey("o", "expired")}
    async with local_binance(tmp_path, {BTC: STILL, SPOT: STILL}, settings=BinanceSettings(keys=keys)) as desk:
        for config, code in (
            ({"apiKey": "nobody"}, "-2015"),
            ({"secret": "other"}, "-1022"),
            ({"apiKey": "old", "secret": "o"}, "-2015"),
        ):
            for make in (desk.futures, desk.spot):
                with pytest.raises(ccxt.AuthenticationError, match=code):
                    await make(options=PUBLIC, **config).fetch_balance()
        for make, symbol in ((desk.futures, BTC), (desk.spot, SPOT)):
            reader = make(apiKey="reader", secret="r")
            assert (await reader.fetch_balance())["USDT"]["total"] == 10_000
            with pytest.raises(ccxt.BaseError, match="-2015"):
                await reader.create_order(symbol, "market", "buy", 1)
        for reads, name, secret in ((True, "reader", "r"), (False, "key", "secret")):
            told = await desk.spot(apiKey=name, secret=secret).sapi_get_account_apirestrictions()
            assert (told["enableFutures"], told["enableWithdrawals"]) == (not reads, False)
        assert (await desk.spot().fetch_trading_fee(SPOT))["maker"] == 0.0002
        client = desk.futures(options={"recvWindow": 70_000})
        with pytest.raises(ccxt.BadRequest, match="-1131"):
            await client.fetch_balance()


async def test_a_request_without_what_signs_it_is_refused(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        url, key = "https://fapi.binance.com/fapi/v3/account", {"X-MBX-APIKEY": "key"}
        assert (await desk.raw(url))[:2] == (401, {"code": -2014, "msg": "API-key format invalid."})
        assert (await desk.raw(url, headers=key))[1]["code"] == -1102
        assert (await desk.raw(url, headers=key, signature="x"))[1]["code"] == -1102
        status, answer, _ = await desk.raw(url, headers=key, timestamp="1", signature="x")
        assert (status, answer["code"]) == (400, -1021)
        ahead = str(desk.server.now_ms() + 5_000)
        assert "ahead" in (await desk.raw(url, headers=key, timestamp=ahead, signature="x"))[1]["msg"]


async def test_a_bad_key_after_a_good_answer_looks_to_a_stock_client_like_a_ban(tmp_path):
    """Why an adapter has to look at the code itself."""
    async with local_binance(tmp_path, {SPOT: STILL}) as desk:
        client = desk.spot()
        await client.fetch_balance()
        client.apiKey = "nobody"
        with pytest.raises(ccxt.DDoSProtection, match="-2015"):
            await client.fetch_balance()


async def test_weights_and_orders_are_counted_told_and_limited(tmp_path, monkeypatch):
    """All within one window of each limit, however long it takes: a new ten seconds of the wall would forgive orders."""
    monkeypatch.setattr("livebot.simulator.binance.server.time", SimpleNamespace(time=lambda: 1_700_000_000.0))
    limits = BinanceSettings().limits | {"linear": replace(LIMITS, weight_per_minute=60)}
    async with local_binance(tmp_path, STILL, settings=BinanceSettings(limits=limits)) as desk:
        client = desk.futures(options=PUBLIC)
        await client.load_markets()
        assert client.markets[BTC]["info"]["symbol"] == "BTCUSDT"
        for number in range(3):
            await client.create_order(BTC, "limit", "buy", 1, 90)
            assert client.last_response_headers["X-MBX-ORDER-COUNT-1M"] == str(number + 1)
        used = int(client.last_response_headers["X-MBX-USED-WEIGHT-1M"])
        with pytest.raises(ccxt.DDoSProtection, match="-1015"):
            await client.create_order(BTC, "limit", "buy", 1, 90)
        assert len(await client.fetch_open_orders(BTC)) == 3
        assert int(client.last_response_headers["X-MBX-USED-WEIGHT-1M"]) == used + 1
        await client.fetch_open_orders()
        seen = []
        for _ in range(4):
            with pytest.raises(ccxt.DDoSProtection) as caught:
                await client.fetch_open_orders()
            seen.append(str(caught.value).split()[1])
            assert int(client.last_response_headers["Retry-After"]) >= 1
        assert seen == ["429", "429", "418", "418"]
        with pytest.raises(ccxt.DDoSProtection, match="IP banned until"):
            await client.fetch_time()


def test_a_minute_forgives_all_but_a_ban():
    traffic = Traffic(LIMITS)
    assert [traffic.ask(5, 100.0).status for _ in range(3)] == [200, 200, 429]
    late = traffic.ask(5, 119.0)
    assert (late.status, late.retry_s) == (429, 2)
    assert traffic.ask(5, 120.0).status == 200
    assert [traffic.ask(6, 121.0).status for _ in range(3)] == [429, 429, 418]
    banned = traffic.ask(1, 200.0)
    assert (banned.status, banned.retry_s) == (418, 42)
    assert traffic.ask(1, 242.0).status == 200


def test_orders_are_limited_by_ten_seconds_and_by_minute():
    traffic = Traffic(LIMITS)
    for now in (0.0, 1.0, 2.0):
        told = traffic.order(now)
    assert told == {"X-MBX-ORDER-COUNT-10S": "3", "X-MBX-ORDER-COUNT-1M": "3"}
    with pytest.raises(Refused, match="3 orders per 10 SECOND"):
        traffic.order(3.0)
    assert traffic.order(10.0)["X-MBX-ORDER-COUNT-10S"] == "1"
    with pytest.raises(Refused, match="5 orders per 1 MINUTE"):
        traffic.order(20.0)


async def test_an_observer_meets_no_limit(tmp_path):
    keys = {"key": ApiKey("secret"), "watch": ApiKey("w", observer=True)}
    limits = BinanceSettings().limits | {"linear": LIMITS}
    async with local_binance(tmp_path, STILL, settings=BinanceSettings(keys=keys, limits=limits)) as desk:
        await desk.control("POST", {"kind": "lose", "times": None, "endpoints": ["account", "openOrders"]})
        client = desk.futures(apiKey="watch", secret="w", options=PUBLIC)
        client.set_markets_from_exchange(await _loaded(desk))
        for _ in range(3):
            await client.fetch_balance()
            await client.fetch_open_orders()


async def _loaded(desk):
    client = desk.futures(options=PUBLIC)
    await client.load_markets()
    return client
