"""Models in a backtest: asked once a close, before anything is ranked or admitted, whichever way the plan is run."""

from collections import Counter, defaultdict
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livebot.backtest.engine import run_whole
from livebot.backtest.plain_lives import run_plain
from livebot.backtest.run import run
from livebot.core.facts import SignalClosed, SignalOpening, SignalScheduled
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.rules import CappedKelly
from livebot.model_ports import Judgement
from livebot.runtime.settings import RoundSettings
from tests.backtest.models import MODEL, Whimsical, judged, said_of, telling_all
from tests.backtest.plans import START_MS, SYMBOLS, candles, plan, rules, strategy
from tests.backtest.test_plain_lives import Relay, RelayParams, quiet
from tests.backtest.test_skipping import Case, cases, memberships, told
from tests.backtest.whims import Restless, Whim, WhimParams

EAGER = WhimParams(rarity=2, minutes=5, stop=0.003, target=0.003)
RANKED = RoundSettings()


def contest(**changes):
    """Two strategies that want much on three symbols, with room for two."""
    runs = (strategy(params=EAGER), strategy(Restless, replace(EAGER, seed=2)))
    return plan(400, **({"strategies": runs, "limits": Limits(open_signals=2)} | changes))


class Agreeable(Whimsical):
    """Lets everything pass, with no confidence."""

    def judge(self, questions, now_ms):
        super().judge(questions, now_ms)
        return (Judgement(),) * len(questions)


@pytest.mark.untraced
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], max_examples=20)
@given(cases())
def test_skipping_changes_no_fact(case: Case) -> None:
    """With every kind of entry, limit and hole in the data, in rounds and without."""
    assert told(run(telling_all(case.plan))) == told(run(telling_all(replace(case.plan, skip=False))))


@pytest.mark.untraced
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=20)
@given(
    params=st.builds(
        WhimParams,
        seed=st.integers(1, 10_000),
        timeframe=st.sampled_from([Timeframe.M1, Timeframe.M5]),
        stop=st.sampled_from([0.001, 0.003, 0.02]),
        target=st.sampled_from([0.001, 0.004, 0.02]),
        minutes=st.sampled_from([2, 30, 120]),
        rarity=st.sampled_from([1, 3]),
        confident=st.booleans(),
    ),
    members=memberships(150),
)
def test_whole_lives_are_the_kernels(params, members) -> None:
    drawn = telling_all(
        plan(
            150,
            start_ms=START_MS + 20 * MINUTE_MS,
            strategies=(strategy(params=params),),
            candles={symbol: candles(params.seed + place, 150) for place, symbol in enumerate(SYMBOLS)},
            members=members,
        )
    )
    at_once, stepped = run_plain(drawn, quiet), run_whole(replace(drawn, skip=False), quiet)
    if at_once is not None:
        assert told(stepped) == told(at_once)


@pytest.mark.parametrize("leaving", [False, True])
def test_a_signal_that_ends_at_the_very_close_has_been_told_of_by_the_time_the_model_has_answered(leaving) -> None:
    """Its other side is in nobody's way any more; a symbol that has left the universe is denied as ever."""
    times = tuple((START_MS + at * MINUTE_MS, START_MS + (at + 3) * MINUTE_MS) for at in range(100, 300, 10))
    params = WhimParams(rarity=1, stop=0.003, target=0.003, minutes=30)
    members = dict.fromkeys(SYMBOLS, times) if leaving else {}
    alone = plan(strategies=(strategy(params=params),), members=members)
    codes = {each.code for each in run_whole(alone, quiet).verdicts}
    made = judged(alone, Agreeable())
    at_once = run_plain(made, quiet)
    assert at_once is not None
    assert told(at_once) == told(run_whole(made, quiet)) == told(run_whole(replace(made, skip=False), quiet))
    if leaving:
        assert "universe" in {each.code for each in at_once.verdicts}
    else:
        assert "opposite_side" in codes
        assert {each.code for each in at_once.verdicts} == {"approved"}


@pytest.mark.parametrize("round_", [None, RANKED])
def test_what_ends_at_a_close_has_made_room_by_the_time_the_model_has_answered(round_) -> None:
    """As live: answers come once all else that happened at the close has been told."""
    relayed = plan(strategies=(strategy(Relay, RelayParams(10)),), limits=Limits(open_signals=1), round=round_)
    assert [each.code for each in run(relayed).verdicts] == ["approved", "open_signals"]
    made = replace(relayed, confidences=Agreeable())
    assert [each.code for each in run(made).verdicts] == ["approved", "approved"]


