"""What differs by market."""

import pytest

from livebot.markets.perpetual import Perpetual
from livebot.markets.spot import Spot


def test_only_derivatives_can_be_sold_short():
    assert not Spot().can_short
    assert Perpetual().can_short


@pytest.mark.parametrize(
    ("market", "symbol", "settlement"),
    [
        (Spot(), "BTC/USDT", "USDT"),
        (Spot(), "1INCH/EUR", "EUR"),
        (Perpetual(), "BTC/USDT:USDT", "USDT"),
        (Perpetual(), "1000PEPE/USDC:USDC", "USDC"),
        (Spot(), "币安人生/USDT", "USDT"),
        (Perpetual(), "币安人生/USDT:USDT", "USDT"),
    ],
)
def test_a_symbol_of_the_market_passes_and_settles_in_its_quote(market, symbol, settlement):
    assert market.check_symbol(symbol) is None
    assert market.settlement(symbol) == settlement


@pytest.mark.parametrize(
    ("market", "symbol", "sentence"),
    [
        (Spot(), "BTC/USDT:USDT", "is a derivative; the spot symbol is 'BTC/USDT'"),
        (Spot(), "BTCUSDT", "write BASE/QUOTE in capitals, such as 'BTC/USDT'"),
        (Spot(), "btc/usdt", "in capitals"),
        (Spot(), "::", "is not a spot symbol"),
        (Spot(), "币安人生/USDT:USDT", "the spot symbol is '币安人生/USDT'"),
        (Spot(), "BTC_X/USDT", "is not a spot symbol"),
        (Perpetual(), "币安人生/USDT", "the perpetual is '币安人生/USDT:USDT'"),
        (Perpetual(), "BTC-X/USDT:USDT", "is not a perpetual symbol"),
        (Perpetual(), "btc/usdt:usdt", "is not a perpetual symbol; write BASE/QUOTE:QUOTE"),
        (Perpetual(), "BTC/USDT", "is a spot symbol; the perpetual is 'BTC/USDT:USDT'"),
        (Perpetual(), "BTCUSDT", "write BASE/QUOTE:QUOTE, such as 'BTC/USDT:USDT'"),
        (Perpetual(), "BTC/USD:BTC", "settles in BTC; only contracts that settle in their quote currency"),
        (Perpetual(), "BTC/USDT:USDT-251226", "has an end date; the perpetual is 'BTC/USDT:USDT'"),
    ],
)
def test_a_symbol_of_another_market_is_refused_with_the_mend(market, symbol, sentence):
    problem = market.check_symbol(symbol)
    assert problem is not None
    assert sentence in problem
    with pytest.raises(ValueError, match="USD"):
        market.settlement(symbol)
