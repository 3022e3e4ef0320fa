"""The same history traded along every combinatorial path: how much of a Sharpe ratio is the path.

Rules of this file: a path has every row once, each judged by a model that was not trained on it.
"""

import numpy as np

from livebot.core.series import Floats
from livebot.learning.dataset import Dataset
from livebot.reporting.figure import Figure, NotAvailable
from livebot.research.accounts import NOT_JUDGED
from livebot.research.arms import Arm, Special
from livebot.research.combinatorial import Combinatorial, path_confidences
from livebot.research.comparison import Scores
from livebot.research.figures import outcome_figures
from livebot.research.folds import Rows
from livebot.research.outcomes import ALL, outcome
from livebot.research.study import Kind, Plan, Study


def path_sharpes(study: Study, plan: Plan, scores: Scores) -> dict[str, tuple[float | None, ...]]:
    """The Sharpe ratio of each arm along each path."""
    if plan.paths is None:
        return {arm.name: () for arm in study.arms}
    seen = study.dataset.rows(~np.isin(study.dataset.symbol_names, study.unseen))
    span = (int(plan.paths.edges[0]), int(plan.paths.edges[-1]))
    rows: Rows = np.arange(len(seen))
    found: dict[str, tuple[float | None, ...]] = {}
    for arm in study.arms:
        if arm.special is Special.RANDOM:
            found[arm.name] = ()
            continue
        if arm.special is Special.UNFILTERED:
            ratio = _plain(outcome_figures(outcome(seen, rows, np.ones(len(rows)), ALL, span)).sharpe)
            found[arm.name] = (ratio,) * len(plan.paths.paths)
            continue
        said, thresholds = _along(plan.paths, arm, scores, seen)
        ratios = (
            outcome_figures(outcome(seen, rows, *each, span)).sharpe for each in zip(said, thresholds, strict=True)
        )
        found[arm.name] = tuple(_plain(ratio) for ratio in ratios)
    return found


def _along(paths: Combinatorial, arm: Arm, scores: Scores, seen: Dataset) -> tuple[Floats, Floats]:
    """Confidences and thresholds along each path, each (paths, rows)."""
    each = [scores[Kind.PATHS, place, arm.name] for place in range(len(paths.folds))]
    said = [np.where(np.isnan(one.probability), NOT_JUDGED, one.probability) for one in each]
    thresholds = [np.full(len(one.probability), one.threshold) for one in each]
    return path_confidences(seen, paths, said), path_confidences(seen, paths, thresholds)


def _plain(figure: Figure) -> float | None:
    return None if isinstance(figure, NotAvailable) else float(figure)
