"""How a reload is asked for, and what is answered."""

import asyncio
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from livebot.core.limits import Limits
from livebot.errors import BadInput, Rejected
from livebot.runtime.operator.reload import Result
from tests.runtime.harness import (
    BTC,
    ETH,
    never,
    run,
)
from tests.runtime.reload_office import Office, busy

D = Decimal


def test_a_wrong_file_is_told_and_a_good_one_clears_it():
    async def main():
        office = Office({BTC: ("never",)}, {"never": never})
        process = await office.start()
        office.reads = [BadInput("config.yaml:3: market: is wrong\nconfig.yaml:9: mode: is wrong"), None]
        with capture_logs() as logs, pytest.raises(Rejected) as refused:
            await office.reload.ask()
        what = "config.yaml was not reloaded, and what was loaded before holds on"
        assert str(refused.value) == f"{what}: config.yaml:3: market: is wrong\nconfig.yaml:9: mode: is wrong"
        assert process.problems.sentences() == (
            f"{what}: config.yaml:3: market: is wrong (and 1 more); mend it and reload",
        )
        assert ("config_not_reloaded", 2) in [(line["event"], len(line.get("why", ""))) for line in logs]
        loaded_ms = process.control.status().config_loaded_ms
        assert loaded_ms == process.system.started_ms
        assert await office.reload.ask() == "nothing changed: config.yaml says what holds already"
        assert process.problems.sentences() == ()
        assert process.control.status().config_loaded_ms == loaded_ms
        await asyncio.sleep(2)
        await office.follow(office.plan())
        assert process.control.status().config_loaded_ms > loaded_ms
        results = [told if isinstance(told, str) else told.result for told in office.witness.told]
        assert results == ["began", Result.REFUSED, "began", Result.UNCHANGED, "began", Result.APPLIED]
        assert office.witness.told[-1].keys == ("a.key",)
        await office.end()

    run(main())


def test_who_asks_meanwhile_gets_one_more_reload_together():
    async def main():
        office = Office({BTC: ("never",)}, {"never": never})
        await office.start()
        office.read_s = 1.0
        first = asyncio.create_task(office.reload.ask())
        await asyncio.sleep(0.5)
        office.reads = [office.plan()]  # the file is written while it is being read
        storm = [office.reload.request() for _ in range(1000)]
        assert len({id(each) for each in storm}) == 1
        assert not (await first).startswith("nothing"), "it was read after the sleep"
        assert (await storm[0]).result is Result.UNCHANGED
        assert office.witness.told.count("began") == 2
        await office.end()

    run(main())


def test_a_command_that_is_given_up_takes_no_reload_with_it():
    async def main():
        office = Office({BTC: ("never",)}, {"never": never})
        process = await office.start()
        office.read_s = 1.0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await office.follow(office.plan(limits=Limits(open_signals=9)))
        await asyncio.sleep(2)
        assert {use.name: use.allowed for use in process.portfolio.limit_use()}["open_signals"] == 9
        assert (await office.reload.ask()).startswith("nothing changed")
        await office.end()

    run(main())


def test_nothing_is_reloaded_before_the_start_is_done_nor_during_the_stop():
    async def main():
        office = Office({BTC: ("never",)}, {"never": never})
        process = office.process()
        office.task = asyncio.create_task(office.reload.run(process.shutdown))
        with pytest.raises(
            Rejected, match="livebot is starting, and does not reload now; reload again once it is ready"
        ):
            await office.reload.ask()
        await process.until_ready()
        process.shutdown.request("the test")
        with pytest.raises(Rejected, match=r"livebot is stopping, and does not reload now$"):
            await office.reload.ask()
        await process.task
        assert office.witness.told == [], "the service manager would take it for the end of the start"
        assert process.problems.sentences() == ()
        office.task.cancel()

    run(main())


def test_a_stop_while_the_venue_is_asked_changes_nothing():
    async def main():
        office = Office({BTC: ("busy",)}, {"busy": busy()})
        process = await office.start()

        async def slow(_: str) -> None:
            await asyncio.sleep(1)

        office.following._admit = slow
        asking = asyncio.create_task(office.follow(office.plan({ETH: ("busy",)})))
        await asyncio.sleep(0.5)
        process.shutdown.request("the test")
        with pytest.raises(Rejected, match="livebot is stopping"):
            await asking
        assert office.runs_on == {BTC: ("busy",)}
        await process.task
        office.task.cancel()

    run(main())


def test_who_waits_for_a_reload_that_the_end_cuts_short_is_told():
    async def main():
        office = Office({BTC: ("never",)}, {"never": never})
        await office.start()
        office.read_s = 1e6
        asking = asyncio.create_task(office.reload.ask())
        await asyncio.sleep(1)
        office.task.cancel()
        with pytest.raises(Rejected, match="cut short"):
            await asking
        await office.daemon.end()

    run(main())


def test_an_answer_names_a_dozen_changes_and_how_many_more():
    async def main():
        office = Office({BTC: ("never",)}, {"never": never})
        await office.start()
        many = tuple(f"key{number} 1 -> 2" for number in range(40))
        sentence = await office.follow(office.plan(changes=many))
        assert sentence.endswith("key11 1 -> 2; 28 more, see the log")
        await office.end()

    run(main())
