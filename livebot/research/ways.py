"""All arms on one stage in one way of taking trades: by their own thresholds, or as many as one another.

Rules of this file: an arm is held against what has the same rows, and where trade counts are matched against chance that trades as
many; an arm that cannot trade as many is held against nothing and told.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from livebot.core.series import Floats
from livebot.research.accounts import (
    Confident,
    Stage,
    account,
    by_count,
    confident,
    counts,
    special,
    stage_of,
    taken,
    tied_share,
)
from livebot.research.arms import RANDOM, Special
from livebot.research.chances import usual_chance
from livebot.research.comparison import Scores
from livebot.research.differences import Question, differences
from livebot.research.outcomes import Outcome
from livebot.research.results import Difference
from livebot.research.study import Kind, Plan, Study

Accounts = Mapping[str, tuple[Outcome, ...]]  # by arm, at each cost multiple


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Way:
    """All arms on one stage in one way of taking trades; `differences` of each arm, at each cost multiple."""

    stage: Stage
    said: Mapping[str, Confident]
    accounts: Accounts
    differences: Mapping[str, tuple[tuple[Difference, ...], ...]]


def family_of(study: Study) -> frozenset[str]:
    """The arms that may win."""
    return frozenset(arm.name for arm in study.trained_arms)


def own_way(study: Study, stage: Stage, scores: Scores, kind: Kind) -> Way:
    """By each model's own threshold; chance takes as many as the median model."""
    said = {
        arm.name: confident(stage, [scores[kind, place, arm.name] for place in range(stage.folds)])
        for arm in study.trained_arms
    }
    numbers = np.array([counts(stage, taken(stage, each)) for each in said.values()])
    for arm in study.arms:
        if arm.special is not None:
            said[arm.name] = special(stage, arm, study.seed)
        if arm.special is Special.RANDOM:
            said[arm.name] = by_count(stage, said[arm.name], np.rint(np.median(numbers, axis=0)).astype(np.intp))
    accounts, terms = _accounts(study, stage, said), study.judging
    held = {name: accounts[name] for name in (terms.baseline, terms.second_baseline) if name in accounts}
    others = {name: tuple(each.returns for each in made) for name, made in held.items()}
    return Way(stage=stage, said=said, accounts=accounts, differences=_differences(study, accounts, others))


def matched_way(study: Study, own: Way) -> tuple[Way, float]:
    """By the share that all take, and how many that is; the strategy itself still takes everything.

    Arms are held against the average of random filters that take as many; whose own count is off is not.
    """
    unfiltered = next(arm.name for arm in study.arms if arm.special is Special.UNFILTERED)
    whole = counts(own.stage, own.accounts[unfiltered][0].rows)
    wanted = np.rint(whole * study.judging.take_share).astype(np.intp)
    said = {name: each if name == unfiltered else by_count(own.stage, each, wanted) for name, each in own.said.items()}
    accounts, terms = _accounts(study, own.stage, said), study.judging
    usual = usual_chance(own.stage, wanted, terms.cost_multiples, terms.matched_draws, study.seed)
    near = {name: made for name, made in accounts.items() if not _off(study, len(made[0]), usual.trades)}
    nothing: dict[str, tuple[tuple[Difference, ...], ...]] = {
        name: ((),) * len(terms.cost_multiples) for name in accounts
    }
    found = nothing | _differences(study, near, {RANDOM: usual.returns})
    return Way(stage=own.stage, said=said, accounts=accounts, differences=found), usual.trades


def _off(study: Study, trades: int, asked: float) -> bool:
    return abs(trades - asked) > study.judging.count_tolerance * asked


def jumps(study: Study, own: Way, matched: Way, asked: float) -> Iterator[str]:
    """Whose trade count is not its own: off where counts are matched, or made by ties."""
    for arm in study.trained_arms:
        trades, tied = len(matched.accounts[arm.name][0]), tied_share(own.stage, own.said[arm.name])
        if _off(study, trades, asked):
            yield (
                f"{arm.name} trades {trades:,} entries where {asked:,.0f} were asked for, more than "
                f"{study.judging.count_tolerance:.0%} off: at a matched trade count it is held against nothing"
            )
        if tied > study.judging.count_tolerance:
            yield (
                f"{arm.name} gives {tied:.0%} of the entries that it wants the very same probability as others of their fold, the "
                "lowest that its threshold takes: such ties are taken all or none, so that they make its trade count "
                f"({len(own.accounts[arm.name][0]):,} by its own threshold, {trades:,} at the matched count)"
            )


def turnover_way(study: Study, plan: Plan, scores: Scores) -> Way | None:
    """By their own thresholds while symbols come and go; None: too few symbols for that, or no entry."""
    folds = plan.folds.get(Kind.TURNOVER)
    if folds is None:
        return None
    stage = stage_of(study.dataset, folds, study.seen)
    return own_way(study, stage, scores, Kind.TURNOVER) if len(stage.rows) else None


def _accounts(study: Study, stage: Stage, said: Mapping[str, Confident]) -> Accounts:
    made = {}
    for name, each in said.items():
        rows = taken(stage, each)
        made[name] = tuple(account(stage, rows, multiple) for multiple in study.judging.cost_multiples)
    return made


def _differences(
    study: Study, accounts: Accounts, others: Mapping[str, tuple[Floats, ...]]
) -> dict[str, tuple[tuple[Difference, ...], ...]]:
    """Of each arm, at each cost multiple, against each of these."""
    asked = Question(terms=study.judging, family=family_of(study), against=tuple(others), seed=study.seed)
    by_cost = [
        differences(
            asked,
            {name: made[place].returns for name, made in accounts.items()},
            {name: each[place] for name, each in others.items()},
        )
        for place in range(len(study.judging.cost_multiples))
    ]
    return {name: tuple(found[name] for found in by_cost) for name in accounts}
