"""How often the rule confirms an arm where there is nothing to confirm, over many studies; and that it finds what is there."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from livebot.research.accounts import account, taken
from livebot.research.chances import against_chance
from livebot.research.decision import decide, lacking
from livebot.research.differences import Question, differences
from livebot.research.overfitting import overfitting
from livebot.research.rule import JudgingTerms
from livebot.research.significance import daily_sharpe, deflated
from tests.research.stages import remembering, saying, stage
from tests.research.told_arms import arm

pytestmark = pytest.mark.untraced

ARMS = ("single_lr", "blind_lr", "one_hot_lr", "embedding_lr", "clustered_lr", "per_symbol_lr", "blind_gb", "native_gb")
TERMS = JudgingTerms(resamples=300, random_draws=300, margin=0.0)
STUDIES = 120
MOST = int(binom.ppf(0.999, STUDIES, TERMS.error))  # of studies that may confirm, if each does with probability .05
UNFILTERED, LOSING = 0.0, -0.006  # what an entry gains on average


def judged(seed, drift, skill=0.0):
    """The arms of a study and the probability of overfitting; arms are alike, remember, and the last has `skill`."""
    made = stage(seed, drift=drift)
    random = np.random.default_rng(5_000 + seed)
    said = 0.5 * remembering(random, (len(made.rows), 1), 0.6) + remembering(random, (len(made.rows), len(ARMS)), 0.6)
    said[:, -1] += skill * (made.dataset.gain - drift) / 0.02
    arms = {name: saying(column) for name, column in zip(ARMS, said.T, strict=True)}
    returns = {name: account(made, taken(made, each), 1.0).returns for name, each in arms.items()}
    whole = account(made, taken(made, saying(np.ones(len(made.rows)))), 1.0).returns
    family = frozenset(ARMS)
    luck = against_chance(made, arms, family, TERMS.random_draws, seed)
    asked = Question(terms=TERMS, family=family, against=("no_filter",), seed=seed)
    found = differences(asked, returns, {"no_filter": whole})
    ratios = [daily_sharpe(each) for each in returns.values()]
    results = tuple(
        arm(
            name,
            threshold=replace(arm(name).threshold, differences=found[name]),
            beats_random=luck[name].beats,
            chance=luck[name].p,
            deflated=float(deflated(returns[name], ratios, len(ratios))),
        )
        for name in ARMS
    )
    return results, overfitting(np.column_stack(list(returns.values())), 8).probability


@cache
def studies(drift):
    """For each study which conditions each arm lacks, and whether one would have won by its own interval and its own share."""
    missing, before = [], []
    for seed in range(STUDIES):
        arms, chosen_by_luck = judged(seed, drift)
        missing.append([lacking(each, TERMS, chosen_by_luck) for each in arms])
        before.append(any(each.threshold.differences[0].low > 0 and each.beats_random >= 0.95 for each in arms))
    return missing, before


def confirmed(drift, *conditions):
    """How many studies have an arm that meets these."""
    missing, _ = studies(drift)
    return sum(any(not set(conditions) & set(each) for each in arms) for arms in missing)


@pytest.mark.parametrize("drift", [UNFILTERED, LOSING], ids=["nothing to gain", "a losing strategy"])
def test_without_skill_the_whole_rule_confirms_an_arm_in_few_studies(drift):
    assert confirmed(drift, "gain", "interval", "chance", "overfitting", "trials") <= MOST


@pytest.mark.parametrize("drift", [UNFILTERED, LOSING], ids=["nothing to gain", "a losing strategy"])
def test_the_test_against_random_filters_alone_holds_the_error_for_all_arms(drift):
    """To take fewer of the trades of a losing strategy is no skill, and this test alone has to know it."""
    assert 1 <= confirmed(drift, "chance") <= MOST


def test_the_interval_alone_holds_the_error_where_nothing_is_to_gain():
    assert confirmed(UNFILTERED, "interval") <= MOST


def test_arm_by_arm_it_would_be_confirmed_in_many():
    """What the rule is for: the same studies, each arm by its own interval and its own share of random filters."""
    assert sum(studies(LOSING)[1]) > 1.5 * MOST


def test_a_skill_that_was_planted_is_found_and_it_alone():
    found = []
    for seed in range(20):
        arms, chosen_by_luck = judged(seed, UNFILTERED, skill=1.0)
        found.append(decide(arms, TERMS, chosen_by_luck).winner)
    assert found.count(ARMS[-1]) >= 18
    assert set(found) <= {ARMS[-1], None}
