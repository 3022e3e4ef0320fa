"""The venue's clock is compared every few minutes, and when it is asked for, and what it says is told once."""

import asyncio

from livebot.adapters.ccxt_venue.bans import Bans
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.ccxt_venue.health import Health
from livebot.adapters.ccxt_venue.upkeep import Upkeep
from livebot.errors import Transient
from tests.virtual_loop import run


class FakeConnection:
    """`readings` are the skews that the next measurements give, None for one that fails."""

    def __init__(self, *readings):
        self.readings = list(readings)
        self.skew_ms = 0
        self.bans = Bans()
        self.measured_s = []

    async def measure_skew(self):
        self.measured_s.append(asyncio.get_running_loop().time())
        reading = self.readings.pop(0) if self.readings else self.skew_ms
        if reading is None:
            message = "no answer"
            raise Transient(message)
        self.skew_ms = reading


class FixedClock:
    def now_ms(self):
        return 1_700_000_000_000


def upkeep_of(connection):
    health, heard = Health("bybit"), []
    health.listen(heard.append)
    return Upkeep(connection, health, FixedClock(), ExchangeSettings(skew_every_s=300.0)), heard


def test_it_is_compared_every_few_minutes_and_told_only_when_it_changes():
    async def scenario():
        connection = FakeConnection(20, 1_500, 1_500, None, 30)
        upkeep, heard = upkeep_of(connection)
        upkeep.start()
        await asyncio.sleep(1_600)
        await upkeep.close()
        assert [round(each) for each in connection.measured_s] == [300, 600, 620, 640, 660, 960, 1260, 1560]
        assert [(each.blocks_entries, each.text is None) for each in heard] == [(True, False), (False, True)]
        assert "its clock is 1.5 s ahead of this machine's, more than the 1 s allowed" in heard[0].text

    run(scenario())


def test_it_is_compared_at_once_when_asked_for_and_who_waits_goes_on():
    async def scenario():
        connection = FakeConnection(-5_000)
        upkeep, heard = upkeep_of(connection)
        upkeep.start()
        await asyncio.sleep(1)
        upkeep.measure_soon()
        await upkeep.measured()
        assert asyncio.get_running_loop().time() == 1
        assert "5.0 s behind this machine's" in heard[0].text
        await upkeep.close()

    run(scenario())


def test_a_ban_is_announced_also_when_it_began_before_and_lifted_when_it_is_over():
    async def scenario():
        connection = FakeConnection()
        connection.bans.begin(60)
        upkeep, heard = upkeep_of(connection)
        upkeep.start()
        await asyncio.sleep(0)
        assert "until about 22:14:20 UTC" in heard[0].text
        connection.bans.begin(120)
        await asyncio.sleep(0)
        assert "until about 22:15:20 UTC" in heard[1].text
        await asyncio.sleep(119)
        assert len(heard) == 2
        await asyncio.sleep(2)
        assert (heard[2].text, heard[2].reconcile) == (None, True)
        connection.bans.begin(10)
        await upkeep.close()
        await asyncio.sleep(20)
        assert len(heard) == 4

    run(scenario())


def test_closing_what_was_never_started_is_fine():
    run(upkeep_of(FakeConnection())[0].close())


def test_a_clock_that_is_too_far_off_reduces_trading_until_it_is_clearly_right():
    """At the limit it does not go back and forth."""

    async def scenario():
        connection = FakeConnection(1_100, 990, 1_010, 801, 800, 990)
        upkeep, heard = upkeep_of(connection)
        upkeep.start()
        await asyncio.sleep(1_000)
        await upkeep.close()
        assert [round(each) for each in connection.measured_s] == [300, 320, 340, 360, 380, 680, 980]
        assert [each.reduces for each in heard[:-1]] == [True] * (len(heard) - 1)
        assert (heard[-1].text, heard[-1].reduces) == (None, False)

    run(scenario())
