"""The way to the ledger: each fact once and in order, whatever the ledger does meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from livebot.core.facts import Fact
from livebot.errors import Fatal, Transient
from livebot.ports import Decision
from livebot.runtime.ledger_writer import GATHER_S, LedgerWriter
from livebot.runtime.problems import Problems
from livebot.runtime.settings import LedgerSettings
from tests.runtime.samples import BTC, ETH, Teller, decision
from tests.virtual_loop import run, settle

SETTINGS = LedgerSettings(queue_size=10, batch_size=4, retries=3, backoff_s=1.0, backoff_maximum_s=8.0)


class FakeLedger:
    """Ignores what it has already; `error` makes it fail, `slow_s` makes it slow."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.decisions: list[Decision] = []
        self.batches: list[int] = []
        self.times: list[float] = []
        self.error: Exception | None = None
        self.slow_s = 0.0

    async def record(self, facts: Sequence[Fact], decisions: Sequence[Decision]) -> None:
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.slow_s)
        if self.error is not None:
            raise self.error
        self.batches.append(len(facts) + len(decisions))
        self.facts += [fact for fact in facts if fact not in self.facts]
        self.decisions += decisions

    async def close(self) -> None:
        """Nothing to do."""


class Bench:
    """A writer, with outboxes that lose a fact when it is acknowledged."""

    def __init__(self, settings: LedgerSettings = SETTINGS) -> None:
        self.ledger = FakeLedger()
        self.problems = Problems()
        self.blocks = Problems()
        self.outbox: list[Fact] = []
        self.outbox_error: Exception | None = None
        self.acknowledge: Callable[[Sequence[Fact]], None] = self.acknowledged
        self.writer = LedgerWriter(
            self.ledger,
            settings,
            acknowledged=lambda facts: self.acknowledge(facts),
            outstanding=self.outstanding,
            block=self.blocks.report,
            report=self.problems.report,
        )
        self.tellers = {symbol: Teller(symbol) for symbol in (BTC, ETH)}

    def acknowledged(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            if fact in self.outbox:
                self.outbox.remove(fact)

    def outstanding(self) -> list[Fact]:
        if self.outbox_error is not None:
            raise self.outbox_error
        return list(self.outbox)

    def publish(self, count: int, symbol: str = BTC) -> list[Fact]:
        """As a worker does: in the outbox first."""
        facts: list[Fact] = [self.tellers[symbol].stop_moved() for _ in range(count)]
        self.outbox += facts
        self.writer.put(facts)
        return facts


def play(scene: Callable[[Bench], Awaitable[None]]) -> Callable[[], None]:
    """A test in virtual time, with the writer running."""

    def test() -> None:
        async def main() -> None:
            bench = Bench()
            task = asyncio.create_task(bench.writer.run())
            await scene(bench)
            task.cancel()

        run(main())

    test.__doc__ = scene.__doc__
    return test


@play
async def test_facts_and_decisions_are_written_in_batches_and_in_order(bench):
    facts = bench.publish(6)
    bench.writer.put([decision()])
    assert 0 == await bench.writer.drain(5.0)
    assert (facts, [decision()]) == (bench.ledger.facts, bench.ledger.decisions)
    assert [4, 3] == bench.ledger.batches
    assert [] == bench.outbox


@play
async def test_what_comes_at_about_the_same_time_is_one_batch_and_does_not_start_at_once(bench):
    """An order that follows from a fact leaves before the ledger begins."""
    facts = bench.publish(1)
    await asyncio.sleep(GATHER_S / 2)
    assert [] == bench.ledger.times
    facts += bench.publish(1, ETH)
    await asyncio.sleep(GATHER_S)
    assert (facts, [2]) == (bench.ledger.facts, bench.ledger.batches)


@play
async def test_a_full_batch_and_one_in_a_hurry_do_not_wait_for_more(bench):
    bench.publish(4)
    await settle()
    assert [4] == bench.ledger.batches
    bench.publish(1)
    assert 0 == await bench.writer.drain(5.0)
    assert (0.0, [4, 1]) == (asyncio.get_running_loop().time(), bench.ledger.batches)


@play
async def test_nothing_is_written_for_nothing(bench):
    bench.writer.put([])
    await asyncio.sleep(1)
    assert [] == bench.ledger.times
    assert 0 == await bench.writer.drain(5.0)


@play
async def test_a_ledger_that_fails_for_a_while_misses_nothing(bench):
    """Waits double; the operator hears of it after some attempts, and that it has passed."""
    bench.ledger.error = Transient("locked")
    facts = bench.publish(3)
    await asyncio.sleep(2.5)
    assert () == bench.problems.sentences()
    await asyncio.sleep(10)
    assert [GATHER_S + after for after in (0.0, 1.0, 3.0, 7.0)] == bench.ledger.times
    assert ("the ledger has failed 4 times in a row, last: locked",) == bench.problems.sentences()
    assert () == bench.blocks.sentences()
    assert facts == bench.outbox
    bench.ledger.error = None
    await asyncio.sleep(10)
    assert (facts, []) == (bench.ledger.facts, bench.outbox)
    assert () == bench.problems.sentences()


@play
async def test_waits_are_bounded_however_long_it_lasts(bench):
    bench.ledger.error = Transient("locked")
    bench.publish(1)
    await asyncio.sleep(86_400)
    assert 8.0 == bench.ledger.times[-1] - bench.ledger.times[-2]


@play
async def test_what_is_not_transient_stops_entries_at_once_and_is_tried_again(bench):
    bench.ledger.error = Fatal("the disk is full")
    facts = bench.publish(1)
    await asyncio.sleep(2 * GATHER_S)
    assert "the ledger cannot be written (the disk is full)" in bench.blocks.sentences()[0]
    assert "the disk is full" in bench.problems.sentences()[0]
    bench.ledger.error = None
    await asyncio.sleep(2)
    assert facts == bench.ledger.facts
    assert () == bench.blocks.sentences() + bench.problems.sentences()


@play
async def test_what_does_not_fit_stops_entries_and_is_fetched_from_the_outboxes_later(bench):
    """Exits go on meanwhile, so there are facts of the same symbols before, during and after."""
    bench.ledger.error = Transient("locked")
    expected = bench.publish(8) + bench.publish(5, ETH) + bench.publish(15)
    assert 10 == len(bench.writer)
    assert ("10 rows wait for the ledger; nothing opens until it has them",) == bench.blocks.sentences()
    assert bench.blocks.sentences() == bench.problems.sentences()
    await asyncio.sleep(30)
    bench.ledger.error = None
    await asyncio.sleep(30)
    assert 0 == len(bench.writer)
    expected += bench.publish(1)
    await asyncio.sleep(1)
    assert len(expected) == len(bench.ledger.facts)
    for symbol in (BTC, ETH):
        written = [fact.sequence for fact in bench.ledger.facts if fact.symbol == symbol]
        assert list(range(1, len(written) + 1)) == written
    assert [] == bench.outbox
    assert () == bench.blocks.sentences() + bench.problems.sentences()


@play
async def test_entries_stay_stopped_until_the_outboxes_are_caught_up_with(bench):
    bench.ledger.slow_s = 1.0
    bench.publish(30)
    await asyncio.sleep(3.5)
    assert 1 == len(bench.blocks.sentences())
    await asyncio.sleep(3)
    assert 20 == len(bench.ledger.facts)
    assert 1 == len(bench.blocks.sentences())
    await asyncio.sleep(2)
    assert () == bench.blocks.sentences()
    await asyncio.sleep(30)
    assert 30 == len(bench.ledger.facts)


@play
async def test_a_fact_that_is_not_published_yet_is_not_taken_from_an_outbox(bench):
    """Its file may still be on the way to the disk; the ledger must not know more than the disk."""
    bench.ledger.slow_s = 1.0
    bench.publish(11)
    unsaved = bench.tellers[BTC].stop_moved()
    bench.outbox.append(unsaved)
    await asyncio.sleep(30)
    assert [unsaved] == bench.outbox
    assert 11 == len(bench.ledger.facts)
    bench.writer.put([unsaved])
    await asyncio.sleep(30)
    assert [] == bench.outbox


@play
async def test_decisions_that_do_not_fit_are_counted(bench):
    """They have no outbox; entries are stopped, so what is lost says no more than that."""
    bench.ledger.slow_s = 1.0
    bench.writer.put([decision() for _ in range(14)])
    assert 4 == bench.writer.decisions_dropped
    assert 1 == len(bench.blocks.sentences())
    await asyncio.sleep(30)
    assert 10 == len(bench.ledger.decisions)
    assert () == bench.blocks.sentences()


@play
async def test_outboxes_that_cannot_be_read_are_asked_again(bench):
    bench.outbox_error = ValueError("evicted")
    bench.publish(12)
    await asyncio.sleep(10)
    assert "evicted" in bench.blocks.sentences()[0]
    bench.outbox_error = None
    await asyncio.sleep(30)
    assert 12 == len(bench.ledger.facts)
    assert () == bench.blocks.sentences() + bench.problems.sentences()


@play
async def test_an_acknowledgement_that_fails_stops_nothing(bench):
    def refuse(facts: Sequence[Fact]) -> None:
        raise KeyError(facts[0].symbol)

    bench.acknowledge = refuse
    facts = bench.publish(6)
    assert 0 == await bench.writer.drain(5.0)
    assert facts == bench.ledger.facts


@play
async def test_a_drain_hurries_a_waiting_retry(bench):
    bench.ledger.error = Transient("locked")
    bench.publish(1)
    await asyncio.sleep(8)
    bench.ledger.error = None
    started = asyncio.get_running_loop().time()
    assert 0 == await bench.writer.drain(5.0)
    assert 1.0 == pytest.approx(asyncio.get_running_loop().time() - started)


@play
async def test_a_drain_ends_in_time_and_says_what_is_missing(bench):
    bench.ledger.error = Transient("locked")
    bench.publish(3)
    assert 3 == await bench.writer.drain(5.0)
    assert 5.0 == pytest.approx(asyncio.get_running_loop().time())
    assert len(bench.ledger.times) <= 7
