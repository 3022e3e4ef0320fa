"""Rounds in a backtest: rank decides at a close, whatever the order of symbols and strategies."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.backtest import entering
from livebot.backtest.audit.audit import audit
from livebot.backtest.engine import run_whole
from livebot.backtest.plain_settings import plain
from livebot.backtest.run import run
from livebot.core.limits import Limits
from livebot.core.rules import CappedKelly, FixedNotional, FractionOfEquity, VolatilityParity
from livebot.runtime.portfolio.rounds import meanwhile
from livebot.runtime.settings import LossAction, LossLimit, RoundSettings
from tests.backtest.plans import SYMBOLS, plan, rules, strategy
from tests.backtest.test_skipping import told
from tests.backtest.whims import Restless, WhimParams, smallest

SURE = WhimParams(rarity=2, confident=True, minutes=5)
RANKED = RoundSettings()
ONE = Limits(open_signals=1)


def contest(**changes):
    """Two strategies that want much on three symbols, with room for one."""
    runs = (strategy(params=SURE), strategy(Restless, replace(SURE, seed=2)))
    return plan(400, **({"strategies": runs, "limits": ONE, "round": RANKED} | changes))


def by_close(result):
    """The verdicts on what was wanted at each close."""
    found = defaultdict(list)
    for each in result.verdicts:
        if each.outcome in ("approved", "denied"):
            found[each.close_ms].append(each)
    return found


def test_the_most_confident_of_a_close_gets_the_room():
    contests = 0
    for verdicts in by_close(run(contest())).values():
        approved = [each.confidence for each in verdicts if each.outcome == "approved"]
        denied = [each.confidence for each in verdicts if each.code == "open_signals"]
        if approved and denied:
            contests += 1
            assert min(approved) >= max(denied)
    assert contests > 20


def test_without_rounds_the_first_symbol_gets_it():
    first = run(contest(round=None))
    for verdicts in by_close(first).values():
        approved = [each.symbol for each in verdicts if each.outcome == "approved"]
        if approved:
            assert approved == [min(each.symbol for each in verdicts)]
    assert told(first) != told(run(contest()))


@pytest.mark.untraced
@pytest.mark.parametrize("scorer", [None, smallest])
def test_the_order_of_symbols_and_strategies_decides_nothing(scorer):
    """As long as the symbols do not lose together: whose loss is told first is another matter."""
    sizes = rules(sizing=FractionOfEquity(Decimal("0.2")))
    made = contest(round=RoundSettings(scorer=scorer), rules=sizes)
    other = replace(made, symbols=SYMBOLS[::-1], strategies=made.strategies[::-1])
    assert told(run(made)) == told(run(other))


def test_who_cannot_be_scored_is_denied_in_a_sentence():
    result = run(contest(round=RoundSettings(scorer=smallest)))
    texts = {each.text for each in result.verdicts if each.code == "round"}
    assert texts == {
        "the scorer answers nan for it, which is no rank; it must answer a finite number",
        "the scorer fails on it (ArithmeticError: not this one); mend risk.round.scorer",
    }


def test_a_loss_that_is_told_at_the_close_takes_back_what_was_approved_beside_it(monkeypatch):
    """The symbol's own stop has filled; by the time the other strategy's verdict is looked at, trading is over."""
    taken_back = []

    def watched(portfolio, state, wish):
        why = meanwhile(portfolio, state, wish)
        if why is not None:
            taken_back.append((wish, why, portfolio))
        return why

    monkeypatch.setattr(entering, "meanwhile", watched)
    runs = (strategy(params=SURE, symbols=SYMBOLS[:1]), strategy(Restless, SURE, symbols=SYMBOLS[:1]))
    for seed in range(20):
        seeded = tuple(
            replace(each, params=replace(SURE, rarity=1, seed=seed + place)) for place, each in enumerate(runs)
        )
        result = run(
            contest(
                strategies=seeded,
                limits=Limits(),
                rules=rules(sizing=FixedNotional(Decimal(3_000))),
                loss_limit=LossLimit(ratio=Decimal("0.0013"), action=LossAction.STOP_OPENING),
            )
        )
        told_of = {(each.close_ms, each.strategy): each for each in result.verdicts}
        for wish, why, portfolio in taken_back:
            verdict = told_of[wish.now.ts_ms, wish.state.strategy]
            assert (verdict.outcome, verdict.code) == ("denied", why.code.value) == ("denied", "halted")
            assert portfolio.reserved == (0, 0)
        if taken_back:
            return
    pytest.fail("it never came about")


@pytest.mark.parametrize(
    "changes",
    [
        {"round": RANKED},
        {"rules": rules(sizing=CappedKelly(Decimal("0.2"), Decimal(1)))},
        {"rules": rules(sizing=VolatilityParity(Decimal("0.001"), Decimal(1), 3))},
    ],
)
def test_rounds_and_the_newer_sizes_are_left_to_the_kernel(changes):
    usual = plan(200, strategies=(strategy(params=SURE),))
    assert plain(usual)
    assert not plain(replace(usual, **changes))
    assert any(each.outcome == "approved" for each in run(replace(usual, **changes)).verdicts)


def test_a_size_by_volatility_follows_the_strategys_own_candles():
    """And before there are enough of them it is refused."""
    made = plan(300, history=5, rules=rules(sizing=VolatilityParity(Decimal("0.001"), Decimal(3), 7)))
    assert {each.code for each in run(made).verdicts} == {"no_atr"}
    enough = replace(made, history=60)
    notionals = {each.outcome for each in run(enough).verdicts}
    assert "approved" in notionals


def test_more_processes_and_every_candle_give_the_same():
    """With no limits symbols do not depend on each other, whoever ranks them."""
    free = contest(limits=Limits(), round=RoundSettings(scorer=smallest))
    at_once = told(run(free))
    assert at_once == told(run(free, jobs=2))
    assert at_once == told(run_whole(replace(free, skip=False), lambda *_: None))


def test_an_audit_finds_nothing_in_rounds():
    """Nor in sizes that follow volatility and confidence."""
    for sizing in (VolatilityParity(Decimal("0.001"), Decimal(1), 5), CappedKelly(Decimal("0.2"), Decimal(1))):
        found = audit(contest(rules=rules(sizing=sizing)), lambda *_: None, points=4)
        assert found.findings == ()
        assert found.clean
