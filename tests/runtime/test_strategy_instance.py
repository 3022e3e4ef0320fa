"""What a strategy sees: after a start, after a gap, beside other symbols."""

from dataclasses import replace

import numpy as np
import pytest

from livebot.core.inputs import SymbolState
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.signal import Idle
from livebot.errors import BadInput
from livebot.features.batch import compute
from livebot.features.declaration import ema, rsi
from livebot.features.timeframes import Gap, aggregate, candle_at
from livebot.runtime.symbol.candle_track import ASIDE
from livebot.runtime.symbol.strategy_instance import StrategyInstance
from tests.core.examples import INSTRUMENT
from tests.core.signal_story import Story
from tests.runtime.harness import BTC, ETH, START_MS, WIDE, Script, Scripted
from tests.runtime.past import Past, series
from tests.virtual_loop import run

FEATURES = (ema("fast", 3), ema("slow", 6), rsi("rsi", 4))
HISTORY = 150


class Featured(Scripted):
    """Features of its own, and some history."""

    @property
    def features(self):
        return FEATURES

    @property
    def history(self):
        return 10


def instance(timeframe=Timeframe.M5, others=(), history=HISTORY, strategy=Featured) -> StrategyInstance:
    state = SymbolState(system="test", strategy="seen", symbol=BTC, signal=Idle())
    script = Script(lambda view: view, lambda view, signal: (view, signal), timeframe=timeframe, others=others)
    rules = replace(_rules(), instrument=INSTRUMENT)
    return StrategyInstance(strategy(script), rules, state, history=history)


def _rules():
    from decimal import Decimal

    from livebot.core.entry import NO_EXIT_PLAN
    from livebot.core.rules import FixedNotional, Rules

    return Rules(
        system="test",
        strategy="seen",
        instrument=INSTRUMENT,
        sizing=FixedNotional(Decimal(100)),
        entry=WIDE,
        exits=NO_EXIT_PLAN,
        schedule_ms=MINUTE_MS,
    )


def warm(made: StrategyInstance, past: Past) -> StrategyInstance:
    made.warm_up(run(made.load(past.fetch)))
    return made


def seen(made: StrategyInstance) -> dict:
    """All that its strategy is shown."""
    view = made.decide()
    shown = {feature.name: [view.feature(feature.name, back).hex() for back in range(8)] for feature in FEATURES}
    return {
        **shown,
        "close_ms": view.close_ms,
        "opens": view.opens(10).tobytes(),
        "closes": view.closes(10).tobytes(),
        "volumes": view.volumes(10).tobytes(),
    }


def push_all(made: StrategyInstance, past: Past, first: int, stop: int, symbol: str = BTC) -> None:
    for index in range(first, stop):
        assert made.push(symbol, past.minute(index, symbol)).gap is None


# ---------------------------------------------------------------- beginning


def test_after_a_warm_up_it_sees_what_the_batch_engine_computes():
    """To the last bit."""
    past = Past(BTC, now=803)
    made = warm(instance(), past)
    whole = aggregate(past.minutes[BTC].part(0, 800), Timeframe.M5)
    columns = compute(FEATURES, whole.part(len(whole) - HISTORY, len(whole)))
    assert made.ready
    shown = seen(made)
    assert shown["close_ms"] == START_MS + 800 * MINUTE_MS
    for feature in FEATURES:
        assert shown[feature.name] == [float(columns[feature.name][-1 - back]).hex() for back in range(8)]
    assert made.last_price == past.minute(802).close


def test_a_frame_that_closes_between_the_two_history_calls_is_not_lost():
    """Its minutes are in the second answer; the strategy sees it as if it had come live."""
    slowly = Past(BTC, now=804)
    slowly.after_call = 1
    late = warm(instance(), slowly)
    live = warm(instance(), Past(BTC, now=804))
    push_all(live, Past(BTC), 804, 805)
    assert seen(late) == seen(live)
    assert late.due is None
    push_all(late, slowly, 805, 810)
    push_all(live, slowly, 805, 810)
    assert seen(late) == seen(live)
    assert late.due == past_close(810)


