"""What systemd is told of a running system, and for what the watchdog goes hungry."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from livebot.core.denial import TradingState
from livebot.runtime.operator import service_watch
from livebot.runtime.operator.service_watch import (
    BEAT_S,
    EXTENSION_S,
    RELOAD_TOLD_S,
    SLACK_S,
    Observed,
    ServiceWatch,
    status_line,
    why_not,
)
from tests.process.strategies import Eager, Nothing
from tests.runtime.harness import BTC, ETH, Process, World, never, once, run

STALE_S = 60.0


class Manager:
    """A service manager that writes down what it is told, with the time."""

    def __init__(self, watchdog_s: float | None = 4.0) -> None:
        self.watchdog_s = watchdog_s
        self.told: list[tuple[float, str]] = []

    def _note(self, text: str) -> None:
        self.told.append((asyncio.get_running_loop().time(), text))

    def ready(self) -> None:
        self._note("READY")

    def reloading(self) -> None:
        self._note("RELOADING")

    def stopping(self) -> None:
        self._note("STOPPING")

    def status(self, sentence: str) -> None:
        self._note(f"STATUS {sentence}")

    def alive(self) -> None:
        self._note("ALIVE")

    def extend(self, seconds: float) -> None:
        self._note(f"EXTEND {seconds:g}")

    def times(self, text: str) -> list[float]:
        return [at_s for at_s, what in self.told if what == text]

    def words(self) -> list[str]:
        return [what.split()[0] for _, what in self.told]

    @property
    def last_status(self) -> str:
        return [what for _, what in self.told if what.startswith("STATUS")][-1].removeprefix("STATUS ")


def eager() -> Eager:
    return Eager(Nothing())


def scene(
    story: Callable[[Process, Manager, ServiceWatch], Awaitable[None]],
    *,
    manager: Manager | None = None,
    speed: float = 60,
    waits: bool = True,
    **world: object,
) -> Manager:
    """Run a story beside a system (by default a minute of its market is a second) and its watch."""
    told = manager or Manager()

    async def main() -> None:
        process = World(**{"strategies": {"never": never}, "symbols": (BTC, ETH), "speed": speed, **world}).process()
        problems: dict[str, str | None] = {}
        process.problems._changed = problems.__setitem__
        watch = ServiceWatch(process.system, process.shutdown, told, problems.get, stale_s=STALE_S)
        watching = asyncio.create_task(watch.run())
        if waits:
            await process.until_ready()
        try:
            await story(process, told, watch)
        finally:
            if not process.shutdown.stopping.is_set():
                await process.end()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    run(main())
    return told


# ---------------------------------------------------------------- the decision


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (Observed(), None),
        (Observed(candle_age_s=59.9), None),
        (Observed(candle_age_s=60), "no symbol has had a candle for 60 s"),
        (Observed(candle_age_s=9e9, venue_answers=False), None),
        (Observed(candle_age_s=9e9, expects_candles=False), None),
        (Observed(ended=("supervisor",)), "the supervisor of this process no longer"),
        (Observed(ended=("bus", "feed"), venue_answers=False), "the bus and the feed of"),
        (Observed(portfolio_fault="it could not take in a fact"), "hears no facts: it could not take in a fact"),
        (Observed(portfolio_fault="x", expects_candles=False, venue_answers=False), "the portfolio"),
    ],
)
def test_may_it_be_petted(seen: Observed, reason: str | None) -> None:
    found = why_not(seen, STALE_S)
    assert found is None if reason is None else reason in (found or "")


# ---------------------------------------------------------------- a life


def test_ready_is_told_when_decisions_are_possible_and_not_before() -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        assert "READY" not in told.words()
        assert "ALIVE" not in told.words()
        process.start()
        await process.system.ready.wait()
        await asyncio.sleep(0.01)
        assert told.words().count("READY") == 1

    told = scene(story, waits=False)
    assert told.words()[:2] == ["EXTEND", "STATUS"]
    assert told.told[1][1].startswith("STATUS starting; ")
    assert told.words().index("READY") < told.words().index("ALIVE")


def test_a_long_start_asks_for_more_time_again_and_again() -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        await asyncio.sleep(100)  # nobody has started the system
        process.start()
        await process.system.ready.wait()

    told = scene(story, waits=False)
    asked = [at_s for at_s in told.times(f"EXTEND {EXTENSION_S:g}") if at_s <= 100]
    assert len(asked) >= 50
    assert max(b - a for a, b in zip(asked, asked[1:], strict=False)) < EXTENSION_S / 2


@pytest.mark.parametrize(("watchdog_s", "beat_s"), [(None, BEAT_S), (4.0, 2.0), (60.0, BEAT_S)])
def test_it_is_petted_at_least_twice_in_the_time_the_watchdog_waits(watchdog_s: float | None, beat_s: float) -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        await asyncio.sleep(40)

    pets = scene(story, manager=Manager(watchdog_s)).times("ALIVE")
    assert max(b - a for a, b in zip(pets, pets[1:], strict=False)) == pytest.approx(beat_s, abs=0.1)


def test_a_feed_that_falls_silent_is_told_and_not_petted_and_neither_is_repeated(logs: list) -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        await asyncio.sleep(10)
        process.system.parts.feed._listeners.clear()  # the feed lives, and brings nothing
        silent_s = asyncio.get_running_loop().time()
        await asyncio.sleep(STALE_S + 30)
        assert STALE_S - 5 <= told.times("ALIVE")[-1] - silent_s <= STALE_S + 1
        assert told.last_status.startswith("NO PROGRESS, a restart is due: no symbol has had a candle for ")

    scene(story)
    assert [line["log_level"] for line in logs if line["event"] == "no_progress"] == ["error"]


def test_candles_that_come_back_in_time_are_progress_again(logs: list) -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        listeners = process.system.parts.feed._listeners
        kept = dict(listeners)
        listeners.clear()
        await asyncio.sleep(STALE_S + 10)
        assert watch.observe().candle_age_s > STALE_S
        listeners.update(kept)
        await asyncio.sleep(10)
        assert asyncio.get_running_loop().time() - told.times("ALIVE")[-1] < 3
        assert "NO PROGRESS" not in told.last_status

    scene(story)
    assert [line["event"] for line in logs if "progress" in line["event"]] == ["no_progress", "progress_again"]


def test_one_silent_symbol_restarts_nobody() -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        del process.system.parts.feed._listeners[ETH]
        await asyncio.sleep(3 * STALE_S)
        assert asyncio.get_running_loop().time() - told.times("ALIVE")[-1] < 3

    scene(story)


def test_a_venue_that_answers_nobody_is_waited_for() -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        async def hang() -> None:
            await asyncio.Event().wait()

        process.system.parts.feed._listeners.clear()
        process.exchange.fetch_positions = hang
        await asyncio.sleep(4 * STALE_S)
        assert asyncio.get_running_loop().time() - told.times("ALIVE")[-1] < 3
        assert "the venue does not answer" in told.last_status

    scene(story)


def test_a_system_without_symbols_expects_no_candles() -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        strategies = process.system.workers.strategies
        kept = dict(strategies)
        strategies.clear()
        process.system.parts.feed._listeners.clear()
        await asyncio.sleep(2 * STALE_S)
        assert asyncio.get_running_loop().time() - told.times("ALIVE")[-1] < 3
        strategies.update(kept)  # whose first candle is awaited from now on
        await asyncio.sleep(STALE_S / 2)
        assert watch.observe().candle_age_s < STALE_S
        assert asyncio.get_running_loop().time() - told.times("ALIVE")[-1] < 3

    scene(story)


@pytest.mark.parametrize("name", service_watch.ALIVE)
def test_a_task_that_has_silently_ended_is_no_progress(name: str) -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        await asyncio.sleep(5)
        watch._tasks[name] = asyncio.create_task(asyncio.sleep(0))
        await asyncio.sleep(5)
        last_s = told.times("ALIVE")[-1]
        await asyncio.sleep(10)
        assert told.times("ALIVE")[-1] == last_s
        assert f"the {name} of this process no longer run" in told.last_status

    scene(story)


def test_a_portfolio_that_hears_nothing_any_more_is_no_progress() -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        def refuse(fact: object) -> None:
            message = "a fact nobody foresaw"
            raise ArithmeticError(message)

        process.portfolio._take_in = refuse
        await asyncio.sleep(20)
        assert "could not take in a fact (ArithmeticError: a fact nobody foresaw)" in told.last_status
        assert asyncio.get_running_loop().time() - told.times("ALIVE")[-1] > 5

    scene(story, strategies={"eager": eager})


# ---------------------------------------------------------------- the status


def test_the_status_says_how_it_stands() -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        await asyncio.sleep(5)
        assert told.last_status == "ACTIVE; 2 of 2 symbols run; 2 open; nothing is wrong"
        process.problems.report("disk", "the disk is nearly full")
        process.problems.report("clock", "the clock is wrong")
        process.system.observations._unprotected["s", BTC] = "holder/BTC#1"
        await process.control.halt("news")
        await asyncio.sleep(5)
        text = told.last_status
        assert text.startswith(f"{TradingState.HALTED.value} (news")
        assert (
            "2 open, WITHOUT A STOP: holder/BTC#1; 3 problems: the disk is nearly full" in text
        )  # the halt is the third
        process.system.observations._unprotected.clear()

    scene(story, strategies={"holder": lambda: once(1, stop=0.2, target=0.2, minutes=900)})


def test_the_status_of_a_system_that_has_not_begun() -> None:
    process = World(strategies={"never": never}, symbols=(BTC,)).process()
    assert status_line(process.system) == "ACTIVE; 0 of 1 symbols run; 0 open; nothing is wrong"


def test_a_reload_is_told_before_it_is_over_and_for_a_while() -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        await asyncio.sleep(5)
        said = len(told.told)
        watch.reloading()
        watch.reloaded("reloaded config.yaml: a 1 -> 2")
        assert told.words()[said:] == ["RELOADING", "STATUS", "STATUS", "READY"]
        assert told.told[said + 1][1].startswith("STATUS reloading the config; ACTIVE")
        assert (
            told.last_status == "reloaded config.yaml: a 1 -> 2; ACTIVE; 2 of 2 symbols run; 0 open; nothing is wrong"
        )
        await asyncio.sleep(RELOAD_TOLD_S - 6)
        assert told.last_status.startswith("reloaded")
        await asyncio.sleep(12)
        assert told.last_status.startswith("ACTIVE")

    scene(story)


def test_a_reload_that_the_stop_overtakes_does_not_call_the_service_ready() -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        await asyncio.sleep(1)
        watch.reloading()
        said = len(told.told)
        process.shutdown.request("the test")
        watch.reloaded("config.yaml was not reloaded")
        await process.task
        assert "READY" not in told.words()[said:]

    scene(story)


# ---------------------------------------------------------------- the end


def test_a_stop_is_told_at_once_and_asks_for_time_while_it_lasts() -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        await asyncio.sleep(5.01)
        await process.end()
        asked_s = asyncio.get_running_loop().time()
        await asyncio.sleep(9)
        assert told.times("STOPPING") == [pytest.approx(asked_s, abs=2.0)]
        extensions = [at_s for at_s in told.times(f"EXTEND {EXTENSION_S:g}") if at_s >= told.times("STOPPING")[0]]
        assert len(extensions) >= 4
        assert told.last_status.startswith("stopping (the test ends): ")

    scene(story)


def test_a_stop_that_never_ends_is_given_time_for_so_long_only() -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        await process.end()
        began_s = asyncio.get_running_loop().time()
        await asyncio.sleep(300)
        bound_s = process.system.parts.settings.shutdown_s + SLACK_S
        assert told.told[-1][0] - began_s <= bound_s
        assert not [at_s for at_s, _ in told.told if at_s > began_s + bound_s]

    scene(story)


def test_a_stop_during_the_start_is_told_too() -> None:
    async def story(process: Process, told: Manager, watch: ServiceWatch) -> None:
        await asyncio.sleep(3)
        process.shutdown.request("the test ends")
        await asyncio.sleep(3)
        assert "READY" not in told.words()
        assert len(told.times("STOPPING")) == 1

    scene(story, waits=False)
