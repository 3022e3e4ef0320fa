"""The rule in words: every number that decides is in them."""

from dataclasses import replace

import pytest

from livebot.errors import BadInput
from livebot.research.rule import JudgingTerms, rule_of

MODELS = ("one_hot_lr", "blind_lr", "native_gb")


@pytest.mark.parametrize(
    "change",
    [
        {"baseline": "other"},
        {"margin": 0.03},
        {"confidence": 0.9},
        {"resamples": 999},
        {"random_draws": 7_000},
        {"most_overfitting": 0.4},
        {"least_deflated": 0.9},
    ],
    ids=lambda change: next(iter(change)),
)
def test_who_changes_a_number_changes_the_words(change):
    assert rule_of(JudgingTerms(), MODELS) != rule_of(replace(JudgingTerms(), **change), MODELS)


def test_the_words_say_the_numbers():
    said = " ".join(rule_of(JudgingTerms(), MODELS))
    for wanted in ("3 arms may win", "at least +2.00%", "95% interval", "2,000 draws", "5,000 draws", "p <= 0.05",
                   "at most 50%", "at least 95%", "tell is 0.0002", "held at 5%", "Econometrica"):  # fmt: skip
        assert wanted in said, wanted


def test_draws_that_cannot_tell_the_level_are_refused():
    assert JudgingTerms(random_draws=20).resolution == pytest.approx(1 / 21)
    for change in ({"random_draws": 18}, {"random_draws": 0}, {"confidence": 1.0}):
        with pytest.raises(BadInput, match="draw more of them"):
            JudgingTerms(**change)
