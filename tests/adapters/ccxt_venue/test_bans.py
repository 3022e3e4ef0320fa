"""While a venue bans us nothing is sent, and the operator is told until when."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from livebot.adapters.ccxt_venue.bans import Bans, ban_of
from livebot.adapters.ccxt_venue.exchange import CcxtExchange
from livebot.core.inputs import OrderAccepted, OrderRejected
from livebot.core.market import OrderSide
from livebot.core.order import Leg
from livebot.errors import Transient
from tests.adapters.ccxt_venue.desk import BTC, order, seat, stop
from tests.virtual_loop import REAL_WAIT_S, run


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (200, {}, "{}", 0.0),
        (503, {"Retry-After": "30"}, "", 0.0),
        (429, {"Retry-After": "7"}, '{"code":-1003}', 7.0),
        (418, {"retry-after": "120"}, "", 120.0),
        (429, {"Retry-After": "0"}, "", 1.0),
        (418, {}, '{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until 1700000030000."}', 30.0),
        (418, {"Retry-After": "soon"}, "teapot", 600.0),
        (429, {}, "slow down", 10.0),
        (403, {}, "access too frequent", 600.0),
        (403, {}, ' {"retCode":10005}', 0.0),
    ],
)
def test_how_long_an_answer_bans_us(status, headers, body, seconds):
    assert ban_of(status, headers, body, 600.0, 1_700_000_000_000) == seconds


def test_a_shorter_ban_does_not_end_a_longer_one_and_who_listens_hears_only_of_what_grows():
    async def scenario():
        bans, heard = Bans(), []
        assert bans.left_s == 0
        bans.listen(lambda: heard.append(bans.left_s))
        bans.begin(10)
        bans.begin(5)
        bans.begin(10_000_000)
        assert heard == [10.0, 3 * 86_400.0]

    run(scenario())


async def test_a_ban_is_waited_out_without_a_request_and_announced_and_lifted(tmp_path):
    async with seat(tmp_path) as s:
        await s.submit(order())
        s.arm("ban", seconds=0.25)
        with pytest.raises(Transient):
            await s.exchange.fetch_positions()
        await s.until(lambda: s.said("ban"))  # notices are told in a step of the loop of their own
        notice = s.said("ban")[0]
        assert notice.blocks_entries
        assert "banned this address until about" in notice.text
        s.connection.bans._until_s += REAL_WAIT_S  # a busy machine takes its time
        s.arm("cut")  # whatever is sent now would use this fault up
        opening = await s.submit(order(number=2))
        with pytest.raises(Transient, match="nothing is sent before"):
            await s.exchange.cancel(BTC, order(number=9).client_order_id)
        with pytest.raises(Transient, match="nothing is sent before"):
            await s.exchange.fetch_order(BTC, order(number=9).client_order_id)
        assert isinstance(opening, OrderRejected)
        assert opening.code == "banned"
        assert len(s.desk.server.faults.armed) == 1
        s.desk.server.faults.clear()
        s.connection.bans._until_s = asyncio.get_running_loop().time() + 0.3
        assert isinstance(await s.submit(stop()), OrderAccepted)  # it protects, and goes out when the ban is over
        await s.until(lambda: s.said("ban")[-1].text is None)
        assert s.said("ban")[-1].reconcile
        assert isinstance(await s.submit(order(Leg.EXIT, OrderSide.SELL)), OrderAccepted)


class AnotherTime:
    """A market that runs faster than the world."""

    def now_ms(self):
        return 4_000_000_000_000


async def test_until_when_a_ban_lasts_is_told_in_the_worlds_time(tmp_path):
    """Under a local exchange at another speed the market's time is not the operator's."""
    async with seat(tmp_path) as s:
        exchange = CcxtExchange(s.connection, AnotherTime(), (BTC,))
        before = datetime.now(UTC)
        s.connection.bans.begin(90)
        exchange._upkeep._banned()
        (notice,) = exchange.health.standing
        so_long_s = 2 + (datetime.now(UTC) - before).seconds
        ends = [before + timedelta(seconds=90 + off) for off in range(-2, so_long_s)]
        assert any(f"until about {end:%H:%M:%S} UTC" in notice.text for end in ends)
        await exchange._upkeep.close()
