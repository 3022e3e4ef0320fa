"""A symbol that was not there when the connection was opened: checked as the others were, and then traded."""

import asyncio

import pytest

from livebot.adapters.ccxt_venue.connection import Keys
from livebot.adapters.ccxt_venue.exchange import CcxtExchange
from livebot.adapters.clock import SystemClock
from livebot.errors import BadInput, Fatal, Transient
from tests.adapters.ccxt_venue.desk import BTC, QUIET, STILL, order
from tests.adapters.ccxt_venue.test_opening import connected
from tests.simulator.builders import ETH
from tests.simulator.bybit.desk import local_bybit
from tests.virtual_loop import REAL_WAIT_S

BOTH = {BTC: STILL, ETH: STILL}


async def test_it_is_traded_then(tmp_path):
    async with local_bybit(tmp_path, BOTH) as desk, connected(desk, Keys("key", "secret")) as connection:
        exchange = await CcxtExchange.open(connection, SystemClock(), (BTC,), QUIET)
        assert not exchange._concerns_us({"symbol": ETH})
        await exchange.include(ETH)
        await exchange.include(ETH)
        assert exchange._concerns_us({"symbol": ETH})
        assert exchange._symbols == (BTC, ETH)
        assert (await exchange.instruments([ETH]))[ETH].base == "ETH"
        await exchange.close()


async def test_one_that_settles_elsewhere_is_refused_and_nothing_is_changed(tmp_path):
    async with local_bybit(tmp_path, BOTH) as desk, connected(desk, Keys("key", "secret")) as connection:
        exchange = await CcxtExchange.open(connection, SystemClock(), (BTC,), QUIET)
        with pytest.raises(BadInput, match="settle in USDC and USDT"):
            await exchange.include("ETH/USDC:USDC")
        assert exchange._symbols == (BTC,)
        await exchange.close()


async def test_one_in_hedge_mode_is_refused_and_one_that_is_not_told_is_tried_again(tmp_path):
    async with local_bybit(tmp_path, BOTH) as desk, connected(desk, Keys("key", "secret")) as connection:
        exchange = await CcxtExchange.open(connection, SystemClock(), (BTC,), QUIET)

        async def hedged(_symbols):
            return [{"symbol": ETH, "hedged": True}]

        connection.orders.fetch_positions = hedged
        with pytest.raises(Fatal, match="ETH/USDT:USDT is in hedge position mode"):
            await exchange.include(ETH)

        async def silent(_symbols):
            raise TimeoutError

        connection.orders.fetch_positions = silent
        with pytest.raises(Transient, match="the position mode could not be read"):
            await exchange.include(ETH)
        assert exchange._symbols == (BTC,)
        await exchange.close()


async def test_one_that_was_let_go_holds_up_nobody_whatever_cannot_be_read_of_it(tmp_path):
    """Not an order of ours, not a position, not a hedge; and what was said of it has passed."""
    async with local_bybit(tmp_path, BOTH) as desk, connected(desk, Keys("key", "secret")) as connection:
        exchange = await CcxtExchange.open(connection, SystemClock(), (BTC,), QUIET)
        await exchange.include(ETH)
        exchange.listen(ETH, lambda _: None)
        said = []
        exchange.listen_notices(said.append)
        row = {"symbol": ETH, "id": "1", "side": "buy", "amount": "1", "status": "??", "info": {}}
        held = {"symbol": ETH, "contracts": "1", "side": "long", "hedged": True, "info": {}}

        async def orders(*_, params):
            return [row]

        async def positions(*_, params):
            return [held]

        connection.orders.fetch_open_orders, connection.orders.fetch_positions = orders, positions
        assert await exchange.fetch_open_orders() == ()
        await until(lambda: [each.symbol for each in said if each.text] == [ETH])
        row["clientOrderId"] = order().client_order_id
        for ask in (exchange.fetch_open_orders, exchange.fetch_positions):
            with pytest.raises((Transient, Fatal)):
                await ask()
        exchange.ignore(ETH)
        assert await exchange.fetch_open_orders() == ()
        assert await exchange.fetch_positions() == ()
        await until(lambda: said[-1].text is None)
        assert exchange._symbols == (BTC,)
        exchange.ignore("DOGE/USDT:USDT")  # was never there
        await exchange.close()


async def test_two_can_be_included_at_once(tmp_path):
    async with local_bybit(tmp_path, BOTH) as desk, connected(desk, Keys("key", "secret")) as connection:
        exchange = await CcxtExchange.open(connection, SystemClock(), (), QUIET)
        await asyncio.gather(exchange.include(BTC), exchange.include(ETH))
        assert sorted(exchange._symbols) == [BTC, ETH]
        await exchange.close()


async def until(true):
    async with asyncio.timeout(REAL_WAIT_S):
        while not true():
            await asyncio.sleep(0.01)