def past_close(minutes: int) -> int:
    return START_MS + minutes * MINUTE_MS


def test_candles_that_come_during_the_warm_up_are_taken_after_it():
    """Those the history has are passed over, the others are not lost."""
    past = Past(BTC, now=800)
    made = instance()
    histories = run(made.load(past.fetch))
    push_all(made, past, 796, 806)
    assert not made.warm
    assert made.due is None
    told = made.warm_up(histories)
    assert told[BTC].gap is None
    assert told[BTC].refused == ()
    live = warm(instance(), Past(BTC, now=800))
    push_all(live, past, 800, 806)
    assert seen(made) == seen(live)
    assert made.due == past_close(805)


def test_a_young_market_begins_with_its_first_candle():
    """There is no history yet; it is not ready before it has seen enough."""
    past = Past(BTC, now=0)
    made = warm(instance(), past)
    assert not made.ready
    assert made.last_price is None
    push_all(made, past, 0, 5 * 150)
    assert made.ready
    columns = compute(FEATURES, aggregate(past.minutes[BTC].part(0, 750), Timeframe.M5))
    assert seen(made)["slow"][0] == float(columns["slow"][-1]).hex()


def test_a_history_with_a_number_that_is_none_is_refused():
    """The symbol fails with a sentence, and not with nonsense in its features."""
    past = Past(BTC, now=800)
    past.minutes[BTC].close[700] = np.nan
    made = instance(timeframe=Timeframe.M1)
    with pytest.raises(BadInput, match="not finite"):
        warm(made, past)


# ---------------------------------------------------------------- gaps


@pytest.mark.parametrize(("lost", "again"), [((803, 804), 805), ((805,), 806), ((806, 823), 824), ((810, 1010), 1010)])
def test_after_a_gap_is_filled_it_sees_what_it_would_have_seen(lost, again):
    """Features bit by bit, over gaps within a frame, over its end, and over many frames."""
    past, first, last = Past(BTC, now=800), lost[0], lost[-1]
    whole, torn = warm(instance(), past), warm(instance(), past)
    push_all(whole, past, 800, again + 7)
    push_all(torn, past, 800, first)
    stop = max(last + 1, again)
    told = torn.push(BTC, past.minute(stop))
    assert told.gap == Gap(past.close_ms(first - 1), past.close_ms(stop - 1))
    assert torn.push(BTC, past.minute(stop + 1)).gap is None  # it stands aside
    past.now = stop + 2
    asked = torn.around(BTC, past.close_ms(stop + 1))
    minutes = run(past.fetch(BTC, Timeframe.M1, asked))
    assert torn.shows_gap(BTC, minutes, asked)
    missing, taken = torn.fill(BTC, minutes)
    assert [each.ts_ms for each in missing] == [START_MS + index * MINUTE_MS for index in range(first, stop)]
    assert taken.gap is None
    assert torn.standing_aside(BTC) == ()
    push_all(torn, past, stop + 2, again + 7)
    push_all(whole, past, again + 7, stop + 2)
    assert seen(torn) == seen(whole)
    assert torn.due == whole.due


def test_minutes_in_which_nothing_traded_are_flat_at_the_last_close():
    """The venue has no candle of them and shows what came after."""
    past = Past(BTC, now=800)
    made = warm(instance(timeframe=Timeframe.M1), past)
    past.missing = {800, 801, 803}
    past.now = 806
    gap = made.push(BTC, past.minute(805)).gap
    assert gap is not None
    asked = made.around(BTC, past.close_ms(805))
    missing, _ = made.fill(BTC, run(past.fetch(BTC, Timeframe.M1, asked)))
    flat = [(each.open, each.high, each.low, each.close, each.volume) for each in missing]
    before, between = past.minute(799).close, past.minute(802).close
    assert flat[0] == flat[1] == (before, before, before, before, 0.0)
    assert flat[2][3] == between
    assert flat[3] == (between, between, between, between, 0.0)
    assert flat[4][3] == past.minute(804).close


