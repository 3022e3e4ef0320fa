"""What stock ccxt makes of orders that it cannot carry out, and that livebot refuses them instead of sending those.

A test here that fails after an upgrade of ccxt may be good news: the row in the capability table can then say more.
"""

from collections.abc import AsyncIterator
from typing import Any

import ccxt
import pytest

from livebot.adapters.ccxt_venue.capabilities import PERPETUAL, SPOT, VenueCapabilities, capabilities_of
from livebot.adapters.ccxt_venue.order_forms import Call, create_call
from livebot.core.order import Leg
from livebot.errors import BadInput
from tests.adapters.ccxt_venue.capture import Captured, client_of, symbol_of
from tests.adapters.ccxt_venue.order_cases import BUY, MARKET, SELL, D, order, orders


@pytest.fixture
async def desk(request) -> AsyncIterator[Captured]:
    captured = client_of(request.param)
    yield captured
    await captured.client.close()


def at(*keys: tuple[str, str]) -> Any:
    """Run for these venues; `desk` is a client of each."""
    rows = [capabilities_of(*key) for key in keys]
    return pytest.mark.parametrize(
        ("desk", "known"), [(row, row) for row in rows], indirect=["desk"], ids=[row.name for row in rows]
    )


def raw(known: VenueCapabilities, side: str, params: dict[str, Any], price: str | None = None) -> Call:
    """A call as one would write it by ccxt's manual."""
    return Call("create_order", (symbol_of(known), "market", side, "0.012", price), params)


@at(
    ("binance", SPOT),
    ("binance", PERPETUAL),
    ("kraken", SPOT),
    ("kucoin", SPOT),
    ("gate", SPOT),
)
async def test_an_attached_stop_leaks_out_as_a_field_no_venue_knows(desk, known):
    side = "sell" if known.exchange_id == "gate" else "buy"
    sent = await desk.call(raw(known, side, {"stopLoss": {"triggerPrice": "80.5"}}))
    assert any(name.startswith("stopLoss") for name in sent.fields)
    with pytest.raises(BadInput, match="cannot travel with an entry"):
        entry = dict(orders(known))["limit" if known.exchange_id == "gate" else "purchase"]
        create_call(entry, known, attached_stop=D("80.5"))


@at(("binance", SPOT), ("binance", PERPETUAL), ("kraken", SPOT))
async def test_the_target_of_a_pair_is_dropped_without_a_word(desk, known):
    sent = await desk.call(raw(known, "sell", {"stopLossPrice": "80.5", "takeProfitPrice": "110.5"}))
    assert "80.5" in sent.documented() and "110.5" not in sent.documented()


@at(("hyperliquid", PERPETUAL))
async def test_the_stop_of_a_pair_is_dropped_without_a_word(desk, known):
    pair = {"stopLossPrice": "80.5", "takeProfitPrice": "110.5", "reduceOnly": True}
    sent = await desk.call(raw(known, "sell", pair, price="100"))
    assert "110.5" in sent.documented() and "80.5" not in sent.documented()


@at(
    ("binance", SPOT),
    ("bybit", SPOT),
    ("okx", SPOT),
    ("kraken", SPOT),
    ("kucoin", SPOT),
    ("gate", SPOT),
    ("bitget", SPOT),
    ("coinbase", SPOT),
    ("hyperliquid", SPOT),
)
async def test_livebot_never_sends_a_target_beside_a_stop_where_both_lock_the_same_coins(desk, known):
    with pytest.raises(BadInput, match="both would lock the same coins"):
        create_call(dict(orders(known))["target"], known)


@at(("bitget", SPOT))
async def test_bitget_has_no_spot_stop_in_ccxt(desk, known):
    with pytest.raises(ccxt.InvalidOrder):
        await desk.call(raw(known, "sell", {"stopLossPrice": "80.5"}))
    refused(known, "stop")


@at(("bitget", PERPETUAL))
async def test_bitget_stop_is_one_of_the_whole_position_at_the_mark_price(desk, known):
    sent = await desk.call(raw(known, "sell", {"stopLossPrice": "80.5", "reduceOnly": True}))
    assert (sent.fields["planType"], sent.fields["triggerType"]) == ("pos_loss", "mark_price")
    refused(known, "stop")


