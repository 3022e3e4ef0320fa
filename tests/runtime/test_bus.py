"""The bus: the portfolio first, the ledger without loss, the others at their own pace and risk."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import pytest

from livebot.core.facts import Fact
from livebot.ports import Decision
from livebot.runtime.bus import Bus
from livebot.runtime.ledger_writer import LedgerWriter
from livebot.runtime.problems import Problems
from livebot.runtime.settings import LedgerSettings, ListenerSettings
from tests.runtime.samples import Teller, decision
from tests.virtual_loop import run, settle

SETTINGS = ListenerSettings(queue_size=5, failures=3, deadline_s=10.0)


class Ear:
    """Remembers what it heard; `error` makes it fail."""

    def __init__(self, name: str, log: list[str] | None = None) -> None:
        self.name = name
        self.heard: list[Fact | Decision] = []
        self.error: Exception | None = None
        self.log = log if log is not None else []

    def hear(self, items: Iterable[Fact | Decision]) -> None:
        self.log.append(self.name)
        if self.error is not None:
            raise self.error
        self.heard += items


class SlowEar(Ear):
    """Takes `seconds` for each publication."""

    seconds = 1.0

    async def hear(self, items: Iterable[Fact | Decision]) -> None:  # type: ignore[override]
        await asyncio.sleep(self.seconds)
        super().hear(items)


class LedgerEar(Ear):
    """The ledger's side of it."""

    async def record(self, facts: Sequence[Fact], decisions: Sequence[Decision]) -> None:
        await asyncio.sleep(0.1)
        self.hear([*facts, *decisions])

    async def close(self) -> None:
        """Nothing to do."""


class Bench:
    """A bus with a portfolio, a ledger, a quick listener and a slow one."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.problems = Problems()
        self.portfolio, self.ledger = Ear("portfolio", self.log), LedgerEar("ledger", self.log)
        self.quick, self.slow = Ear("quick", self.log), SlowEar("slow", self.log)
        self.writer = LedgerWriter(
            self.ledger,
            LedgerSettings(),
            acknowledged=lambda _: None,
            outstanding=list,
            block=lambda *_: None,
            report=self.problems.report,
        )
        self.bus = Bus(
            self.portfolio,
            self.writer,
            [self.quick, self.slow],
            settings=SETTINGS,
            report=self.problems.report,
        )
        self.teller = Teller()


def play(scene: Callable[[Bench], Awaitable[None]]) -> Callable[[], None]:
    """A test in virtual time, with the bus running."""

    def test() -> None:
        async def main() -> None:
            bench = Bench()
            task = asyncio.create_task(bench.bus.run())
            await scene(bench)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(main())

    test.__doc__ = scene.__doc__
    return test


@play
async def test_the_portfolio_has_heard_it_when_publishing_returns(bench):
    facts = [bench.teller.opening(), bench.teller.opened()]
    bench.bus.publish(facts)
    assert (facts, ["portfolio"]) == (bench.portfolio.heard, bench.log)
    assert () == await bench.bus.drain(5.0)
    assert facts == bench.ledger.heard == bench.quick.heard == bench.slow.heard


@play
async def test_an_order_that_follows_from_a_fact_leaves_before_listeners_begin(bench):
    """In one turn of the loop it is signed, in the next it is written."""

    async def write():
        bench.log.append("written")

    async def send():
        bench.log.append("signed")
        await asyncio.create_task(write())

    await settle()
    bench.bus.publish([bench.teller.opening()])
    await asyncio.create_task(send())
    await bench.bus.drain(5.0)
    assert ["portfolio", "signed", "written", "quick"] == bench.log[:4]


@play
async def test_nothing_is_not_published(bench):
    bench.bus.publish([])
    await settle()
    assert [] == bench.log


@play
async def test_a_portfolio_that_raises_keeps_nothing_from_the_others(bench):
    bench.portfolio.error = ValueError("broken")
    facts = [bench.teller.opening()]
    bench.bus.publish(facts)
    assert () == await bench.bus.drain(5.0)
    assert facts == bench.ledger.heard == bench.quick.heard


@play
async def test_each_listener_has_a_task_of_its_own_name(bench):
    await settle()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert {"ledger", "listener:quick", "listener:slow"} <= names


@play
async def test_a_raising_listener_goes_on_and_is_reported_after_some_failures(bench):
    bench.quick.error = ValueError("no network")
    for _ in range(2):
        bench.bus.publish([decision()])
        await settle()
    assert () == bench.problems.sentences()
    bench.bus.publish([decision()])
    await settle()
    assert ("listener quick has failed 3 times in a row, last: ValueError('no network')",) == (
        bench.problems.sentences()
    )
    bench.quick.error = None
    bench.bus.publish([decision()])
    assert () == await bench.bus.drain(10.0)
    assert () == bench.problems.sentences()
    assert {"heard": 1, "dropped": 0, "failed": 3} == bench.bus.counts()["quick"]
    assert 4 == len(bench.slow.heard) == len(bench.ledger.heard)


@play
async def test_a_slow_listener_overflows_its_own_queue_only(bench):
    """The oldest goes first, the operator hears of it, and that it has caught up."""
    facts = [bench.teller.stop_moved() for _ in range(9)]
    for fact in facts:
        bench.bus.publish([fact])
        await settle()
    # one is being delivered and five wait
    assert {"heard": 0, "dropped": 3, "failed": 0} == bench.bus.counts()["slow"]
    assert ("listener slow is too slow and missed what happened",) == bench.problems.sentences()
    assert {"heard": 9, "dropped": 0, "failed": 0} == bench.bus.counts()["quick"]
    assert () == await bench.bus.drain(10.0)
    assert [facts[0], *facts[4:]] == bench.slow.heard
    assert () == bench.problems.sentences()
    assert facts == bench.ledger.heard == bench.quick.heard


@play
async def test_a_listener_that_hangs_is_cut_off(bench):
    bench.slow.seconds = 1e6
    bench.bus.publish([decision()])
    await asyncio.sleep(10.1)
    assert {"heard": 0, "dropped": 0, "failed": 1} == bench.bus.counts()["slow"]
    bench.slow.seconds = 1.0
    bench.bus.publish([decision()])
    assert () == await bench.bus.drain(5.0)
    assert 1 == len(bench.slow.heard)


@play
async def test_a_drain_ends_in_time_and_names_who_lacks_something(bench):
    bench.slow.seconds = 9.0
    bench.ledger.error = ValueError("gone")
    bench.bus.publish([decision()])
    assert ("ledger", "slow") == await bench.bus.drain(2.0)
    assert 2.0 == pytest.approx(asyncio.get_running_loop().time())
