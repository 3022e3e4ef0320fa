"""What an operator sees: on one screen of `status`, and below the log of `run`."""

import io
import re
import threading
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from livebot.cli.screen import TerminalScreen, live_view
from livebot.cli.status_view import print_status
from livebot.ports import LimitUse
from tests.ops.fake_control import IDLE, a_crowd, a_signal, a_status, a_symbol

PATIENCE_S = 60.0
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def limit(name, used, allowed):
    return LimitUse(name=name, used=Decimal(used), allowed=Decimal(allowed))


EIGHT_LIMITS = tuple(limit(f"a_rather_long_limit_{place}", "0.5", "1.5") for place in range(8))


def screen_of(status, width=100):
    """The lines of `livebot status`."""
    console = Console(file=(file := io.StringIO()), width=width, highlight=False)
    print_status(status, console)
    return file.getvalue().splitlines()


def live_of(status, width=100, height=30, **options):
    """The lines below the log."""
    console = Console(file=(file := io.StringIO()), width=width, height=height, highlight=False)
    console.print(live_view(status, console, **options))
    return file.getvalue().splitlines()


# ------------------------------------------------------------------ am I safe


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, " SAFE  no position is open"),
        (
            {"symbols": (a_symbol(signals=(a_signal(),)),)},
            " SAFE  every open position has its stop on the venue",
        ),
        ({"problems": ("one",)}, " SAFE  no position is open, but there is a problem"),
        ({"problems": ("one", "two")}, " SAFE  no position is open, but there are 2 problems"),
        ({"ready": False}, " STARTING  nothing is decided yet"),
        (
            {"trading_state": "HALTED", "state_reason": "drawdown"},
            " HALTED  nothing opens: drawdown; no position is open",
        ),
        ({"trading_state": "REDUCING"}, " REDUCING  nothing opens: no reason was given; no position is open"),
        (
            {"unprotected": ("ema_cross/A#1",), "trading_state": "HALTED"},
            " NOT SAFE  1 position has no stop on the venue: ema_cross/A#1",
        ),
        (
            {"unprotected": ("a#1", "b#1", "c#1", "d#1")},
            " NOT SAFE  4 positions have no stop on the venue: a#1, b#1, c#1 and 1 more",
        ),
        (
            {"symbols": (a_symbol(signals=(a_signal(7, protected=False),)),)},
            " NOT SAFE  1 position has no stop on the venue: ema_cross/BTC/USDT:USDT#7",
        ),
    ],
)
def test_the_first_line_is_the_answer(changes, answer):
    """What is worst decides."""
    assert screen_of(a_status(**changes))[0].rstrip() == answer


def test_the_daemon_says_who_it_is_and_what_it_is_worth():
    """Market, mode, time, and the day's PnL over what the day began with."""
    lines = screen_of(a_status(open_signals=3))
    assert lines[1].startswith("demo  perpetual, paper on simulator  2026-01-01 12:00:00 UTC  up 2 h 14 min  pid 4242")
    assert lines[2].rstrip() == "Trading ACTIVE  Equity 10,034.51  Day +34.51 (+0.35 %)  Open 3 of 5  Problems 0"


def test_a_loss_and_no_limit():
    """No limit is not a limit of nothing."""
    lines = screen_of(a_status(day_pnl=Decimal("-34.51"), limits=(), trading_state="REDUCING"))
    assert "Trading REDUCING  Equity 10,034.51  Day -34.51 (-0.34 %)  Open 0  Problems 0" in lines[2]
    assert "Limits   none" in "\n".join(lines)


# ------------------------------------------------------------------ what is open


def test_what_is_open_is_a_row():
    """All that an operator asks about it, if there is room."""
    text = "\n".join(screen_of(a_status(symbols=(a_symbol(signals=(IDLE, a_signal())),)), width=110))
    assert re.search(r"Symbol +Worker +Strategy +State +Side +Qty +Entry +Stop +Target +PnL +Age", text)
    assert re.search(r"BTC/USDT:USDT running ema_cross Open +long 0\.013 61234\.5 60622\.2 62459\.2 \+12\.35 12s", text)


def test_nothing_open_is_said():
    """Instead of an empty table."""
    assert "Nothing is open." in [line.strip() for line in screen_of(a_status())]


def test_two_signals_on_one_symbol_are_two_rows():
    """One per strategy."""
    signals = (a_signal(), a_signal(strategy="breakout", side="short", unrealised=Decimal(-1)))
    rows = [line for line in screen_of(a_status(symbols=(a_symbol(signals=signals),))) if "BTC/USDT" in line]
    assert len(rows) == 2
    assert "-1.00" in rows[1]


def test_many_are_cut_and_counted():
    """One screen; `--json` shows all."""
    lines = screen_of(a_status(symbols=a_crowd(500), open_signals=50))
    assert len(lines) < 50
    assert "... and 25 more; `livebot status --json` shows all" in [line.strip() for line in lines]


# ------------------------------------------------------------------ what is wrong


