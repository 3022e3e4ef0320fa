"""What is worth telling, and in which words."""

from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.signal import CloseReason
from livebot.ops.alerts.desk import Desk
from livebot.ops.alerts.kinds import SOURCES, TITLES, Kind, Level, source_of
from livebot.ops.alerts.sentences import LINE_LENGTH_MAX, Alert, DayFigures, denied_text, money, summary_text
from tests.ops.alerts.told import DESK, LEVELS, MINUTE_MS, NOW_MS, SECOND_MS, closed, denied, opened

GRACE_MS = DESK.grace_ms


def kinds(alerts: list[Alert]) -> list[Kind]:
    return [each.kind for each in alerts]


def test_a_signal_is_told_when_it_opens_and_when_it_closes():
    """With what it made and why; what else happens to it is not worth a message."""
    first, second = Desk(DESK).heard([opened(), closed(), denied(outcome="approved")], NOW_MS)
    assert first.text == (
        "BTC/USDT: ema_cross opened short, 0.5 at 61000; stop 62000, target 58000 (ema_cross/BTC/USDT#1)"
    )
    assert second.text == (
        "BTC/USDT: ema_cross closed long at its target: net +12.34 (+1.23 %) after fees of 0.3; 0.5 from 61000 to "
        "61500, open for 1.5 h (ema_cross/BTC/USDT#1)"
    )
    assert (first.level, second.level) == (Level.INFO, Level.INFO)


def test_a_loss_has_its_sign():
    (told,) = Desk(DESK).heard([closed(pnl="-5")], NOW_MS)
    assert "net -5 (-0.5 %)" in told.text


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("1234.5678", "1234.57"),
        ("-0.0123456", "-0.0123"),
        ("0", "0"),
        ("0.5", "0.5"),
        ("1", "1"),
        ("-3E-9", "-0.000000003"),
    ],
)
def test_money_is_short_and_never_rounded_to_nothing(amount: str, shown: str):
    """The smallest amount still says which way it went."""
    assert money(Decimal(amount)) == shown


def test_every_reason_to_close_has_its_words():
    for reason in CloseReason:
        (told,) = Desk(DESK).heard([replace(closed(), reason=reason)], NOW_MS)
        assert "closed long " in told.text and "_" not in told.text.partition("closed long")[2].partition(":")[0]


def test_two_signals_of_one_symbol_are_two_events():
    desk = Desk(DESK)
    assert len(desk.heard([closed(number=1), closed(number=2)], NOW_MS)) == 2


def test_denials_are_told_as_a_sum():
    """Never one by one: twenty denied entries on a candle are one limit that is reached."""
    desk = Desk(DESK)
    for symbol in ("BTC/USDT", "BTC/USDT", "ETH/USDT"):
        assert desk.heard([denied(symbol)], NOW_MS) == []
    desk.heard([denied("ETH/USDT", "paused")], NOW_MS)
    assert desk.due(NOW_MS + DESK.denied_ms - 1) == []
    (told,) = desk.due(NOW_MS + DESK.denied_ms)
    assert told.kind is Kind.DENIED
    assert told.text.startswith(
        "4 entries were denied within 1 h: 3 open signals, 1 paused; on 2 BTC/USDT, 2 ETH/USDT."
    )
    assert desk.due(NOW_MS + 3 * DESK.denied_ms) == []


def test_a_stop_does_not_wait_for_the_digest():
    desk = Desk(DESK)
    desk.heard([denied()], NOW_MS)
    (told,) = desk.rest(NOW_MS + 5 * SECOND_MS)
    assert told.text.startswith("1 entry was denied within 5 s: 1 open signals")


