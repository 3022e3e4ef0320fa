"""The most of one order, as each venue tells it, through stock ccxt."""

from dataclasses import replace

import pytest

from livebot.adapters.ccxt_venue.instruments import instrument_of
from livebot.core.inputs import OrderAccepted, OrderRejected
from livebot.core.market import Instrument, OrderSide
from livebot.core.order import Leg
from livebot.errors import Transient
from tests.adapters.ccxt_venue.desk import BTC, D, binance_seat, order, seat, stop
from tests.adapters.ccxt_venue.test_spot import spot_seat
from tests.simulator.local_desk import SPOT, TwoMarkets


def market(*, amount=None, at_market=None, own=None, **rest):
    """One market as ccxt describes it; the bounds of a quantity at a price, at the market, and in Bybit's own words."""
    return {
        "symbol": BTC,
        "base": "BTC",
        "quote": "USDT",
        "contract": True,
        "linear": True,
        "contractSize": "1",
        "taker": "0.0006",
        "maker": "0.0001",
        "precision": {"amount": "0.001", "price": "0.1"},
        "limits": {"amount": {"min": "0.001", "max": amount}, "market": {"min": "0", "max": at_market}},
        "info": {"lotSizeFilter": own or {}},
        **rest,
    }


@pytest.mark.parametrize(
    ("told", "most"),
    [
        (market(amount="100", own={"maxOrderQty": "100.0", "maxMktOrderQty": "50.0"}), "50"),  # Bybit's contracts
        (market(amount="100", own={"maxLimitOrderQty": "100", "maxMarketOrderQty": "30"}), "30"),  # and spot
        (market(amount="1000", at_market="120"), "120"),  # Binance
        (market(amount="20", at_market="120"), "20"),
        (market(amount="9000", at_market="0.00000000"), "9000"),  # Binance where it names none
        (market(amount="0", at_market="", own={"maxMktOrderQty": "0"}), None),
        (market(), None),
        (market(limits={}, info=None), None),
    ],
)
def test_the_smallest_bound_that_is_named_is_the_most_of_one_order(told, most):
    assert instrument_of(told, {}).maximum_quantity == (None if most is None else D(most))


def test_a_bound_that_cannot_be_read_is_not_taken_for_none():
    with pytest.raises(Transient, match=r"BTC/USDT:USDT: the venue's answer has no usable 'maxMktOrderQty'"):
        instrument_of(market(own={"maxMktOrderQty": "many"}), {})


@pytest.fixture
def _bounded(monkeypatch):
    usual = TwoMarkets.instrument

    def instrument(self, symbol: str) -> Instrument:
        return replace(usual(self, symbol), maximum_quantity=D("0.5"))

    monkeypatch.setattr(TwoMarkets, "instrument", instrument)


@pytest.mark.usefixtures("_bounded")
@pytest.mark.parametrize("venue", ["bybit", "binance"])
@pytest.mark.parametrize("symbol", [BTC, SPOT])
async def test_it_is_known_of_every_venue_and_market_and_is_what_the_venue_keeps_to(tmp_path, venue, symbol):
    contracts = seat if venue == "bybit" else binance_seat
    async with spot_seat(tmp_path, venue) if symbol == SPOT else contracts(tmp_path) as s:
        (instrument,) = (await s.exchange.instruments((symbol,))).values()
        assert instrument.maximum_quantity == D("0.5")
        larger = await s.submit(order(symbol=symbol, quantity="0.501"))
        assert isinstance(larger, OrderRejected)
        assert isinstance(await s.submit(order(symbol=symbol, quantity="0.501", price="99", number=2)), OrderAccepted)


@pytest.mark.usefixtures("_bounded")
async def test_the_stop_and_the_exit_of_the_largest_entry_are_taken(tmp_path):
    async with seat(tmp_path) as s:
        (instrument,) = (await s.exchange.instruments((BTC,))).values()
        most = str(instrument.fitting(D(60)))
        for request in (order(quantity=most), stop("90", most), order(Leg.EXIT, OrderSide.SELL, most)):
            assert isinstance(await s.submit(request), OrderAccepted), request
