"""The table of what venues can do: who is in it, who may trade, and how client order ids are written."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.adapters.ccxt_venue.capabilities import (
    PERPETUAL,
    SPOT,
    TABLE,
    DeadMansSwitch,
    Form,
    IdStyle,
    Repeated,
    capabilities_of,
    capability_rows,
    from_venue_id,
    problem_with,
    to_venue_id,
)
from livebot.core.order import Leg, client_order_id
from livebot.errors import BadInput

NAMED = ("binance", "binanceusdm", "bybit", "okx", "kraken", "kucoin", "bitget", "gate", "hyperliquid", "coinbase")
ROWS = list(TABLE.values())
EACH = pytest.mark.parametrize("known", ROWS, ids=[row.name for row in ROWS])

our_ids = st.builds(
    client_order_id,
    st.text(min_size=1, max_size=8),
    st.text(max_size=8),
    st.sampled_from(["BTC/USDT", "ETH/USDT:USDT"]),
    number=st.integers(0, 0xFFFFFF),
    leg=st.sampled_from(Leg),
    attempt=st.integers(0, 255),
)


def test_all_ten_venues_have_a_row():
    assert {exchange_id for exchange_id, _ in TABLE} == set(NAMED)


def test_only_what_is_proven_against_a_local_exchange_may_trade():
    usable = {key for key, row in TABLE.items() if row.usable}
    assert usable == {
        ("bybit", SPOT),
        ("bybit", PERPETUAL),
        ("binance", SPOT),
        ("binance", PERPETUAL),
        ("binanceusdm", PERPETUAL),
    }


def test_the_table_says_for_how_long_a_client_order_id_is_taken():
    """A stop may be sent again under its own id only where a second one beside the first would be refused."""
    known = {
        key: row.client_id.repeated for key, row in TABLE.items() if row.client_id.repeated is not Repeated.UNPROVEN
    }
    assert {key for key, repeated in known.items() if repeated is Repeated.REFUSED} == {
        ("bybit", PERPETUAL),
        ("bybit", SPOT),
    }
    assert known.keys() >= {key for key, row in TABLE.items() if row.usable}


@EACH
def test_a_row_that_may_trade_lacks_nothing_an_order_of_livebot_needs(known):
    if not known.usable:
        assert known.why
        return
    assert known.data
    assert known.why == ""
    assert known.forms >= {Form.MARKET_BUY, Form.MARKET_SELL, Form.STOP_MARKET}
    perpetual = known.market == PERPETUAL
    assert (Form.REDUCE_ONLY in known.forms, known.resting_target) == (perpetual, perpetual)
    assert known.cancelling(Leg.STOP) is not None
    # placed anew under its own id, it must not be refused for that
    assert known.amend_stop or known.client_id.repeated is Repeated.REFUSED_WHILE_OPEN
    assert known.streams == {"candles", "orders", "trades"}
    assert not any(ask.key is None for leg in Leg for ask in known.finding(leg))


@EACH
def test_stops_kept_apart_are_looked_for_and_cancelled_there(known):
    if Form.STOP_MARKET in known.forms:
        apart = (known.finding(Leg.STOP), known.cancelling(Leg.STOP)) != (known.find, known.cancel)
        assert apart == known.conditionals_apart


@EACH
def test_no_dead_mans_switch_is_used_that_could_take_a_protective_stop_back(known):
    """There is no other sort, so nothing in livebot may turn one on."""
    assert known.dead_mans_switch in {
        DeadMansSwitch.NONE,
        DeadMansSwitch.CANCELS_STOPS,
        DeadMansSwitch.UNPROVEN,
    }
    assert "not used" in known.dead_mans_switch.value or known.dead_mans_switch is DeadMansSwitch.NONE


@EACH
def test_absence_is_believed_only_well_after_the_receive_window(known):
    assert 5_000 <= known.receive_window_ms <= 60_000
    assert known.receive_margin_ms >= 10_000


def test_binance_perpetuals_are_the_client_of_their_own():
    assert capabilities_of("binance", PERPETUAL).ccxt_class == "binanceusdm"
    assert capabilities_of("binance", SPOT).ccxt_class == "binance"


@pytest.mark.parametrize(
    ("exchange_id", "market", "said"),
    [
        ("mtgox", SPOT, "'mtgox' is not a venue that livebot knows for spot; known are binance, bitget, bybit"),
        ("mtgox", PERPETUAL, "known are binance, binanceusdm, bitget, bybit"),
        ("kraken", PERPETUAL, "kraken's perpetuals are another venue, krakenfutures"),
        ("binanceusdm", SPOT, "for spot write binance"),
        ("bybit", "options", "'options' is not a market of any venue; write spot or perpetual"),
        ("", SPOT, "'' is not a venue"),
    ],
)
def test_what_is_not_in_the_table_is_refused_with_what_is(exchange_id, market, said):
    with pytest.raises(BadInput, match=re.escape(said)):
        capabilities_of(exchange_id, market)
    assert said in str(problem_with(exchange_id, market, mode="paper", sandbox=False))


@pytest.mark.parametrize(
    ("exchange_id", "market", "mode", "said"),
    [
        ("bybit", PERPETUAL, "live", None),
        ("bybit", PERPETUAL, "paper", None),
        ("binance", PERPETUAL, "live", None),
        ("binanceusdm", PERPETUAL, "live", None),
        ("bybit", SPOT, "paper", None),
        ("binance", SPOT, "paper", None),
        ("bybit", SPOT, "live", None),
        ("binance", SPOT, "live", None),
        ("okx", PERPETUAL, "live", "numbers of contracts"),
        ("okx", SPOT, "paper", "not proven against a local exchange yet"),
        ("coinbase", SPOT, "live", "cannot be asked for an order by our id"),
        ("gate", SPOT, "live", "dies there after a day"),
    ],
)
def test_check_says_in_one_sentence_why_a_venue_cannot_be_used(exchange_id, market, mode, said):
    problem = problem_with(exchange_id, market, mode=mode, sandbox=False)
    if said is None:
        assert problem is None
    else:
        assert problem is not None
        assert said in problem
        assert problem.startswith(f"{exchange_id} {market}: ")
        assert "\n" not in problem


def test_a_sandbox_that_ccxt_cannot_reach_is_refused(monkeypatch):
    assert problem_with("bybit", PERPETUAL, mode="live", sandbox=True) is None
    monkeypatch.setattr("livebot.adapters.ccxt_venue.capabilities.TABLE", {("bybit", PERPETUAL): without_sandbox()})
    problem = problem_with("bybit", PERPETUAL, mode="live", sandbox=True)
    assert problem == "bybit perpetual: ccxt reaches no sandbox there; write sandbox: false"


def without_sandbox():
    return replace(capabilities_of("bybit", PERPETUAL), sandbox=None)


@pytest.mark.untraced
@EACH
@given(ours=our_ids)
def test_our_id_fits_every_venue_and_comes_back_the_same(known, ours):
    venue_id = to_venue_id(ours, known)
    assert len(venue_id) <= known.client_id.longest
    assert re.fullmatch(f"[{known.client_id.alphabet}]+", venue_id)
    assert from_venue_id(venue_id, known) == ours


@pytest.mark.untraced
@given(ids=st.lists(our_ids, unique=True, min_size=2, max_size=20))
def test_no_two_of_our_ids_look_the_same_to_a_venue(ids):
    for known in ROWS:
        assert len({to_venue_id(ours, known) for ours in ids}) == len(ids)


@pytest.mark.untraced
@EACH
@given(text=st.text(alphabet="0123456789abcdefxlbt-", max_size=36))
def test_an_id_that_is_not_ours_is_told_as_such(known, text):
    ours = from_venue_id(text, known)
    assert ours is None or to_venue_id(ours, known) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "web_1234",
        "lb0123456789abcdef0123z01",  # no such leg
        "lb0123456789abcdef0123e0",
        "LB0123456789ABCDEF0123E01",
        "0x6c626f740123456789abcdef01237a01",  # no such leg
        "0x00000000000000000000000000006501",
        "t-lb0123456789abcdef0123e0\n",
        "x-lb0123456789abcdef0123e01",
    ],
)
@EACH
def test_foreign_ids_by_example(known, text):
    assert from_venue_id(text, known) is None


@pytest.mark.parametrize("ours", ["", "a" * 41, "has space", "semi;colon", "lb-é"])
@EACH
def test_an_id_that_a_venue_cannot_take_is_refused(known, ours):
    with pytest.raises(BadInput, match=known.name):
        to_venue_id(ours, known)


def test_venues_without_free_text_get_the_id_in_hexadecimal():
    packed = {row.name for row in ROWS if row.client_id.style is IdStyle.HEX_128}
    assert packed == {"kraken spot", "hyperliquid spot", "hyperliquid perpetual"}
    with pytest.raises(BadInput, match="is no client order id of livebot"):
        to_venue_id("anything", capabilities_of("kraken", SPOT))


def test_the_table_for_people_has_a_row_for_each_and_a_reason_where_orders_are_refused():
    header, *rows = capability_rows()
    assert len(rows) == len(TABLE)
    assert {len(row) for row in rows} == {len(header)}
    told = {tuple(row[:2]): dict(zip(header, row, strict=True)) for row in rows}
    bybit = told["bybit", PERPETUAL]
    assert bybit["live"] == bybit["paper"] == "yes"
    assert bybit["stop in the entry's request"] == "tpslMode Partial"
    assert bybit["stop orders"] == "among the others"
    assert bybit["changed in place"] == "price, quantity, trigger price"
    assert bybit["found by our id in"] == "fetch_open_orders, then fetch_canceled_and_closed_orders"
    assert told["binance", PERPETUAL]["stop orders"] == "apart from the others"
    assert told["coinbase", SPOT]["found by our id in"] == "a list of all orders"
    assert told["gate", SPOT]["stop orders"] == "no"
    assert all(row["why not"] for row in told.values() if row["live"] == "no")
    assert not any("|" in cell for row in rows for cell in row), "it becomes a Markdown table"


@pytest.mark.parametrize("module", ["capabilities", "order_forms"])
def test_the_table_costs_no_import_of_ccxt(module):
    """`livebot check` reads it; ccxt takes seconds to import."""
    code = f"import sys, livebot.adapters.ccxt_venue.{module}; print('ccxt' in sys.modules, 'aiohttp' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]
