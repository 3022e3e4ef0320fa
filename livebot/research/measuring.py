"""From the results of folds to the figures of each arm.

Rules of this file: figures come from `figures`, `forecast`, `significance` and `overfitting` and are only gathered here; what an
arm is held against has the same rows; nothing is chosen by looking at a result.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.learning.calibration import reliability
from livebot.learning.dataset import Mask
from livebot.reporting.equity_figures import DAYS_A_YEAR
from livebot.reporting.figure import Figure, NotAvailable
from livebot.research.accounts import NOT_JUDGED, Stage, fold_of, stage_of
from livebot.research.arms import Arm
from livebot.research.chances import Chance, against_chance
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
from livebot.research.results import ArmResult, Evenness, Figures, FoldLine, Forecast, Side
from livebot.research.study import Kind, Plan, Study
from livebot.research.ways import Way, family_of, jumps, matched_way, own_way, turnover_way

_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """All arms in their order; `returns` (days, arms) by their thresholds at 1x costs; `overfitting` None: too few days.

    `notes` are sentences on arms whose confidences do not let them trade as many entries as are asked for.
    """

    arms: tuple[ArmResult, ...]
    returns: Floats
    overfitting: float | None
    entries: int
    unseen_entries: int
    notes: tuple[str, ...]


def measure(study: Study, plan: Plan, scores: Scores, tell: Callable[[str], None]) -> Measured:
    """The figures of all arms; `tell` hears which is being worked out."""
    walk = plan.folds[Kind.WALK]
    seen = stage_of(study.dataset, walk, study.seen)
    own = own_way(study, seen, scores, Kind.WALK)
    matched, asked = matched_way(study, own)
    chances = _chances(study, own)
    ways = {
        "matched": matched,
        "unseen": own_way(study, stage_of(study.dataset, walk, study.unseen), scores, Kind.WALK)
        if study.unseen
        else None,
        "turnover": turnover_way(study, plan, scores),
    }
    keys = part_keys(study, plan)
    paths = path_sharpes(study, plan, scores)
    results = []
    for arm in study.arms:
        tell(arm.name)
        made = _arm_result(study, arm, own, ways, keys, paths[arm.name], _of(scores, Kind.WALK, arm, plan))
        luck = chances.get(arm.name)
        results.append(made if luck is None else replace(made, beats_random=luck.beats, chance=_p(study, arm, luck)))
    returns = np.column_stack([own.accounts[arm.name][0].returns for arm in study.arms])
    unseen = ways["unseen"]
    return Measured(
        arms=tuple(results),
        returns=returns,
        overfitting=_overfitting(returns),
        entries=len(seen.rows),
        unseen_entries=0 if unseen is None else len(unseen.stage.rows),
        notes=tuple(jumps(study, own, matched, asked)),
    )


def _chances(study: Study, own: Way) -> Mapping[str, Chance | None]:
    said = {name: each for name, each in own.said.items() if name != study.judging.baseline}
    return against_chance(own.stage, said, family_of(study), study.judging.random_draws, study.seed)


def _p(study: Study, arm: Arm, luck: Chance) -> float | None:
    return luck.p if arm.name in family_of(study) else None


def _overfitting(returns: Floats) -> float | None:
    try:
        return overfitting(returns).probability
    except BadInput:  # too few days
        return None


# ------------------------------------------------------------------ one arm


def _arm_result(
    study: Study,
    arm: Arm,
    own: Way,
    ways: Mapping[str, Way | None],
    keys: Mapping[str, Texts],
    paths: tuple[float | None, ...],
    scores: Sequence[FoldScores],
) -> ArmResult:
    mine, stage = own.accounts[arm.name][0], own.stage
    unseen = ways["unseen"]
    many = bool(len(mine))
    return ArmResult(
        name=arm.name,
        sentence=arm.sentence,
        threshold=_side(arm, own),
        matched=_side(arm, ways["matched"] or own),
        forecast=_forecast(arm, own),
        cuts=cuts_of(stage, mine, keys),
        symbols=_even(symbol_spread(mine, study.seen)) if many else None,
        quarters=_even(quarter_spread(mine)) if many else None,
        unseen=None if unseen is None else _side(arm, unseen),
        unseen_forecast=None if unseen is None else _forecast(arm, unseen),
        unseen_symbols={} if unseen is None else parts_of(unseen.accounts[arm.name][0]),
        turnover=None if ways["turnover"] is None else _side(arm, ways["turnover"]),
        paths=paths,
        beats_random=None,
        chance=None,
        deflated=None,
        folds=_fold_lines(own, arm),
        importance=_importance(study, scores),
        refused=_refused(scores, stage),
    )


def _side(arm: Arm, way: Way) -> Side:
    once, twice = way.accounts[arm.name]
    return Side(
        figures=figures_of(once),
        doubled=figures_of(twice),
        differences=way.differences[arm.name][0],
        doubled_differences=way.differences[arm.name][1],
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


def _forecast(arm: Arm, way: Way) -> Forecast | None:
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


def _fold_lines(own: Way, arm: Arm) -> tuple[FoldLine, ...]:
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
