"""What is counted on the way, and the status without holding up the loop."""

import asyncio

from livebot.core.inputs import OrderRejected
from livebot.core.risk import approve_reduction
from livebot.errors import Transient
from livebot.runtime.operator import status as status_module
from livebot.runtime.operator.status import status_in_pieces, status_of
from tests.runtime.harness import BTC, ETH, SOL, World, once
from tests.runtime.harness import run as run_world
from tests.runtime.test_execution import STOP, Venue, an_entry, execution
from tests.virtual_loop import run


def test_answers_to_orders_are_counted_by_kind():
    """Whatever was sent: a change of an order is one too."""
    no = OrderRejected(client_order_id="stop-1", code="x", text="no", ts_ms=0)
    venue = Venue().will("submit", no, Transient("cut"), 10.0)

    async def scenario():
        open_now = True
        made = execution(venue, lambda _: open_now)
        stop = approve_reduction(STOP)
        for _ in range(4):  # refused, cut, not in time, taken
            await made.submit(stop)
        await made.amend(stop)
        open_now = False
        await made.submit(an_entry())
        await made.ask(STOP)
        return dict(made.outcomes)

    assert run(scenario()) == {"rejected": 1, "unknown": 2, "accepted": 2, "not_sent": 1, "absent": 1}


def a_world():
    return World(
        strategies={"one": lambda: once(1, stop=0.2, target=0.2, minutes=900)}, symbols=(BTC, ETH, SOL), speed=60
    )


def test_a_status_in_pieces_is_the_status(monkeypatch):
    """And the loop had its turns meanwhile."""
    monkeypatch.setattr(status_module, "PIECE", 1)

    async def main():
        process = await a_world().process().until_ready()
        await asyncio.sleep(2.5)
        turns = 0

        async def others():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        beside = asyncio.create_task(others())
        await asyncio.sleep(0)
        pieces = await status_in_pieces(process.system)
        beside.cancel()
        whole = status_of(process.system)
        await process.end()
        assert pieces == whole
        assert len(pieces.symbols) == 3
        assert turns >= 3

    run_world(main())


def test_a_symbol_that_goes_while_it_is_looked_at_is_left_out(monkeypatch):
    monkeypatch.setattr(status_module, "PIECE", 1)

    async def main():
        process = await a_world().process().until_ready()
        looking = asyncio.create_task(status_in_pieces(process.system))
        await asyncio.sleep(0)
        strategies = process.system.workers.strategies.pop(SOL)
        found = await looking
        process.system.workers.strategies[SOL] = strategies
        await process.end()
        assert [each.symbol for each in found.symbols] == [BTC, ETH]

    run_world(main())
