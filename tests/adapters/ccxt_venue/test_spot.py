"""Spot on both protocols: the fee of a purchase is taken in coins, and what is held is what is left."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from livebot.adapters.ccxt_venue.connection import Connection, Loopback
from livebot.adapters.ccxt_venue.exchange import CcxtExchange
from livebot.adapters.ccxt_venue.stop_sides import PASSED
from livebot.adapters.clock import SystemClock
from livebot.core.inputs import OrderAccepted, OrderEnded, OrderFilled, OrderRejected
from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderStatus
from livebot.errors import Transient
from tests.adapters.ccxt_venue.desk import KEYS, QUICK, QUIET, STILL, D, Seat, order, stop
from tests.simulator.binance.desk import local_binance
from tests.simulator.bybit.desk import local_bybit
from tests.simulator.local_desk import SPOT

VENUES = pytest.mark.parametrize("venue", ["bybit", "binance"])


@asynccontextmanager
async def spot_seat(folder: Path, venue: str) -> AsyncIterator[Seat]:
    """Everything open, in one market of coins at a price of 100."""
    local = local_bybit if venue == "bybit" else local_binance
    async with local(folder, {SPOT: STILL}) as desk:
        loopback = Loopback(desk.server.port, desk.ca_file)
        connection = await Connection.open(venue, "spot", KEYS, loopback=loopback, settings=QUICK)
        exchange = await CcxtExchange.open(connection, SystemClock(), (SPOT,), QUIET)
        sitting = Seat(desk, connection, exchange)
        try:
            yield sitting
        finally:
            await exchange.close()


def protection(trigger: str, quantity: str, **more):
    return stop(trigger, quantity, symbol=SPOT, **more)


@VENUES
async def test_what_was_bought_less_the_fee_in_coins_is_held_and_can_be_sold(tmp_path, venue):
    """By the stream and when asked; the wallet is less what was paid, and no fee of it."""
    async with spot_seat(tmp_path, venue) as s:
        (instrument,) = (await s.exchange.instruments((SPOT,))).values()
        assert instrument.fee_in_base and not instrument.can_short
        entry = order(symbol=SPOT, quantity="0.2")
        assert isinstance(await s.submit(entry), OrderAccepted)
        await s.until(lambda: s.of(OrderEnded))
        (told,) = (event.fill for event in s.of(OrderFilled))
        fee = D("0.2") * instrument.taker_fee
        assert (told.quantity, told.fee, told.base_fee) == (D("0.2"), 0, fee)
        assert await s.exchange.fetch_fills(SPOT, entry.client_order_id) == (told,)
        (held,) = await s.exchange.fetch_positions()
        assert (held.symbol, held.quantity, held.average_price) == (SPOT, D("0.2") - fee, 0)
        account = await s.exchange.fetch_account()
        assert (account.wallet, account.paid) == (10_000 - D("0.2") * told.price, True)
        leaving = order(Leg.EXIT, OrderSide.SELL, "0.199", symbol=SPOT)
        assert isinstance(await s.submit(leaving), OrderAccepted)
        await s.until(lambda: len(s.of(OrderEnded)) == 2)
        sold = s.of(OrderFilled)[-1].fill
        assert (sold.fee, sold.base_fee) == (D("0.199") * sold.price * instrument.taker_fee, 0)
        (rest,) = await s.exchange.fetch_positions()
        assert rest.quantity == D("0.001") - fee


@VENUES
async def test_a_stop_is_placed_moved_found_and_taken_back(tmp_path, venue):
    async with spot_seat(tmp_path, venue) as s:
        await s.submit(order(symbol=SPOT, quantity="0.2"))
        first = protection("90", "0.199")
        assert isinstance(await s.submit(first), OrderAccepted)
        assert isinstance(await s.amend(protection("91", "0.1")), OrderAccepted)
        found = await s.exchange.fetch_order(SPOT, first.client_order_id)
        assert found is not None
        assert (found.status, found.trigger_price, found.quantity) == (OrderStatus.WORKING, D(91), D("0.1"))
        (listed,) = await s.exchange.fetch_open_orders()
        assert listed.client_order_id == first.client_order_id
        await s.exchange.cancel(SPOT, first.client_order_id)
        assert await s.exchange.fetch_open_orders() == ()


@VENUES
async def test_a_stop_that_the_price_has_passed_is_refused_and_never_becomes_a_target(tmp_path, venue):
    """Bybit would take it for one; Binance says no itself."""
    async with spot_seat(tmp_path, venue) as s:
        await s.submit(order(symbol=SPOT, quantity="0.2"))
        refused = await s.submit(protection("101", "0.199"))
        assert isinstance(refused, OrderRejected)
        assert (refused.code == PASSED) == (venue == "bybit")
        standing = protection("90", "0.199", attempt=1)
        assert isinstance(await s.submit(standing), OrderAccepted)
        if venue == "bybit":
            assert isinstance(await s.amend(protection("101", "0.199", attempt=1)), OrderRejected)
        found = await s.exchange.fetch_order(SPOT, standing.client_order_id)
        assert found is not None and found.trigger_price == D(90)


async def test_a_stop_is_sent_although_the_price_is_not_told(tmp_path):
    async with spot_seat(tmp_path, "bybit") as s:
        await s.submit(order(symbol=SPOT, quantity="0.2"))
        for answer in (None, {"last": None}, {"last": "NaN"}):

            async def ticker(symbol, params, answer=answer):
                return answer

            s.connection.orders.fetch_ticker = ticker
            placed = protection("90", "0.06", attempt=len(s.desk.venue.open_orders()) + 1)
            assert isinstance(await s.submit(placed), OrderAccepted)


async def test_fees_in_a_third_coin_are_told_once_and_stop_nothing(tmp_path):
    """Their price is not known here."""
    async with spot_seat(tmp_path, "binance") as s:
        news = s.exchange._news
        row = {
            "id": "7",
            "symbol": SPOT,
            "side": "buy",
            "price": "100",
            "amount": "0.2",
            "timestamp": 5,
            "fee": {"cost": "0.00003", "currency": "BNB"},
        }
        for _ in range(2):
            fill = news.fill(row, "x", SPOT)
        assert (fill.fee, fill.base_fee) == (D(20) * news.instruments[SPOT].taker_fee, 0)
        await s.until(lambda: s.said("fees in BNB"))
        (notice,) = s.said("fees in BNB")
        assert not notice.blocks_entries
        assert "reckoned at the account's usual rate" in notice.text


async def test_coins_of_a_symbol_that_was_let_go_are_still_seen_and_hold_up_nobody(tmp_path):
    """What its positions have left is ours for ever, and what somebody has dismissed there stays dismissed."""
    async with spot_seat(tmp_path, "bybit") as s:
        await s.submit(order(symbol=SPOT, quantity="0.2"))
        await s.until(lambda: s.of(OrderEnded))
        held = await s.exchange.fetch_positions()
        s.exchange.ignore(SPOT)
        assert len(held) == 1
        assert await s.exchange.fetch_positions() == held
        base = SPOT.partition("/")[0]

        async def broken(*_, **_given):
            return {base: {"total": "?"}}

        s.connection.orders.fetch_balance = broken
        assert await s.exchange.fetch_positions() == ()
        await s.exchange.include(SPOT)
        with pytest.raises(Transient, match=base):
            await s.exchange.fetch_positions()
