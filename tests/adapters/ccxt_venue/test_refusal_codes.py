"""Codes that ccxt gives a class which says another thing: what may have been done, what passes, what is one symbol's."""

import json

import ccxt
import pytest

from livebot.adapters.ccxt_venue.failures import Cause, at_open, failure_of, mend_keys, mend_permission
from livebot.core.inputs import OrderAccepted, OrderRejected, OrderUnknown
from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderStatus
from livebot.errors import Fatal, Transient
from tests.adapters.ccxt_venue.desk import BTC, binance_seat, order, seat
from tests.adapters.ccxt_venue.test_spot import spot_seat
from tests.simulator.local_desk import SPOT

CLIENTS = {"bybit": ccxt.bybit(), "binance": ccxt.binance()}
ORDERS = {
    "bybit": "https://api.bybit.com/v5/order/create",
    "contracts": "https://fapi.binance.com/fapi/v1/order",
}


def raised(code: int, text: str = "no") -> Exception:
    """What stock ccxt makes of a refused order; Bybit's codes are above 0, those of Binance's contracts below."""
    name, key = ("bybit", "bybit") if code > 0 else ("binance", "contracts")
    body = {"retCode": code, "retMsg": text, "result": {}} if code > 0 else {"code": code, "msg": text}
    status = 200 if code > 0 else 400
    with pytest.raises(ccxt.BaseError) as caught:
        CLIENTS[name].handle_errors(status, "", ORDERS[key], "POST", {}, json.dumps(body), body, {}, None)
    return caught.value


@pytest.mark.parametrize("code", [170035, 170146, 170147, 170195, 170196])
def test_what_may_have_been_done_is_no_refusal(code):
    failure = failure_of(raised(code))
    assert (failure.cause, failure.definite) == (Cause.NO_ANSWER, False)


def test_a_request_that_came_twice_is_there_already():
    assert failure_of(raised(10014, "Request is repeated")).cause is Cause.DUPLICATE


@pytest.mark.parametrize("code", [170005, 170191, -5028])
def test_a_refusal_for_this_moment_is_certain_and_passes(code):
    failure = failure_of(raised(code))
    assert (failure.cause, failure.definite) == (Cause.TOO_FAST, True)
    assert isinstance(at_open(failure, "it", "there"), Transient)


NOT_ALLOWED = [10024, 10029, 170224, -4087, -4088, -4105, -4106, -4107, -4189, -4192, -4400, -4401, -4402]


@pytest.mark.parametrize("code", NOT_ALLOWED)
def test_what_the_account_may_not_do_says_nothing_of_its_key(code):
    failure = failure_of(raised(code, "not for you"))
    assert (failure.cause, failure.definite) == (Cause.NOT_ALLOWED, True)
    text = str(at_open(failure, "the account could not be checked", "there"))
    assert text == f"there: the account could not be checked: not for you (code {code}); {mend_permission(str(code))}"
    assert isinstance(at_open(failure, "it", "there"), Fatal)
    assert "LIVEBOT_API_KEY" not in text


@pytest.mark.parametrize("code", [10003, 10005, 10010, 10027, 10028, 33004, -2015, -2017, -1109])
def test_what_is_wrong_with_the_key_or_the_account_still_is(code):
    failure = failure_of(raised(code))
    assert failure.cause is Cause.KEYS
    assert mend_keys(failure.code)


async def hide_answer(s, code, text):
    """The venue carries the next order out, and says this of it."""
    client = s.connection.orders
    original = client.fetch

    async def fetch(url, method="GET", headers=None, body=None):
        answer = await original(url, method, headers, body)
        if url.endswith("order/create"):
            client.fetch = original
            said = {"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": 1}
            client.handle_errors(200, "OK", url, method, {}, json.dumps(said), said, headers, body)
        return answer

    client.fetch = fetch


@pytest.mark.parametrize(
    ("code", "text"), [(170146, "Order creation timeout"), (170035, "Submitted to the system for processing!")]
)
async def test_coins_that_were_bought_all_the_same_are_found_by_the_client_id(tmp_path, code, text):
    async with spot_seat(tmp_path, "bybit") as s:
        await hide_answer(s, code, text)
        entry = order(symbol=SPOT)
        outcome = await s.submit(entry)
        assert isinstance(outcome, OrderUnknown)
        assert text.rstrip("!") in outcome.text
        found = await s.exchange.fetch_order(SPOT, entry.client_order_id)
        assert found.status is OrderStatus.FILLED


async def test_too_many_orders_for_a_moment_are_sent_again(tmp_path):
    async with spot_seat(tmp_path, "bybit") as s:
        s.arm("refuse", "order/create", code=170005, text="Too many new orders.", times=2)
        assert isinstance(await s.submit(order(symbol=SPOT)), OrderAccepted)


async def test_an_exit_that_came_too_late_to_the_matching_engine_is_sent_again(tmp_path):
    async with binance_seat(tmp_path) as s:
        await s.submit(order())
        s.arm("refuse", "order/create", code=-5028, text="Timestamp for this request is outside of the ME recvWindow.")
        outcome = await s.submit(order(Leg.EXIT, OrderSide.SELL))
        assert isinstance(outcome, OrderAccepted)
        assert s.desk.server.faults.struck["refuse"] == 1


async def test_a_cancel_that_passes_is_tried_again_by_who_asked(tmp_path):
    async with spot_seat(tmp_path, "bybit") as s:
        resting = order(symbol=SPOT, price="90")
        await s.submit(resting)
        for code in (170147, 170191):
            s.arm("refuse", "order/cancel", code=code, text="Can not cancel order, please try again later.")
            with pytest.raises(Transient, match=str(code)):
                await s.exchange.cancel(SPOT, resting.client_order_id)
        await s.exchange.cancel(SPOT, resting.client_order_id)


@pytest.mark.parametrize(
    ("opened", "symbol", "code", "mend"),
    [
        (lambda folder: spot_seat(folder, "bybit"), SPOT, 170224, "Innovation Zone"),
        (seat, BTC, 10029, "the key is for other symbols"),
        (seat, BTC, 10024, "does not serve this account or country"),
        (binance_seat, BTC, -4400, "until its trading rules are kept again: wait"),
        (binance_seat, BTC, -4192, "cooling-off period"),
        (binance_seat, BTC, -4105, "take the symbol out of the config"),
    ],
)
async def test_what_one_symbol_is_refused_for_stops_no_other(tmp_path, opened, symbol, code, mend):
    async with opened(tmp_path) as s:
        s.arm("refuse", "order/create", code=code, text="not for you")
        outcome = await s.submit(order(symbol=symbol))
        assert isinstance(outcome, OrderRejected)
        assert outcome.code == str(code)
        assert outcome.text.startswith(f"{s.exchange.name}: {symbol}: not for you (code {code}); ")
        assert mend in outcome.text
        assert s.exchange.health.standing == ()
