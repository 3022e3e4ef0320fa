"""What a venue says of a key and an account, and what follows from it."""

from types import SimpleNamespace

import pytest

from livebot.adapters.ccxt_venue.account_checks import check_account
from livebot.adapters.ccxt_venue.capabilities import capabilities_of
from livebot.errors import Fatal, LivebotError, Transient
from tests.virtual_loop import run

BTC = "BTC/USDT:USDT"
COIN = {"coin": "USDT", "walletBalance": "10", "equity": "10"}
FUNDED = {"info": {"result": {"list": [{"coin": [COIN]}]}}}
MARGIN = {"info": {"canTrade": True, "assets": [{"asset": "USDT", "walletBalance": "1", "marginBalance": "1"}]}}
GRANTED = {"ContractTrade": ["Order", "Position"], "Spot": ["SpotTrade"]}


def connection(venue: str, **answers):
    """A connection whose client gives these answers."""

    def answering(answer):
        async def give(*_):
            return answer

        return give

    client = SimpleNamespace(**{name: answering(answer) for name, answer in answers.items()})
    known = capabilities_of(venue, "perpetual")
    return SimpleNamespace(
        exchange_id=venue, family=venue, currency="USDT", market="perpetual", capabilities=known, orders=client
    )


def bybit(key: object, positions: object = ()):
    return connection(
        "bybit", privateGetV5UserQueryApi={"result": key}, fetch_balance=FUNDED, fetch_positions=list(positions)
    )


def verdict(account) -> LivebotError | None:
    try:
        run(check_account(account, [BTC] * 12))
    except LivebotError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ({"readOnly": 1, "uta": 1}, "may only read"),
        ({"readOnly": 0, "uta": 0, "unified": 0}, "upgrade it to a unified trading account"),
        (
            {"readOnly": 0, "uta": 1, "permissions": {"ContractTrade": ["Order"]}},
            "lacks the permission ContractTrade Position",
        ),
        ({"readOnly": 0, "uta": 1, "permissions": {"ContractTrade": []}}, "ContractTrade Order and Position"),
    ],
)
def test_a_bybit_key_that_cannot_trade_is_fatal_with_the_mend(key, words):
    error = verdict(bybit(key))
    assert type(error) is Fatal
    assert words in str(error)


@pytest.mark.parametrize(
    "key",
    [
        {"readOnly": 0, "uta": 1, "unified": 0, "permissions": GRANTED},
        {"readOnly": 0, "uta": 0, "unified": 1, "permissions": GRANTED},
        {},  # what the venue does not say is not held against it
        None,
    ],
)
def test_a_bybit_key_that_can_trade_is_fine(key):
    assert verdict(bybit(key)) is None


@pytest.mark.parametrize(
    ("told", "fatal"),
    [
        ({"enableReading": True, "enableFutures": False, "enableSpotAndMarginTrading": True}, True),
        ({"enableReading": True, "enableFutures": True, "enableSpotAndMarginTrading": False}, False),
        ({}, False),  # what the venue does not say is not held against it
        ("<html>", False),
    ],
)
def test_a_binance_key_that_may_read_and_not_trade_is_fatal_before_the_first_order(told, fatal):
    account = connection(
        "binance", sapiGetAccountApiRestrictions=told, fetch_balance=MARGIN, fetch_position_mode={"hedged": False}
    )
    error = verdict(account)
    assert (type(error) is Fatal) is fatal
    assert error is None or "switch on 'Enable Futures'" in str(error)


def test_a_hedged_symbol_is_fatal_and_an_answer_that_is_no_list_transient():
    hedged = verdict(bybit({}, [{"symbol": BTC, "hedged": True}]))
    assert type(hedged) is Fatal
    assert BTC in str(hedged)
    odd = connection("bybit", privateGetV5UserQueryApi={}, fetch_balance=FUNDED, fetch_positions="<html>")
    assert type(verdict(odd)) is Transient


def test_a_binance_account_that_may_not_trade_or_is_hedged_is_fatal():
    barred = connection("binance", fetch_balance={"info": {"canTrade": False}}, fetch_position_mode={"hedged": False})
    assert "may not trade" in str(verdict(barred))
    both = connection("binance", fetch_balance=MARGIN, fetch_position_mode={"hedged": True})
    assert "the account is in hedge position mode" in str(verdict(both))
    fine = connection("binance", fetch_balance=MARGIN, fetch_position_mode={"hedged": False})
    assert verdict(fine) is None


@pytest.mark.parametrize(
    ("told", "is_hedged"),
    [({"dualSidePosition": True}, True), ({"dualSidePosition": False}, False), ({}, True), ("<html>", True)],
)
def test_a_binance_position_mode_is_read_where_that_weighs_least_and_asked_for_if_it_is_not_told(told, is_hedged):
    account = connection(
        "binance", fetch_balance=MARGIN, fapiPrivateGetAccountConfig=told, fetch_position_mode={"hedged": True}
    )
    assert (type(verdict(account)) is Fatal) is is_hedged


def test_an_account_without_the_currency_it_is_to_trade_in_is_fatal():
    empty = {"info": {"result": {"list": [{"coin": [{"coin": "BTC", "walletBalance": "1", "equity": "1"}]}]}}}
    account = connection("bybit", privateGetV5UserQueryApi={}, fetch_balance=empty, fetch_positions=[])
    assert "the account holds no USDT: transfer some" in str(verdict(account))
