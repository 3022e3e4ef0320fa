"""Symbols that come and go while the feed runs: each is subscribed and let go of by itself, the others hear nothing of it."""

import asyncio

import pytest

from livebot.core.market import Timeframe
from livebot.errors import Transient
from tests.adapters.ccxt_venue.feed_desk import CALM, feed_desk
from tests.simulator.builders import BTC, ETH

SOL = "SOL/USDT:USDT"
ROW = (100.0, 101.0, 99.0, 100.5)
CANDLES = {symbol: [ROW] * 30 for symbol in (BTC, ETH, SOL)}


@pytest.mark.parametrize("venue", ["bybit", "binance"])
async def test_symbols_come_and_go_while_the_feed_runs(tmp_path, venue: str) -> None:
    async with feed_desk(tmp_path, CANDLES, venue=venue, symbols=(BTC,)) as sitting:
        await sitting.subscribed()
        sitting.got[ETH], sitting.got[SOL] = [], []
        await sitting.step(2)
        sitting.feed.listen(ETH, sitting.got[ETH].append)
        sitting.feed.listen(SOL, sitting.got[SOL].append)
        await sitting.subscribed(count=3)
        await sitting.step(2)
        await sitting.until(lambda: sitting.got[ETH] and sitting.got[SOL])
        assert sitting.minutes(BTC) == [0, 1, 2, 3]
        assert sitting.minutes(ETH) == sitting.minutes(SOL) == [2, 3]
        # ETH goes: the other one of its request stays subscribed, as does BTC
        sitting.feed.ignore(ETH)
        await sitting.subscribed(count=2)
        await sitting.step(2)
        await sitting.until(lambda: sitting.minutes(SOL) == [2, 3, 4, 5])
        assert sitting.minutes(BTC) == [0, 1, 2, 3, 4, 5]
        assert sitting.minutes(ETH) == [2, 3]
        assert ETH not in sitting.feed._watch._cares
        # and comes back
        sitting.feed.listen(ETH, sitting.got[ETH].append)
        await sitting.subscribed(count=3)
        await sitting.step(2)
        await sitting.until(lambda: len(sitting.got[ETH]) >= 4)
        assert sitting.minutes(ETH) == [2, 3, 6, 7]
        assert sitting.minutes(SOL) == [2, 3, 4, 5, 6, 7]
        assert sitting.feed.counts["reconnected"] == 0
        assert not sitting.troubled()


async def test_a_symbol_that_is_not_listed_is_asked_for_no_longer_once_nobody_wants_it(tmp_path) -> None:
    async with feed_desk(tmp_path, {BTC: CANDLES[BTC]}, settings=CALM) as sitting:
        await sitting.until(lambda: sitting.feed._streams is not None)
        sitting.feed.listen("GONE/USDT:USDT", lambda _: None)
        with pytest.raises(Transient):
            await sitting.feed.history("GONE/USDT:USDT", Timeframe.M1, 5)
        await sitting.until(lambda: len(sitting.troubled()) == 1)
        await sitting.until(lambda: any("does not list it" in (each.text or "") for each in sitting.notices))
        sitting.feed.ignore("GONE/USDT:USDT")
        assert sitting.troubled() == set()
        asked = sitting.feed.counts["asked"]
        await asyncio.sleep(0.7)  # longer than a refused symbol waits for its next try
        assert sitting.troubled() == set()
        assert sitting.feed.counts["asked"] == asked
        assert not sitting.feed._streams._still({"GONE/USDT:USDT": 2})


async def test_all_may_go_and_others_come(tmp_path) -> None:
    async with feed_desk(tmp_path, CANDLES, symbols=(BTC,)) as sitting:
        await sitting.subscribed()
        sitting.feed.ignore(BTC)
        sitting.feed.ignore(BTC)
        await sitting.subscribed(count=0)
        sitting.got[SOL] = []
        sitting.feed.listen(SOL, sitting.got[SOL].append)
        await sitting.subscribed(count=1)
        await sitting.step(2)
        await sitting.until(lambda: sitting.minutes(SOL) == [0, 1])
        assert sitting.got[BTC] == []
