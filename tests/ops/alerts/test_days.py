"""Each UTC day is told once, soon after it is over, whatever the time zone of the messages is."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from livebot.errors import Transient
from livebot.ops.alerts.days import DAY_MS, tell_days
from livebot.ops.alerts.sentences import DayFigures
from livebot.ops.alerts.service import Alerts
from tests import virtual_loop
from tests.ops.alerts.told import NOW_MS, FakeChannel, settings
from tests.virtual_loop import VirtualClock

FIGURES = DayFigures(
    trades=1,
    wins=1,
    pnl_net=Decimal(1),
    best=Decimal(1),
    worst=Decimal(1),
    denials={},
    equity=Decimal(100),
    open_signals=0,
    trading_state="ACTIVE",
)


def told_in(days: float, *, start_ms: int, zone: str = "UTC", fails: bool = False) -> tuple[FakeChannel, list[int]]:
    phone, asked = FakeChannel(), []
    clock = VirtualClock(start_ms)
    alerts = Alerts("spot-1", replace(settings("phone"), zone=ZoneInfo(zone)), [phone], clock)

    async def summary(first_ms: int, stop_ms: int) -> DayFigures:
        assert stop_ms - first_ms == DAY_MS
        asked.append(first_ms)
        if fails:
            raise Transient("the ledger is locked")
        return FIGURES

    async def main() -> None:
        tasks = [asyncio.create_task(alerts.run()), asyncio.create_task(tell_days(alerts, clock, summary))]
        await asyncio.sleep(days * DAY_MS / 1000)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    virtual_loop.run(main())
    return phone, asked


def test_a_day_is_told_once_it_is_over():
    phone, asked = told_in(0.02, start_ms=NOW_MS - 60_000)
    assert asked == [NOW_MS - DAY_MS]
    assert phone.text.startswith("00:01 2025-12-31 (UTC): 1 closed, net +1, 100 % won")


def test_the_ledger_is_given_a_moment():
    assert told_in(0.001, start_ms=NOW_MS - 60_000)[1] == []


def test_who_starts_at_midnight_tells_nothing_of_the_day_before():
    """It was told by whoever ran then; a start is no end of a day."""
    phone, asked = told_in(0.02, start_ms=NOW_MS + 120_000)
    assert (phone.messages, asked) == ([], [])


@pytest.mark.parametrize(
    ("midnight_ms", "begins"),
    [
        (1_774_742_400_000, "01:01 2026-03-28 (UTC)"),
        (1_774_742_400_000 + DAY_MS, "02:01 2026-03-29 (UTC)"),  # the clocks went forward in between
    ],
)
def test_the_day_stays_utc_where_the_clocks_change(midnight_ms: int, begins: str):
    """The 29th of March has 23 hours in Berlin; messages say the local time."""
    phone, asked = told_in(0.01, start_ms=midnight_ms - 60_000, zone="Europe/Berlin")
    assert asked == [midnight_ms - DAY_MS]
    assert phone.text.startswith(begins)


def test_figures_that_cannot_be_had_are_told_to_be_missing():
    phone, _ = told_in(0.01, start_ms=NOW_MS - 60_000, fails=True)
    assert "2025-12-31 (UTC): the day cannot be summed up (the ledger is locked)" in phone.text
