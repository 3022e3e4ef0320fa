"""One file is one (strategy, symbol), and stays in its folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.adapters.state_files.signal_names import file_name, folder_name, symbol_of
from livebot.errors import BadInput

PIECES = st.text(st.sampled_from("aBZ9/:-_.$ \\\0ä币"), max_size=14)


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("BTC/USDT", "BTC-USDT.json"),
        ("BTC/USDT:USDT", "BTC-USDT_USDT.json"),
        ("BTC/USD:BTC", "BTC-USD_BTC.json"),
        ("1000SHIB/USDT:USDT", "1000SHIB-USDT_USDT.json"),
        ("kPEPE/USDC:USDC", "kPEPE-USDC_USDC.json"),
        ("$PAC/USDT", "$PAC-USDT.json"),
        ("币安人生/USDT", "币安人生-USDT.json"),
        ("BTC/USDT:USDT-251226", "BTC-USDT_USDT-251226.json"),
        ("BTC/USD:BTC-251226-100000-C", "BTC-USD_BTC-251226-100000-C.json"),
        ("BRK.B", "BRK.B.json"),
    ],
)
def test_symbols_have_the_file_names_people_expect(symbol, name):
    """And the name tells the symbol."""
    assert name == file_name(symbol)
    assert symbol == symbol_of(name)


@pytest.mark.parametrize(
    "symbol",
    [
        "", ".", "..", "/", "../x", "a/../b", "BTC-USDT", "BTC_USDT", "BTC-X/USDT", "BTC/US_D", "BTC/", "/USDT",
        "BTC/USDT/EUR", "BTC/USDT:", "BTC:USDT", "BTC/USDT:A:B", ".BTC/USDT", "BTC/USDT\n", "BTC\0/USDT", "A B/C",
        "A\\B/C", "X" * 121, "币" * 41, "BTC/USDT:USDT-", "BTC/USDT-251226",
    ],
)  # fmt: skip
def test_a_symbol_that_could_clash_or_escape_is_refused(symbol):
    """Refused, not changed: two symbols must never share a file."""
    with pytest.raises(BadInput, match="cannot name a file"):
        file_name(symbol)


@given(PIECES, PIECES)
def test_no_two_symbols_share_a_file(one, other):
    """Whatever is accepted leads back to itself, so nothing else can lead there."""
    for symbol in (one, other, f"{one}/{other}", f"{one}/{other}:{one}"):
        try:
            name = file_name(symbol)
        except BadInput:
            continue
        assert symbol == symbol_of(name)
        assert [name] == list(Path(name).parts)


@given(PIECES)
def test_a_file_name_that_no_symbol_has_tells_no_symbol(stem):
    """Reading a name back never makes up a symbol that has another name."""
    symbol = symbol_of(f"{stem}.json")
    assert symbol is None or file_name(symbol) == f"{stem}.json"


def test_a_name_longer_than_any_symbols_tells_none():
    """Though it looks like one."""
    assert symbol_of(f"{'X' * 121}.json") is None


@pytest.mark.parametrize("strategy", ["ema_cross", "Breakout-2", "a.b", "9"])
def test_strategies_name_their_folder_themselves(strategy):
    """No change, so an operator finds it."""
    assert strategy == folder_name(strategy)


@pytest.mark.parametrize("strategy", ["", ".", "..", ".hidden", "a/b", "a b", "ä", "_x", "-x", "a\n", "x" * 121])
def test_a_strategy_that_cannot_name_a_folder_is_refused(strategy):
    """It could leave the folder or hide in it."""
    with pytest.raises(BadInput, match="cannot name a folder"):
        folder_name(strategy)
