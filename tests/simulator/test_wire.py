"""What goes over the wire comes back the same."""

import asyncio
from dataclasses import dataclass

import numpy as np
import pytest

from livebot.core.inputs import OrderAccepted, OrderEnded, OrderFilled, OrderRejected, OrderUnknown
from livebot.core.market import Instrument, OrderSide
from livebot.core.order import Fill, OrderKind, OrderStatus, VenueOrder
from livebot.core.series import CandleSeries
from livebot.simulator.market import Fees, instrument_for
from livebot.simulator.wire import (
    LONGEST_FRAME,
    frame,
    from_json,
    named,
    read,
    read_all,
    read_frame,
    read_named,
    read_series,
    to_json,
)
from tests.simulator.builders import D, order

FILL = Fill(
    trade_id="000000000007",
    client_order_id="a",
    ts_ms=1,
    side=OrderSide.SELL,
    price=D("0.10"),
    quantity=D("1E-7"),
    fee=D("0.0000000001"),
)
EVENTS = [
    OrderAccepted(client_order_id="a", venue_order_id="1", quantity=D(1), price=None, trigger_price=D("9.5"), ts_ms=2),
    OrderRejected(client_order_id="a", code="c", text="t", ts_ms=2),
    OrderUnknown(client_order_id="a", text="t", ts_ms=2),
    OrderFilled(FILL, 3),
    OrderEnded(client_order_id="a", status=OrderStatus.CANCELED, filled=D("0.5"), ts_ms=4),
]


@pytest.mark.parametrize("event", EVENTS)
def test_events(event):
    assert read_named(from_json(to_json(named(event)))) == event


@pytest.mark.parametrize(
    "value",
    [
        FILL,
        order("a", "buy", "1", limit="90.10", post=True, group="g"),
        instrument_for("BTC/USDT:USDT", 60_000.0, 1, Fees()),
        VenueOrder(
            client_order_id=None,
            venue_order_id="1",
            symbol="X",
            side=OrderSide.BUY,
            kind=OrderKind.MARKET,
            quantity=D(1),
            filled=D(0),
            status=OrderStatus.WORKING,
        ),
    ],
)
def test_values(value):
    again = read(type(value), from_json(to_json(value)))
    assert again == value
    assert str(again) == str(value)  # also the zeros at a decimal's end


def test_several():
    assert read_all(Fill, from_json(to_json((FILL, FILL)))) == (FILL, FILL)
    kept = {"BTC/USDT:USDT": instrument_for("BTC/USDT:USDT", 60_000.0, 1, Fees())}
    assert read(dict[str, Instrument], from_json(to_json(kept))) == kept


def test_a_field_with_a_default_may_be_missing():
    @dataclass
    class Old:
        a: int

    assert read(Fees, {}) == Fees()
    with pytest.raises(TypeError):
        read(Old, {})


def test_series_keep_every_bit():
    values = np.random.default_rng(1).random((5, 100)) * 1e5
    columns = dict(zip(("open", "high", "low", "close", "volume"), values, strict=True))
    series = CandleSeries(ts_ms=np.arange(100) * 60_000, **columns)
    again = read_series(from_json(to_json(series)))
    for name in ("ts_ms", *columns):
        assert np.array_equal(getattr(again, name), getattr(series, name))
        assert getattr(again, name).dtype == getattr(series, name).dtype


def test_what_has_no_form_is_refused():
    with pytest.raises(TypeError, match="not JSON serializable"):
        to_json({"a": object()})


class TestFrames:
    """Messages on a stream."""

    @staticmethod
    async def first(data: bytes):
        stream = asyncio.StreamReader()
        stream.feed_data(data)
        stream.feed_eof()
        return await read_frame(stream)

    async def test_a_message(self):
        assert await self.first(frame({"a": D("1.50")})) == {"a": "1.50"}

    async def test_the_end_of_the_stream(self):
        assert await self.first(b"") is None
        assert await self.first(frame({"a": 1})[:-1]) is None

    async def test_a_message_that_is_too_long(self):
        with pytest.raises(ValueError, match="too long"):
            await self.first((LONGEST_FRAME + 1).to_bytes(4, "big"))

    async def test_a_message_that_is_no_object(self):
        with pytest.raises(TypeError, match="object"):
            await self.first(frame([1]))

    async def test_a_message_that_is_no_json(self):
        with pytest.raises(ValueError, match=r"JSON|json|unexpected"):
            await self.first(b"\x00\x00\x00\x03{]}")
