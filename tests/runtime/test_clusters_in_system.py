"""Clusters in a whole system: they are known before the first close, hold the limit, and are shown."""

from collections.abc import Mapping
from typing import Any

from livebot.core.clusters import Closes, Clusters, CorrelationRule
from livebot.core.denial import DenialCode
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import Transient
from livebot.runtime.clusters.cluster_closes import ClusterParts
from tests.runtime.harness import BTC, ETH, SOL, START_MS, World, always, run
from tests.runtime.test_cluster_watch import Store

SYMBOLS = (BTC, ETH, SOL)
RULE = CorrelationRule(timeframe=Timeframe.M1, candles=40, minimum_candles=30, threshold=0.6, every_ms=60 * MINUTE_MS)


def world() -> World:
    return World(
        strategies={"busy": lambda: always(minutes=3, stop=0.2, target=0.2)},
        symbols=SYMBOLS,
        limits=Limits(open_signals_per_cluster=1),
    )


def parts(store: Store | None = None, asked: list[dict[str, int]] | None = None) -> ClusterParts:
    """In the first hour BTC and ETH are together, then ETH and SOL."""

    async def work_out(closes: Mapping[str, Closes], at_ms: int, failed: Mapping[str, str]) -> Clusters:
        if asked is not None:
            asked.append({symbol: len(each.close) for symbol, each in closes.items()})
        pair = (BTC, ETH) if at_ms == START_MS else (ETH, SOL)
        names = {symbol: pair[0] if symbol in pair else symbol for symbol in SYMBOLS}
        return Clusters(at_ms=at_ms, rule=RULE.text, names=tuple(sorted(names.items())))

    return ClusterParts(
        rule=RULE, store=store or Store(), work_out=work_out, note=lambda _kind, _fields: None, spacing_s=None
    )


def opened(which: World, symbol: str) -> set[int]:
    return {
        (fact.ts_ms - START_MS) // MINUTE_MS
        for key, fact in which.ledger.facts.items()
        if key[1] == symbol and type(fact).__name__ == "SignalOpening"
    }


def denied(which: World, symbol: str) -> list[int]:
    return [
        (each.close_ms - START_MS) // MINUTE_MS
        for each in which.ledger.decisions.values()
        if each.symbol == symbol and each.code == DenialCode.OPEN_SIGNALS_CLUSTER.value
    ]


def test_the_limit_holds_for_those_who_are_together_at_the_time() -> None:
    async def main() -> None:
        there, store, asked = world(), Store(), list[dict[str, int]]()
        process = await there.live(100, clusters=parts(store, asked))
        assert asked == [dict.fromkeys(SYMBOLS, RULE.candles + 1)] * 2
        assert [each.at_ms for each in store.saved] == [START_MS, START_MS + 60 * MINUTE_MS]
        assert opened(there, BTC) >= {1, 5, 9}  # at the first close they are known
        assert not [minute for minute in denied(there, SOL) if minute <= 60]
        assert max(denied(there, ETH)) == 60  # within the close at which they are worked out those before stand
        assert not [minute for minute in denied(there, BTC) if minute > 64]
        assert [minute for minute in denied(there, SOL) if minute > 60]
        clusters = process.control.status().clusters
        assert clusters is not None
        assert (clusters.at_ms, clusters.next_ms) == (START_MS + 60 * MINUTE_MS, START_MS + 120 * MINUTE_MS)
        assert (clusters.shared, clusters.largest, clusters.alone) == (1, ((ETH, 2),), 1)

    run(main())


def test_named_ones_are_told_before_anything_opens_and_shown() -> None:
    async def main() -> None:
        there = world()
        process = await there.live(20, clusters={BTC: "pair", SOL: "pair"})
        assert denied(there, SOL)
        assert not denied(there, ETH)
        clusters = process.control.status().clusters
        assert clusters is not None
        assert (clusters.known, clusters.at_ms, clusters.shared, clusters.largest) == (True, None, 1, (("pair", 2),))

    run(main())


def test_without_any_there_is_nothing_to_show() -> None:
    async def main() -> None:
        there = world()
        process = await there.live(20)
        assert process.control.status().clusters is None
        assert not any(denied(there, symbol) for symbol in SYMBOLS)

    run(main())


def test_a_venue_that_tells_no_candles_lets_nothing_open_and_holds_up_nobody(monkeypatch: Any) -> None:
    async def main() -> None:
        there = world()
        process = there.process(minutes=30, clusters=parts())
        feed = process.system.parts.feed
        real = feed.history

        async def history(symbol: str, timeframe: Timeframe, count: int) -> Any:
            if count == RULE.candles + 1:
                raise Transient("the venue tells no candles")
            return await real(symbol, timeframe, count)

        monkeypatch.setattr(feed, "history", history)
        await process.system.run(process.shutdown)
        assert there.ledger.facts == {}
        codes = {each.code for each in there.ledger.decisions.values()}
        assert codes == {DenialCode.CHECK_FAILED.value}
        assert "not known yet" in next(iter(there.ledger.decisions.values())).text
        assert any("cannot be seen, nothing opens" in text for text in process.problems.sentences())

    run(main())
