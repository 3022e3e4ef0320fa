"""One channel is told what matters first, at its pace, and never less than how much it was not told."""

from dataclasses import replace
from datetime import UTC as UTC_ZONE
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from livebot.ops.alerts.kinds import Kind, Level
from livebot.ops.alerts.outbox import Message, Outbox
from livebot.ops.alerts.settings import QuietHours
from tests.ops.alerts.told import MINUTE_MS, NOW_MS, OUTBOX, SECOND_MS, UTC, alert

BERLIN = ZoneInfo("Europe/Berlin")


def box(minimum: Level = Level.INFO, quiet: QuietHours | None = None, zone: ZoneInfo = UTC, **changes: Any) -> Outbox:
    return Outbox("spot-1", minimum, replace(OUTBOX, **changes), quiet, zone)


def take(outbox: Outbox, now_ms: int = NOW_MS) -> Message | None:
    """The next message, as if it arrived."""
    message = outbox.next(now_ms)
    return None if message is None else outbox.sent()


def test_nothing_below_the_minimum_gets_in():
    outbox = box(Level.WARNING)
    outbox.put(alert("small"))
    assert outbox.next(NOW_MS) is None
    outbox.put(alert("large", Level.WARNING))
    message = take(outbox)
    assert message is not None
    assert message.title == "livebot spot-1: WARNING: the daemon itself"
    assert message.body == "00:00 WARNING large"


def test_what_is_critical_goes_first():
    outbox = box()
    for text, level in (("a", Level.INFO), ("b", Level.CRITICAL), ("c", Level.WARNING), ("d", Level.INFO)):
        outbox.put(alert(text, level))
    message = take(outbox)
    assert message is not None
    assert message.title == "livebot spot-1: CRITICAL: the daemon itself and 3 more"
    assert [line.split()[-1] for line in message.body.splitlines()] == ["b", "c", "a", "d"]


def test_what_comes_together_goes_into_one_message():
    outbox = box(gather_ms=2_000)
    outbox.put(alert("a"))
    assert outbox.next(NOW_MS + 1_999) is None
    outbox.put(alert("b", at_ms=NOW_MS + 1_500))
    message = take(outbox, NOW_MS + 2_000)
    assert message is not None and len(message.alerts) == 2


def test_a_message_is_no_longer_than_a_service_takes():
    """Except that one line alone is sent however long it is."""
    outbox = box(characters=40)
    for text in ("a" * 100, "b" * 10, "c" * 10, "d" * 10):
        outbox.put(alert(text))
    told = [take(outbox) for _ in range(4)]
    assert [[each.text[0] for each in message.alerts] if message else [] for message in told] == [
        ["a"],
        ["b", "c"],
        ["d"],
        [],
    ]


def test_what_is_critical_waits_for_nothing_to_come_together():
    outbox = box(gather_ms=60_000)
    outbox.put(alert("a", Level.CRITICAL))
    assert take(outbox) is not None


def test_only_so_many_messages_are_begun_in_a_minute():
    """The rest is told as soon as there is room again, several in one."""
    outbox = box(messages_per_minute=2, lines=5)
    told = []
    for second in range(0, 61, 10):
        outbox.put(alert(f"at {second}"))
        told.append(take(outbox, NOW_MS + second * SECOND_MS))
    assert [len(each.alerts) if each else 0 for each in told] == [1, 1, 0, 0, 0, 0, 5]


def test_what_does_not_fit_makes_way_and_is_counted():
    """The oldest of the least level: what is critical is never the one."""
    outbox = box(queue_size=2)
    outbox.put(alert("keep", Level.CRITICAL))
    for number in range(4):
        outbox.put(alert(f"small {number}"))
    message = take(outbox)
    assert message is not None
    assert [each.text for each in message.alerts] == ["keep", "small 3"]
    assert message.body.splitlines()[-1].startswith("3 alerts were left out here,")
    assert take(outbox) is None


