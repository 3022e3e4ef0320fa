"""The most of one order at the market: the engine keeps to it, and both protocols list it and refuse what is above."""

from dataclasses import replace

import pytest

from livebot.core.inputs import OrderAccepted, OrderRejected
from livebot.core.market import Instrument
from livebot.simulator.binance.codes import refusal_of as binance_refusal
from livebot.simulator.bybit.codes import refusal_of as bybit_refusal
from tests.simulator.builders import BTC, D, Desk, WrittenMarket, flat, order

STILL = flat(100.0)


@pytest.fixture
def bounded(monkeypatch):
    """All that is traded has a bound of 2."""
    usual = WrittenMarket.instrument

    def instrument(self, symbol: str) -> Instrument:
        return replace(usual(self, symbol), maximum_quantity=D(2))

    monkeypatch.setattr(WrittenMarket, "instrument", instrument)


@pytest.mark.usefixtures("bounded")
def test_what_trades_at_the_market_is_bounded_and_what_has_a_price_is_not():
    desk = Desk(STILL)
    for wrong in (order("a", "buy", "2.001"), order("a", "sell", "2.001", stop="90")):
        answer = desk.do(wrong)
        assert isinstance(answer, OrderRejected)
        assert (answer.code, answer.text) == ("above_maximum_quantity", "quantity 2.001 is above the maximum of 2")
    assert isinstance(desk.do(order("b", "buy", "60", limit="90")), OrderAccepted)
    assert isinstance(desk.do(order("c", "buy", "2")), OrderAccepted)
    assert isinstance(desk.do(order("d", "sell", "2", stop="90")), OrderAccepted)


def test_without_a_bound_nothing_is_too_large():
    assert isinstance(Desk(STILL).do(order("c", "buy", "90")), OrderAccepted)


def test_the_refusal_is_in_the_venue_s_words():
    rejected = OrderRejected(client_order_id="a", code="above_maximum_quantity", text="no", ts_ms=0)
    instrument = WrittenMarket({BTC: [STILL]}).instrument(BTC)
    assert [bybit_refusal(category, rejected).code for category in ("linear", "spot")] == [10001, 170135]
    assert [binance_refusal(rejected, instrument, spot=spot).code for spot in (False, True)] == [-4005, -1013]
