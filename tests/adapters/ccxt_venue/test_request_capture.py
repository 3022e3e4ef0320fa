"""What leaves the machine when livebot places, finds, changes or cancels an order: stock ccxt, its network cut off."""

import shlex
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livebot.adapters.ccxt_venue.capabilities import (
    PERPETUAL,
    TABLE,
    Form,
    VenueCapabilities,
    to_venue_id,
)
from livebot.adapters.ccxt_venue.order_forms import Call, amend_call, cancel_call, create_call, find_calls
from livebot.core.order import Leg
from livebot.errors import BadInput
from tests.adapters.ccxt_venue.capture import LOT, TICK, Captured, Sent, client_of, name_of, symbol_of
from tests.adapters.ccxt_venue.order_cases import BUY, LIMIT, MARKET, SELL, STOP, D, id_of, order, orders

VENUES = [key for key in TABLE if key[0] != "binanceusdm"]  # the same row under a second name
USED = [("bybit", PERPETUAL), ("binance", PERPETUAL)]


def documented() -> dict[tuple[str, str], dict[str, str]]:
    """Requests by venue and by kind."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for line in Path(__file__).with_name("documented_requests.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            exchange_id, market = line.strip("[]").split()
            found[exchange_id, market] = requests = {}
        elif line and not line.startswith("#"):
            kind, _, request = line.partition(": ")
            requests[kind] = request
    return found


DOCUMENTED = documented()


def calls_of(known: VenueCapabilities) -> dict[str, Call]:
    """Every call livebot can make about an order there, by the names in the file."""
    calls: dict[str, Call] = {}
    made = dict(orders(known))
    for kind, request in made.items():
        try:
            calls[kind] = create_call(request, known)
        except BadInput:
            continue
        change = amend_call(request, "55", known) if kind in {"limit", "stop"} else None
        calls |= {f"amend {kind}": change} if change else {}
    if known.attached_stop:
        calls["purchase with its stop"] = create_call(made["purchase"], known, attached_stop=D("85.5"))
    for leg in (Leg.ENTRY, Leg.STOP):
        try:
            finds = find_calls(symbol_of(known), id_of(leg), known)
            calls |= {f"find {leg.name.lower()} {index}": find for index, find in enumerate(finds, start=1)}
            calls[f"cancel {leg.name.lower()}"] = cancel_call(symbol_of(known), id_of(leg), known)
        except BadInput:
            continue
    return calls


CASES = [(key, kind) for key in VENUES for kind in calls_of(TABLE[key])]


@pytest.fixture
async def desks() -> AsyncIterator[Any]:
    """Clients by venue, made when asked for."""
    made: dict[tuple[str, str], Captured] = {}

    def desk(known: VenueCapabilities) -> Captured:
        key = (known.exchange_id, known.market)
        return made.setdefault(key, client_of(known))

    yield desk
    for each in made.values():
        await each.client.close()


def test_the_file_and_the_table_hold_the_same_kinds_of_order():
    """No form without a request to prove it, and no request for a form that is refused."""
    assert {key: set(DOCUMENTED[key]) for key in DOCUMENTED} == {key: set(calls_of(TABLE[key])) for key in VENUES}


@pytest.mark.untraced
@pytest.mark.parametrize(("key", "kind"), CASES)
async def test_a_request_is_what_the_venue_documents_and_nothing_besides(desks, key, kind):
    known = TABLE[key]
    sent = await desks(known).call(calls_of(known)[kind])
    assert sent.documented() == DOCUMENTED[key][kind]


# Flags of ccxt that change their name on the way: (venue, flag) -> the words, one of which has to be on the wire.
FLAGS = {
    ("binance", "reduceOnly"): {"reduceOnly=true"},
    ("binance", "postOnly"): {"timeInForce=GTX", "type=LIMIT_MAKER"},
    ("binance", "trigger"): {"/fapi/v1/algoOrder"},
    ("bybit", "reduceOnly"): {"reduceOnly:=true"},
    ("bybit", "postOnly"): {"timeInForce=PostOnly"},
    ("okx", "postOnly"): {"ordType=post_only"},
    ("kraken", "postOnly"): {"oflags=post"},
    ("kucoin", "postOnly"): {"postOnly:=true"},
    ("kucoin", "trigger"): {
        "/api/v1/stop-order/queryOrderByClientOid",
        "/api/v1/stop-order/cancelOrderByClientOid",
    },
    ("bitget", "reduceOnly"): {"reduceOnly=YES"},
    ("bitget", "postOnly"): {"force=post_only"},
    ("gate", "postOnly"): {"time_in_force=poc"},
    ("hyperliquid", "reduceOnly"): {"action.orders.r:=true"},
    ("hyperliquid", "postOnly"): {"action.orders.t.limit.tif=Alo"},
    ("coinbase", "postOnly"): {"order_configuration.limit_limit_gtc.post_only:=true"},
}


def values_of(params: Mapping[str, Any]) -> list[Any]:
    return [
        inner for value in params.values() for inner in (values_of(value) if isinstance(value, Mapping) else [value])
    ]


@pytest.mark.untraced
@pytest.mark.parametrize(("key", "kind"), CASES)
async def test_nothing_that_was_asked_for_is_dropped(desks, key, kind):
    """Each value of the call, wherever ccxt puts it, and each flag in the venue's own words."""
    known, call = TABLE[key], calls_of(TABLE[key])[kind]
    sent = await desks(known).call(call)
    words = shlex.split(sent.documented())
    told = {str(value) for value in sent.fields.values()} | set(sent.path.split("/"))
    for flag, value in call.params.items():
        if value is True:
            assert FLAGS[known.exchange_id, flag] & set(words), f"{flag} is gone from {words}"
    for value in values_of(call.params):
        assert value is True or value in told, f"{value} is gone from {words}"
    if call.method in {"create_order", "edit_order"}:
        *_, quantity, price = call.arguments
        assert quantity in told and (price is None or price in told)
    if known.exchange_id != "hyperliquid":  # its side and symbol are a flag and a number
        assert name_of(known) in told or call.method not in {"create_order", "edit_order"}
        side = call.arguments[2] if call.method == "create_order" else ""
        assert not side or side in {word.lower() for word in told}


