"""Candles by time through stock ccxt from a local Bybit over TLS, into the store; with the exchange's faults."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from livebot.adapters.ccxt_venue.candle_pages import CandlePages
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput, Transient
from livebot.history.fetching import Fetched, FetchSettings, Wanted, fetch
from livebot.history.place import Place
from livebot.history.store import CandleStore
from livebot.history.table import CandleTable
from livebot.simulator.bybit import Fault
from tests.adapters.ccxt_venue.desk import HASTE_S, open_connection
from tests.simulator.binance.desk import local_binance
from tests.simulator.builders import BTC, ETH, START_MS, Prices
from tests.simulator.bybit.desk import Desk, local_bybit

MINUTES, CLOSED = 260, 250
GAP = range(120, 130)
SETTINGS = FetchSettings(page=60, attempts=4, backoff_s=0.01, backoff_most_s=0.05)


def prices(minute: int) -> Prices:
    return (100.0 + minute % 7, 110.0, 90.0, 100.0 + (minute + 1) % 7)


WRITTEN: list[Prices | None] = [None if minute in GAP else prices(minute) for minute in range(MINUTES)]
THERE = [minute for minute in range(CLOSED) if minute not in GAP]


class Seat:
    """A connection, a store, and the exchange under it."""

    def __init__(self, desk: Desk, source: CandlePages, folder: Path) -> None:
        self.desk = desk
        self.source = source
        self.store = CandleStore(folder, SystemFiles())

    def arm(self, kind: str, **more) -> None:
        self.desk.server.faults.arm(Fault(kind=kind, endpoints=("kline",), **more))

    async def fetch(self, since: int = 0, until: int = CLOSED + 1) -> Fetched:
        # its clock is the world's, years ahead of its market: only a later candle can tell that one has closed
        wanted = Wanted((BTC,), Timeframe.M1, START_MS + since * MINUTE_MS, START_MS + until * MINUTE_MS)
        [result] = await fetch(self.source, self.store, wanted, lambda _: None, SETTINGS)
        return result

    def held(self) -> CandleTable:
        return self.store.read(Place("bybit", "perpetual", Timeframe.M1, BTC))


@asynccontextmanager
async def seat(folder: Path, closed: int = CLOSED, *, hasty: bool = False) -> AsyncIterator[Seat]:
    """`hasty`: an answer that does not come is hardly waited for."""
    async with local_bybit(folder, {BTC: WRITTEN, ETH: WRITTEN}) as desk:
        await desk.step(closed)
        connection = await open_connection(desk, None)
        if hasty:
            connection.data.timeout = round(HASTE_S * 1_000)
        try:
            yield Seat(desk, CandlePages(connection), folder / "candles")
        finally:
            await connection.close()


def minutes_of(table: CandleTable) -> list[int]:
    return ((table.ts_ms - START_MS) // MINUTE_MS).tolist()


def require_whole(table: CandleTable, there: list[int] = THERE) -> None:
    assert minutes_of(table) == there
    assert np.array_equal(table.values[:4].T, np.array([prices(minute) for minute in there]))


async def test_a_history_with_an_outage(tmp_path):
    async with seat(tmp_path) as sitting:
        result = await sitting.fetch(since=-150)
        assert result.problem is None
        assert result.counts.added == len(THERE)
        assert result.gaps == ((START_MS + GAP.start * MINUTE_MS, START_MS + GAP.stop * MINUTE_MS),)
        require_whole(sitting.held())
        await sitting.desk.step(5)
        assert (await sitting.fetch(until=CLOSED + 8)).counts.added == 5
        require_whole(sitting.held(), [*THERE, *range(CLOSED, CLOSED + 5)])


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("truncate", {}),
        ("html", {}),
        ("empty", {}),
        ("status", {"status": 503}),
        ("cut", {}),
        ("unfinished", {}),
        ("refuse", {"code": 10006, "text": "Too many visits!"}),
        ("silence", {"times": 1}),
    ],
)
@pytest.mark.parametrize("after", [0, 3])
async def test_answers_that_go_wrong(tmp_path, kind, more, after):
    async with seat(tmp_path, hasty=kind == "silence") as sitting:
        if after:
            await sitting.fetch(until=100)
        sitting.arm(kind, **({"times": 2} | more))
        result = await sitting.fetch()
        assert result.problem is None
        require_whole(sitting.held())


async def test_an_unfinished_candle_at_the_end(tmp_path):
    """The last closed candle is told half formed, on the last page."""
    async with seat(tmp_path) as sitting:
        await sitting.fetch(until=CLOSED - 20)
        sitting.arm("unfinished")
        result = await sitting.fetch()
        assert result.revised == 1
        require_whole(sitting.held())


async def test_a_ban_is_waited_out(tmp_path):
    """HTTP 429 for a second: nothing is sent meanwhile, and all is there afterwards."""
    async with seat(tmp_path) as sitting:
        sitting.arm("ban", status=429, seconds=1.0)
        began = asyncio.get_running_loop().time()
        result = await sitting.fetch()
        assert result.problem is None
        assert asyncio.get_running_loop().time() - began >= 0.9
        require_whole(sitting.held())


async def test_a_venue_that_is_gone(tmp_path):
    async with seat(tmp_path) as sitting:
        await sitting.fetch(until=100)
        sitting.arm("status", status=503, times=50)
        result = await sitting.fetch()
        assert result.problem is not None
        assert result.problem.startswith(f"no candles of {BTC} from bybit: ")
        assert minutes_of(sitting.held()) == list(range(100))


async def test_cancelled_in_the_middle(tmp_path):
    async with seat(tmp_path) as sitting:
        sitting.desk.server.faults.arm(Fault(kind="delay", endpoints=("kline",), seconds=0.05, times=100))
        task = asyncio.create_task(sitting.fetch())
        await asyncio.sleep(0.25)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        require_whole((await sitting.fetch(), sitting.held())[1])


async def test_higher_timeframes_and_what_is_not_there(tmp_path):
    async with seat(tmp_path) as sitting:
        page = await sitting.source.page(BTC, Timeframe.H1, START_MS, START_MS + 2 * Timeframe.H1.ms)
        assert minutes_of(page) == [0, 60]
        assert (sitting.source.venue, sitting.source.market) == ("bybit", "perpetual")
        with pytest.raises(
            BadInput, match="bybit perpetual does not list XRP/USDT:USDT; take it out, or mend the name"
        ):
            await sitting.source.page("XRP/USDT:USDT", Timeframe.M1, START_MS, START_MS + MINUTE_MS)
        with pytest.raises(BadInput, match="bybit has no 8h candles; it has 1m, 3m"):
            await sitting.source.page(BTC, Timeframe.H8, START_MS, START_MS + Timeframe.H8.ms)


async def test_binance_by_the_same_way(tmp_path):
    async with local_binance(tmp_path, {BTC: WRITTEN}) as desk:
        await desk.step(CLOSED)
        connection = await open_connection(desk, None, "binance")
        store = CandleStore(tmp_path / "candles", SystemFiles())
        wanted = Wanted((BTC,), Timeframe.M1, START_MS - 100 * MINUTE_MS, START_MS + (CLOSED + 1) * MINUTE_MS)
        [result] = await fetch(CandlePages(connection), store, wanted, lambda _: None, SETTINGS)
        await connection.close()
        assert result.problem is None
        require_whole(store.read(Place("binance", "perpetual", Timeframe.M1, BTC)))


async def test_a_banned_address_sends_nothing(tmp_path):
    async with seat(tmp_path) as sitting:
        sitting.source._connection.bans.begin(60.0)
        assert sitting.source.pause_s > 59
        with pytest.raises(Transient, match=f"no candles of {BTC}: bybit has banned this address for (60|59) s more"):
            await sitting.source.page(BTC, Timeframe.M1, START_MS, START_MS + MINUTE_MS)


async def test_an_answer_that_cannot_be_true(tmp_path):
    async with seat(tmp_path) as sitting:
        original = sitting.source._data.fetch_ohlcv

        async def wrong(*arguments):
            rows = await original(*arguments)
            return [[rows[0][0], 1.0, 0.5, 2.0, 1.0, 1.0]]

        sitting.source._data.fetch_ohlcv = wrong
        with pytest.raises(
            Transient, match=r"the candles of BTC/USDT:USDT from bybit cannot be used: candle \d+ is refused"
        ):
            await sitting.source.page(BTC, Timeframe.M1, START_MS, START_MS + MINUTE_MS)
