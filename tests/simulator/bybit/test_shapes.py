"""The local Bybit's messages have the fields of Bybit's documented samples, with values of the same kind."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.builders import BTC, flat
from tests.simulator.bybit.desk import local_bybit
from tests.simulator.bybit.test_streams import wire
from tests.simulator.local_desk import SPOT

SAMPLES = Path(__file__).resolve().parents[4] / "shared/data/protocol/binance_bybit_fixtures/bybit"
STILL = [flat(100.0)] * 10
# Bybit says these in some answers only, or under another account type.
NOT_OURS = {"userIDInt64", "inviterIDInt64", "affiliateIDInt64", "totalPerpUpl", "BitCard", "ByXPost"}
NOT_OURS |= {
    "FiatP2P",
    "FiatBybitPay",
    "FiatConvertBroker",
    "FiatGlobalPay",
    "FiatBitPay",
    "req_id",
    "retExtInfo",
    "time",
}
CONTRACTS_ONLY = {"tpslMode"}

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="../shared/data/protocol is not there")


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Where ours lacks a field of theirs, or has another kind of value in it."""
    if theirs is None or ours is None:
        return []
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            return [f"{where}: {type(ours).__name__} is not an object"]
        lacking = [f"{where}.{name}: lacking" for name in theirs if name not in ours and name not in NOT_OURS]
        return lacking + [
            each for name in theirs if name in ours for each in differences(ours[name], theirs[name], f"{where}.{name}")
        ]
    if isinstance(theirs, list):
        if not isinstance(ours, list):
            return [f"{where}: {type(ours).__name__} is not a list"]
        return differences(ours[0], theirs[0], f"{where}[0]") if ours and theirs else []
    return [] if type(ours) is type(theirs) else [f"{where}: {ours!r} is not like {theirs!r}"]


async def test_answers_are_like_the_samples(tmp_path):
    async with local_bybit(tmp_path, {BTC: STILL, SPOT: STILL}) as desk:
        client = desk.client()
        await client.load_markets()
        await client.create_order(BTC, "market", "buy", 1, None, {"stopLoss": 90, "takeProfit": 110})
        await client.create_order(BTC, "limit", "buy", 1, 80, {"clientOrderId": "x"})
        linear = {"category": "linear", "symbol": "BTCUSDT"}
        answers = {
            "http_get_instruments_linear": await client.public_get_v5_market_instruments_info(linear),
            "http_get_instruments_spot": await client.public_get_v5_market_instruments_info(
                linear | {"category": "spot"}
            ),
            "http_get_klines_linear": await client.public_get_v5_market_kline(linear | {"interval": "1"}),
            "http_get_orders_realtime": await client.private_get_v5_order_realtime(linear | {"orderFilter": "Order"}),
            "http_get_orders_realtime_tp_sl": await client.private_get_v5_order_realtime(
                linear | {"orderFilter": "StopOrder"}
            ),
            "http_get_orders_history": await client.private_get_v5_order_history(linear),
            "http_get_executions": await client.private_get_v5_execution_list(linear),
            "http_get_positions": await client.private_get_v5_position_list(linear),
            "http_get_wallet_balance": await client.private_get_v5_account_wallet_balance({"accountType": "UNIFIED"}),
            "http_get_user_query_api": await client.private_get_v5_user_query_api(),
            "http_get_account_info": await client.private_get_v5_account_info(),
            "http_get_fee_rate": await client.private_get_v5_account_fee_rate(linear),
        }
        for name, answer in answers.items():
            assert answer["result"], name
            assert differences(answer, sample(name), name) == []
            assert not isinstance(answer["result"].get("list"), list) or answer["result"]["list"], name


async def test_pushed_messages_are_like_the_samples(tmp_path):
    async with local_bybit(tmp_path, {BTC: STILL, SPOT: STILL}) as desk:
        public, private, client = await wire(desk), await wire(desk, "private"), desk.client()
        assert differences(await public.ask("subscribe", "kline.1.BTCUSDT"), sample("ws_subscription_ack")) == []
        assert differences(await public.hear(), sample("ws_kline")) == []
        assert differences(await public.ask("subscribe", "wrong"), sample("ws_subscription_failure")) == []
        await public.ask("subscribe", "tickers.BTCUSDT")
        assert differences(await public.hear(), sample("ws_ticker_linear")) == []
        assert differences(await private.ask("auth", "no", "1", "x"), sample("ws_auth_failure")) == []
        expires = str(desk.server.now_ms() + 10_000)
        proof = client.hmac(f"GET/realtime{expires}".encode(), b"secret", sha256, "hex")
        assert differences(await private.ask("auth", "key", expires, proof), sample("ws_auth_success")) == []
        await private.ask("subscribe", "order.linear", "execution", "position", "wallet", "order.spot")
        await client.create_order(BTC, "market", "buy", 1, None, {"stopLoss": 90})
        told = [await private.hear() for _ in range(5)]
        assert [each["topic"] for each in told] == ["execution", "order.linear", "order.linear", "position", "wallet"]
        names = ["ws_account_execution", "ws_account_order_filled", "ws_account_order_stop_loss", "ws_account_position"]
        for message, name in zip(told, [*names, "ws_account_wallet"], strict=True):
            assert differences(message, sample(name), name) == []
        await client.create_order(SPOT, "limit", "buy", 1, 90)
        message = await private.hear()
        assert message["topic"] == "order.spot"
        assert not CONTRACTS_ONLY & set(message["data"][0])
