"""From the results of folds to the figures of each arm.

Rules of this file: figures come from `figures`, `forecast`, `significance` and `overfitting` and are only gathered here; what an
arm is held against has the same rows; nothing is chosen by looking at a result.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.learning.calibration import reliability
from livebot.learning.dataset import Mask
from livebot.reporting.figure import Figure, NotAvailable
from livebot.research.accounts import (
    NOT_JUDGED,
    Confident,
    Stage,
    account,
    beats_random,
    by_count,
    confident,
    counts,
    fold_of,
    special,
    stage_of,
    taken,
)
from livebot.research.arms import Arm, Special
from livebot.research.comparison import Scores
from livebot.research.cuts import Texts, cuts_of, part_keys, parts_of
from livebot.research.figures import (
    outcome_figures,
    quarter_spread,
    symbol_spread,
)
from livebot.research.fold_run import FoldScores
from livebot.research.forecast import forecast_figures
from livebot.research.outcomes import Outcome
from livebot.research.overfitting import overfitting
from livebot.research.paths import path_sharpes
from livebot.research.results import ArmResult, Difference, Evenness, Figures, FoldLine, Forecast, Side
from livebot.research.significance import BootstrapTerms, mean_difference
from livebot.research.study import Kind, Plan, Study

DAYS_A_YEAR = 365
_BINS = 10

Accounts = Mapping[str, tuple[Outcome, ...]]  # by arm, at each cost multiple


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """All arms in their order; `returns` (days, arms) by their thresholds at 1x costs; `overfitting` None: too few days."""

    arms: tuple[ArmResult, ...]
    returns: Floats
    overfitting: float | None
    entries: int
    unseen_entries: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Way:
    """All arms on one stage in one way of taking trades."""

    stage: Stage
    said: Mapping[str, Confident]
    accounts: Accounts


def measure(study: Study, plan: Plan, scores: Scores, tell: Callable[[str], None]) -> Measured:
    """The figures of all arms; `tell` hears which is being worked out."""
    walk = plan.folds[Kind.WALK]
    seen = stage_of(study.dataset, walk, study.seen)
    own = _way(study, seen, scores, Kind.WALK)
    ways = {
        "matched": _matched(study, own),
        "unseen": _way(study, stage_of(study.dataset, walk, study.unseen), scores, Kind.WALK) if study.unseen else None,
        "turnover": _turnover(study, plan, scores),
    }
    keys = part_keys(study, plan)
    paths = path_sharpes(study, plan, scores)
    results = []
    for arm in study.arms:
        tell(arm.name)
        results.append(_arm_result(study, arm, own, ways, keys, paths[arm.name], _of(scores, Kind.WALK, arm, plan)))
    returns = np.column_stack([own.accounts[arm.name][0].returns for arm in study.arms])
    unseen = ways["unseen"]
    return Measured(
        arms=tuple(results),
        returns=returns,
        overfitting=_overfitting(returns),
        entries=len(seen.rows),
        unseen_entries=0 if unseen is None else len(unseen.stage.rows),
    )


def _overfitting(returns: Floats) -> float | None:
    try:
        return overfitting(returns).probability
    except BadInput:  # too few days
        return None


# ------------------------------------------------------------------ ways of taking trades


def _way(study: Study, stage: Stage, scores: Scores, kind: Kind) -> _Way:
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
    return _Way(stage=stage, said=said, accounts=_accounts(study, stage, said))


def _matched(study: Study, own: _Way) -> _Way:
    """By the share that all take; the strategy itself still takes everything."""
    unfiltered = next(arm.name for arm in study.arms if arm.special is Special.UNFILTERED)
    whole = counts(own.stage, own.accounts[unfiltered][0].rows)
    wanted = np.rint(whole * study.judging.take_share).astype(np.intp)
    said = {name: each if name == unfiltered else by_count(own.stage, each, wanted) for name, each in own.said.items()}
    return _Way(stage=own.stage, said=said, accounts=_accounts(study, own.stage, said))


def _turnover(study: Study, plan: Plan, scores: Scores) -> _Way | None:
    folds = plan.folds.get(Kind.TURNOVER)
    if folds is None:
        return None
    stage = stage_of(study.dataset, folds, study.seen)
    return _way(study, stage, scores, Kind.TURNOVER) if len(stage.rows) else None


def _accounts(study: Study, stage: Stage, said: Mapping[str, Confident]) -> Accounts:
    made = {}
    for name, each in said.items():
        rows = taken(stage, each)
        made[name] = tuple(account(stage, rows, multiple) for multiple in study.judging.cost_multiples)
    return made


# ------------------------------------------------------------------ one arm


def _arm_result(
    study: Study,
    arm: Arm,
    own: _Way,
    ways: Mapping[str, _Way | None],
    keys: Mapping[str, Texts],
    paths: tuple[float | None, ...],
    scores: Sequence[FoldScores],
) -> ArmResult:
    mine, stage = own.accounts[arm.name][0], own.stage
    unfiltered = own.accounts[study.judging.baseline][0]
    unseen = ways["unseen"]
    many = bool(len(mine))
    return ArmResult(
        name=arm.name,
        sentence=arm.sentence,
        threshold=_side(study, arm, own),
        matched=_side(study, arm, ways["matched"] or own),
        forecast=_forecast(arm, own),
        cuts=cuts_of(stage, mine, keys),
        symbols=_even(symbol_spread(mine, study.seen)) if many else None,
        quarters=_even(quarter_spread(mine)) if many else None,
        unseen=None if unseen is None else _side(study, arm, unseen),
        unseen_forecast=None if unseen is None else _forecast(arm, unseen),
        unseen_symbols={} if unseen is None else parts_of(unseen.accounts[arm.name][0]),
        turnover=None if ways["turnover"] is None else _side(study, arm, ways["turnover"]),
        paths=paths,
        beats_random=beats_random(stage, unfiltered.rows, mine, study.judging.random_draws, study.seed),
        deflated=None,
        folds=_fold_lines(own, arm),
        importance=_importance(study, scores),
        refused=_refused(scores, stage),
    )


def _side(study: Study, arm: Arm, way: _Way) -> Side:
    once, twice = way.accounts[arm.name]
    return Side(
        figures=figures_of(once),
        doubled=figures_of(twice),
        differences=_differences(study, arm, way, 0),
        doubled_differences=_differences(study, arm, way, 1),
    )


def figures_of(made: Outcome) -> Figures:
    """The figures of an account, as JSON can hold them."""
    found = outcome_figures(made)
    return Figures(
        trades=found.trades,
        win_rate=plain(found.win_rate),
        mean_gain=plain(found.mean_gain),
        profit_factor=plain(found.profit_factor),
        total_return=found.total_return,
        yearly=DAYS_A_YEAR * float(made.returns.mean()),
        sharpe=plain(found.sharpe),
        sharpe_error=plain(found.sharpe_error),
        sortino=plain(found.sortino),
        max_drawdown=plain(found.drawdown),
        exposure=plain(found.exposure),
        turnover=plain(found.turnover),
    )


def plain(figure: Figure) -> float | None:
    """None where there is no figure."""
    return None if isinstance(figure, NotAvailable) else float(figure)


def _differences(study: Study, arm: Arm, way: _Way, place: int) -> tuple[Difference, ...]:
    terms = study.judging
    bootstrap = BootstrapTerms(draws=terms.resamples, level=terms.confidence, seed=study.seed)
    found = []
    for against in (terms.baseline, terms.second_baseline):
        if against == arm.name or against not in way.accounts:
            continue
        mine, other = way.accounts[arm.name][place], way.accounts[against][place]
        interval = mean_difference(mine, other, bootstrap)
        if not isinstance(interval, NotAvailable):
            ratios = plain(outcome_figures(mine).sharpe), plain(outcome_figures(other).sharpe)
            gap = None if ratios[0] is None or ratios[1] is None else ratios[0] - ratios[1]
            found.append(
                Difference(against=against, yearly=interval.estimate, low=interval.low, high=interval.high, sharpe=gap)
            )
    return tuple(found)


def _forecast(arm: Arm, way: _Way) -> Forecast | None:
    if not arm.trained:
        return None
    confidence = way.said[arm.name].confidence
    judged = confidence != NOT_JUDGED
    win: Mask = way.stage.dataset.win[way.stage.rows]
    found = forecast_figures(confidence[judged], win[judged])
    curve = reliability(confidence[judged], win[judged], np.ones(found.rows), _BINS) if found.rows else ()
    return Forecast(
        rows=found.rows,
        base_rate=plain(found.base_rate),
        confidence=plain(found.confidence),
        log_loss=plain(found.log_loss),
        brier=plain(found.brier),
        auc=plain(found.auc),
        slope=plain(found.slope),
        intercept=plain(found.intercept),
        curve=tuple((each.confidence, each.won, each.rows) for each in curve),
    )


def _even(values: object) -> Evenness:
    names = ("parts", "worst_name", "worst", "median", "above_zero")
    return Evenness(**{name: getattr(values, name) for name in names})


def _fold_lines(own: _Way, arm: Arm) -> tuple[FoldLine, ...]:
    mine, said = own.accounts[arm.name][0], own.said[arm.name]
    home = fold_of(own.stage, mine.rows)
    sums = np.bincount(home, weights=mine.fraction * mine.gain, minlength=own.stage.folds)
    numbers = np.bincount(home, minlength=own.stage.folds)
    return tuple(
        FoldLine(
            fold=own.stage.names[place],
            trades=int(numbers[place]),
            added=float(sums[place]),
            threshold=float(said.threshold[place]) if arm.trained else None,
        )
        for place in range(own.stage.folds)
    )


def _importance(study: Study, scores: Sequence[FoldScores]) -> Mapping[str, float]:
    found = [each.importance for each in scores if len(each.importance)]
    if not found:
        return {}
    return dict(zip(study.dataset.names, np.mean(found, axis=0).tolist(), strict=True))


def _refused(scores: Sequence[FoldScores], stage: Stage) -> tuple[tuple[str, str], ...]:
    return tuple((stage.names[place], each.refused) for place, each in enumerate(scores) if each.refused)


def _of(scores: Scores, kind: Kind, arm: Arm, plan: Plan) -> list[FoldScores]:
    return [scores[kind, place, arm.name] for place in range(len(plan.folds[kind]))] if arm.trained else []
