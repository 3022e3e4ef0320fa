"""The venue as a process of its own, over its socket."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livebot.core.inputs import OrderAccepted, OrderEnded, OrderFilled, OrderRejected, OrderUnknown
from livebot.core.market import MINUTE_MS, OrderSide, Timeframe
from livebot.core.order import Leg
from livebot.core.risk import approve_reduction
from livebot.errors import BadInput, Fatal, Rejected, Transient
from livebot.ports import CandleFeed, Clock, Exchange
from livebot.simulator import host as host_module
from livebot.simulator.clock import VenueClock
from livebot.simulator.exchange import SimulatedExchange
from livebot.simulator.faults import FaultKind
from livebot.simulator.feed import SLICE, history_of
from livebot.simulator.host import VenueHost, main
from livebot.simulator.memory import VenueMemory
from livebot.simulator.remote import RemoteVenue
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings, symbol_names
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from livebot.simulator.wire import frame, read_frame
from tests.simulator.builders import START_MS, D, order
from tests.simulator.local_desk import PATIENCE_S, soon

BTC, ETH = symbol_names(2)
STANDING = 0.0001  # a speed at which no minute passes while a test runs
HURRIED = 1200.0  # a minute in a twentieth of a second


def new_venue(symbols: tuple[str, ...] = (BTC, ETH), memory: VenueMemory | None = None) -> SimulatedVenue:
    return SimulatedVenue(SyntheticMarket(symbols, SyntheticSettings(), first_ms=START_MS), VenueSettings(), memory)


@asynccontextmanager
async def hosted(
    tmp_path: Path, venue: SimulatedVenue, *, speed: float = STANDING, minutes: int | None = None
) -> AsyncIterator[Path]:
    """A host in this loop; gives its socket."""
    clock = VenueClock(venue, speed=speed)
    host = VenueHost(venue, clock, SimulatedExchange(venue, clock))
    ready = asyncio.Event()
    serving = asyncio.create_task(host.serve(tmp_path / "s", minutes=minutes, ready=ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield tmp_path / "s"
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError, Fatal):
            await serving
        await asyncio.sleep(0.01)


@asynccontextmanager
async def connected(tmp_path: Path, venue: SimulatedVenue, **how) -> AsyncIterator[RemoteVenue]:
    async with hosted(tmp_path, venue, **how) as socket:
        remote = await RemoteVenue.connect(socket)
        try:
            yield remote
        finally:
            await remote.close()


async def test_the_ports_are_met(tmp_path):
    async with connected(tmp_path, new_venue()) as remote:
        exchange: Exchange = remote.exchange
        feed: CandleFeed = remote.feed
        clock: Clock = remote.clock
        assert (exchange.name, exchange.absence_window_ms) == ("simulator", 1_500)
        assert not exchange.positions_may_lag
        assert clock.now_ms() == START_MS
        assert feed is not None
        assert remote.symbols == (BTC, ETH)


async def test_a_session_over_the_socket_equals_one_in_the_process(tmp_path):
    """Every call gives what the same call gives without a socket, and the same events are told."""
    near, far = new_venue(), new_venue()
    clock = VenueClock(near, speed=0)
    direct = SimulatedExchange(near, clock)
    async with connected(tmp_path, far) as remote:
        heard: dict[str, list] = {"near": [], "far": []}
        direct.listen(BTC, heard["near"].append)
        remote.exchange.listen(BTC, heard["far"].append)
        stop = order("stop", "sell", "0.1", stop="1000", reduce=True)
        moved = order("stop", "sell", "0.1", stop="1001", reduce=True)

        async def session(exchange, venue, place_by_hand):
            said = [await place_by_hand(order("in", "buy", "0.1"))]
            said.append(await exchange.submit(approve_reduction(stop)))
            said.append(await exchange.submit(approve_reduction(stop)))
            said.append(await exchange.amend(approve_reduction(moved)))
            said.append(await exchange.fetch_order(BTC, "stop"))
            said.append(await exchange.fetch_order(BTC, "never"))
            said.append(await exchange.fetch_fills(BTC, "in"))
            said.append(await exchange.fetch_open_orders())
            said.append(await exchange.fetch_positions())
            said.append(await exchange.fetch_account())
            said.append(await exchange.instruments([BTC, ETH]))
            for call in (exchange.instruments(["XRP/USDT"]), exchange.cancel(BTC, "never")):
                with pytest.raises((BadInput, Rejected)) as refusal:
                    await call
                said.append((type(refusal.value), str(refusal.value)))
            await exchange.cancel(BTC, "stop")
            venue.step()
            said.append(await exchange.fetch_account())
            return said

        async def place_here(request):
            return near.place_by_hand(request, near.now_ms, anonymous=False)

        async def place_there(request):
            return await remote.place_by_hand(request, anonymous=False)

        assert await session(remote.exchange, far, place_there) == await session(direct, near, place_here)
        assert heard["far"] == heard["near"]
        assert [type(event) for event in heard["far"]] == [OrderFilled, OrderEnded, OrderEnded]


@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.H1])
async def test_history(tmp_path, timeframe):
    venue = new_venue()
    async with connected(tmp_path, venue) as remote:
        there = await remote.feed.history(BTC, timeframe, 100)
        here = await history_of(venue, BTC, timeframe, 100)
        for name in ("ts_ms", "open", "high", "low", "close", "volume"):
            assert np.array_equal(getattr(there, name), getattr(here, name))
        with pytest.raises(BadInput, match="XRP"):
            await remote.feed.history("XRP/USDT", timeframe, 1)


async def test_candles_and_time_are_pushed_until_the_end(tmp_path):
    symbols = symbol_names(SLICE + 2)
    venue = new_venue(symbols)
    async with connected(tmp_path, venue, speed=HURRIED, minutes=5) as remote:
        pushed: dict[str, list] = {symbol: [] for symbol in symbols}
        for symbol in symbols[1:]:
            remote.feed.listen(symbol, pushed[symbol].append)
        await soon(remote.feed.run())
        for symbol in symbols[1:]:
            expected = [venue.market.candle(symbol, candle.ts_ms) for candle in pushed[symbol]]
            assert pushed[symbol] == expected
            assert pushed[symbol][-1].ts_ms == START_MS + 4 * MINUTE_MS
        assert remote.clock.now_ms() >= START_MS + 5 * MINUTE_MS
        late = await RemoteVenue.connect(tmp_path / "s")
        assert isinstance(await late.place_by_hand(order("a", "buy", "0.01")), OrderAccepted)
        await late.close()


async def test_time_runs_here_as_it_runs_there(tmp_path):
    venue = new_venue()
    async with connected(tmp_path, venue, speed=HURRIED) as remote:
        seen = []
        for _ in range(30):
            seen.append(remote.clock.now_ms())
            await asyncio.sleep(0.01)
        assert seen == sorted(seen)
        assert len(set(seen)) > 10
        assert seen[-1] > START_MS + MINUTE_MS


async def test_a_venue_whose_data_ended_before_we_came(tmp_path):
    venue = SimulatedVenue(_Over((BTC,), SyntheticSettings(), first_ms=START_MS), VenueSettings())
    venue.step()
    async with connected(tmp_path, venue) as remote:
        await soon(remote.feed.run())


class _Over(SyntheticMarket):
    """One minute long."""

    @property
    def end_ms(self) -> int:
        return START_MS + MINUTE_MS


async def test_a_bystander_is_told_nothing_unasked(tmp_path):
    venue = new_venue()
    async with hosted(tmp_path, venue) as socket:
        bystander = await RemoteVenue.connect(socket, follow=False)
        heard: list = []
        bystander.exchange.listen(BTC, heard.append)
        answer = await bystander.place_by_hand(order("a", "buy", "0.01"), anonymous=True)
        assert isinstance(answer, OrderAccepted)
        assert (await bystander.exchange.fetch_positions())[0].quantity == D("0.01")
        assert isinstance(await bystander.close_by_hand(BTC), OrderAccepted)
        with pytest.raises(Rejected, match="no position"):
            await bystander.close_by_hand(BTC)
        assert await bystander.exchange.fetch_positions() == ()
        assert heard == []
        await bystander.exchange.close()


async def test_faults_can_be_armed_from_outside(tmp_path):
    venue = new_venue()
    async with connected(tmp_path, venue) as remote:
        await remote.place_by_hand(order("in", "buy", "0.01"))
        await remote.arm(FaultKind.LOSE_ANSWER, leg=Leg.STOP, symbol=BTC)
        stop = approve_reduction(order("stop", "sell", "0.01", stop="1000", reduce=True))
        assert isinstance(await remote.exchange.submit(stop), OrderUnknown)
        assert isinstance(await remote.exchange.submit(stop), OrderRejected)
        await remote.arm(FaultKind.FAIL_FETCH, times=2)
        for _ in range(2):
            with pytest.raises(Transient):
                await remote.exchange.fetch_account()


async def test_when_the_socket_breaks(tmp_path):
    venue = new_venue()
    stop = approve_reduction(order("stop", "sell", "0.01", stop="1000", reduce=True))
    async with hosted(tmp_path, venue) as socket:
        remote = await RemoteVenue.connect(socket)
        gate = asyncio.Event()
        _block(venue, remote, gate)
        feeding = asyncio.create_task(remote.feed.run())
        asking = asyncio.create_task(remote.exchange.fetch_account())
        sending = asyncio.create_task(remote.exchange.submit(stop))
        giving_up = asyncio.create_task(remote.exchange.fetch_positions())
        await asyncio.sleep(0.05)
        giving_up.cancel()
    assert isinstance(await sending, OrderUnknown)
    with pytest.raises(Transient, match="gone"):
        await asking
    with pytest.raises(Fatal, match="gone"):
        await feeding
    with pytest.raises(Transient, match="gone"):
        await remote.exchange.submit(stop)
    with pytest.raises(Fatal, match="gone"):
        await remote.feed.run()
    gate.set()
    await remote.close()


def _block(venue: SimulatedVenue, remote: RemoteVenue, gate: asyncio.Event) -> None:
    """Let the exchange behind the socket answer nothing any more."""

    async def stuck(*_):
        await gate.wait()

    listener: Any = venue._sinks[0]
    listener.__self__._travel = stuck


async def test_an_error_of_a_listener_ends_the_run(tmp_path):
    venue = new_venue()
    async with connected(tmp_path, venue, speed=HURRIED) as remote:

        def broken(_):
            raise ZeroDivisionError

        remote.feed.listen(BTC, broken)
        with pytest.raises(ZeroDivisionError):
            await soon(remote.feed.run())


async def test_nobody_there(tmp_path):
    with pytest.raises(Fatal, match="no simulated venue answers"):
        await RemoteVenue.connect(tmp_path / "s", wait_s=0.1)


async def test_somebody_else_there(tmp_path):
    async def hang_up(_, writer):
        writer.close()

    server = await asyncio.start_unix_server(hang_up, str(tmp_path / "s"))
    with pytest.raises(Fatal, match="gone"):
        await RemoteVenue.connect(tmp_path / "s")
    server.close()
    await server.wait_closed()


class TestStrangers:
    """Whoever does not speak the language hurts nobody."""

    @staticmethod
    @asynccontextmanager
    async def calling(socket: Path):
        reader, writer = await asyncio.open_unix_connection(str(socket))
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()

    async def test_calls_that_cannot_be_understood(self, tmp_path):
        async with hosted(tmp_path, new_venue()) as socket, self.calling(socket) as (reader, writer):
            for message in (
                {"id": 1, "call": "dance", "args": {}},
                {"id": 2, "call": "order", "args": {}},
                {"id": 3, "call": "submit", "args": {"request": {"quantity": "x"}}},
                {"id": 4, "call": "history", "args": {"symbol": BTC, "timeframe": "7m", "count": 1}},
                {"id": 5},
            ):
                writer.write(frame(message))
                answer = await read_frame(reader)
                assert answer is not None
                assert (answer["id"], answer["error"]) == (message["id"], "BadInput")

    async def test_noise_is_answered_once_and_cut_off(self, tmp_path):
        async with hosted(tmp_path, new_venue()) as socket:
            async with self.calling(socket) as (reader, writer):
                writer.write(b"\xff\xff\xff\xff GET / HTTP/1.1\r\n\r\n")
                answer = await read_frame(reader)
                assert answer is not None
                assert answer["error"] == "BadInput"
                assert await read_frame(reader) is None
            other = await RemoteVenue.connect(socket)
            await other.close()

    async def test_one_that_does_not_read_is_cut_off(self, tmp_path, monkeypatch):
        monkeypatch.setattr(host_module, "_MOST_UNREAD", 100_000)
        venue = new_venue(symbol_names(200))
        async with hosted(tmp_path, venue, speed=60_000) as socket, self.calling(socket) as (reader, writer):
            writer.write(frame({"id": 1, "call": "follow", "args": {}}))
            enough_ms = venue.minute_ms + 300 * MINUTE_MS  # far more than all buffers on the way hold
            while venue.minute_ms < enough_ms:
                await asyncio.sleep(0.01)
            other = await RemoteVenue.connect(socket, follow=False)
            assert await other.exchange.fetch_positions() == ()
            await other.close()
            with suppress(ConnectionError):
                while await reader.read(1 << 20):
                    pass


async def test_a_host_that_cannot_keep_its_memory_stops(tmp_path, monkeypatch):
    memory = VenueMemory(tmp_path / "memory")
    with closing(new_venue(memory=memory)) as venue:
        clock = VenueClock(venue, speed=STANDING)
        host = VenueHost(venue, clock, SimulatedExchange(venue, clock))
        ready = asyncio.Event()
        serving = asyncio.create_task(host.serve(tmp_path / "s", ready=ready.set))
        await ready.wait()
        remote = await RemoteVenue.connect(tmp_path / "s")
        memory._close_log()
        with pytest.raises(Fatal, match="log"):
            await remote.place_by_hand(order("a", "buy", "0.01"))
        with pytest.raises(Fatal, match="log"):
            await serving
        with pytest.raises((Fatal, Transient)):
            await remote.place_by_hand(order("b", "buy", "0.01"))
        await remote.close()


async def test_a_socket_that_cannot_be_made(tmp_path):
    venue = new_venue()
    clock = VenueClock(venue, speed=STANDING)
    host = VenueHost(venue, clock, SimulatedExchange(venue, clock))
    with pytest.raises(Fatal, match="cannot listen"):
        await host.serve(tmp_path / "missing" / "s", ready=lambda: None)


def test_lockstep_over_a_socket_is_refused(tmp_path, capsys):
    options = ["--socket", str(tmp_path / "s"), "--memory", str(tmp_path / "m"), "--speed", "0"]
    assert main(options) == 2
    assert "speed above 0" in capsys.readouterr().err


def test_a_memory_in_use(tmp_path, capsys):
    with closing(new_venue(memory=VenueMemory(tmp_path / "m"))):
        assert main(["--socket", str(tmp_path / "s"), "--memory", str(tmp_path / "m")]) == 3
    assert "another process" in capsys.readouterr().err


def test_bad_candles(tmp_path, capsys):
    options = ["--socket", str(tmp_path / "s"), "--memory", str(tmp_path / "m")]
    assert main([*options, "--data", str(tmp_path), "--symbols", "BTC/USDT:USDT"]) == 2
    assert "no candles for BTC/USDT:USDT" in capsys.readouterr().err


class Process:
    """The host as a real process."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.socket = folder / "s"
        command = [sys.executable, "-m", "livebot.simulator.host"]
        command += ["--socket", str(self.socket), "--memory", str(folder / "memory"), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"ready {self.socket}\n"

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(PATIENCE_S)


@pytest.mark.process
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_on_request(tmp_path, how):
    assert Process(tmp_path, "--symbols", "2", "--speed", "600").end(how) == 0
    snapshot = json.loads((tmp_path / "memory" / "snapshot.json").read_text())
    assert snapshot["venue"]["account"]["wallet"] == "10000"


@pytest.mark.process
async def test_killed_again_and_again_it_loses_nothing_it_said(tmp_path):
    """SIGKILL while orders stream in: every answer and every trade ever heard still stands, and the sums are right."""
    options = ("--symbols", "3", "--speed", "1200", "--partial-probability", "0.5", "--wallet", "1000000")
    accepted: dict[str, OrderAccepted] = {}
    sent: list[tuple[str, str]] = []
    trades: dict[str, tuple[str, OrderFilled]] = {}
    latest_ms = 0
    for life in range(4):
        process = Process(tmp_path, *options)
        remote = await RemoteVenue.connect(process.socket)
        assert remote.clock.now_ms() >= latest_ms
        for symbol in remote.symbols:
            remote.exchange.listen(symbol, partial(_note, trades, symbol))
        feeding = asyncio.create_task(remote.feed.run())
        killing = asyncio.create_task(_killed(process, remote, accepted, trades, life))
        number = 0
        while True:
            number += 1
            symbol = remote.symbols[number % 3]
            request = order(f"o{life}x{number}", "buy" if number % 2 else "sell", "1", symbol=symbol)
            sent.append((symbol, request.client_order_id))
            try:
                answer = await remote.place_by_hand(request, anonymous=False)
            except Transient:
                break
            if isinstance(answer, OrderAccepted):
                accepted[request.client_order_id] = answer
                latest_ms = answer.ts_ms
            await asyncio.sleep(0.002)
        await killing
        with pytest.raises(Fatal, match="gone"):
            await feeding
        await remote.close()
        process.end(signal.SIGKILL)

    process = Process(tmp_path, *options, "--speed", "0.001")
    remote = await RemoteVenue.connect(process.socket, follow=False)
    by_symbol: dict[str, D] = {}
    found_trades = set()
    for symbol, name in sent:
        known = await remote.exchange.fetch_order(symbol, name)
        fills = await remote.exchange.fetch_fills(symbol, name)
        if name in accepted:
            assert known is not None, f"{name} was accepted and is lost"
            assert known.venue_order_id == accepted[name].venue_order_id
        for fill in fills:
            assert fill.trade_id not in found_trades
            found_trades.add(fill.trade_id)
            signed = fill.quantity if fill.side is OrderSide.BUY else -fill.quantity
            by_symbol[symbol] = by_symbol.get(symbol, D(0)) + signed
            if fill.trade_id in trades:
                assert trades[fill.trade_id] == (symbol, OrderFilled(fill, fill.ts_ms))
    assert set(trades) <= found_trades
    positions = {each.symbol: each.quantity for each in await remote.exchange.fetch_positions()}
    assert len(accepted) > 50
    assert len(trades) > 50
    assert positions == {symbol: quantity for symbol, quantity in by_symbol.items() if quantity}
    await remote.close()
    assert process.end(signal.SIGTERM) == 0


async def _killed(process, remote, accepted, trades, life):
    """By SIGKILL, at whatever moment, once enough has happened in this life."""
    enough, enough_ms = 30 * (life + 1), remote.clock.now_ms() + (8 + 2 * life) * MINUTE_MS
    while min(len(accepted), len(trades)) < enough or remote.clock.now_ms() < enough_ms:
        await asyncio.sleep(0.001 + life / 10_000)
    os.kill(process.process.pid, signal.SIGKILL)


def _note(trades, symbol, event):
    if isinstance(event, OrderFilled):
        assert trades.setdefault(event.fill.trade_id, (symbol, event)) == (symbol, event)
