"""Events are what the strategy would have wanted at each close of the backtest, had nothing been open."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.backtest.engine import tapes_of
from livebot.backtest.feature_cache import FeatureCache
from livebot.backtest.frames import Frames
from livebot.backtest.instance import Instance
from livebot.core.entry import Entry, ExitPlan, Trailing
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.rules import EntryRules, FractionOfEquity, LimitEntries
from livebot.errors import BadInput
from livebot.features.declaration import rsi
from livebot.learning.events import Event, asking_plan, events_of
from livebot.model_ports import Judgement
from livebot.runtime.settings import RoundSettings
from livebot.strategies.interface import View
from tests.backtest.plans import START_MS, SYMBOLS, candles, plan, rules, strategy, without
from tests.backtest.whims import Follower, FollowerParams, Whim, WhimParams
from tests.learning.labelled import outcomes, taken

MINUTES = 300


def events(made, features=()) -> tuple[dict[tuple[str, int], Event], Counter[str]]:
    asking = asking_plan(made, made.strategies[0].id, features)
    (run,) = asking.strategies
    tapes = tapes_of(asking)
    frames = Frames(tapes, made.start_ms // MINUTE_MS, made.end_ms // MINUTE_MS, FeatureCache(None, 0))
    dropped: Counter[str] = Counter()
    found = {}
    for symbol in run.symbols:
        instance = Instance(asking, run, symbol, frames)
        for event in events_of(asking, instance, tapes[symbol], dropped, lambda _minute: None):
            found[symbol, event.close_ms] = event
    return found, dropped


class Always(Whim):
    """Wants to enter at each close, a year long; says what it sees."""

    name = "always"

    def decide(self, view: View) -> Entry | None:
        wanted = super().decide(view)
        return wanted and replace(wanted, lifetime_ms=600 * MINUTE_MS, reason=f"{view.close_ms} {view.closes(2)[0]}")


def test_a_close_is_asked_about_whatever_is_open() -> None:
    """Each close of the range, the first and the last one included, though the first signal outlives them all."""
    endless = plan(MINUTES, strategies=(strategy(Always, WhimParams(rarity=1, stop=0.4, target=0.4)),))
    found, dropped = events(endless)
    wanted = [START_MS + minute * MINUTE_MS for minute in range(101, MINUTES + 1)]
    assert [close_ms for symbol, close_ms in found if symbol == SYMBOLS[0]] == wanted
    assert not dropped
    assert len(taken(endless)) == 0  # the backtest opens one of each symbol and is busy to the end


def test_an_event_sees_no_more_than_its_close() -> None:
    made = plan(MINUTES, strategies=(strategy(Always, WhimParams(rarity=1)),))
    for (symbol, close_ms), event in events(made)[0].items():
        series = made.candles[symbol]
        before = int((close_ms - START_MS) // MINUTE_MS) - 2
        assert event.entry.reason == f"{close_ms} {series.close[before]}"
        assert event.minute * MINUTE_MS == close_ms - MINUTE_MS


def test_what_the_backtest_takes_is_wanted_with_the_same_words() -> None:
    """Nothing that the backtest was asked for is lacking, and symbols of other strategies are none of its business."""
    made = plan(600, strategies=(strategy(), strategy(Follower, FollowerParams())), wallet=Decimal(10**7))
    found, _ = events(made)
    alone = replace(made, strategies=made.strategies[:1])
    assert set(taken(alone)) <= set(found)
    assert {symbol for symbol, _ in found} == set(SYMBOLS)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"rules": rules(entry=EntryRules(minimum_stop_distance=Decimal("0.01")))}, "stop_too_close"),
        ({"rules": rules(entry=EntryRules(minimum_reward_to_risk=Decimal(3)))}, "reward_to_risk"),
        ({"rules": rules(entry=EntryRules(maximum_lifetime_ms=5 * MINUTE_MS))}, "lifetime_too_long"),
    ],
    ids=["close", "reward", "long"],
)
def test_what_the_config_refuses_is_no_event_and_is_counted(changed, code) -> None:
    allowed, _ = events(plan(MINUTES))
    found, dropped = events(plan(MINUTES, **changed))
    assert set(dropped) == {code}
    assert len(found) + dropped[code] == len(allowed)
    assert set(found) < set(allowed)


class Suspicious:
    """A model that refuses everything."""

    def asked_for(self, strategy):
        return True

    def judge(self, questions, now_ms):
        return tuple(Judgement(refused=("model_threshold", "too unlikely")) for _ in questions)


def test_what_depends_on_the_account_refuses_nothing() -> None:
    """Neither its size, its limits, its round, its exit plan nor another model has a part in what a model learns from."""
    usual, _ = events(plan(MINUTES))
    poor = plan(
        MINUTES,
        wallet=Decimal(1),
        rules=rules(
            sizing=FractionOfEquity(Decimal("0.01")), exits=ExitPlan(trailing=Trailing(distance=Decimal("0.01")))
        ),
        limits=Limits(open_signals=1, order_notional=Decimal(100)),
        round=RoundSettings(scorer=lambda _candidate: 0.0),
        confidences=Suspicious(),
    )
    found, dropped = events(poor)
    assert list(found) == list(usual)
    assert not dropped
    assert {event.signal.exits for event in found.values()} == {ExitPlan()}
    assert {key: each[1] for key, each in outcomes(replace(poor, latency_ms=1)).items()} == {
        key: each[1] for key, each in outcomes(plan(MINUTES, latency_ms=1)).items()
    }


def test_a_symbol_is_asked_about_while_it_is_in_the_universe() -> None:
    spans = (
        (START_MS + 120 * MINUTE_MS, START_MS + 150 * MINUTE_MS),
        (START_MS + 200 * MINUTE_MS, START_MS + 220 * MINUTE_MS),
    )
    made = plan(MINUTES, strategies=(strategy(params=WhimParams(rarity=1)),), members={SYMBOLS[0]: spans})
    found, _ = events(made)
    assert {symbol for symbol, _ in found} == {SYMBOLS[0]}
    minutes = [(close_ms - START_MS) // MINUTE_MS for _, close_ms in found]
    assert minutes == [*range(121, 151), *range(201, 221)]


def test_a_close_that_did_not_come_is_no_event() -> None:
    """Nor is one at which a symbol that the strategy looks at was not there."""
    holed = {symbol: without(candles(place, MINUTES), set(range(150, 160))) for place, symbol in enumerate(SYMBOLS)}
    found, _ = events(plan(MINUTES, strategies=(strategy(params=WhimParams(rarity=1)),), candles=holed))
    minutes = {(close_ms - START_MS) // MINUTE_MS for _, close_ms in found}
    assert not minutes & set(range(151, 161))
    assert {150, 161} <= minutes
    other = {symbol: candles(place, MINUTES) for place, symbol in enumerate(SYMBOLS)}
    other[SYMBOLS[1]] = without(other[SYMBOLS[1]], {154})
    follower = (strategy(Follower, FollowerParams(), (SYMBOLS[0],)),)
    whole, _ = events(plan(MINUTES, strategies=follower))
    held, _ = events(plan(MINUTES, strategies=follower, candles=other))
    lacked = START_MS + 155 * MINUTE_MS
    assert (SYMBOLS[0], lacked) not in held
    assert len(whole) > 5


def test_evidence_is_what_the_features_say_at_the_close() -> None:
    made = plan(MINUTES, strategies=(strategy(params=WhimParams(rarity=1)),))
    found, _ = events(made, (rsi("model_rsi", 3),))
    assert found
    assert all(len(event.entry.evidence) == 1 and 0 <= event.entry.evidence[0] <= 100 for event in found.values())
    assert len({event.entry.evidence for event in found.values()}) > len(found) // 2


@pytest.mark.parametrize("resting", [None, LimitEntries(offset=Decimal("0.002"), timeout_ms=MINUTE_MS)])
def test_the_risk_is_the_way_to_the_stop_from_the_price_it_was_decided_at(resting) -> None:
    """From the limit, where it rests; known at the close, whatever the next open is."""
    made = plan(MINUTES, rules=rules(limit_entries=resting))
    for event in events(made)[0].values():
        price = event.signal.limit_price or Decimal(
            str(made.candles[event.symbol].close[event.minute - START_MS // MINUTE_MS])
        )
        assert event.risk == pytest.approx(float(abs(price - event.signal.stop_loss) / price))
        assert 0.001 < event.risk < 0.007


def test_a_strategy_that_is_not_there_is_named() -> None:
    with pytest.raises(BadInput, match="no strategy 'other'; it has whim"):
        asking_plan(plan(MINUTES), "other", ())


class Clashing(Whim):
    """Calls a feature of its own as a model's is called."""

    name = "clashing"

    @property
    def features(self):
        return (rsi("model_rsi", 3),)


