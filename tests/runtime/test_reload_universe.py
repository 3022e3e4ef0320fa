"""Reloads where symbols are found by a universe, or are watched at a venue that may take them off its list."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from livebot.core.denial import DenialCode
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS
from livebot.errors import Rejected
from livebot.runtime.operator.following import Following, ReloadPlan
from livebot.runtime.operator.reload import Reload, Result
from tests.runtime.harness import (
    BTC,
    ETH,
    SOL,
    START_MS,
    XRP,
    Process,
    Script,
    Scripted,
    World,
    always,
    disagreements,
    entry,
    run,
)
from tests.runtime.reload_office import ALL, Witness, anyone, until
from tests.runtime.universe_desk import Desk, Only


def sleepy(view):
    """Nothing is open while the venue does not list it."""
    return None if 4 < (view.close_ms - START_MS) // MINUTE_MS < 38 else entry(view, minutes=1)


MAKERS = {
    "busy": lambda: always(minutes=2),
    "other": lambda: always(minutes=1),
    "sleepy": lambda: Scripted(Script(sleepy)),
}


class Town:
    """A daemon whose venue lists what `said(minute)` says; `runs` are the strategies of each symbol by its config."""

    def __init__(self, said: Callable[[int], Any], *, members: tuple[str, ...], **desk: Any) -> None:
        self.runs: Mapping[str, tuple[str, ...]] = dict.fromkeys(ALL, ("busy",))
        world = World(strategies=MAKERS, symbols=ALL, speed=60)
        desk = {"top": len(members)} | desk
        self.desk = Desk(world, said, members=members, strategies=lambda symbol: self.runs.get(symbol, ()), **desk)

    async def start(self) -> Process:
        self.process = await self.desk.process().until_ready()
        return self.process

    async def follow(self, runs: Mapping[str, tuple[str, ...]], **changes: Any) -> str:
        """Reload a config under which these run.  Raises Rejected."""
        system = self.process.system

        def switch() -> None:
            self.runs = runs

        usual: dict[str, Any] = {
            "keys": ("strategies",),
            "changes": ("strategies changed",),
            "limits": Limits(),
            "loss_limit": None,
            "win_rate": None,
            "made_anew": frozenset(),
            "contextual": frozenset(),
            "strategies": lambda symbol: runs.get(symbol, ()),
            "watched": lambda _: frozenset(),
            "added": (),
            "symbols": None,
            "switch": switch,
        }

        async def read() -> ReloadPlan:
            return ReloadPlan(**(usual | changes))

        reload = Reload(system, Following(system, anyone), read, file="config.yaml", witness=Witness())
        outcome = await reload._once(self.process.shutdown)
        if outcome.result is Result.REFUSED:
            raise Rejected(outcome.sentence)
        return outcome.sentence

    @property
    def run(self) -> set[str]:
        return set(self.process.system.workers.strategies)

    def opened(self, symbol: str, strategy: str | None = None) -> int:
        return len(self.desk.minutes_of(symbol, "SignalOpened", strategy))


# ---------------------------------------------------------------- found by a universe


def test_members_of_a_universe_run_other_strategies():
    async def main():
        town = Town(lambda _: (BTC, ETH), members=(BTC, ETH), top=2)
        process = await town.start()
        await until(lambda: town.opened(ETH))
        kept = process.system.workers.instances.peek(ETH, "busy")
        await town.follow(dict.fromkeys(ALL, ("busy",)) | {BTC: ("other",)})
        assert process.system.workers.instances.peek(ETH, "busy") is kept
        await until(lambda: town.opened(BTC, "other") > 1)
        assert town.run == {BTC, ETH}
        await process.end()
        assert disagreements(town.desk.world) == []

    run(main())


def test_a_member_on_which_something_runs_by_now_is_taken_on_at_once():
    async def main():
        town = Town(lambda _: (BTC, ETH), members=(BTC, ETH), top=2, refresh_minutes=600)
        town.runs = {BTC: ("busy",)}
        process = await town.start()
        assert town.run == {BTC}
        await town.follow({BTC: ("busy",), ETH: ("busy",)})
        await until(lambda: town.opened(ETH))
        await process.end()

    run(main())


def test_a_member_that_nothing_would_run_on_any_more_takes_a_restart():
    async def main():
        town = Town(lambda _: (BTC, ETH), members=(BTC, ETH), top=2)
        process = await town.start()
        with pytest.raises(Rejected, match=f"needs a restart: strategies; none would be left for {ETH}, which the"):
            await town.follow({BTC: ("busy",), SOL: ("busy",)})
        assert town.run == {BTC, ETH}
        assert town.runs[ETH] == ("busy",)
        await process.end()

    run(main())


# ---------------------------------------------------------------- listed in the config, and watched at the venue


def test_a_symbol_that_the_venue_took_off_stays_off_over_a_reload_and_comes_back_with_its_list():
    async def main():
        town = Town(
            lambda minute: Only((ETH, BTC) if minute < 8 or minute > 40 else (ETH,)), members=(BTC, ETH), fixed=True
        )
        town.runs = {BTC: ("sleepy",), ETH: ("busy",)}
        process = await town.start()
        await until(lambda: town.run == {ETH})
        (told,) = process.problems.sentences()
        assert "no longer lists it" in told
        await town.follow({**town.runs, XRP: ("busy",)}, symbols=(BTC, ETH, XRP), added=(XRP,))
        assert town.run == {ETH, XRP}
        assert process.portfolio.blocks.of(XRP) == ()
        assert BTC not in process.system.universe.members
        assert process.problems.sentences() == (told,)
        await until(lambda: BTC in town.run)
        known = town.opened(BTC)
        await until(lambda: town.opened(BTC) > known)
        await process.end()
        assert disagreements(town.desk.world) == []

    run(main())


def test_taking_a_symbol_out_that_the_venue_took_off_ends_the_problem():
    async def main():
        town = Town(lambda minute: Only((ETH, BTC) if minute < 8 else (ETH,)), members=(BTC, ETH), fixed=True)
        town.runs = {BTC: ("sleepy",), ETH: ("busy",)}
        process = await town.start()
        await until(lambda: process.problems.sentences())
        await town.follow({ETH: ("busy",)}, symbols=(ETH,))
        assert process.problems.sentences() == ()
        await until(lambda: town.process.system.universe._memory.departing == ())
        assert town.run == {ETH}
        await process.end()

    run(main())


def test_a_symbol_taken_out_is_not_taken_on_again_by_the_next_look():
    async def main():
        town = Town(lambda _: (BTC, ETH), members=(BTC, ETH), fixed=True, refresh_minutes=3)
        process = await town.start()
        await until(lambda: town.opened(BTC))
        await town.follow({ETH: ("busy",)}, symbols=(ETH,))
        assert process.portfolio.blocks.of(BTC) == (DenialCode.UNIVERSE,)
        await until(lambda: town.run == {ETH})
        looks = len(town.desk.source.asked)
        await until(lambda: len(town.desk.source.asked) > looks + 3)
        assert town.run == {ETH}
        assert process.problems.sentences() == ()
        await process.end()

    run(main())


def test_a_reload_waits_for_a_look_that_is_under_way():
    async def main():
        town = Town(lambda _: (BTC, ETH), members=(BTC, ETH), fixed=True)
        process = await town.start()
        async with process.system.universe.changing:
            following = asyncio.create_task(town.follow({ETH: ("busy",)}, symbols=(ETH,)))
            await asyncio.sleep(2)
            assert town.runs[BTC] == ("busy",)
        await following
        assert town.runs == {ETH: ("busy",)}
        await process.end()

    run(main())