def test_a_gap_right_at_the_beginning_is_flat_at_the_first_price_there_is():
    """A market that is younger than its first frame."""
    past = Past(BTC, now=0)
    made = warm(instance(), past)
    past.missing, past.now = {0, 1, 2}, 4
    assert made.push(BTC, past.minute(3)).gap == Gap(START_MS, past.close_ms(2))
    missing, _ = made.fill(BTC, run(past.fetch(BTC, Timeframe.M1, 10)))
    assert {each.close for each in missing} == {past.minute(3).open}


def test_a_history_that_does_not_reach_the_gap_or_its_end_tells_nothing():
    """Then it is fetched again: that a minute is missing there does not mean that nothing traded."""
    past = Past(BTC, now=800)
    made = warm(instance(), past)
    made.push(BTC, past.minute(806))
    minutes = past.minutes[BTC]
    assert made.around(BTC, past.close_ms(806)) == 9
    assert made.shows_gap(BTC, minutes.part(799, 807), 8)
    assert not made.shows_gap(BTC, minutes.part(802, 808), 6)  # it begins too late
    assert made.shows_gap(BTC, minutes.part(802, 808), 9)  # it begins late, because there is no more
    assert not made.shows_gap(BTC, minutes.part(799, 806), 9)  # it has not got as far as we have
    assert not made.shows_gap(BTC, minutes.part(0, 0), 9)
    assert made.around(BTC, 0) == 8  # a clock that is behind asks for what is needed all the same
    made.fill(BTC, minutes.part(799, 807))
    assert made.around(BTC, past.close_ms(806)) == 0
    assert made.shows_gap(BTC, minutes.part(0, 0), 9)


def test_a_second_gap_behind_the_first_is_told_when_the_first_is_filled():
    """What stands aside is not taken for granted."""
    past = Past(BTC, now=800)
    made, whole = warm(instance(), past), warm(instance(), past)
    made.push(BTC, past.minute(802))
    made.push(BTC, past.minute(804))
    _, taken = made.fill(BTC, past.minutes[BTC].part(799, 803))
    assert taken.gap == Gap(past.close_ms(802), past.close_ms(803))
    assert made.standing_aside(BTC) == (past.minute(804),)
    made.fill(BTC, past.minutes[BTC].part(802, 805))
    push_all(made, past, 805, 815)
    push_all(whole, past, 800, 815)
    assert seen(made) == seen(whole)


def test_more_than_can_stand_aside_is_a_gap_again():
    """Memory is bounded, and nothing is skipped."""
    past = Past(BTC, now=800)
    made, whole = warm(instance(), past), warm(instance(), past)
    for index in range(802, 802 + ASIDE + 20):
        made.push(BTC, past.minute(index))
    assert len(made.standing_aside(BTC)) == ASIDE
    _, taken = made.fill(BTC, past.minutes[BTC].part(799, 803))
    assert taken.gap == Gap(past.close_ms(801), past.close_ms(821))
    _, taken = made.fill(BTC, past.minutes[BTC].part(800, 1200))
    assert taken.gap is None
    push_all(whole, past, 800, 802 + ASIDE + 20)
    assert seen(made) == seen(whole)


def test_a_candle_that_contradicts_one_taken_before_is_refused_and_changes_nothing():
    """The same one again is passed over in silence, and so is an old one from before the start."""
    past = Past(BTC, now=800)
    made, whole = warm(instance(), past), warm(instance(), past)
    push_all(made, past, 800, 807)
    push_all(whole, past, 800, 807)
    other = replace(past.minute(806), close=past.minute(806).low)
    (text,) = made.push(BTC, other).refused
    assert "differs" in text
    assert made.push(BTC, past.minute(806)).refused == ()
    assert made.push(BTC, past.minute(10)).refused == ()
    assert seen(made) == seen(whole)
    made.push(BTC, past.minute(809))
    made.push(BTC, other)
    _, taken = made.fill(BTC, past.minutes[BTC].part(805, 810))
    assert len(taken.refused) == 1
    push_all(whole, past, 807, 810)
    assert seen(made) == seen(whole)


# ---------------------------------------------------------------- other symbols