def test_what_is_wrong_is_told_with_its_cause():
    """Problems first, then each symbol that failed or is held back."""
    status = a_status(
        problems=("the disk is nearly full",),
        symbols=(
            a_symbol(
                "A", worker="quarantined", blocks=("quarantined",), restarts=6, last_error="ValueError: \x1b[2Jno"
            ),
            a_symbol("B", worker="backing_off", restarts=1, last_error="Transient: timeout"),
            a_symbol("C", blocks=("paused", "switched_off")),
            a_symbol("D"),
            a_symbol("E", last_close_ms=None, signals=()),
        ),
    )
    lines = [line.rstrip() for line in screen_of(status)]
    begin = lines.index("What is wrong")
    assert lines[begin + 1 : begin + 5] == [
        "! the disk is nearly full",
        "  A  quarantined; 6 restarts; ValueError:  [2Jno",
        "  B  backing_off; 1 restart; Transient: timeout",
        "  C  paused; switched_off",
    ]
    assert "Symbols  5: 3 running, 1 quarantined, 1 backing_off; 2 with nothing to tell; last candle 12s ago" in lines


def test_too_much_wrong_is_cut_and_counted():
    """What is cut is counted."""
    status = a_status(
        problems=tuple(f"problem {number}" for number in range(15)),
        symbols=tuple(a_symbol(f"S{number}", blocks=("paused",)) for number in range(40)),
    )
    text = "\n".join(screen_of(status))
    assert "... and 5 more; `livebot status` tells" in text
    assert "... and 26 more; `livebot status --json` shows all" in text


def test_before_the_first_candle_there_is_no_age():
    """Nothing is made up."""
    text = "\n".join(screen_of(a_status(symbols=(a_symbol(last_close_ms=None),))))
    assert "1 with nothing to tell\n" in text.replace(" \n", "\n").replace("  ", "")


def test_the_age_of_candles_is_a_range():
    """A symbol that fell behind shows."""
    status = a_status(symbols=(a_symbol("A"), a_symbol("B", last_close_ms=1_767_268_800_000 - 600_000)))
    assert "last candle 12s to 10m ago" in "\n".join(screen_of(status))


def test_limits_are_told_the_most_used_first():
    """A limit of nothing is used up; one that is not set is not told."""
    status = a_status(
        limits=(limit("a", "0.1", 1), limit("b", "0.9", 1), limit("c", 0, 0), limit("d", 2, 1), *a_status().limits[2:]),
        slow_calls={"breakout": 81.2},
    )
    text = "\n".join(screen_of(status))
    assert "Limits   d 2/1  c 0/0  b 0.9/1  a 0.1/1" in text
    assert "Counts   slowest breakout 81 ms  opened 12  closed 9  denied 44  instances 3" in text


# ------------------------------------------------------------------ below the log


@pytest.mark.parametrize("size", [(100, 30), (80, 24), (120, 50), (60, 20)])
@pytest.mark.parametrize("many", [1, 10, 500])
def test_the_table_leaves_room_for_the_log(size, many):
    """Whatever there is to tell; and no line is broken."""
    width, height = size
    status = a_status(
        symbols=a_crowd(many, open_every=1),
        limits=EIGHT_LIMITS,
        counts={f"count_{place}": 123_456 for place in range(20)},
        problems=tuple("a problem that takes a long sentence to tell, longer than a line " * 2 for _ in range(9)),
        unprotected=tuple(f"ema_cross/S{place:03}/USDT:USDT#1" for place in range(many)),
    )
    lines = live_of(status, width, height)
    assert len(lines) <= height - 7
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (120, "Symbol Worker Strategy State Side Qty Entry Stop Target PnL Age"),
        (90, "Symbol Strategy State Side Qty Entry Stop Target PnL Age"),
        (85, "Symbol Strategy State Qty Entry Stop Target PnL Age"),
        (78, "Symbol Strategy State Qty Entry Stop PnL Age"),
        (72, "Symbol Strategy State Qty Entry Stop PnL"),
        (60, "Symbol State Qty Entry Stop PnL"),
        (30, "Symbol State Qty Entry Stop PnL"),
    ],
)
def test_columns_give_way_one_after_the_other(width, titles):
    """The worker moves into the state, the side into the sign."""
    status = a_status(
        symbols=(
            a_symbol(signals=(a_signal(),)),
            a_symbol("ETH/USDT:USDT", worker="quarantined"),
            a_symbol("SOL/USDT:USDT", blocks=("paused",), signals=(IDLE, IDLE)),
            a_symbol("XRP/USDT:USDT", signals=(a_signal(side="short", strategy="mean_reversion"),), worker="guarded"),
        )
    )
    lines = live_of(status, width, 40)
    titled = [line.split() for line in lines if line.startswith("S")]
    if width > 30:
        assert titles.split() in titled
        assert any("quarantined" in line for line in lines)
        assert any("paused" in line for line in lines)
        assert any("-0.013" in line for line in lines) == ("Side" not in titles)
    assert max(map(len, lines)) <= width


