"""Lists of open orders, and what else a start asks: all that is needed, for as little weight as that takes."""

from urllib.parse import parse_qs, urlsplit

import pytest

from livebot.adapters.ccxt_venue.urgency import PRESENT, Urgency
from livebot.core.inputs import OrderAccepted
from livebot.errors import Transient
from tests.adapters.ccxt_venue.desk import (
    BTC,
    PROMPT,
    QUIET,
    STILL,
    Seat,
    binance_seat,
    order,
    replace,
    seat,
    stop,
)

ETH, SOL = "ETH/USDT:USDT", "SOL/USDT:USDT"
THREE = {BTC: STILL, ETH: STILL, SOL: STILL}
MANY = 60  # more than a page is of a venue that has pages


def overheard(s: Seat) -> list[str]:
    """What is asked for from now on: the end of the path, and the symbol if one is named."""
    client, paths = s.connection.orders, []
    original = client.fetch

    async def fetch(url, *rest):
        parts = urlsplit(url)
        paths.append(" ".join((parts.path.rpartition("/")[2], *parse_qs(parts.query).get("symbol", ()))))
        return await original(url, *rest)

    client.fetch = fetch
    return paths


async def test_however_many_orders_are_open_all_are_listed(tmp_path):
    async with binance_seat(tmp_path) as s:
        for number in range(MANY):
            assert isinstance(await s.submit(order(quantity="0.11", price="50", number=number + 1)), OrderAccepted)
        assert len(await s.exchange.fetch_open_orders()) == MANY
        assert len(await s.exchange.fetch_open_orders({BTC})) == MANY


async def test_a_few_symbols_are_asked_about_one_by_one_where_the_whole_list_weighs_more(tmp_path):
    async with binance_seat(tmp_path, THREE) as s:
        for symbol in THREE:
            await s.submit(order(symbol=symbol))
            await s.submit(stop(symbol=symbol))
        paths, used = overheard(s), s.connection.weights.used
        listed = await s.exchange.fetch_open_orders({BTC, SOL})
        assert sorted(each.symbol for each in listed) == [BTC, SOL]
        kinds = ("openAlgoOrders", "openOrders")
        assert sorted(paths) == [f"{kind} {name}" for kind in kinds for name in ("BTCUSDT", "SOLUSDT")]
        assert s.connection.weights.used - used == 4
        del paths[:]
        assert len(await s.exchange.fetch_open_orders()) == 3
        assert paths == ["openOrders", "openAlgoOrders"]
        assert s.connection.weights.used - used == 4 + 80


async def test_many_symbols_and_those_that_are_not_listed_are_asked_about_together(tmp_path):
    async with binance_seat(tmp_path) as s:
        await s.submit(order())
        await s.submit(stop())
        paths = overheard(s)
        for symbols in ({f"X{number}/USDT:USDT" for number in range(21)}, {BTC, "GONE/USDT:USDT"}):
            assert len(await s.exchange.fetch_open_orders(symbols)) == 1
        assert paths == ["openOrders", "openAlgoOrders"] * 2


async def test_bybit_is_asked_for_all_at_once(tmp_path):
    async with seat(tmp_path) as s:
        paths = overheard(s)
        await s.exchange.fetch_open_orders({BTC})
        assert [each for each in paths if each.startswith("realtime")] == ["realtime"]


async def test_a_symbol_that_has_left_the_venue_keeps_no_other_from_being_listed(tmp_path):
    async with binance_seat(tmp_path, THREE) as s:
        await s.submit(order(symbol=ETH))
        await s.submit(stop(symbol=ETH))
        s.arm("refuse", "openOrders", symbols=(SOL,), code=-1121, text="Invalid symbol.", times=None)
        assert [each.symbol for each in await s.exchange.fetch_open_orders({ETH, SOL})] == [ETH]


async def test_one_symbol_without_an_answer_leaves_the_list_without_one(tmp_path):
    async with binance_seat(tmp_path, THREE) as s:
        s.arm("status", "openAlgoOrders", symbols=(SOL,), times=None)
        with pytest.raises(Transient, match="open orders of SOL"):
            await s.exchange.fetch_open_orders({ETH, SOL})
        assert await s.exchange.fetch_open_orders({ETH}) == ()


async def test_what_the_stream_may_have_kept_back_is_looked_for_where_orders_are(tmp_path):
    async with binance_seat(tmp_path, THREE, settings=replace(PROMPT, silence_s=QUIET.silence_s)) as s:
        await s.submit(order(symbol=ETH))
        await s.submit(stop(symbol=ETH))
        await s.until(lambda: len(s.of(OrderAccepted)) > 1)
        paths = overheard(s)
        await s.until(lambda: "openAlgoOrders ETHUSDT" in paths)
        assert set(paths) == {"openOrders ETHUSDT", "openAlgoOrders ETHUSDT"}


async def test_fees_are_asked_for_once_in_a_while_and_those_that_ccxt_has_wrong_not_taken(tmp_path):
    async with binance_seat(tmp_path) as s:
        paths = overheard(s)
        found = await s.exchange.instruments((BTC,))
        assert found[BTC].taker_fee == s.desk.venue.instrument(BTC).taker_fee
        assert paths == []  # they were told when it was opened
        s.exchange._fees_until_s = 0.0
        await s.exchange.instruments((BTC,))
        assert paths == ["accountConfig"]


async def test_what_a_start_waits_for_does_not_stand_in_line_with_candles(tmp_path):
    """Else a daemon that is started again finds its minute used up, and sees to its stops in the next one."""
    async with binance_seat(tmp_path) as s:
        client, urgencies = s.connection.orders, []
        fetch = client.fetch_trading_fees

        async def heard(*arguments):
            urgencies.append(PRESENT.get())
            return await fetch(*arguments)

        client.fetch_trading_fees = heard
        s.exchange._fees_until_s = 0.0
        await s.exchange.instruments((BTC,))
        assert urgencies == [Urgency.LISTS]


async def test_to_open_an_account_weighs_little(tmp_path):
    """Clock, markets, fees, balance, position mode, stream."""
    async with binance_seat(tmp_path) as s:
        assert s.connection.weights.used <= 20
