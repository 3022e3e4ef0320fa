"""The rule by which a comparison is decided: its numbers as one value, and in words for the registration and the report.

Rules of this file: everything that decides is here, and is registered before the first fold; the words are made of the
numbers, so that neither can be changed alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from livebot.errors import BadInput
from livebot.reporting.shown import percent, signed_percent


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgingTerms:
    """How arms are judged; fixed before the first fold.  What each number decides is said by `rule_of`.

    `confidence` holds for all arms at once: of studies in which no arm has any skill, at most 1 - confidence confirm one.
    `resamples` are those of the bootstrap, `random_draws` those of the test against random filters, `matched_draws` how many
    random filters are averaged where trade counts are matched: each fold takes `take_share` of what the strategy itself
    trades there, and an arm whose count is off by more than `count_tolerance` is not held against them.
    """

    baseline: str = "no_filter"
    second_baseline: str = "single_lr"
    margin: float = 0.02
    confidence: float = 0.95
    resamples: int = 2_000
    random_draws: int = 5_000
    most_overfitting: float = 0.5
    least_deflated: float = 0.95
    take_share: float = 0.5
    matched_draws: int = 500
    count_tolerance: float = 0.1
    cost_multiples: tuple[float, float] = (1.0, 2.0)

    def __post_init__(self) -> None:
        """Raise BadInput for terms under which nothing could be decided."""
        if not 0 < self.confidence < 1 or self.random_draws < 1 or self.resolution > self.error:
            raise BadInput(
                f"{self.random_draws} random filters cannot tell a probability of {self.error:.3g}: the smallest they can tell is "
                f"{self.resolution:.3g}; draw more of them"
            )

    @property
    def error(self) -> float:
        """How often a study without any skill may confirm an arm."""
        return 1 - self.confidence

    @property
    def resolution(self) -> float:
        """The smallest p-value that so many random filters can show."""
        return 1 / (self.random_draws + 1)


def rule_of(terms: JudgingTerms, models: Sequence[str]) -> tuple[str, ...]:
    """The rule in words, a sentence a condition; `models` are the arms that may win."""
    gain = (
        f"Gain: its mean daily net return less that of {terms.baseline}, times 365, by its own threshold and at 1x costs, is at "
        f"least {signed_percent(terms.margin)}."
    )
    interval = (
        f"Interval: the {percent(terms.confidence, 0)} interval of that gain is above 0.  It holds for all arms at once: the "
        f"largest error of any arm, in units of its spread, in {terms.resamples:,} draws of a stationary block bootstrap "
        "with the same days for all arms (H. White, Econometrica 68, 2000; J. Romano, M. Wolf, Econometrica 73, 2005)."
    )
    chance = (
        "Chance: its gain a trade, in units of its standard error, is better than that of random filters with as many entries, "
        f"p <= {terms.error:.3g} for all arms at once.  A random filter is the arm's own choices moved along the entries of each "
        "fold by a random step, the same step for all arms, so that runs and likeness of arms stay; each arm is held against the "
        f"best of all arms in each of {terms.random_draws:,} draws (P. Westfall, S. Young, 1993).  The smallest p they can "
        f"tell is {terms.resolution:.1g}."
    )
    return (
        (
            f"An arm is confirmed only if all of the following hold.  {len(models)} arms may win; the chance that any of them is "
            f"confirmed though none has skill is held at {percent(terms.error, 0)} for all of them together."
        ),
        gain,
        interval,
        chance,
        f"Overfitting: the probability of it, over all arms, is at most {percent(terms.most_overfitting, 0)}.",
        (
            "Trials: its deflated Sharpe ratio, with all trials of the ledger, is at least "
            f"{percent(terms.least_deflated, 0)}."
        ),
        f"Of several confirmed arms within {percent(terms.margin, 2)} a year of the best one the simplest is taken.",
    )