@pytest.mark.parametrize("round_", [None, RANKED])
def test_all_questions_of_a_close_are_one_batch_at_its_own_time(round_) -> None:
    model = Whimsical()
    run(judged(contest(round=round_), model))
    assert max(len(questions) for _, questions in model.batches) > 2
    assert all(question.close_ms == now_ms for now_ms, questions in model.batches for question in questions)
    assert set(Counter(now_ms for now_ms, _ in model.batches).values()) == {1}


@pytest.mark.parametrize("round_", [None, RANKED])
def test_what_a_model_refuses_is_a_decision_and_nothing_else(round_) -> None:
    """With its code and its sentence; what it lets pass has its confidence and its name."""
    model = Whimsical()
    result = run(judged(contest(round=round_, limits=Limits()), model))
    asked = {
        (question.strategy, question.symbol, question.close_ms): question
        for _, questions in model.batches
        for question in questions
    }
    said = {key: said_of(question) for key, question in asked.items()}
    assert {(each.strategy, each.symbol, each.close_ms) for each in result.verdicts} == set(said)
    for each in result.verdicts:
        key = (each.strategy, each.symbol, each.close_ms)
        judgement = said[key]
        assert (each.confidence, each.model) == (judgement.confidence, judgement.model)
        assert each.side == asked[key].side.value
        if judgement.refused is not None:
            assert (each.outcome, each.code, each.text) == ("refused", *judgement.refused)
        else:
            assert (each.outcome, each.code) in (("approved", "approved"), ("denied", "opposite_side"))
    opened = [fact for fact in result.facts if isinstance(fact, SignalOpening | SignalScheduled)]
    assert {fact.model for fact in opened} == {MODEL, None}
    for fact in opened:
        judgement = said[fact.strategy, fact.symbol, fact.ts_ms]
        assert (fact.confidence, fact.model, judgement.refused) == (judgement.confidence, judgement.model, None)


def test_what_a_model_refuses_takes_no_room() -> None:
    """It is asked before the portfolio is: of the entries of a close the next one gets the place."""
    one = contest(limits=Limits(open_signals=1), strategies=(strategy(params=EAGER),))
    verdicts = defaultdict(list)
    for each in run(judged(one)).verdicts:
        verdicts[each.close_ms].append(each)
    passed_on = [
        group for group in verdicts.values() if [each.outcome for each in group[:2]] == ["refused", "approved"]
    ]
    assert len(passed_on) > 5


def test_rounds_rank_by_the_models_confidence() -> None:
    """Above that of the strategy; who has none comes last."""
    sure = replace(EAGER, confident=True)
    one = contest(limits=Limits(open_signals=1), round=RANKED, strategies=(strategy(params=sure),))
    contests = 0
    verdicts = defaultdict(list)
    for each in run(judged(one)).verdicts:
        if each.outcome != "refused":
            verdicts[each.close_ms].append(each)
    for group in verdicts.values():
        approved = [each.confidence for each in group if each.outcome == "approved"]
        denied = [each.confidence for each in group if each.code == "open_signals"]
        if approved and denied:
            contests += 1
            assert min(approved) >= max(denied)
    assert contests > 10


def test_sizes_follow_the_models_confidence() -> None:
    sized = contest(rules=rules(sizing=CappedKelly(Decimal("0.2"), Decimal(1))), limits=Limits(), round=RANKED)
    assert {each.code for each in run(sized).verdicts} == {"no_confidence"}
    codes = {each.code for each in run(judged(sized)).verdicts} - {"opposite_side"}
    assert codes == {"approved", "model_threshold", "no_edge", "no_confidence"}


def test_a_strategy_that_no_model_judges_is_asked_about_nothing() -> None:
    model = Whimsical(strategies=("restless",))
    result = run(judged(contest(limits=Limits()), model))
    assert {question.strategy for _, questions in model.batches for question in questions} == {"restless"}
    assert {each.model for each in result.verdicts if each.strategy == "whim"} == {None}
    alone = contest(limits=Limits(), strategies=(strategy(params=EAGER),))
    nobody = judged(alone, Whimsical(strategies=("another",)))
    assert told(run(nobody)) == told(run(replace(nobody, confidences=None)))


def test_evidence_alone_changes_no_fact() -> None:
    """Nobody looks at it."""
    for made in (contest(), contest(limits=Limits(), strategies=(strategy(params=EAGER),))):
        without, with_it = run(made), run(replace(judged(made), confidences=None))
        assert without.facts == with_it.facts
        assert any(isinstance(fact, SignalClosed) for fact in with_it.facts)


def test_more_processes_give_the_same() -> None:
    free = judged(contest(limits=Limits()))
    assert told(run(free)) == told(run(free, jobs=2))


def test_the_usual_plan_is_still_run_at_once() -> None:
    made = judged(plan(400, strategies=(strategy(Whim, EAGER),)))
    at_once = run_plain(made, quiet)
    assert at_once is not None
    assert {each.code for each in at_once.verdicts} == {"approved", "model_threshold"}
