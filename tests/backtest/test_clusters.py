"""Clusters of the past: worked out as live, at the same times from the same closes, and never from later ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livebot.adapters.correlation import correlated
from livebot.backtest.clusters import PastClusters, closes_of
from livebot.backtest.plan import BacktestPlan
from livebot.backtest.result import BacktestResult
from livebot.backtest.run import run
from livebot.backtest.tape import Tape, tape_of
from livebot.bootstrap.backtest import BacktestRequest, prepare
from livebot.core.clusters import Closes, CorrelationRule
from livebot.core.facts import SignalClosed, SignalOpening
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.series import CandleSeries
from livebot.simulator.feed import history_of
from livebot.simulator.replay import ReplayMarket
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.backtest.files import write_candles, write_config
from tests.backtest.plans import START_MS, SYMBOLS, candles, plan, strategy, without
from tests.backtest.whims import WhimParams

HOUR = 60
MINUTES = 10 * HOUR
TURN = 5 * HOUR  # until here the second symbol goes with the first one, then with the third
RULE = CorrelationRule(timeframe=Timeframe.M1, candles=50, minimum_candles=30, threshold=0.6, every_ms=HOUR * MINUTE_MS)
EAGER = WhimParams(rarity=1, minutes=9, stop=0.03, target=0.03)
FIRST, SECOND, THIRD = SYMBOLS


def following(series: CandleSeries, seed: int) -> CandleSeries:
    """The same course, and a little of its own."""
    own = candles(seed, len(series), volatility=0.0002, first_ms=int(series.ts_ms[0]))
    columns = {
        name: np.round(getattr(series, name) * getattr(own, name) / 100, 2) for name in ("open", "high", "low", "close")
    }
    return replace(series, **columns)


def joined(one: CandleSeries, other: CandleSeries, at: int) -> CandleSeries:
    columns = {
        name: np.concatenate([getattr(one, name)[:at], getattr(other, name)[at:]])
        for name in ("ts_ms", "open", "high", "low", "close", "volume")
    }
    return CandleSeries(**columns)


def turning() -> dict[str, CandleSeries]:
    first, third = candles(1, MINUTES), candles(3, MINUTES)
    return {FIRST: first, SECOND: joined(following(first, 11), following(third, 12), TURN), THIRD: third}


def limited(**changes) -> BacktestPlan:
    """One open signal in a cluster; trading begins at 2:10."""
    values = {
        "minutes": MINUTES,
        "candles": turning(),
        "strategies": (strategy(params=EAGER),),
        "start_ms": START_MS + 130 * MINUTE_MS,
        "limits": Limits(open_signals_per_cluster=1),
        "clusters": RULE,
    }
    return plan(**values | changes)


def minute_of(ts_ms: int) -> int:
    return (ts_ms - START_MS) // MINUTE_MS


def spans(result: BacktestResult, symbol: str) -> list[tuple[int, int]]:
    """From when until when a signal was there."""
    begun = [
        minute_of(fact.ts_ms) for fact in result.facts if isinstance(fact, SignalOpening) and fact.symbol == symbol
    ]
    ended = [minute_of(fact.ts_ms) for fact in result.facts if isinstance(fact, SignalClosed) and fact.symbol == symbol]
    return list(zip(begun, [*ended, *[MINUTES] * (len(begun) - len(ended))], strict=True))


def begun_beside(result: BacktestResult, symbol: str, other: str, first: int, stop: int) -> int:
    """How many signals of a symbol began within these minutes while the other had one."""
    return sum(
        any(begun < at < ended for begun, ended in spans(result, other))
        for at, _ in spans(result, symbol)
        if first < at <= stop
    )


@pytest.mark.parametrize("skip", [True, False])
def test_symbols_that_move_together_share_a_limit_as_long_as_they_do(skip: bool) -> None:
    result = run(limited(skip=skip))
    known = TURN + HOUR  # an hour after the turn it is seen
    assert begun_beside(result, FIRST, SECOND, 0, TURN) == begun_beside(result, SECOND, FIRST, 0, TURN) == 0
    assert begun_beside(result, FIRST, THIRD, 0, TURN) + begun_beside(result, SECOND, THIRD, 0, TURN) > 10
    assert begun_beside(result, SECOND, THIRD, known, MINUTES) == 0
    assert begun_beside(result, THIRD, SECOND, known, MINUTES) == 0
    assert begun_beside(result, FIRST, SECOND, known, MINUTES) + begun_beside(result, FIRST, THIRD, known, MINUTES) > 10
    assert sum("clusters: worked out 8 times, last as of 2026-01-01 09:00 UTC" in note for note in result.notes) == 1
    assert any(f"1 held two or more symbols ({SECOND} with 2) and 1 one" in note for note in result.notes)


@pytest.mark.untraced
def test_looking_at_every_minute_gives_the_same_facts() -> None:
    assert run(limited()).facts == run(limited(skip=False)).facts


def test_without_clusters_each_symbol_has_the_limit_for_itself() -> None:
    result = run(limited(clusters=None))
    assert begun_beside(result, FIRST, SECOND, 0, TURN) > 10


def test_named_clusters_never_change() -> None:
    result = run(limited(clusters={FIRST: "pair", THIRD: "pair"}))
    assert begun_beside(result, FIRST, THIRD, 0, MINUTES) == begun_beside(result, THIRD, FIRST, 0, MINUTES) == 0
    assert begun_beside(result, SECOND, FIRST, 0, MINUTES) > 10


def decided(result: BacktestResult, up_to_ms: int) -> list[object]:
    """What was decided up to a close, and what came of it before the open that follows."""
    verdicts = [each for each in result.verdicts if each.ts_ms <= up_to_ms]
    facts = [
        fact
        for fact in result.facts
        if fact.ts_ms < up_to_ms or (fact.ts_ms == up_to_ms and isinstance(fact, SignalOpening))
    ]
    return [*verdicts, *facts]


@pytest.mark.untraced
@pytest.mark.parametrize("at", [3 * HOUR - 1, 3 * HOUR, 3 * HOUR + 1, 4 * HOUR + 7])
def test_what_comes_later_changes_nothing_that_was_decided(at: int) -> None:
    whole = turning()
    other = {symbol: joined(series, candles(77, MINUTES), at) for symbol, series in whole.items()}
    before, changed = (decided(run(limited(candles=each)), START_MS + at * MINUTE_MS) for each in (whole, other))
    assert before == changed
    assert len(before) > 20


def test_clusters_of_a_close_hold_from_the_next_one_on() -> None:
    tapes = {symbol: tape_of(symbol, series, Timeframe.M1) for symbol, series in turning().items()}
    applied: list[dict[str, str]] = []
    asked: list[int] = []

    def symbols_at(minute: int) -> tuple[str, ...]:
        asked.append(minute - start)
        return SYMBOLS

    start = START_MS // MINUTE_MS
    past = PastClusters(RULE, tapes, start=start + 130, symbols_at=symbols_at, apply=applied.append)
    for minute in (130, 178, 179, 180, 239, 240):
        past.hold_at(start + minute)
    # at the close of minute 179 it is 3:00, and that moment's clusters hold from the close of minute 180 on
    assert asked == [130, 179, 239]
    assert len(applied) == 3
    assert applied[0] == {FIRST: FIRST, SECOND: FIRST, THIRD: THIRD}


def test_who_is_not_in_the_universe_is_in_no_cluster() -> None:
    """The second symbol goes with both of the others only from the turn on; while it is out, nothing is joined by it."""
    members = {
        FIRST: ((START_MS, START_MS + MINUTES * MINUTE_MS),),
        SECOND: ((START_MS + 200 * MINUTE_MS, START_MS + MINUTES * MINUTE_MS),),
    }
    result = run(limited(members=members))
    # it came in at 3:20, and the clusters as of 3:00 do not know it: until 4:00 it is by itself
    assert begun_beside(result, SECOND, FIRST, 200, 240) > 0
    assert begun_beside(result, SECOND, FIRST, 240, TURN) == begun_beside(result, FIRST, SECOND, 240, TURN) == 0


# The same candles give the same clusters live


async def live_closes(folder: Path, symbol: str, timeframe: Timeframe, count: int, at_ms: int) -> Closes:
    market = ReplayMarket(folder, SYMBOLS)
    venue = SimulatedVenue(market, VenueSettings(start_ms=at_ms))
    series = await history_of(venue, symbol, timeframe, count)
    venue.close()
    return Closes(ts_ms=series.ts_ms, close=series.close)


@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.M5, Timeframe.H1])
@pytest.mark.parametrize("minute", [3 * HOUR, 8 * HOUR])
async def test_the_closes_are_those_that_a_daemon_is_told(tmp_path: Path, timeframe: Timeframe, minute: int) -> None:
    data = {symbol: series.part(7, MINUTES) for symbol, series in turning().items()}
    for symbol, series in data.items():
        write_candles(tmp_path / f"{symbol.partition('/')[0]}USDT.parquet", series)
    rule = replace(RULE, timeframe=timeframe)
    at_ms = START_MS + minute * MINUTE_MS
    live = {symbol: await live_closes(tmp_path, symbol, timeframe, rule.candles + 1, at_ms) for symbol in SYMBOLS}
    past = {symbol: closes_of(tape_of(symbol, series, Timeframe.M1), rule, at_ms) for symbol, series in data.items()}
    for symbol in SYMBOLS:
        assert past[symbol].ts_ms.tolist() == live[symbol].ts_ms.tolist()
        assert past[symbol].close.tolist() == live[symbol].close.tolist()
        assert len(past[symbol].close) == min(rule.candles + 1, (minute - 7) * MINUTE_MS // timeframe.ms)
    assert correlated(past, rule, at_ms) == correlated(live, rule, at_ms)


def test_a_candle_without_a_minute_is_none_and_one_that_lacks_some_has_the_last_close() -> None:
    whole = candles(1, 3 * HOUR)
    lacking = {*range(60, 120), *range(170, 180)}
    tape = tape_of(FIRST, without(whole, lacking), Timeframe.M1)
    # the tape ends with its last candle, in the middle of the third hour
    rule = replace(RULE, timeframe=Timeframe.H1)
    assert closes_of(tape, rule, START_MS + 3 * HOUR * MINUTE_MS).ts_ms.tolist() == [START_MS]
    tape = tape_of(FIRST, without(whole, {*range(60, 120), *range(160, 170)}), Timeframe.M1)
    found = closes_of(tape, rule, START_MS + 3 * HOUR * MINUTE_MS)
    assert found.ts_ms.tolist() == [START_MS, START_MS + 2 * HOUR * MINUTE_MS]
    assert found.close.tolist() == [whole.close[59], whole.close[179]]


def test_before_a_symbol_begins_it_has_no_closes() -> None:
    tape: Tape = tape_of(FIRST, candles(1, 30), Timeframe.M1)
    assert len(closes_of(tape, RULE, START_MS - MINUTE_MS).close) == 0
    assert len(closes_of(tape, RULE, START_MS + 10 * MINUTE_MS).close) == 10


def test_the_plan_has_the_clusters_of_the_config(tmp_path: Path) -> None:
    for symbol, series in turning().items():
        write_candles(tmp_path / "candles" / f"{symbol.partition('/')[0]}USDT.parquet", series)
    request = BacktestRequest(candles=tmp_path / "candles")
    limits = {"limits": {"open_signals_per_cluster": 1}}
    correlation = {"timeframe": "1m", "candles": 50, "minimum_candles": 30, "every_hours": 1}
    config = write_config(tmp_path / "one", risk={**limits, "clusters": {"correlation": correlation}})
    assert prepare(config, None, request).plan.clusters == RULE
    config = write_config(tmp_path / "other", risk={**limits, "clusters": {"named": {"pair": [FIRST, SECOND]}}})
    assert prepare(config, None, request).plan.clusters == {FIRST: "pair", SECOND: "pair"}