def test_a_failed_message_is_tried_again_as_it_was_with_growing_pauses():
    outbox = box(attempts=3, backoff_ms=2_000)
    outbox.put(alert("a"))
    first = outbox.next(NOW_MS)
    outbox.failed(NOW_MS)
    outbox.put(alert("b"))
    assert not outbox.failing
    assert outbox.next(NOW_MS + 1_999) is None
    assert outbox.next(NOW_MS + 2_000) is first
    outbox.failed(NOW_MS + 2_000)
    assert outbox.failing
    assert outbox.next(NOW_MS + 5_999) is None
    assert outbox.next(NOW_MS + 6_000) is first
    outbox.sent()
    assert not outbox.failing


def test_a_message_that_is_given_up_is_counted_and_the_next_one_tells_it():
    outbox = box(attempts=1)
    outbox.put(alert("a", kind=Kind.CLOSED))
    outbox.next(NOW_MS)
    outbox.failed(NOW_MS)
    message = take(outbox)
    assert message is not None
    assert message.title == "livebot spot-1: WARNING: alerts were left out"
    assert "1 alert was left out here" in message.body and "1 signal closed" in message.body


def test_a_count_that_could_not_be_told_is_not_lost():
    outbox = box(attempts=1)
    outbox.put(alert("a"))
    for _ in range(2):
        outbox.next(NOW_MS)
        outbox.failed(NOW_MS)
    message = take(outbox)
    assert message is not None and "1 alert was left out" in message.body


def test_in_quiet_hours_only_what_is_critical_passes():
    """The rest is told when they end, by the clock of the place: on this night an hour early by UTC."""
    outbox = box(quiet=QuietHours(time(22), time(7)), zone=BERLIN)
    night = int(datetime(2026, 3, 29, 0, 30, tzinfo=UTC_ZONE).timestamp() * 1000)
    outbox.put(alert("quiet", Level.WARNING, at_ms=night))
    outbox.put(alert("passed", Level.CRITICAL, wakes=False, at_ms=night))
    assert outbox.next(night) is None
    assert not outbox.busy(night)
    outbox.put(alert("wake up", Level.CRITICAL, at_ms=night))
    message = take(outbox, night)
    assert message is not None and [each.text for each in message.alerts] == ["wake up"]
    assert take(outbox, night + 269 * MINUTE_MS) is None
    morning = take(outbox, night + 270 * MINUTE_MS)  # 05:00 UTC is 07:00 there since that night
    assert morning is not None
    assert morning.body == "01:30 CRITICAL passed\n01:30 WARNING quiet"


def test_a_stop_waits_for_no_pace():
    outbox = box(gather_ms=60_000, messages_per_minute=1)
    outbox.put(alert("a"))
    assert outbox.next(NOW_MS, at_once=True) is not None
    outbox.failed(NOW_MS)
    assert outbox.next(NOW_MS, at_once=True) is not None
    outbox.sent()
    outbox.put(alert("b"))
    assert outbox.next(NOW_MS, at_once=True) is not None


def test_what_is_left_at_the_end_is_known_line_by_line():
    outbox = box(queue_size=2, lines=1)
    for text in ("a", "b", "c"):
        outbox.put(alert(text))
    outbox.next(NOW_MS)
    left = outbox.rest()
    assert left[0] == "00:00 b" and left[1] == "00:00 c" and left[2].startswith("1 alert was left out")
    assert list(box().rest()) == []


@given(
    st.lists(st.tuples(st.sampled_from([*Level, None]), st.booleans(), st.integers(0, 30_000)), min_size=1, max_size=60)
)
def test_every_alert_is_told_counted_or_left_and_never_two_things(steps: list[tuple[Level | None, bool, int]]):
    """Whatever comes and whatever fails: the sums agree, and the bounds hold."""
    outbox = box(queue_size=5, lines=3, attempts=2)
    now, put, told, counted = NOW_MS, 0, 0, 0
    for level, fails, passes_ms in steps:
        now += passes_ms
        if level is not None:
            put += 1
            outbox.put(alert(f"{put}", level, at_ms=now))
        message = outbox.next(now)
        if message is not None:
            assert len(message.alerts) <= 3
            if fails:
                outbox.failed(now)
            else:
                told += len(outbox.sent().alerts)
                counted += message.left_out.total()
    while (message := outbox.next(now, at_once=True)) is not None:
        outbox.sent()
        told += len(message.alerts)
        counted += message.left_out.total()
    assert told + counted == put
