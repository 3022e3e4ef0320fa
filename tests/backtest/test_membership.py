"""A universe that changes: who may open something when, and what becomes of what is open when its symbol leaves."""

from dataclasses import replace

import pytest

from livebot.backtest.plan import BacktestPlan
from livebot.backtest.result import BacktestResult
from livebot.backtest.run import run
from livebot.core.facts import SignalClosed, SignalOpening
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput
from tests.backtest.plans import START_MS, SYMBOLS, candles, plan, strategy, without
from tests.backtest.test_parts import Crowd, CrowdParams
from tests.backtest.whims import Restless, Whim, WhimParams

EAGER = WhimParams(rarity=1, minutes=40, stop=0.02, target=0.02)
FIRST, SECOND, THIRD = SYMBOLS
SPANS = (
    (START_MS + 120 * MINUTE_MS, START_MS + 150 * MINUTE_MS),
    (START_MS + 220 * MINUTE_MS, START_MS + 230 * MINUTE_MS),
)


def changing(**changes) -> BacktestPlan:
    """The first symbol twice, the second always, the third never."""
    members = {FIRST: SPANS, SECOND: ((START_MS, START_MS + 300 * MINUTE_MS),)}
    return plan(**{"strategies": (strategy(params=EAGER),), "members": members, **changes})


def openings(result: BacktestResult, symbol: str) -> list[int]:
    return [fact.ts_ms for fact in result.facts if isinstance(fact, SignalOpening) and fact.symbol == symbol]


@pytest.mark.untraced
@pytest.mark.parametrize("kind", [Whim, Restless])
@pytest.mark.parametrize("skip", [True, False])
def test_a_symbol_opens_only_while_it_is_a_member(kind, skip) -> None:
    """The first close after it came, and the one at which it is found to leave, are its first and last."""
    eager = replace(EAGER, minutes=1, stop=0.05, target=0.05)
    result = run(changing(strategies=(strategy(kind, eager),), skip=skip))
    times = openings(result, FIRST)
    assert times
    assert all(any(first_ms < ts_ms <= stop_ms for first_ms, stop_ms in SPANS) for ts_ms in times)
    assert {SPANS[0][0] + MINUTE_MS, SPANS[1][0] + MINUTE_MS} <= set(times)
    assert len(openings(result, SECOND)) > len(times)
    assert not openings(result, THIRD)


def test_at_its_last_close_a_member_may_still_open() -> None:
    """Live, too, a close is decided on before the universe is looked at."""
    stop_ms = START_MS + 121 * MINUTE_MS
    single = changing(members={FIRST: ((SPANS[0][0], stop_ms),)})
    assert openings(run(single), FIRST) == [stop_ms]
    assert openings(run(replace(single, skip=False)), FIRST) == [stop_ms]


@pytest.mark.untraced
@pytest.mark.parametrize("kind", [Whim, Restless])
def test_what_is_open_when_its_symbol_leaves_is_managed_to_its_close(kind) -> None:
    """It ends by its own stop, target, time or strategy, as if its symbol had stayed."""
    patient = strategy(kind, replace(EAGER, minutes=100))
    always = changing(strategies=(patient,), members={})
    stop_ms = next(iter(openings(run(always), FIRST)))  # it leaves as soon as it has opened something
    left = run(changing(strategies=(patient,), members={FIRST: ((START_MS, stop_ms),)}))
    ends = [fact for fact in run(always).facts if isinstance(fact, SignalClosed) and fact.symbol == FIRST]
    assert [fact for fact in left.facts if isinstance(fact, SignalClosed)] == ends[:1]
    assert ends[0].ts_ms > stop_ms


def test_who_has_left_is_denied_as_long_as_something_is_open_and_not_asked_after_that() -> None:
    """Two strategies on a symbol: the one with nothing open is told `universe`, as live."""
    patient, brief = (replace(EAGER, shorts=False, minutes=minutes) for minutes in (200, 1))
    both = (strategy(params=patient, name="patient"), strategy(params=brief, name="brief"))
    left = run(changing(strategies=both, members={FIRST: SPANS[:1]}))
    after = [each for each in left.verdicts if each.ts_ms > SPANS[0][1]]
    assert {(each.outcome, each.code, each.symbol) for each in after} == {("denied", "universe", FIRST)}
    assert len(after) > 1
    assert max(each.ts_ms for each in after) <= max(fact.ts_ms for fact in left.facts)


def test_symbols_apart_and_together_have_the_same_universe() -> None:
    """In processes of their own, each for itself; under a limit all together."""
    apart = changing(strategies=(strategy(Restless, EAGER),))
    assert run(apart).facts == run(apart, jobs=2).facts
    shared = run(changing(limits=Limits(open_signals=1)))
    assert shared.facts == run(changing(limits=Limits(open_signals=1), skip=False)).facts
    assert openings(shared, FIRST) or openings(shared, SECOND)


def test_candles_before_it_came_are_its_warm_up() -> None:
    """It is asked at the very first close after it came."""
    slow = strategy(params=replace(EAGER, timeframe=Timeframe.M5))
    assert openings(run(changing(strategies=(slow,))), FIRST)[0] == SPANS[0][0] + 5 * MINUTE_MS


def test_a_gap_outside_of_its_time_in_the_universe_matters_to_nobody() -> None:
    """Of days, which would otherwise be refused."""
    minutes = 4_000
    whole = {symbol: candles(7, minutes) for symbol in SYMBOLS}
    holed = whole | {FIRST: without(whole[FIRST], set(range(400, 3_700)))}
    members = {FIRST: SPANS, SECOND: ((START_MS, START_MS + minutes * MINUTE_MS),)}
    assert openings(run(changing(minutes=minutes, candles=holed, members=members)), FIRST)
    with pytest.raises(BadInput, match="AAA/USDT:USDT: no candles from"):
        run(changing(minutes=minutes, candles=holed, members={FIRST: ((START_MS, START_MS + minutes * MINUTE_MS),)}))


def test_a_symbol_that_is_too_young_does_not_stop_the_others_in_their_processes() -> None:
    """It is told once, however many processes there are."""
    young = changing(members={}, strategies=(strategy(params=EAGER),), start_ms=START_MS + 150 * MINUTE_MS)
    young = young.with_candles({**young.candles, FIRST: young.candles[FIRST].part(299, 300)})
    alone, apart = run(young), run(young, jobs=2)
    assert any(note.startswith(f"{FIRST}: strategy whim needs") for note in apart.notes)
    assert apart.facts == alone.facts


@pytest.mark.parametrize(
    "spans",
    [((START_MS + 1, START_MS + MINUTE_MS),), ((START_MS + MINUTE_MS, START_MS),), (*SPANS[1:], *SPANS[:1])],
    ids=["half a minute", "backwards", "out of order"],
)
def test_times_that_cannot_be_are_refused(spans) -> None:
    with pytest.raises(BadInput, match="must be of whole minutes, in order and apart"):
        changing(members={FIRST: spans})


def test_features_of_the_whole_universe_are_refused() -> None:
    """Which symbols they are made of changes with it."""
    with pytest.raises(BadInput, match="strategy crowd has features made of all symbols of the universe"):
        changing(strategies=(strategy(Crowd, CrowdParams()),))