def test_a_feature_of_its_own_with_the_name_of_a_models_is_refused() -> None:
    with pytest.raises(BadInput, match=r"strategy clashing.*model_rsi"):
        asking_plan(plan(MINUTES, strategies=(strategy(Clashing),)), "clashing", (rsi("model_rsi", 3),))


def test_a_longer_timeframe_is_asked_about_its_own_closes_only() -> None:
    """Hours under a strategy of four hours: what a close shows is the candle that closed with it, whole."""
    hours = {symbol: candles(place, 600, step=60) for place, symbol in enumerate(SYMBOLS)}
    made = plan(
        candles=hours,
        base=Timeframe.H1,
        start_ms=START_MS + 100 * 60 * MINUTE_MS,
        end_ms=START_MS + 599 * 60 * MINUTE_MS,
        strategies=(strategy(Always, WhimParams(timeframe=Timeframe.H4, rarity=1)),),
    )
    found, _ = events(made)
    assert len(found) > 300
    for symbol, close_ms in found:
        assert close_ms % Timeframe.H4.ms == 0
        two_before = hours[symbol].close[(close_ms - START_MS) // Timeframe.H1.ms - 1 - 4]
        assert found[symbol, close_ms].entry.reason == f"{close_ms} {two_before}"
    assert set(outcomes(made)) == set(found)
