"""The table from what ccxt raises to whose fault it is."""

import json

import ccxt
import pytest

from livebot.adapters.ccxt_venue.failures import VENUE_ERRORS, Cause, at_open, failure_of
from livebot.errors import Fatal, Transient


def bybit(kind: type[Exception], code: int, text: str) -> Exception:
    body = json.dumps(
        {"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": 1}, separators=(",", ":")
    )
    return kind(f"bybit {body}")


@pytest.mark.parametrize(
    ("error", "cause", "definite"),
    [
        (bybit(ccxt.InsufficientFunds, 110007, "ab not enough"), Cause.REFUSED, True),
        (bybit(ccxt.InvalidOrder, 110003, "price"), Cause.REFUSED, True),
        (bybit(ccxt.BadSymbol, 10001, "Not supported symbols"), Cause.REFUSED, True),
        (bybit(ccxt.OperationRejected, 110022, "no"), Cause.REFUSED, True),
        (bybit(ccxt.InvalidOrder, 110072, "OrderLinkedID is duplicate"), Cause.DUPLICATE, False),
        (ccxt.InvalidOrder('binance {"code":-2010,"msg":"Duplicate order sent."}'), Cause.DUPLICATE, False),
        (
            ccxt.InsufficientFunds('binance {"code":-2010,"msg":"Account has insufficient balance"}'),
            Cause.REFUSED,
            True,
        ),
        (ccxt.InvalidOrder('binance {"code":-4116,"msg":"ClientOrderId is duplicated."}'), Cause.DUPLICATE, False),
        (bybit(ccxt.OrderNotFound, 110001, "order not exists"), Cause.NOT_FOUND, True),
        (ccxt.OrderNotFound('binance {"code":-2011,"msg":"Unknown order sent."}'), Cause.NOT_FOUND, True),
        (bybit(ccxt.AuthenticationError, 10003, "API key is invalid."), Cause.KEYS, True),
        (bybit(ccxt.PermissionDenied, 10005, "Permission denied"), Cause.KEYS, True),
        (ccxt.DDoSProtection('binance {"code":-2015,"msg":"Invalid API-key, IP, or permissions"}'), Cause.KEYS, True),
        (bybit(ccxt.InvalidNonce, 10002, "invalid request"), Cause.CLOCK, True),
        (bybit(ccxt.RateLimitExceeded, 10006, "Too many visits"), Cause.TOO_FAST, True),
        # the same classes without the venue's code prove nothing
        (ccxt.InvalidOrder("bybit amount must be greater than 0.001"), Cause.NO_ANSWER, False),
        (
            ccxt.RateLimitExceeded("bybit POST https://api.bybit.com/v5/order/create 429 Too Many"),
            Cause.NO_ANSWER,
            False,
        ),
        (ccxt.BadRequest("bybit <html>400</html>"), Cause.NO_ANSWER, False),
        (ccxt.OrderNotFound("bybit order not found"), Cause.NO_ANSWER, False),
        (bybit(ccxt.InvalidOrder, 0, "OK"), Cause.NO_ANSWER, False),
        # and these classes prove nothing whatever is in them
        (bybit(ccxt.ExchangeError, 10016, "System error"), Cause.NO_ANSWER, False),
        (bybit(ccxt.RequestTimeout, 10016, "Request timeout"), Cause.NO_ANSWER, False),
        (ccxt.OperationFailed('binance {"code":-1006,"msg":"unexpected response"}'), Cause.NO_ANSWER, False),
        (ccxt.ExchangeNotAvailable("bybit POST https://api.bybit.com/v5/order/create"), Cause.NO_ANSWER, False),
        (ccxt.OnMaintenance('binance {"code":1,"msg":"System is under maintenance."}'), Cause.MAINTENANCE, False),
        (ccxt.OnMaintenance("kraken"), Cause.MAINTENANCE, False),
        (ccxt.NetworkError("cut"), Cause.NO_ANSWER, False),
        (KeyError("result"), Cause.NO_ANSWER, False),
        (TypeError("'NoneType' object is not subscriptable"), Cause.NO_ANSWER, False),
        (None, Cause.NO_ANSWER, False),
    ],
)
def test_only_the_venues_own_code_in_the_right_class_is_a_definite_no(error, cause, definite):
    failure = failure_of(error)
    assert (failure.cause, failure.definite) == (cause, definite)


def test_every_class_of_ccxt_has_a_place():
    for name in ccxt.errors.__all__ if hasattr(ccxt.errors, "__all__") else ():
        kind = getattr(ccxt, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert issubclass(kind, VENUE_ERRORS)
            assert isinstance(failure_of(kind("bybit text")).text, str)


def test_texts_hold_the_venues_words_and_no_secret():
    secret = "ab12SECRETkey"
    errors = [
        bybit(ccxt.AuthenticationError, 10004, f"error sign! origin_string[1700{secret}5000]"),
        ccxt.ExchangeNotAvailable(f"binance GET https://fapi.binance.com/fapi/v1/order?signature={secret}&x=1"),
        bybit(ccxt.AuthenticationError, 10001, f"empty value: apiTimestamp[1] apiKey[{secret}] apiSignature[{secret}]"),
        ccxt.DDoSProtection(f"binance GET https://x?signature={secret} 418 I'm a teapot <html>"),
    ]
    for error in errors:
        failure = failure_of(error)
        assert secret not in failure.text
        assert secret not in repr(failure)
    assert failure_of(errors[0]).text == "error sign! origin_string (code 10004)"
    assert failure_of(errors[1]).text == "it cannot be reached, or is not available"


def test_a_long_page_is_cut_short():
    assert len(failure_of(bybit(ccxt.BadRequest, 10001, "x" * 5_000)).text) < 250


@pytest.mark.parametrize(
    ("error", "kind", "mend"),
    [
        (bybit(ccxt.AuthenticationError, 33004, "Your api key has expired."), Fatal, "make a new one at the venue"),
        (bybit(ccxt.AuthenticationError, 10003, "API key is invalid."), Fatal, "LIVEBOT_API_KEY"),
        (ccxt.AuthenticationError("bybit 401"), Fatal, "LIVEBOT_API_SECRET"),
        (bybit(ccxt.InvalidNonce, 10002, "invalid request"), Fatal, "timedatectl"),
        (bybit(ccxt.BadRequest, 10001, "Illegal category"), Fatal, "Illegal category"),
        (bybit(ccxt.RateLimitExceeded, 10006, "Too many visits"), Transient, "Too many visits"),
        (ccxt.RequestTimeout("bybit GET"), Transient, "no answer in time"),
    ],
)
def test_at_the_start_what_waiting_does_not_mend_is_fatal_and_says_the_mend(error, kind, mend):
    raised = at_open(failure_of(error), "the account could not be checked", "bybit")
    assert type(raised) is kind
    assert str(raised).startswith("bybit: the account could not be checked: ")
    assert mend in str(raised)
