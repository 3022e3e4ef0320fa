"""What stock ccxt tells of all listings, against a local Bybit and a local Binance, and what is made of odd answers."""

from contextlib import asynccontextmanager

import pytest

from livebot.adapters.ccxt_venue.connection import Connection, Loopback
from livebot.adapters.ccxt_venue.listing_facts import facts_of, lacking_fact
from livebot.adapters.ccxt_venue.listings import CcxtListings, CcxtSymbols
from livebot.core.universe_rules import FactKind
from livebot.errors import Transient
from tests.adapters.ccxt_venue.feed_desk import LOCAL, QUICK
from tests.simulator.builders import BTC, ETH

ROW = (100.0, 101.0, 99.0, 100.5)
SPOT = ("BTC/USDT", "ETH/USDT")


@asynccontextmanager
async def connected(folder, venue: str, market: str):
    symbols = SPOT if market == "spot" else (BTC, ETH)
    async with LOCAL[venue](folder, {symbol: [ROW] * 30 for symbol in symbols}) as desk:
        await desk.step()
        await desk.step()
        loopback = Loopback(desk.server.port, desk.ca_file)
        connection = await Connection.open(venue, market, None, loopback=loopback, settings=QUICK)
        try:
            yield desk, connection
        finally:
            await connection.close()


@pytest.mark.parametrize("market", ["spot", "perpetual"])
@pytest.mark.parametrize("venue", ["bybit", "binance"])
async def test_every_fact_of_the_table_is_told(tmp_path, venue: str, market: str) -> None:
    async with connected(tmp_path, venue, market) as (_, connection):
        found = {each.symbol: each for each in await CcxtListings(connection, spreads=True).listings()}
    assert set(found) == (set(SPOT) if market == "spot" else {BTC, ETH})
    one = found[min(found)]
    assert (one.base, one.quote, one.market, one.obstacle) == ("BTC", "USDT", market, None)
    told = {
        FactKind.VOLUME: one.volume,
        FactKind.PRICE: one.price,
        FactKind.AGE: one.listed_ms,
        FactKind.SPREAD: one.spread,
    }
    assert {fact for fact, value in told.items() if value is not None} == facts_of(venue, market)
    assert one.price == 100.0
    assert one.volume == pytest.approx(1440 * 100.0)  # one coin a minute
    assert 0 < one.spread < 0.01


async def test_no_spread_is_asked_for_that_nobody_wants(tmp_path) -> None:
    async with connected(tmp_path, "binance", "perpetual") as (_, connection):
        (one, _) = await CcxtListings(connection, spreads=False).listings()
    assert one.spread is None


async def test_what_the_venue_takes_off_is_gone_at_the_next_look(tmp_path) -> None:
    async with connected(tmp_path, "bybit", "perpetual") as (desk, connection):
        source = CcxtListings(connection, spreads=False)
        assert source.name == "bybit"
        assert len(await source.listings()) == 2
        listings = desk.server._account.listings
        listings.delist(listings.of_symbol(BTC))
        assert [each.symbol for each in await source.listings()] == [ETH]


async def test_what_is_listed_alone_is_one_question(tmp_path) -> None:
    async with connected(tmp_path, "bybit", "perpetual") as (desk, connection):
        connection.data.fetch_tickers = None  # would fail
        source = CcxtSymbols(connection)
        assert source.name == "bybit"
        found = await source.listings()
        assert {each.symbol for each in found} == {BTC, ETH}
        assert (found[0].base, found[0].quote, found[0].market, found[0].volume) == ("BTC", "USDT", "perpetual", None)
        listings = desk.server._account.listings
        listings.delist(listings.of_symbol(BTC))
        assert [each.symbol for each in await source.listings()] == [ETH]


class _Data:
    def __init__(self, markets, tickers) -> None:
        self.markets = markets
        self._tickers = tickers

    async def fetch_tickers(self):
        if isinstance(self._tickers, Exception):
            raise self._tickers
        return self._tickers


class _Connection:
    exchange_id, market, family = "bybit", "perpetual", "bybit"

    def __init__(self, markets, tickers, left_s: float = 0.0) -> None:
        self.data = _Data(markets, tickers)
        self.bans = type("Bans", (), {"left_s": left_s})

    async def reload_markets(self) -> None: ...


def market(symbol: str = BTC, **more):
    row = {"symbol": symbol, "base": "BTC", "quote": "USDT", "swap": True, "active": True, "contract": True}
    row |= {"linear": True, "contractSize": "1", "precision": {"amount": "0.001", "price": "0.1"}, "limits": {}}
    return {symbol: row | {"taker": "0.001", "maker": "0.001", "created": 5} | more}


async def listed(markets, tickers):
    (one,) = await CcxtListings(_Connection(markets, tickers), spreads=True).listings()
    return one


@pytest.mark.parametrize(
    ("more", "obstacle"),
    [
        ({"active": False}, "is not being traded at present"),
        ({"contractSize": "0.01"}, "is counted in contracts, and not in its base currency"),
        ({"precision": {}}, "precision: the venue's answer has no usable 'amount'"),
    ],
)
async def test_what_livebot_cannot_trade_is_listed_with_the_reason(more, obstacle: str) -> None:
    assert (await listed(market(**more), {BTC: {"last": "5"}})).obstacle == obstacle


@pytest.mark.parametrize(
    ("ticker", "volume", "spread"),
    [
        ({"last": "5", "quoteVolume": "70", "baseVolume": "1"}, 70.0, None),
        ({"last": "5", "baseVolume": "7"}, 35.0, None),
        ({"baseVolume": "7"}, None, None),
        ({"last": "five", "quoteVolume": "-1"}, None, None),
        ({"last": "5", "bid": "4", "ask": "6"}, None, 0.4),
        ({"last": "5", "bid": "6", "ask": "4"}, None, None),
        ({"last": "5", "bid": "0", "ask": "4"}, None, None),
    ],
)
async def test_numbers_that_are_none_are_not_told(ticker, volume, spread) -> None:
    one = await listed(market(created="soon"), {BTC: ticker})
    assert (one.volume, one.spread, one.listed_ms) == (volume, spread, None)


@pytest.mark.parametrize("answer", [{}, {BTC: None}, [], OSError("gone"), ValueError("odd")])
async def test_an_answer_without_tickers_is_no_answer(answer) -> None:
    with pytest.raises(Transient, match="bybit"):
        await listed(market(), answer)


async def test_a_banned_address_asks_nothing() -> None:
    with pytest.raises(Transient, match="has banned this address for 7 s more"):
        await CcxtListings(_Connection(market(), {}, left_s=7.0), spreads=False).listings()


def test_a_venue_that_was_never_looked_at_tells_nothing() -> None:
    assert lacking_fact("kraken", "spot", (FactKind.VOLUME,)) is FactKind.VOLUME
    assert lacking_fact("bybit", "perpetual", tuple(FactKind)) is None