def test_it_waits_for_the_other_symbols_of_the_same_close():
    """Whichever comes first, and no other close will do."""
    past = Past(now=800)
    made = warm(instance(others=(ETH,)), past)
    assert made.ready
    assert made.watched == {BTC, ETH}
    push_all(made, past, 800, 805)
    assert made.due == past_close(805)
    assert made.missing_context(past_close(805)) == (ETH,)
    push_all(made, past, 800, 805, ETH)
    assert made.missing_context(past_close(805)) == ()
    view = made.decide()
    assert view.other(ETH).close == past.minute(804, ETH).close
    push_all(made, past, 805, 810, ETH)
    assert made.missing_context(past_close(805)) == (ETH,)  # it is ahead: nothing later may be seen
    push_all(made, past, 805, 810)
    assert made.missing_context(past_close(810)) == ()


def test_a_gap_in_another_symbol_is_filled_by_itself():
    """The own symbol goes on meanwhile."""
    past = Past(now=800)
    made = warm(instance(others=(ETH,)), past)
    push_all(made, past, 800, 805)
    gap = made.push(ETH, past.minute(804, ETH)).gap
    assert gap == Gap(past.close_ms(799), past.close_ms(803))
    assert made.around(BTC, past.close_ms(804)) == 0
    made.fill(ETH, past.minutes[ETH].part(799, 805))
    assert made.missing_context(past_close(805)) == ()


def test_it_is_not_ready_before_the_others_have_as_much_history():
    """A strategy must not be shown less than it asked for."""
    past = Past(now=800)
    made = instance(others=(ETH,))
    histories = run(made.load(past.fetch))
    short = replace(histories[ETH], candles=histories[ETH].candles.part(0, 3), minutes=series([]))
    made.warm_up({**histories, ETH: short})
    assert not made.ready


def test_it_asks_for_as_much_as_features_and_history_need():
    """Whatever is configured as the least."""
    past = Past(now=800)
    made = instance(others=(ETH,), history=3)
    run(made.load(past.fetch))
    wanted = Featured(Script(lambda view: None)).warmup
    assert past.asked == [
        (BTC, Timeframe.M5, wanted),
        (BTC, Timeframe.M1, 10),
        (ETH, Timeframe.M5, wanted),
        (ETH, Timeframe.M1, 10),
    ]


def test_warmed_up_anew_it_begins_again():
    """Nothing of before is left, and what had come stands aside until then."""
    past = Past(BTC, now=800)
    made = warm(instance(), past)
    made.push(BTC, past.minute(1200))
    made.cool()
    assert not made.ready
    past.now = 1201
    made.warm_up(run(made.load(past.fetch)))
    assert made.standing_aside(BTC) == ()
    fresh = warm(instance(), past)
    assert seen(made) == seen(fresh)


def test_manage_is_shown_the_same_view():
    """And the signal."""
    past = Past(BTC, now=805)
    made = warm(instance(strategy=ManagedFeatured), past)
    assert made.manages
    view, signal = made.manage("the signal")
    assert view.close_ms == past_close(805)
    assert signal == "the signal"


class ManagedFeatured(Featured):
    def manage(self, view, signal):
        return self.params.manage(view, signal)


def test_one_minute_candles_need_no_building():
    """Each minute is a frame."""
    past = Past(BTC, now=800)
    made = warm(instance(timeframe=Timeframe.M1), past)
    made.push(BTC, candle_at(past.minutes[BTC], 800))
    assert made.due == past_close(801)
    assert seen(made)["close_ms"] == past_close(801)


def test_what_the_venue_says_of_the_symbol_holds_at_once_and_other_terms_with_the_next_signal():
    """Else an open signal would ask for what the venue takes no more."""
    made = instance()
    own, coarse = made.rules, replace(INSTRUMENT, lot_step=INSTRUMENT.lot_step * 10)
    made.state = Story().open().state
    made.work_under(replace(own, schedule_ms=2 * MINUTE_MS))
    made.follow_venue(coarse)
    assert made.rules == replace(own, instrument=coarse)
    made.state = replace(made.state, signal=Idle(), orders=())
    made.take_next_rules()
    assert made.rules == replace(own, instrument=coarse, schedule_ms=2 * MINUTE_MS)
