"""Binance's listen keys: renewed for as long as they are needed, never during a ban, and asked for anew when they are gone."""

import asyncio

import pytest

from tests.adapters.ccxt_venue.desk import QUIET, Seat, binance_seat, replace
from tests.adapters.ccxt_venue.stream_desk import NEVER_S, stands_again, tells


class Keys:
    """What goes out about listen keys."""

    def __init__(self, s: Seat):
        self.renewed, self.made = [], []  # each time: how long a ban still lasted then
        client = s.connection.orders
        fetch = client.fetch

        async def listen(url, method="GET", *rest):
            if url.endswith("listenKey"):
                (self.renewed if method == "PUT" else self.made).append(s.connection.bans.left_s)
            return await fetch(url, method, *rest)

        client.fetch = listen


async def test_a_listen_key_is_renewed_again_and_again_until_it_is_closed(tmp_path):
    async with binance_seat(tmp_path, settings=replace(QUIET, listen_key_s=0.05)) as s:
        keys = Keys(s)
        await s.until(lambda: len(keys.renewed) >= 3)
        assert not s.notices
    left = len(keys.renewed)
    await asyncio.sleep(0.2)
    assert len(keys.renewed) == left
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "private stream key"]


async def test_no_listen_key_is_renewed_during_a_ban_nor_by_a_timer_of_ccxts(tmp_path):
    async with binance_seat(tmp_path, settings=replace(QUIET, listen_key_s=0.05)) as s:
        keys = Keys(s)
        s.connection.bans.begin(0.4)
        await s.connection.orders.keep_alive_listen_key({"type": "linear"})
        await asyncio.sleep(0.1)
        s.connection.bans.begin(0.6)  # it grows
        await s.until(lambda: len(keys.renewed) >= 2)
        assert set(keys.renewed) == {0.0}


async def test_a_stream_that_falls_during_a_ban_is_opened_when_that_is_over(tmp_path):
    """Also when it is longer than it was when the stream fell."""
    async with binance_seat(tmp_path) as s:
        keys = Keys(s)
        s.connection.bans.begin(0.3)
        s.exchange._streams.reconnect("by the test")
        await asyncio.sleep(0.1)
        s.connection.bans.begin(0.5)
        await s.until(lambda: stands_again(s))
        assert keys.made == [0.0]


@pytest.mark.parametrize(
    ("kind", "said"),
    [("lose", {}), ("refuse", {"code": -1015, "text": "Too many new requests."})],
    ids=["lost", "rate"],
)
async def test_a_renewal_that_fails_in_passing_breaks_nothing_and_comes_again_sooner(tmp_path, kind, said):
    async with binance_seat(tmp_path, settings=replace(QUIET, listen_key_s=0.05, reconnect_maximum_s=0.02)) as s:
        keys, streams = Keys(s), s.exchange._streams
        s.arm(kind, "listenKey/amend", times=2, **said)
        with s.hasty():
            await s.until(lambda: keys.renewed)
            streams._settings = replace(streams._settings, listen_key_s=NEVER_S)
            await s.until(lambda: len(keys.renewed) >= 3)
        assert not s.desk.server.faults.armed
        assert not s.said("private stream")
        await tells(s)


async def test_nothing_is_renewed_for_a_stream_that_is_down(tmp_path):
    async with binance_seat(tmp_path, settings=replace(QUIET, listen_key_s=0.02, reconnect_s=NEVER_S)) as s:
        keys = Keys(s)
        await s.until(lambda: keys.renewed)
        s.exchange._streams.reconnect("by the test")
        await s.until(lambda: s.said("private stream"))
        before = len(keys.renewed)
        await asyncio.sleep(0.15)
        assert len(keys.renewed) == before


async def test_a_listen_key_that_the_venue_does_not_know_is_asked_for_anew(tmp_path):
    """Whatever was told meanwhile, nothing comes by it any more."""
    async with binance_seat(tmp_path, settings=replace(QUIET, listen_key_s=0.05)) as s:
        s.arm("refuse", "listenKey/amend", code=-1125, text="This listenKey does not exist.")
        await s.until(lambda: stands_again(s))
        down = s.said("private stream")[0].text
        assert "This listenKey does not exist (code -1125)" in down
        assert "LIVEBOT_API_KEY" not in down
        await tells(s)