def test_what_needs_the_operator_comes_first():
    """Then what is open, then what is held back, then the quiet ones; what is cut is counted by kind."""
    symbols = (
        a_symbol("QUIET"),
        a_symbol("HELD", blocks=("paused",)),
        a_symbol("OPEN", signals=(a_signal(signal_id="x#1"),)),
        a_symbol("TROUBLE", worker="backing_off"),
        a_symbol("TIMED", signals=(a_signal(signal_id="y#1", protected=None),)),
        a_symbol("NAKED", signals=(a_signal(protected=False),)),
    )
    status = a_status(symbols=symbols, unprotected=("y#1",))
    order = ["TIMED", "NAKED", "TROUBLE", "OPEN", "HELD", "QUIET"]
    shown = [line.split()[0] for line in live_of(status, 100, 40)]
    assert [name for name in shown if name in order] == order
    assert "NO STOP" in "\n".join(live_of(status, 100, 40))
    low = live_of(status, 100, 18)
    assert "... 4 more: 1 in trouble, 1 open, 1 held back, 1 idle" in [line.strip() for line in low]


def test_without_a_log_there_is_more_room():
    """As in `livebot watch`."""
    status = a_status(symbols=a_crowd(100))
    assert len(live_of(status, 100, 30, log_lines=0)) == 30


def test_the_view_of_500_symbols_is_made_soon():
    """It is drawn twice a second beside the trading."""
    status = a_status(symbols=a_crowd(500))
    took = []
    for _ in range(5):
        begun = time.thread_time()  # on a machine that others keep busy
        live_of(status)
        took.append(time.thread_time() - begun)
    assert min(took) < 0.1


# ------------------------------------------------------------------ the terminal


def terminal(width=100, height=30):
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, highlight=False)


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_log_scrolls_above_the_table(monkeypatch):
    """The table is drawn again after each line, and is gone at the end."""
    monkeypatch.setattr("livebot.cli.screen.CLOSE_SECONDS", PATIENCE_S)
    console = terminal()
    screen = TerminalScreen(console).start()
    wait_for(lambda: "starting ..." in console.file.getvalue())
    screen.show(a_status())
    wait_for(lambda: "Equity" in console.file.getvalue())
    console.file.truncate(0)
    screen.log_line("\x1b[32minfo\x1b[0m first\nsecond [not markup]")
    drawn = ESCAPES.sub("", console.file.getvalue())
    before, _, below = drawn.partition("second [not markup]")  # before it: it may have been its time to be drawn anyway
    assert "info first" in before and "Equity 10,034.51" in below
    assert "\x1b[32minfo\x1b[0m first" in console.file.getvalue()
    screen.show(a_status(system="renamed"))
    wait_for(lambda: "renamed" in console.file.getvalue())
    screen.close()
    screen.close()
    console.file.truncate(0)
    screen.log_line("after the end")
    assert "after the end" in console.file.getvalue()
    assert "Equity" not in console.file.getvalue()


def test_the_daemon_never_waits_for_the_terminal():
    """Whoever stops the output (Ctrl-S) stops the drawing, not the trading."""
    stuck, let_go, waited = threading.Event(), threading.Event(), []

    class Stopped(io.StringIO):
        stopped = False

        def write(self, text):
            if self.stopped:
                stuck.set()
                waited.append(let_go.wait(PATIENCE_S))
            return super().write(text)

    file = Stopped()
    screen = TerminalScreen(Console(file=file, force_terminal=True, width=80, height=24)).start()
    screen.show(a_status())
    file.stopped = True
    writer = threading.Thread(target=screen.log_line, args=("stuck",))
    writer.start()
    assert stuck.wait(PATIENCE_S)
    for _ in range(100):
        screen.show(a_status())
    assert waited == [], "it was stuck no longer"
    let_go.set()
    writer.join()
    screen.close()


def test_closing_does_not_wait_for_a_stopped_terminal(monkeypatch):
    """For a bounded time only."""
    monkeypatch.setattr("livebot.cli.screen.CLOSE_SECONDS", 0.05)
    screen = TerminalScreen(terminal()).start()
    live, let_go, waited = screen._live, threading.Event(), []
    assert live is not None
    stop = live.stop
    monkeypatch.setattr(live, "stop", lambda: waited.append(let_go.wait(PATIENCE_S)))
    screen.close()
    assert waited == [], "the terminal has gone on"
    let_go.set()
    stop()


def test_a_reload_is_told_beside_the_time_since_the_start():
    """Only if there was one: what was loaded at the start is as old as the daemon."""
    status = a_status()
    at_the_start = replace(status, config_loaded_ms=status.started_ms)
    assert not any("config" in line for line in screen_of(at_the_start, 140)[:5])
    later = replace(status, config_loaded_ms=status.now_ms - 300_000)
    assert any("config reloaded 5 min ago" in line for line in screen_of(later, 140)[:5])
