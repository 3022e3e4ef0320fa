"""Differences between arms: paired by day, all arms at once, against what they are to be held against."""

import numpy as np
import pytest

from livebot.errors import BadInput
from livebot.research.differences import Question, differences
from livebot.research.rule import JudgingTerms

ASKED = Question(
    terms=JudgingTerms(resamples=300), family=frozenset({"better", "worse"}), against=("market", "gone"), seed=1
)


def returns(seed: int, scale: float = 0.001) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=400)


def test_a_difference_is_paired_by_day():
    """Arms that lose and win together: each alone is all noise, their differences are clear."""
    market = returns(3, 0.02)
    arms = {"better": market + 0.0005 + returns(4), "worse": market - 0.0005 + returns(5), "market": market}
    found = differences(ASKED, arms, {"market": market})
    (better,), (worse,) = found["better"], found["worse"]
    assert found["market"] == ()
    assert better.yearly == pytest.approx(365 * (arms["better"] - market).mean())
    assert 0 < better.joint_low < better.low < better.yearly < better.high < better.joint_high
    assert worse.joint_high < 0 and worse.sharpe < 0 < better.sharpe
    (alone,) = differences(ASKED, arms, {"market": np.zeros(400)})["better"]
    assert alone.low < 0 < alone.high and alone.sharpe is None  # to do nothing has no Sharpe ratio


def test_each_is_told_against_what_is_there():
    asked = Question(terms=ASKED.terms, family=ASKED.family, against=("market", "worse"), seed=1)
    arms = {"better": returns(1), "worse": returns(2)}
    found = differences(asked, arms, {"market": returns(3), "worse": arms["worse"]})
    assert [each.against for each in found["better"]] == ["market", "worse"]
    assert [each.against for each in found["worse"]] == ["market"]


def test_few_days_have_no_difference():
    short = {"better": returns(1)[:59]}
    assert differences(ASKED, short, {"market": returns(2)[:59]}) == {"better": ()}
    assert differences(ASKED, {}, {"market": returns(2)}) == {}


def test_arms_of_other_days_are_not_compared():
    with pytest.raises(BadInput, match="not the same days"):
        differences(ASKED, {"better": returns(1)}, {"market": returns(2)[1:]})
