"""Metrics of a running system: read off its parts, and served where the config says."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import count
from types import SimpleNamespace

import aiohttp
import pytest
import structlog

from livebot.adapters.state_files import durable_files
from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.bootstrap.metrics import measure_of, metrics_page, serve_metrics
from livebot.bootstrap.venue import Venue
from livebot.config.running import ControlConfig
from livebot.core.facts import SignalClosed
from livebot.core.limits import Limits
from livebot.core.order import OrderStatus
from livebot.ops.metrics.measurements import Waits
from tests.kept_port import kept_port
from tests.ops.fake_control import a_status
from tests.ops.metrics.samples import read, some_measurements
from tests.runtime.harness import BTC, ETH, World, always, once, run

D = Decimal


def measured(process, files=None, **venue):
    parts = process.system.parts
    return measure_of(
        process.system, files or DurableFiles(), Venue(parts.exchange, parts.feed, parts.clock, **venue)
    )()


def test_before_anything_has_started_all_is_nothing():
    async def main():
        found = measured(World(strategies={"one": lambda: once(1)}).process())
        assert (found.orders_unresolved, found.reservations, found.ledger_queue) == (0, 0, 0)
        assert (found.delays.cumulative[-1], found.realised, found.waits, found.feed) == (0, {}, {}, {})
        assert (found.lag.p50_s, found.lag.maximum_s) == (0, 0)

    run(main())


def test_a_system_that_trades_is_measured():
    """Every close of every strategy; every order; what was denied and why; what closed."""

    async def main():
        world = World(
            strategies={"one": lambda: always(stop=0.2, target=0.2, minutes=2)},
            symbols=(BTC, ETH),
            limits=Limits(open_signals=1),
            speed=60,
        )
        process = await world.process().until_ready()
        await asyncio.sleep(12.5)
        found, counts = measured(process), process.control.status().counts
        assert found.decisions["denied", "open_signals"] == counts["denied"] > 0
        assert found.decisions["approved", "approved"] == counts["approved"] >= 3
        assert found.calls.cumulative[-1] == found.delays.cumulative[-1] >= counts["approved"] + counts["denied"]
        assert set(found.order_outcomes) == {"accepted"}
        assert found.order_outcomes["accepted"] >= 2 * counts["opened"]  # an entry and what protects it
        closed = [fact for fact in world.ledger.facts.values() if isinstance(fact, SignalClosed)]
        assert found.realised == {"one": sum(fact.pnl_net for fact in closed)}
        assert len(closed) >= 2
        assert found.lag.maximum_s >= found.lag.p99_s >= found.lag.p50_s
        assert found.ledger_queue_limit == process.system.parts.settings.ledger.queue_size
        await process.end()
        after = await world.process().until_ready()
        assert measured(after).realised["one"] == found.realised["one"]  # over a restart
        await after.end()

    run(main())


def test_what_comes_late_is_seen_to_be_late():
    """From the close of the candle until the strategy is asked, by the venue's clock."""

    async def main():
        process = World(strategies={"one": lambda: once(500)}, speed=60).process()
        shared = process.system.workers._shared
        venue = shared.clock
        object.__setattr__(shared, "clock", SimpleNamespace(now_ms=lambda: venue.now_ms() + 3_000))
        await process.until_ready()
        await asyncio.sleep(3.5)
        delays = measured(process).delays
        assert delays.cumulative[-1] == 3
        assert delays.total == pytest.approx(9)
        await process.end()

    run(main())


def test_a_reservation_lasts_until_a_fact_tells_of_it():
    async def main():
        world = World(strategies={"one": lambda: once(1)}, speed=60, latency_ms=500)
        process = await world.process().until_ready()
        assert measured(process).reservations == 0
        while not process.system.execution.in_flight:
            await asyncio.sleep(0.01)
        found = measured(process)
        assert found.orders_in_flight == 1
        book = process.system.portfolio
        assert (found.reservations, found.reserved) == book.reserved
        await process.end()

    run(main())


def test_an_order_whose_fate_is_unknown_is_counted_until_it_is_known():
    async def main():
        world = World(strategies={"one": lambda: once(1)}, speed=60)
        process = await world.process().until_ready()
        await asyncio.sleep(2.5)
        assert measured(process).orders_unresolved == 0
        states = process.system.workers.states
        state = states["one", BTC]
        lost = tuple(replace(record, status=OrderStatus.UNKNOWN) for record in state.orders)
        states["one", BTC] = replace(state, orders=lost)
        assert measured(process).orders_unresolved == len(lost) > 0
        await process.end()

    run(main())


def test_what_the_venue_counts_is_passed_on():
    async def main():
        process = World(strategies={"one": lambda: once(1)}).process()
        found = measured(process, feed_counts=lambda: {"heard": 3}, waits=lambda: {"orders": (2, 0.5)})
        assert found.feed == {"heard": 3}
        assert found.waits == {"orders": Waits(count=2, seconds=0.5)}

    run(main())


def test_saves_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(durable_files, "perf_counter", count().__next__)  # a second between each two looks

    async def main():
        files = DurableFiles()
        await asyncio.gather(*(files.write(tmp_path / name, b"x") for name in "abc"))
        await files.write(tmp_path / "d", b"x")
        found = measured(World(strategies={"one": lambda: once(1)}).process(), files)
        assert found.saves.cumulative[-1] == 2  # three were one group
        assert found.saves.total == 2
        await files.close()

    asyncio.run(main())


# ------------------------------------------------------------------ where it is served


@asynccontextmanager
async def served(**section):
    async with AsyncExitStack() as opened:
        system = World(strategies={"one": lambda: once(1)}).process().system
        config = ControlConfig(**section)

        async def look():
            return a_status()

        page = metrics_page(look, some_measurements, config)
        yield await serve_metrics(page, system, config, opened), system


async def ask(port, path="/metrics"):
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.read()


@pytest.fixture
def port():
    with kept_port() as number:
        yield number


def test_without_a_port_nothing_listens():
    async def main():
        async with served() as (server, system):
            assert server is None
            assert system.problems.sentences() == ()

    asyncio.run(main())


def test_at_the_configured_port_it_is_served_and_says_when_it_is_ready(port):
    async def main():
        async with served(metrics_port=port, metrics_symbols=0) as (_, system):
            status, body = await ask(port)
            assert status == 200
            found = read(body)
            assert found["livebot_ready",] == 1
            assert not any(label == "symbol" for key in found for label, _ in key[1:])
            assert await ask(port, "/healthz") == (503, b"not ready\n")
            system.ready.set()
            assert await ask(port, "/healthz") == (200, b"ready\n")

    asyncio.run(main())


def test_a_port_that_is_taken_is_a_problem_and_no_reason_not_to_trade(port):
    async def main():
        async with served(metrics_port=port), served(metrics_port=port) as (server, system):
            assert server is None
            (sentence,) = system.problems.sentences()
            assert f"port {port}" in sentence
            assert "it trades without" in sentence

    asyncio.run(main())


def test_an_address_that_others_reach_is_warned_of(port):
    async def main():
        with structlog.testing.capture_logs() as logs:
            async with served(metrics_port=port, metrics_address="0.0.0.0"):
                pass
            async with served(metrics_port=port):
                pass
        assert [each["event"] for each in logs] == ["metrics_open"]
        assert (logs[0]["address"], logs[0]["port"]) == ("0.0.0.0", port)

    asyncio.run(main())
