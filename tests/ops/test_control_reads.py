"""What the control API tells besides the status: the same figures, by part and by symbol."""

import asyncio
import time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from livebot.ops.control.reads import Reads
from livebot.ops.status_json import PIECE_S, encode_in_pieces, encode_list, encode_status
from livebot.ports import LimitUse
from tests.ops.fake_control import FakeControl, a_crowd, a_portfolio, a_signal, a_status, a_symbol, an_order
from tests.ops.served import Served

ETH = "ETH/USDT:USDT"


@pytest.fixture
def served(tmp_path):
    symbols = (a_symbol(signals=(a_signal(),)), a_symbol(ETH))
    control = FakeControl(present=a_status(symbols=symbols, open_signals=1))
    control.working = [an_order(), an_order(ETH, leg="entry", status="intended", venue_order_id=None)]
    with Served(tmp_path / "control.sock", control) as served:
        yield served


def told(served, target):
    status, _, answer = served.ask(target)
    assert status == 200, answer
    assert (served.control.asked, served.audited) == ([], [])  # reading is no command
    return answer


def test_symbols_are_those_of_the_status(served):
    status = told(served, "/v1/status")
    assert told(served, "/v1/symbols") == {"now_ms": status["now_ms"], "left_out": 0, "symbols": status["symbols"]}
    assert told(served, f"/v1/symbols?symbol={ETH}")["symbols"] == status["symbols"][1:]


def test_signals_are_those_that_are_not_idle(served):
    status = told(served, "/v1/status")
    wanted = {"symbol": "BTC/USDT:USDT", **status["symbols"][0]["signals"][0]}
    assert told(served, "/v1/signals") == {"now_ms": status["now_ms"], "left_out": 0, "signals": [wanted]}
    assert told(served, f"/v1/signals?symbol={ETH}")["signals"] == []


def test_orders_are_told_with_exact_figures(served):
    """Of one symbol, or all; what is only intended too."""
    answer = told(served, "/v1/orders")
    assert [each["symbol"] for each in answer["orders"]] == ["BTC/USDT:USDT", ETH]
    assert (answer["orders"][0]["quantity"], answer["orders"][0]["trigger_price"]) == ("0.0130", "60622.20")
    (only,) = told(served, "/v1/orders?symbol=ETH%2FUSDT%3AUSDT")["orders"]
    assert (only["status"], only["leg"], only["venue_order_id"]) == ("intended", "entry", None)


def test_the_portfolio_says_why_it_does_not_trade(served):
    served.control.worth = a_portfolio(trading_state="REDUCING", state_reason="maintenance", causes=("maintenance",))
    answer = told(served, "/v1/portfolio")
    assert (answer["trading_state"], answer["causes"]) == ("REDUCING", ["maintenance"])
    assert (answer["equity"], answer["reserved"]) == ("10034.510", "1E+3")


def test_limits_are_told_with_what_is_used(served):
    served.control.present = a_status(limits=(LimitUse(name="drawdown", used=Decimal("0.10"), allowed=None),))
    (limit,) = told(served, "/v1/limits")["limits"]
    assert (limit["name"], limit["used"], limit["allowed"]) == ("drawdown", "0.10", None)


@pytest.mark.parametrize("name", ["symbols", "signals", "orders"])
@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("symbol=DOGE/USDT", 404, "none of this system's"),
        ("symbol=", 400, "1 to 64 characters"),
        ("symbol=" + "x" * 65, 400, "1 to 64 characters"),
        ("symbol=a&symbol=b", 400, "only 'symbol', once"),
        ("sybmol=a", 400, "only 'symbol', once"),
    ],
)
def test_a_question_that_is_wrong_is_refused(served, name, query, status, says):
    got, _, answer = served.ask(f"/v1/{name}?{query}")
    assert (got, says in answer["error"]) == (status, True), answer


@pytest.mark.parametrize(
    "target", ["/v1/status", "/v1/portfolio", "/v1/limits", "/v1/events", "/openapi.json", "/v1/halt"]
)
def test_what_takes_no_arguments_refuses_them_and_repeats_none(served, target):
    """Whoever puts a secret there finds it neither in the answer nor in the daemon."""
    method = "POST" if target == "/v1/halt" else "GET"
    status, head, answer = served.ask(f"{target}?token=Pl4nted", method)
    assert (status, "Pl4nted" in head + str(answer)) == (400, False)
    assert "a token never stands there" in answer["error"]


def test_answers_are_not_to_be_kept_by_anybody(served):
    assert "Cache-Control: no-store" in served.ask("/v1/portfolio")[1]


async def test_a_list_is_bounded_and_says_what_it_leaves_out():
    control = FakeControl(present=a_status(symbols=a_crowd(7, open_every=1)))
    asked: Any = SimpleNamespace(query={})
    for handler in (Reads(control, rows_max=5).symbols, Reads(control, rows_max=5).signals):
        answer = orjson.loads((await handler(asked)).body or b"")
        assert answer["left_out"] == 2
        assert len(answer.get("symbols") or answer["signals"]) == 5


async def test_pieces_make_the_same_bytes():
    for status in (a_status(), a_status(symbols=a_crowd(50)), a_status(symbols=())):
        assert await encode_in_pieces(status) == encode_status(status)


async def test_a_long_list_lets_everybody_else_have_a_turn():
    """The loop is never held for much longer than one piece."""
    turns = 0

    async def tick():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def slowly():
        for symbol in a_crowd(20):
            time.sleep(PIECE_S / 4)
            yield symbol

    ticking = asyncio.create_task(tick())
    await encode_list(slowly())
    ticking.cancel()
    assert turns >= 3
