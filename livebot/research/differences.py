"""How much more each arm made than what it is held against, with intervals: its own, and the one that holds for all arms at once.

Rules of this file: arms are paired by day, so all have the same days; all arms of a question are drawn together; who may not win
widens nobody's interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.reporting.equity_figures import DAYS_A_YEAR, sharpe
from livebot.reporting.figure import NotAvailable
from livebot.research.results import Difference
from livebot.research.rule import JudgingTerms
from livebot.research.significance import BootstrapTerms, joint_intervals

Returns = Mapping[str, Floats]  # (days,) by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who is held against what: `family` are the arms that may win, `against` the names of what they are held against."""

    terms: JudgingTerms
    family: frozenset[str]
    against: tuple[str, ...]
    seed: int


def differences(asked: Question, arms: Returns, others: Returns) -> dict[str, tuple[Difference, ...]]:
    """Of each arm, against each of `asked.against` that is among `others`; empty where there are too few days.

    Raises:
        BadInput: they are not of the same days, so that no day could be paired.

    """
    if len({len(each) for each in (*arms.values(), *others.values())}) > 1:
        raise BadInput(
            "arms are compared day by day, and theirs are not the same days; give all the same rows and span"
        )
    found: dict[str, list[Difference]] = {name: [] for name in arms}
    for against in asked.against:
        if against in others:
            held = {name: each for name, each in arms.items() if name != against}
            for name, difference in _against(asked, held, against, others[against]):
                found[name].append(difference)
    return {name: tuple(each) for name, each in found.items()}


def _against(asked: Question, arms: Returns, against: str, other: Floats) -> Sequence[tuple[str, Difference]]:
    if not arms:
        return ()
    terms = asked.terms
    columns = DAYS_A_YEAR * np.column_stack([each - other for each in arms.values()])
    family = np.isin(list(arms), sorted(asked.family))
    bootstrap = BootstrapTerms(draws=terms.resamples, level=terms.confidence, seed=asked.seed)
    made = joint_intervals(columns, family, bootstrap)
    if isinstance(made, NotAvailable):
        return ()
    return [
        (
            name,
            Difference(
                against=against,
                yearly=float(made.estimate[place]),
                low=float(made.low[place]),
                high=float(made.high[place]),
                joint_low=float(made.joint_low[place]),
                joint_high=float(made.joint_high[place]),
                sharpe=_gap(each, other),
            ),
        )
        for place, (name, each) in enumerate(arms.items())
    ]


def _gap(mine: Floats, other: Floats) -> float | None:
    """The difference of the Sharpe ratios."""
    (first, _), (second, _) = sharpe(mine), sharpe(other)
    return None if isinstance(first, NotAvailable) or isinstance(second, NotAvailable) else float(first) - float(second)
