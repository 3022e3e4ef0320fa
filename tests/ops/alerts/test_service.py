"""Alerts at work: channels that hang or fail harm themselves only, and nothing is lost silently."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import structlog

from livebot.ops.alerts.kinds import Kind
from livebot.ops.alerts.service import Alerts
from livebot.runtime.problems import Problems
from tests import virtual_loop
from tests.ops.alerts.told import DESK, NOW_MS, OUTBOX, FakeChannel, closed, settings
from tests.virtual_loop import VirtualClock


class Rig:
    """Alerts over fake channels, with the problems that they hear and add to."""

    def __init__(self, *channels: FakeChannel, **changes: Any) -> None:
        self.alerts = Alerts(
            "spot-1", settings(*(each.name for each in channels), **changes), channels, VirtualClock(NOW_MS)
        )
        self.problems = Problems(self.alerts.problem)
        self.alerts.report_to(self.problems.report)


def running(rig: Rig, story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        task = asyncio.create_task(rig.alerts.run())
        await story()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    virtual_loop.run(main())


def test_what_happens_reaches_every_channel():
    phone, mail = FakeChannel("phone"), FakeChannel("mail")
    rig = Rig(phone, mail)

    async def story() -> None:
        rig.alerts.hear([closed()])
        rig.problems.report("trading_state", "trading is HALTED: by the operator")
        await asyncio.sleep(1)

    running(rig, story)
    assert phone.messages == mail.messages
    assert [level for _, _, level in phone.messages] == ["critical"]
    assert "closed long at its target" in phone.text and "trading is HALTED" in phone.text
    assert rig.alerts.sent == 2


def test_time_alone_brings_what_has_to_wait():
    """A problem that lasts is told without anything else happening."""
    phone = FakeChannel()
    rig = Rig(phone)

    async def story() -> None:
        rig.problems.report("feed:candles BTC/USDT", "BTC/USDT: no candle for 70 s")
        await asyncio.sleep(DESK.grace_ms / 1000 - 2)
        assert phone.messages == []
        await asyncio.sleep(4)

    running(rig, story)
    assert "BTC/USDT: no candle for 70 s" in phone.text


def test_a_channel_that_hangs_holds_up_no_other():
    phone, mail = FakeChannel("phone"), FakeChannel("mail")
    mail.hangs_s = 3600
    rig = Rig(phone, mail)

    async def story() -> None:
        for number in range(3):
            rig.alerts.hear([closed(number=number)])
            await asyncio.sleep(1)

    running(rig, story)
    assert len(phone.messages) == 3
    assert mail.messages == [] and mail.tries == 1


def test_a_broken_channel_is_a_problem_that_the_others_tell():
    """And when it works again it has all that waited, and the problem has passed."""
    phone, mail = FakeChannel("phone"), FakeChannel("mail")
    mail.fails = lambda: "error=500"
    rig = Rig(phone, mail, desk=replace(DESK, grace_ms=0))

    async def story() -> None:
        rig.alerts.hear([closed()])
        await asyncio.sleep(1)
        assert rig.problems.sentences() == ()  # once is nothing
        await asyncio.sleep(2)
        assert rig.problems.sentences() == ("alerts to mail fail: error=500",)
        await asyncio.sleep(1)
        assert "alerts to mail fail: error=500" in phone.text
        mail.fails = lambda: None
        await asyncio.sleep(10)
        assert rig.problems.sentences() == ()

    running(rig, story)
    assert "closed long" in mail.messages[0][1] and "this has passed" in mail.text
    assert "What it should have told waits" in phone.text and "What it should have told waits" not in mail.text
    assert "this has passed" in phone.text


def test_a_stop_sends_what_waits_without_its_pauses():
    phone = FakeChannel()
    rig = Rig(phone, outbox=replace(OUTBOX, gather_ms=60_000))

    async def story() -> None:
        rig.alerts.hear([closed()])
        begun = asyncio.get_running_loop().time()
        await rig.alerts.drain(5)
        assert asyncio.get_running_loop().time() - begun < 0.5

    running(rig, story)
    assert "closed long" in phone.text


@pytest.mark.parametrize("way", ["hangs", "fails"])
def test_a_stop_waits_for_a_broken_channel_no_longer_than_it_may_and_logs_what_was_not_told(way: str):
    phone = FakeChannel()
    if way == "hangs":
        phone.hangs_s = 3600
    else:
        phone.fails = lambda: "error=500"
    rig = Rig(phone)

    async def story() -> None:
        rig.alerts.hear([closed()])
        begun = asyncio.get_running_loop().time()
        await rig.alerts.drain(5)
        assert 4.9 < asyncio.get_running_loop().time() - begun < 5.5

    with structlog.testing.capture_logs() as logs:
        running(rig, story)
    left = [each for each in logs if each["event"] == "alert_not_sent"]
    assert {each["channel"] for each in left} == {"phone"}
    assert "closed long at its target" in left[0]["what"]
    assert phone.tries <= 6


def test_the_day_and_the_like_are_told_as_they_are():
    phone = FakeChannel()
    rig = Rig(phone)

    async def story() -> None:
        rig.alerts.tell(Kind.STARTED, "the daemon runs")
        await asyncio.sleep(1)

    running(rig, story)
    assert phone.text == "00:00 WARNING the daemon runs"


def test_a_channel_that_fails_without_anybody_to_report_to_is_tried_on():
    phone = FakeChannel()
    phone.fails = lambda: "no" if phone.tries < 4 else None
    alerts = Alerts("spot-1", settings("phone", outbox=replace(OUTBOX, attempts=9)), [phone], VirtualClock(NOW_MS))

    async def main() -> None:
        task = asyncio.create_task(alerts.run())
        alerts.hear([closed()])
        await asyncio.sleep(60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    virtual_loop.run(main())
    assert phone.tries == 4 and len(phone.messages) == 1
