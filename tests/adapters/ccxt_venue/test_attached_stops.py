"""A stop that travels with an entry protects until our own does, and then goes."""

import pytest

from livebot.core.inputs import OrderAccepted, OrderRejected
from livebot.core.market import OrderSide
from livebot.core.order import Leg
from tests.adapters.ccxt_venue.desk import BTC, QUIET, D, order, replace, seat, stop

FALLING = [(100.0, 100.0, 100.0, 100.0)] * 2 + [(100.0, 100.0, 80.0, 85.0)] * 20


def entry(**more):
    return replace(order(**more), attached_stop=D("90"))


async def test_there_is_no_moment_without_a_stop_and_in_the_end_only_ours_is_left(tmp_path):
    async with seat(tmp_path) as s:
        await s.submit(entry())
        attached = await s.exchange.fetch_open_orders()
        assert [(each.attached, each.trigger_price, each.quantity) for each in attached] == [(True, D(90), D("0.2"))]
        assert attached[0].reduce_only
        assert isinstance(await s.submit(stop("90")), OrderAccepted)
        await s.exchange._attached.settled()
        assert [each.client_order_id for each in await s.exchange.fetch_open_orders()] == [stop().client_order_id]


async def test_it_stays_while_our_own_covers_less_than_the_position(tmp_path):
    async with seat(tmp_path, settings=replace(QUIET, sweep_attempts=2, sweep_wait_s=0.01)) as s:
        await s.submit(entry())
        await s.submit(stop("90", "0.1"))
        await s.exchange._attached.settled()
        assert sorted(each.attached for each in await s.exchange.fetch_open_orders()) == [False, True]
        await s.amend(stop("90", "0.2"))
        await s.exchange._attached.settled()
        assert [each.attached for each in await s.exchange.fetch_open_orders()] == [False]


async def test_what_could_not_be_taken_back_goes_at_the_next_comparison(tmp_path):
    async with seat(tmp_path, settings=replace(QUIET, sweep_attempts=1, sweep_wait_s=0.0)) as s:
        await s.submit(entry())
        s.arm("refuse", "order/cancel")
        await s.submit(stop("90"))
        await s.exchange._attached.settled()
        assert len(await s.exchange.fetch_open_orders()) == 2
        await s.exchange._attached.settled()
        assert [each.attached for each in await s.exchange.fetch_open_orders()] == [False]


async def test_if_it_fires_first_a_comparison_is_asked_for_at_once(tmp_path):
    async with seat(tmp_path, FALLING) as s:
        await s.submit(entry())
        await s.desk.step(4)
        await s.until(lambda: s.said("events"))
        assert (s.said("events")[0].symbol, s.said("events")[0].reconcile) == (BTC, True)
        assert await s.exchange.fetch_positions() == ()


async def test_an_attached_stop_beyond_the_price_is_the_venues_definite_no(tmp_path):
    async with seat(tmp_path) as s:
        outcome = await s.submit(replace(order(), attached_stop=D("110")))
        assert isinstance(outcome, OrderRejected)
        assert "StopLoss" in outcome.text
        assert await s.exchange.fetch_positions() == ()


@pytest.mark.parametrize("side", [OrderSide.BUY, OrderSide.SELL])
async def test_two_entries_have_a_stop_each_for_what_they_filled(tmp_path, side):
    async with seat(tmp_path) as s:
        level = D("90") if side is OrderSide.BUY else D("110")
        for number, quantity in ((1, "0.2"), (2, "0.3")):
            request = order(Leg.ENTRY, side, quantity, number=number)
            assert isinstance(await s.submit(replace(request, attached_stop=level)), OrderAccepted)
        found = await s.exchange.fetch_open_orders()
        assert sorted(each.quantity for each in found) == [D("0.2"), D("0.3")]
        assert all(each.attached and each.side is not side for each in found)