@pytest.mark.parametrize("key", VENUES)
async def test_the_client_order_id_goes_out_under_the_name_in_the_table(desks, key):
    known = TABLE[key]
    for kind, request in orders(known):
        call = calls_of(known).get(kind)
        if call is None:
            continue
        sent = await desks(known).call(call)
        named = known.client_id
        field = (named.native_stop if request.kind is STOP else None) or named.native
        wire = [value for name, value in sent.fields.items() if name.split(".")[-1] == field]
        assert wire == [to_venue_id(request.client_order_id, known)], kind


@pytest.mark.parametrize("key", VENUES)
async def test_every_form_in_the_table_is_placed_in_some_case_and_none_besides(key):
    """`forms` is exactly what the captured requests prove."""
    proven, known = set(), TABLE[key]
    placed = calls_of(known)
    for kind, request in orders(known):
        if kind not in placed:
            continue
        if request.kind is MARKET:
            proven.add(Form.MARKET_BUY if request.side is BUY else Form.MARKET_SELL)
        proven.add(Form.LIMIT if request.kind is LIMIT else Form.STOP_MARKET if request.kind is STOP else None)
        proven.add(Form.POST_ONLY if request.post_only else None)
        proven.add(Form.REDUCE_ONLY if request.reduce_only and known.market == PERPETUAL else None)
    assert proven - {None} == known.forms


WRITTEN = {"as it came": lambda number: number, "short": Decimal.normalize, "long": lambda number: number + D("0E-12")}


@pytest.mark.untraced
@pytest.mark.parametrize("key", USED)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lots=st.integers(1, 10**12), ticks=st.integers(1, 10**10), written=st.sampled_from(sorted(WRITTEN)))
async def test_no_number_changes_on_its_way(desks, key, lots, ticks, written):
    """Any multiple of the steps, however it is written as a Decimal, is the same number on the wire."""
    known = TABLE[key]
    quantity, price = WRITTEN[written](lots * D(LOT)), WRITTEN[written](ticks * D(TICK))
    desk = desks(known)
    names = {"bybit": ("qty", "price", "triggerPrice"), "binance": ("quantity", "price", "triggerPrice")}
    quantity_name, price_name, trigger_name = names[known.exchange_id]
    limit = order(known, Leg.ENTRY, BUY, LIMIT, quantity=quantity, price=price)
    stop = order(known, Leg.STOP, SELL, STOP, quantity=quantity, trigger_price=price, reduce_only=True)
    for call, name in (
        (create_call(limit, known), price_name),
        (amend_call(limit, "55", known), price_name),
        (create_call(stop, known), trigger_name),
        (amend_call(stop, "55", known), trigger_name),
    ):
        if call is not None:
            sent = await desk.call(call)
            assert exact(sent, quantity_name) == quantity
            assert exact(sent, name) == price


def exact(sent: Sent, name: str) -> Decimal:
    value = sent.fields[name]
    assert isinstance(value, str) and "E" not in value.upper(), value
    return Decimal(value)