def test_many_symbols_are_named_in_part():
    assert "8 paused" in denied_text({"paused": 8}, {f"S{n}": 1 for n in range(12)}, 60_000)
    assert denied_text({"paused": 12}, {f"S{n}": 1 for n in range(12)}, 60_000).count("1 S") == 8


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("unprotected:ema_cross/BTC/USDT", Kind.UNPROTECTED),
        ("quarantine:BTC/USDT", Kind.QUARANTINED),
        ("foreign-order:BTC/USDT", Kind.FOREIGN),
        ("foreign-position:BTC/USDT", Kind.FOREIGN),
        ("feed:candles BTC/USDT", Kind.FEED),
        ("candles:BTC/USDT", Kind.FEED),
        ("exchange:bybit orders", Kind.VENUE),
        ("venue:questions", Kind.VENUE),
        ("reconcile", Kind.VENUE),
        ("wallet", Kind.VENUE),
        ("instrument:BTC/USDT", Kind.VENUE),
        ("alerts:phone", Kind.CHANNEL),
        ("ledger", Kind.DAEMON),
        ("portfolio.json", Kind.DAEMON),
        ("listener:log", Kind.DAEMON),
        ("wallets", Kind.DAEMON),
        ("whatever comes later", Kind.DAEMON),
    ],
)
def test_every_source_of_problems_belongs_to_a_kind(source: str, kind: Kind):
    assert source_of(source).kind is kind


def test_every_kind_has_a_title():
    assert set(TITLES) == set(Kind)
    assert len({source.name for source in SOURCES}) == len(SOURCES)


def test_what_is_critical_is_told_at_once_with_what_to_do():
    (told,) = Desk(DESK).problem("quarantine:BTC/USDT", "BTC/USDT is in quarantine: failed 6 times", NOW_MS)
    assert told.level is Level.CRITICAL and told.wakes
    assert told.text.startswith("BTC/USDT is in quarantine: failed 6 times.  Nothing opens there;")
    assert "livebot restart" in told.text


def test_what_passes_at_once_is_never_told():
    """A connection that comes back within seconds is nobody's business."""
    desk = Desk(DESK)
    assert desk.problem("feed:candles BTC/USDT", "BTC/USDT: no candle for 70 s", NOW_MS) == []
    assert desk.due(NOW_MS + GRACE_MS - 1) == []
    assert desk.problem("feed:candles BTC/USDT", None, NOW_MS + GRACE_MS - 1) == []
    assert desk.due(NOW_MS + 2 * GRACE_MS) == []


def test_what_lasts_is_told_with_its_last_sentence_and_when_it_has_passed():
    desk = Desk(DESK)
    desk.problem("feed:candles BTC/USDT", "no candle for 70 s", NOW_MS)
    desk.problem("feed:candles BTC/USDT", "no candle for 80 s", NOW_MS + SECOND_MS)
    (told,) = desk.due(NOW_MS + GRACE_MS)
    assert told.text.startswith("no candle for 80 s.  What gets no candles decides nothing;")
    assert desk.due(NOW_MS + 2 * GRACE_MS) == []
    (passed,) = desk.problem("feed:candles BTC/USDT", None, NOW_MS + 2 * GRACE_MS)
    assert "this has passed" in passed.text and "no candle for 80 s" in passed.text


def test_that_something_critical_has_passed_wakes_nobody():
    desk = Desk(DESK)
    desk.problem("unprotected:a/BTC/USDT", "a/BTC/USDT#1: no stop", NOW_MS)
    (passed,) = desk.problem("unprotected:a/BTC/USDT", None, NOW_MS + 1)
    assert passed.level is Level.CRITICAL and not passed.wakes


def test_a_second_unprotected_position_is_not_taken_for_the_first():
    desk = Desk(DESK)
    source = "unprotected:a/BTC/USDT"
    desk.problem(source, "a/BTC/USDT#1: no stop", NOW_MS)
    desk.problem(source, None, NOW_MS + 1)
    assert len(desk.problem(source, "a/BTC/USDT#2: no stop", NOW_MS + 2)) == 1
    assert desk.problem(source, "a/BTC/USDT#2: no stop", NOW_MS + 3) == []


def test_without_recoveries_nobody_hears_that_it_has_passed():
    desk = Desk(replace(DESK, recoveries=False))
    desk.problem("quarantine:BTC/USDT", "it is", NOW_MS)
    assert desk.problem("quarantine:BTC/USDT", None, NOW_MS) == []


def test_too_many_problems_to_wait_for_are_told_at_once():
    desk = Desk(replace(DESK, repeats_known=1))
    assert desk.problem("feed:candles A", "A is late", NOW_MS) == []
    assert kinds(desk.problem("feed:candles B", "B is late", NOW_MS)) == [Kind.FEED]


