"""Rounds in the config: what is configured is what judges, and a scorer that cannot be used is told with its line."""

import math

import pytest

from livebot.config.load import ConfigErrors, check
from livebot.config.rounds import load_scorer, round_settings
from livebot.errors import BadInput
from livebot.runtime.settings import RoundSettings
from tests.config.texts import MINIMAL
from tests.core.examples import CANDIDATE


class ByNotional:
    """A scorer made without arguments."""

    def __call__(self, candidate):
        return -float(candidate.notional)


class WithArguments(ByNotional):
    def __init__(self, weight):
        self.weight = weight


def by_price(candidate):
    return float(candidate.price)


def without_arguments():
    return 0.0


HERE = __name__


def settings_of(written):
    return round_settings(check(f"{MINIMAL}risk: {{round: {written}}}", "config.yaml").config.risk.round)


@pytest.mark.parametrize("written", ["{}", "{policy: first_come}"])
def test_who_comes_first_is_first_unless_something_else_is_said(written):
    assert settings_of(written) is None


def test_rounds_have_a_deadline():
    assert settings_of("{policy: ranked}") == RoundSettings()
    assert settings_of("{policy: ranked, deadline_ms: 1500}") == RoundSettings(deadline_s=1.5)


@pytest.mark.parametrize(("name", "score"), [("ByNotional", -100.0), ("by_price", 100.0)])
def test_a_scorer_is_a_function_or_a_class(name, score):
    assert settings_of(f"{{policy: ranked, scorer: '{HERE}:{name}'}}").scorer(CANDIDATE) == score


def test_a_scorer_may_be_written_in_c():
    assert load_scorer("math:fabs") is math.fabs


@pytest.mark.parametrize(
    ("scorer", "text"),
    [
        ("by_price", "scorer 'by_price' names nothing; write it as package.module:name"),
        ("no such:thing", "scorer 'no such:thing' names nothing; write it as package.module:name"),
        ("no_such_package.module:name", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_package'"),
        (f"{HERE}:nothing", f"{HERE} has no nothing that can be called with a candidate"),
        (f"{HERE}:HERE", f"{HERE} has no HERE that can be called with a candidate"),
        (f"{HERE}:WithArguments", "cannot be loaded: TypeError: WithArguments.__init__() missing 1 required"),
        (f"{HERE}:without_arguments", "must take one argument, the candidate: too many positional arguments"),
    ],
)
def test_a_scorer_that_cannot_be_used_is_refused_with_the_mend(scorer, text):
    with pytest.raises(BadInput) as refused:
        load_scorer(scorer)
    assert text in str(refused.value)
    with pytest.raises(ConfigErrors) as told:
        settings_of(f"{{policy: ranked, scorer: '{scorer}'}}")
    (problem,) = told.value.problems
    assert (problem.line, problem.key) == (6, "risk.round.scorer")
    assert text in problem.text


@pytest.mark.parametrize(
    ("written", "key", "text"),
    [
        ("{policy: fair}", "policy", "first_come or ranked"),
        ("{policy: ranked, deadline_ms: 0}", "deadline_ms", "must be whole milliseconds from 1 to 30000, is 0"),
        ("{policy: ranked, deadline_ms: 30001}", "deadline_ms", "must be whole milliseconds from 1 to 30000, is 30001"),
        (
            "{deadline_ms: 100}",
            "deadline_ms",
            "means nothing for policy: first_come; take it out or write policy: ranked",
        ),
        ("{scorer: 'a:b'}", "scorer", "means nothing for policy: first_come; take it out or write policy: ranked"),
    ],
)
def test_what_means_nothing_is_refused(written, key, text):
    with pytest.raises(ConfigErrors) as told:
        settings_of(written)
    assert [problem.key for problem in told.value.problems] == [f"risk.round.{key}"]
    assert text in told.value.problems[0].text