@at(("gate", SPOT))
async def test_gate_spot_stop_dies_after_a_day(desk, known):
    sent = await desk.call(raw(known, "sell", {"stopLossPrice": "80.5"}))
    assert sent.fields["trigger.expiration"] == 86_400
    refused(known, "stop")


@at(("okx", SPOT))
async def test_okx_spot_stop_goes_out_as_a_margin_order(desk, known):
    sent = await desk.call(raw(known, "sell", {"stopLossPrice": "80.5"}))
    assert sent.fields["tdMode"] == "cross"
    refused(known, "stop")


@at(("hyperliquid", PERPETUAL))
async def test_hyperliquid_market_orders_need_a_price_and_leave_as_limit_orders(desk, known):
    with pytest.raises(ccxt.ArgumentsRequired):
        await desk.call(raw(known, "buy", {}))
    sent = await desk.call(raw(known, "buy", {}, price="100"))
    assert (sent.fields["action.orders.p"], sent.fields["action.orders.t.limit.tif"]) == ("105", "Ioc")
    refused(known, "purchase")
    refused(known, "stop")


@at(("hyperliquid", PERPETUAL))
async def test_ccxt_adds_a_fee_for_itself_to_hyperliquid_orders_unless_told_not_to(desk, known):
    desk.client.options["builderFee"] = True
    sent = await desk.call(create_call(dict(orders(known))["limit"], known))
    assert sent.fields["action.builder.f"] > 0
    assert not known.usable


@at(("coinbase", PERPETUAL))
async def test_coinbase_turns_a_reduce_only_stop_into_an_order_that_closes_the_position(desk, known):
    sent = await desk.call(raw(known, "sell", {"stopLossPrice": "80.5", "reduceOnly": True, "client_order_id": "o"}))
    assert sent.path.endswith("/close_position")
    refused(known, "stop")


@at(("coinbase", SPOT))
async def test_coinbase_puts_an_id_of_its_own_in_place_of_ours(desk, known):
    sent = await desk.call(raw(known, "sell", {"clientOrderId": "ours"}))
    assert sent.fields["client_order_id"] != "ours"


@at(("bitget", SPOT), ("gate", SPOT), ("coinbase", SPOT))
async def test_a_purchase_at_the_market_would_be_measured_in_quote_currency(desk, known):
    with pytest.raises(ccxt.InvalidOrder, match="cost"):
        await desk.call(raw(known, "buy", {}))
    refused(known, "purchase")


@at(("okx", PERPETUAL), ("kucoin", PERPETUAL), ("gate", PERPETUAL))
async def test_base_quantities_are_not_sent_to_venues_that_count_contracts(desk, known):
    for kind, request in orders(known):
        with pytest.raises(BadInput, match="numbers of contracts"):
            create_call(request, known), kind


@at(("bybit", SPOT))
async def test_a_stop_with_a_spot_purchase_raises_in_ccxt_and_is_refused_before(desk, known):
    with pytest.raises(ccxt.InvalidOrder):
        await desk.call(raw(known, "buy", {"stopLoss": {"triggerPrice": "80.5"}}))
    with pytest.raises(BadInput, match="cannot travel"):
        create_call(order(known, Leg.ENTRY, BUY, MARKET), known, attached_stop=D("80.5"))


@at(("bybit", PERPETUAL))
async def test_a_whole_position_stop_is_never_what_an_entry_carries(desk, known):
    """Without `tpslMode` Bybit would set one stop for all that is held, and move it with every later entry."""
    call = create_call(order(known, Leg.ENTRY, SELL, MARKET), known, attached_stop=D("99.5"))
    assert (await desk.call(call)).fields["tpslMode"] == "Partial"


def refused(known: VenueCapabilities, kind: str) -> None:
    with pytest.raises(BadInput, match="no proven way"):
        create_call(dict(orders(known))[kind], known)