def test_every_change_of_the_trading_state_is_told():
    """Also two within a minute: somebody, or a limit, meant each of them."""
    desk = Desk(DESK)
    halted, reducing = "trading is HALTED: drawdown", "trading is REDUCING: daily loss"
    steps = [halted, halted, None, reducing, None, halted, None]
    told = [each for step in steps for each in desk.problem("trading_state", step, NOW_MS)]
    lifted = Kind.LIFTED
    assert kinds(told) == [Kind.HALTED, lifted, Kind.REDUCING, lifted, Kind.HALTED, lifted]
    assert told[0].text.startswith("trading is HALTED: drawdown.  Nothing opens, over any restart;")
    assert "livebot unhalt" in told[0].text
    assert desk.problem("trading_state", None, NOW_MS) == []


def test_a_cause_that_comes_and_goes_is_told_once_and_then_counted():
    """With other figures it is the same cause; another one is told at once, and a halt whenever it comes."""
    desk = Desk(DESK)
    clock, more = "trading is REDUCING: the clock is 1.2 s off", "trading is REDUCING: the clock is 1.35 s off"
    told = [each for step in (clock, None) for each in desk.problem("trading_state", step, NOW_MS)]
    assert kinds(told) == [Kind.REDUCING, Kind.LIFTED]
    assert [each for step in (more, None, clock, None) for each in desk.problem("trading_state", step, NOW_MS)] == []
    assert kinds(desk.problem("trading_state", "trading is REDUCING: maintenance", NOW_MS)) == [Kind.REDUCING]
    assert kinds(desk.problem("trading_state", "trading is HALTED: drawdown", NOW_MS)) == [Kind.HALTED]
    assert kinds(desk.problem("trading_state", clock, NOW_MS)) == [Kind.REDUCING]
    assert desk.problem("trading_state", None, NOW_MS) == []
    (last,) = desk.due(NOW_MS + 10 * MINUTE_MS)
    assert last.kind is Kind.LIFTED


def test_what_is_off_is_nothing_at_all():
    off = {kind: level for kind, level in LEVELS.items() if kind not in {Kind.OPENED, Kind.DENIED, Kind.FEED}}
    desk = Desk(replace(DESK, levels=off, grace_ms=0))
    assert desk.heard([opened(), denied()], NOW_MS) == []
    assert desk.problem("feed:x", "late", NOW_MS) == []
    assert desk.rest(NOW_MS + DESK.denied_ms) == []


def test_a_channel_is_not_told_that_it_is_broken():
    desk = Desk(replace(DESK, grace_ms=0))
    (told,) = desk.problem("alerts:phone", "alerts to phone fail: no answer", NOW_MS)
    assert told.not_over == "phone"


def test_a_text_of_others_is_one_line_of_bounded_length():
    (told,) = Desk(DESK).tell(Kind.RESTART, "a\nb\x1b[2J" + "x" * 5000, NOW_MS)
    assert told.text.isprintable() and len(told.text) == LINE_LENGTH_MAX


def test_a_day_is_one_sentence():
    figures = DayFigures(
        trades=4,
        wins=3,
        pnl_net=Decimal("10.5"),
        best=Decimal(8),
        worst=Decimal(-2),
        denials={"open_signals": 7},
        equity=Decimal("10010.507"),
        open_signals=2,
        trading_state="ACTIVE",
    )
    assert summary_text("2026-01-01", figures) == (
        "2026-01-01 (UTC): 4 closed, net +10.5, 75 % won, best +8, worst -2; equity 10010.51, 2 open, trading is ACTIVE; "
        "denied: 7 open signals"
    )
    quiet = replace(figures, trades=0, wins=0, denials={})
    assert "no signal closed; equity" in summary_text("2026-01-01", quiet)
    assert summary_text("2026-01-01", quiet).endswith("nothing was denied")


def test_the_grace_does_not_hang_on_a_clock_that_is_set_back():
    desk = Desk(DESK)
    desk.problem("feed:x", "late", NOW_MS)
    assert kinds(desk.due(NOW_MS - 60 * MINUTE_MS)) == [Kind.FEED]
