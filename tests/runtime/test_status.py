"""The one screen, from a running system."""

import asyncio
import json
import os
from dataclasses import replace
from decimal import Decimal

from livebot.core.limits import Limits
from livebot.core.order import Leg
from livebot.ops.status_json import decode_status, encode_status
from livebot.ports import SystemStatus
from livebot.runtime.operator.control import Control
from tests.runtime.harness import BTC, ETH, SOL, START_MS, World, always, once, run

D = Decimal


def a_world() -> World:
    return World(
        strategies={
            "one": lambda: once(1, stop=0.2, target=0.2, minutes=900),
            "resting": lambda: once(1, limit=0.1, stop=0.2, target=0.2),
        },
        symbols=(BTC, ETH, SOL),
        runs_on={BTC: ("one", "resting"), ETH: ("one",), SOL: ("resting",)},
        limits=Limits(open_signals=10),
        speed=60,
        latency_ms=5,
    )


def test_before_anything_has_started_it_says_so():
    """Nothing is known yet, and nothing is made up."""

    async def main() -> None:
        status = a_world().process().control.status()
        assert not status.ready
        assert (status.equity, status.open_signals, status.problems) == (0, 0, ())
        assert [(each.symbol, each.worker, each.signals) for each in status.symbols] == [
            (BTC, "waiting", ()),
            (ETH, "waiting", ()),
            (SOL, "waiting", ()),
        ]
        assert status.symbols[0].last_close_ms is None

    run(main())


def test_a_running_system_shows_what_is_open_and_what_it_is_worth():
    """Every signal of every strategy, with prices and protection."""

    async def main() -> None:
        world = a_world()
        process = await world.process().until_ready()
        await asyncio.sleep(4.5)
        status = process.control.status()
        assert status.ready
        assert (status.system, status.market, status.mode, status.exchange) == (
            "test",
            "perpetual",
            "paper",
            "simulator",
        )
        assert status.pid == os.getpid()
        assert status.trading_state == "ACTIVE"
        assert status.open_signals == 4
        assert (status.counts["admitted"], status.counts["opened"], status.counts["approved"]) == (4, 2, 4)
        assert status.instances == {"created": 4, "evicted": 0, "live": 4}
        assert status.unprotected == ()
        assert abs(status.equity - world.venue.account().equity) < 100
        by_name = {(signal.strategy, symbol.symbol): signal for symbol in status.symbols for signal in symbol.signals}
        opened = by_name["one", BTC]
        held = world.venue.positions()[0]
        assert (opened.state, opened.signal_id, opened.side) == ("Open", f"one/{BTC}#1", "long")
        assert (opened.quantity, opened.entry_price) == (held.quantity, held.average_price)
        assert opened.stop_loss == world.orders(leg=Leg.STOP)[0].trigger_price
        assert opened.take_profit == world.state("one").signal.take_profit
        assert world.orders(leg=Leg.TARGET) == []  # two strategies share the venue's position
        assert opened.protected is True
        last = D(repr(status.symbols[0].last_price))
        assert opened.unrealised == opened.quantity * (last - opened.entry_price)
        waiting = by_name["resting", SOL]
        assert (waiting.state, waiting.protected, waiting.unrealised) == ("Scheduled", None, None)
        assert waiting.entry_price == world.orders(SOL)[0].price
        assert status.symbols[0].last_close_ms == START_MS + 4 * 60_000
        assert {each.worker for each in status.symbols} == {"running"}
        assert decode_status(json.loads(encode_status(status))) == status
        await _parts_agree(world, process.control, status)
        await process.end()

    run(main())


async def _parts_agree(world: World, control: Control, status: SystemStatus) -> None:
    """In pieces it is the same; so are the figures of the portfolio, and the orders are those of the venue."""
    assert await control.look() == replace(control.status(), now_ms=(await control.look()).now_ms)
    portfolio = control.portfolio()
    assert (portfolio.equity, portfolio.open_signals) == (status.equity, status.open_signals)
    assert (portfolio.trading_state, portfolio.causes, portfolio.reservations) == ("ACTIVE", (), 0)
    assert control.limits() == status.limits
    lines = list(control.orders(None))
    at_venue = {order.client_order_id: order for symbol in world.symbols for order in world.orders(symbol)}
    assert {line.client_order_id for line in lines} == at_venue.keys()
    for line in lines:
        order = at_venue[line.client_order_id]
        assert (line.quantity, line.price, line.trigger_price) == (order.quantity, order.price, order.trigger_price)
        assert (line.status, line.confirmed, line.cancel_requested) == ("working", True, False)
        assert (line.side, line.kind) == (order.side.value, order.kind.value)
    legs = {(BTC, "stop"), (BTC, "entry"), (ETH, "stop"), (ETH, "target"), (SOL, "entry")}
    assert {(line.symbol, line.leg) for line in lines} == legs
    assert {line.signal_id for line in control.orders(ETH)} == {f"one/{ETH}#1"}
    assert control.knows(ETH) and not control.knows("DOGE/USDT:USDT")


def test_an_idle_symbol_shows_nothing_open():
    """One line for each strategy all the same."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(500)}, speed=60)
        process = await world.process().until_ready()
        (signal,) = process.control.status().symbols[0].signals
        assert (signal.strategy, signal.state, signal.signal_id, signal.protected) == ("one", "Idle", None, None)
        await process.end()

    run(main())


def test_a_market_entry_on_its_way_shows_what_was_decided():
    """At the price that it was sized at."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1)}, speed=60, latency_ms=500)
        process = await world.process().until_ready()
        while not process.system.execution.in_flight:
            await asyncio.sleep(0.01)
        (signal,) = process.control.status().symbols[0].signals
        assert signal.state == "Opening"
        assert signal.entry_price == world.state("one").signal.signal.reference_price
        await process.end()

    run(main())


def test_a_symbol_that_is_down_shows_what_was_last_saved():
    """With the error that it failed with."""

    async def main() -> None:
        world = World(strategies={"one": lambda: always(stop=0.2, target=0.2)}, speed=60)
        process = await world.process().until_ready()
        await asyncio.sleep(2.5)
        process.system.workers.evict(BTC)
        (symbol,) = process.control.status().symbols
        (signal,) = symbol.signals
        assert signal.state == "Open"
        assert (symbol.last_price, signal.unrealised) == (None, None)
        await process.end()

    run(main())
