"""When clusters are worked out, from what, from when on they hold, and what happens while a venue does not tell."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from livebot.adapters.correlation import correlated
from livebot.core.clusters import Closes, Clusters, CorrelationRule
from livebot.core.denial import DenialCode
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.series import CandleSeries
from livebot.errors import BadInput, Fatal, Transient
from livebot.runtime.clusters import cluster_closes, cluster_watch
from livebot.runtime.clusters.cluster_closes import ClusterParts
from livebot.runtime.clusters.cluster_watch import ClusterWatch
from livebot.runtime.inbox import Activity
from livebot.runtime.portfolio.blocks import Blocks
from livebot.runtime.problems import Problems
from tests.virtual_loop import VirtualClock, run, settle

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_767_225_600_000 + 5 * HOUR_MS  # five hours after a multiple of a day
MOMENT_MS = START_MS - 5 * HOUR_MS
RULE = CorrelationRule(timeframe=Timeframe.H1, candles=40, minimum_candles=20, threshold=0.6, every_ms=DAY_MS)
FAMILIES = {"A/U": 1, "B/U": 1, "C/U": 2, "D/U": 2, "E/U": 3}
FOUND = {"A/U": "A/U", "B/U": "A/U", "C/U": "C/U", "D/U": "C/U", "E/U": "E/U"}
LATER = {"A/U": "A/U", "B/U": "B/U", "C/U": "B/U", "D/U": "D/U", "E/U": "A/U"}


def close_of(symbol: str, hour: int, family: int) -> float:
    """Symbols of one family take the same course, and each of them a little of its own."""
    course = np.random.default_rng((family, hour)).normal()
    own = np.random.default_rng((99, ord(symbol[0]), hour)).normal()
    return float(np.exp(0.01 * course + 0.001 * own))


class Feed:
    """Histories as of the clock; `fails(symbol, number of the question)` may give an error or how long it takes."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.families = dict(FAMILIES)
        self.fails: Callable[[str, int], Exception | float | None] = lambda *_: None
        self.asked: list[tuple[float, str, int]] = []
        self.at_once = self.most_at_once = 0

    async def history(self, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
        assert timeframe is RULE.timeframe
        now_s = asyncio.get_running_loop().time()
        number = sum(each[1] == symbol for each in self.asked)
        self.asked.append((now_s, symbol, count))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            failing = self.fails(symbol, number)
            if isinstance(failing, Exception):
                raise failing
            await asyncio.sleep(0.0 if failing is None else failing)
        finally:
            self.at_once -= 1
        stop = self._clock.now_ms() // HOUR_MS
        hours = np.arange(stop - count, stop)
        close = np.array([close_of(symbol, hour, self.families[symbol]) for hour in hours.tolist()])
        return CandleSeries(
            ts_ms=hours * HOUR_MS, open=close, high=close, low=close, close=close, volume=np.ones(len(close))
        )


class Store:
    """state/clusters.json in memory."""

    def __init__(self, clusters: Clusters | Exception | None = None) -> None:
        self.kept = clusters
        self.fails = False
        self.saved: list[Clusters] = []

    async def load(self) -> Clusters | None:
        if isinstance(self.kept, Exception):
            raise self.kept
        return self.kept

    async def save(self, clusters: Clusters) -> None:
        if self.fails:
            raise Fatal("cannot write clusters.json: No space left on device (ENOSPC)")
        self.saved.append(clusters)


class Desk:
    """A watch and everything around it."""

    def __init__(self, kept: Clusters | Exception | None = None, *, spacing_s: float | None = None) -> None:
        self.clock = VirtualClock(START_MS)
        self.feed = Feed(self.clock)
        self.store = Store(kept)
        self.blocks = Blocks(None)
        self.problems = Problems()
        self.activity = Activity()
        self.applied: list[dict[str, str]] = []
        self.notes: list[dict[str, Any]] = []
        self.symbols = list(FAMILIES)
        self.worked_out = 0
        parts = ClusterParts(
            rule=RULE,
            store=self.store,
            work_out=self._work_out,
            note=lambda kind, fields: self.notes.append({"kind": kind, **fields}),
            spacing_s=spacing_s,
        )
        system: Any = SimpleNamespace(
            feed=self.feed,
            clock=self.clock,
            portfolio=SimpleNamespace(blocks=self.blocks),
            problems=self.problems,
            activity=self.activity,
        )
        self.watch = ClusterWatch(
            system, parts, symbols=lambda: self.symbols, apply=lambda names: self.applied.append(dict(names))
        )

    async def _work_out(self, closes: dict[str, Closes], at_ms: int, failed: dict[str, str]) -> Clusters:
        self.worked_out += 1
        return correlated(closes, RULE, at_ms, failed)

    async def begin(self) -> None:
        await self.watch.begin()
        self._task = asyncio.create_task(self.watch.run(), name="watch")

    async def at(self, hours: float) -> None:
        """So many hours after the start; minutes close on the way there."""
        loop = asyncio.get_running_loop()
        while loop.time() < hours * 3600:
            await asyncio.sleep(60)
            self.watch.see_close(self.clock.now_ms() // MINUTE_MS * MINUTE_MS)
        await settle(200)

    @property
    def opens(self) -> bool:
        return not self.blocks.of("A/U")


def kept(at_ms: int = MOMENT_MS, names: dict[str, str] | None = None, rule: str = RULE.text) -> Clusters:
    return Clusters(at_ms=at_ms, rule=rule, names=tuple(sorted((names or LATER).items())))


def test_nothing_opens_until_clusters_are_known() -> None:
    async def main() -> None:
        desk = Desk()
        desk.feed.fails = lambda symbol, _: 5.0 if symbol == "E/U" else None
        await desk.begin()
        await asyncio.sleep(4)
        assert desk.blocks.of("A/U") == (DenialCode.CHECK_FAILED,)
        assert "not known yet" in (desk.blocks.first_fault or "")
        assert not desk.watch.status().known
        assert desk.applied == []
        desk.watch.tell_unknown()
        assert "nothing opens" in desk.problems.sentences()[0]
        await desk.watch.until_known()
        assert desk.opens
        assert desk.applied == [FOUND]  # at once: there is no close to wait for
        assert desk.problems.sentences() == ()
        desk.watch.tell_unknown()
        assert desk.problems.sentences() == ()
        status = desk.watch.status()
        assert (status.known, status.at_ms, status.next_ms) == (True, MOMENT_MS, MOMENT_MS + DAY_MS)
        assert (status.shared, status.largest, status.alone) == (2, (("A/U", 2), ("C/U", 2)), 1)
        assert [each.at_ms for each in desk.store.saved] == [MOMENT_MS]

    run(main())


def test_they_are_as_of_the_multiple_whenever_they_are_asked_for() -> None:
    async def main() -> None:
        early, late = Desk(), Desk()
        await early.begin()
        await early.watch.until_known()
        late.feed.fails = lambda *_: 9 * 3600.0
        slow, cluster_closes.HISTORY_S = cluster_closes.HISTORY_S, 1e9
        try:
            await late.begin()
            await late.watch.until_known()
        finally:
            cluster_closes.HISTORY_S = slow
        assert asyncio.get_running_loop().time() > 9 * 3600
        assert early.store.saved == late.store.saved
        assert {count for _, _, count in early.feed.asked} == {RULE.candles + 1 + 5}

    run(main())


def test_what_is_remembered_is_used_at_once_and_not_asked_for_again() -> None:
    async def main() -> None:
        desk = Desk(kept())
        await desk.begin()
        await desk.at(1)
        assert desk.opens
        assert desk.applied == [LATER]
        assert desk.feed.asked == []
        await desk.at(20)
        assert desk.applied == [LATER, FOUND]
        assert desk.notes[-1]["moved"] == len(desk.notes[-1]["who_moved"]) > 0

    run(main())


@pytest.mark.parametrize(
    "remembered",
    [kept(MOMENT_MS - DAY_MS), kept(names={"A/U": "A/U", "Z/U": "A/U"})],
    ids=["a period old", "other symbols"],
)
def test_remembered_ones_hold_until_newer_ones_are_worked_out(remembered: Clusters) -> None:
    async def main() -> None:
        desk = Desk(remembered)
        await desk.begin()
        assert desk.opens
        await settle(200)
        assert desk.worked_out == 1
        assert desk.applied == [dict(remembered.names)]  # within a close nothing changes
        desk.watch.see_close(START_MS + MINUTE_MS)
        assert desk.applied == [dict(remembered.names), FOUND]

    run(main())


@pytest.mark.parametrize(
    ("remembered", "said"),
    [
        (kept(MOMENT_MS - 2 * DAY_MS), ()),
        (kept(START_MS + MINUTE_MS), ()),
        (kept(rule="720 of 1h, at least 200, 0.5"), ()),
        (
            BadInput("clusters.json is damaged; it was set aside"),
            ("clusters.json is damaged; it was set aside",),
        ),
    ],
    ids=["too old", "from the future", "of another rule", "damaged"],
)
def test_what_cannot_be_used_is_worked_out_anew_first(remembered: Clusters | Exception, said: tuple[str, ...]) -> None:
    async def main() -> None:
        desk = Desk(remembered)
        await desk.begin()
        assert not desk.opens
        assert desk.problems.sentences() == said
        await desk.watch.until_known()
        assert desk.applied == [FOUND]
        assert desk.problems.sentences() == ()  # a new file was written

    run(main())


def test_a_file_of_another_system_ends_the_start() -> None:
    async def main() -> None:
        with pytest.raises(Fatal, match="another system"):
            await Desk(Fatal("of another system")).watch.begin()

    run(main())


def test_a_simulated_market_waits_and_the_next_close_has_the_new_ones() -> None:
    async def main() -> None:
        desk = Desk(kept())
        desk.feed.fails = lambda *_: 7.0
        await desk.begin()
        await desk.at(18.95)
        assert desk.activity.quiet
        desk.watch.see_close(MOMENT_MS + DAY_MS)
        assert not desk.activity.quiet
        await asyncio.sleep(13)
        assert not desk.activity.quiet
        await desk.activity.idle()
        assert desk.applied == [LATER]
        desk.watch.see_close(MOMENT_MS + DAY_MS + MINUTE_MS)
        assert desk.applied[-1].keys() == FAMILIES.keys()
        assert len(desk.applied) == 2

    run(main())


def test_a_real_venue_is_asked_slowly_a_while_after_the_close_and_nobody_waits() -> None:
    async def main() -> None:
        desk = Desk(kept(), spacing_s=0.5)
        desk.symbols = [f"{letter}/U" for letter in "ABCDEFGHIJKL"]
        desk.feed.families = dict.fromkeys(desk.symbols, 1)
        desk.store.kept = kept(names={symbol: symbol for symbol in desk.symbols})
        desk.feed.fails = lambda *_: 3.0
        await desk.begin()
        await desk.at(19)
        assert desk.activity.quiet
        assert desk.feed.asked == []
        await asyncio.sleep(60)
        times = [at_s for at_s, _, _ in desk.feed.asked]
        assert times[0] == pytest.approx(19 * 3600 + cluster_watch.SETTLE_S)
        assert len(times) == 12
        assert all(later - earlier >= 0.5 for earlier, later in zip(times, times[1:], strict=False))
        assert desk.feed.most_at_once == cluster_closes.AT_ONCE

    run(main())


def test_it_is_asked_again_and_who_never_answers_is_alone_and_named() -> None:
    async def main() -> None:
        desk = Desk()

        def fails(symbol: str, number: int) -> Exception | float | None:
            if symbol == "A/U":
                return Transient("the venue is busy") if number < 2 else None
            if symbol == "B/U":
                return BadInput("the venue has no symbol B/U")
            return 1000.0 if symbol == "D/U" else None

        desk.feed.fails = fails
        await desk.begin()
        await desk.watch.until_known()
        assert desk.applied == [{symbol: symbol for symbol in FAMILIES}]
        (sentence,) = desk.problems.sentences()
        assert "cluster of its own" in sentence
        assert "B/U: the venue has no symbol B/U; D/U: no answer within 30 s" in sentence
        assert "A/U" not in sentence
        assert sum(symbol == "B/U" for _, symbol, _ in desk.feed.asked) == 1  # asking again would not help
        assert dict(desk.notes[0]["why_unmeasured"]).keys() == {"B/U", "D/U"}
        assert desk.watch.status().unmeasured == 2
        desk.feed.fails = lambda *_: None
        await desk.at(20)
        assert desk.problems.sentences() == ()
        assert desk.applied[-1] == FOUND

    run(main())


@pytest.mark.parametrize("remembered", [None, kept(MOMENT_MS - DAY_MS)])
def test_a_silent_venue_keeps_what_was_and_is_asked_again(remembered: Clusters | None) -> None:
    async def main() -> None:
        desk = Desk(remembered)
        desk.symbols = [f"{letter}{number}/U" for letter in "ABCDE" for number in range(8)]
        desk.feed.families = dict.fromkeys(desk.symbols, 1)
        desk.feed.fails = lambda *_: Transient("cannot be reached")
        await desk.begin()
        await asyncio.sleep(100)
        assert len({symbol for _, symbol, _ in desk.feed.asked}) < cluster_closes.SILENT + cluster_closes.AT_ONCE
        assert desk.opens is (remembered is not None)
        stands = "nothing opens" if remembered is None else "those before stand"
        assert desk.problems.of(cluster_watch.SOURCE) == (
            f"which symbols move together cannot be seen, {stands}: cannot be reached; it is looked at again"
        )
        assert desk.watch.status().problem is not None
        assert desk.activity.quiet  # a simulated market does not wait for ever
        desk.feed.fails = lambda *_: None
        await asyncio.sleep(cluster_watch.RETRY_S)
        desk.watch.see_close(desk.clock.now_ms())
        assert desk.opens
        assert desk.problems.sentences() == ()
        assert len(set(desk.applied[-1].values())) == 1

    run(main())


def test_many_symbols_that_fail_among_others_are_no_silent_venue() -> None:
    async def main() -> None:
        desk = Desk()
        desk.symbols = [f"{letter}{number:02d}/U" for number in range(20) for letter in "AB"]
        desk.feed.families = dict.fromkeys(desk.symbols, 1)
        desk.feed.fails = lambda symbol, _: Transient("lost on the way") if int(symbol[1:3]) % 2 else None
        await desk.begin()
        await asyncio.sleep(200)
        assert desk.opens
        assert desk.watch.status().unmeasured == 20
        assert "and 17 more" in (desk.problems.of(cluster_watch.SOURCE) or "")

    run(main())


def test_a_multiple_whose_close_is_never_seen_counts_all_the_same() -> None:
    async def main() -> None:
        desk = Desk(kept())
        await desk.begin()
        await desk.at(18.9)
        await asyncio.sleep(600)
        desk.watch.see_close(MOMENT_MS + DAY_MS + 4 * MINUTE_MS)
        await desk.at(20)
        assert [each.at_ms for each in desk.store.saved] == [MOMENT_MS + DAY_MS]
        assert desk.watch.status().next_ms == MOMENT_MS + 2 * DAY_MS

    run(main())


def test_few_symbols_that_all_fail_are_a_silent_venue_too() -> None:
    async def main() -> None:
        desk = Desk()
        desk.feed.fails = lambda symbol, _: BadInput("no 1h candles of " + symbol)
        await desk.begin()
        await asyncio.sleep(100)
        assert not desk.opens
        assert "no 1h candles of E/U" in (desk.problems.of(cluster_watch.SOURCE) or "")

    run(main())


def test_a_disk_that_is_full_costs_a_look_after_the_next_start_and_no_more() -> None:
    async def main() -> None:
        desk = Desk()
        desk.store.fails = True
        await desk.begin()
        await desk.watch.until_known()
        assert desk.applied == [FOUND]
        assert "No space left" in desk.problems.sentences()[0]
        desk.store.fails = False
        await desk.at(20)
        assert desk.problems.sentences() == ()

    run(main())


def test_a_look_that_takes_longer_than_a_period_is_followed_by_the_next_one() -> None:
    async def main() -> None:
        desk = Desk(kept(MOMENT_MS - DAY_MS), spacing_s=DAY_MS / 1000 / 4)
        await desk.begin()
        await desk.at(60)
        assert desk.watch.status().at_ms == MOMENT_MS
        assert desk.watch.status().next_ms == MOMENT_MS + 3 * DAY_MS
        await desk.at(96)
        assert [each.at_ms for each in desk.store.saved] == [MOMENT_MS + days * DAY_MS for days in range(3)]

    run(main())


def test_a_new_symbol_is_by_itself_until_the_next_look() -> None:
    async def main() -> None:
        desk = Desk()
        await desk.begin()
        await desk.watch.until_known()
        desk.symbols = [*desk.symbols, "F/U"]
        desk.feed.families["F/U"] = 1
        await desk.at(18)
        assert desk.applied == [FOUND]
        await desk.at(20)
        assert desk.applied[-1] == FOUND | {"F/U": "A/U"}
        assert desk.notes[-1]["who_moved"] == []

    run(main())
