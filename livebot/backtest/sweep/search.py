"""Trials chosen by what earlier ones gave: optuna's tree-structured Parzen estimator.

Rules of this file: optuna is imported when a search begins, never before; the same seed chooses the same trials, in
however many processes and however often it is interrupted; what cannot be tried teaches the search nothing.
"""

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING

from livebot.backtest.sweep.figures import worth
from livebot.backtest.sweep.space import MOST_TRIALS, Axis, Choice
from livebot.backtest.sweep.sweep import Progress, Sweep
from livebot.errors import BadInput

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

BATCH = 8  # trials chosen at once, whatever the number of processes: so that their number changes nothing
_INSTALL = "optuna is not installed; it comes with the research extra: pip install 'livebot[research]'"


def search(sweep: Sweep, axes: Sequence[Axis], trials: int, *, objective: str, seed: int, progress: Progress) -> None:
    """Make so many trials; fewer different ones if the search comes back to what it had.

    Raises:
        BadInput: optuna is absent, or more than MOST_TRIALS are wanted; and as `Sweep.make`.

    """
    if importlib.util.find_spec("optuna") is None:
        raise BadInput(_INSTALL)
    if not 0 < trials <= MOST_TRIALS:
        raise BadInput(f"--trials {trials}: 1 to {MOST_TRIALS:,} can be made")
    study = _study(seed)
    for begun in range(0, trials, BATCH):
        asked = [study.ask() for _ in range(min(BATCH, trials - begun))]
        choices = [_choice(trial, axes) for trial in asked]
        sweep.make(choices, lambda done, _all, begun=begun: progress(begun + done, trials))  # type: ignore[misc]
        for trial, choice in zip(asked, choices, strict=True):
            _tell(study, trial, sweep, choice, objective)


def _study(seed: int) -> "Study":
    import optuna  # noqa: PLC0415 - heavy, and absent without the research extra

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return optuna.create_study(direction="maximize", sampler=sampler)


def _choice(trial: "Trial", axes: Sequence[Axis]) -> Choice:
    return tuple((axis.strategy, axis.name, _suggested(trial, axis)) for axis in axes)


def _suggested(trial: "Trial", axis: Axis) -> object:
    if axis.values is None:
        return trial.suggest_float(axis.label, axis.low, axis.high)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in axis.values):
        values = sorted(axis.values)  # neighbours are alike: the search is told so by their places
        return values[trial.suggest_int(axis.label, 0, len(values) - 1)]
    return axis.values[int(trial.suggest_categorical(axis.label, range(len(axis.values))))]


def _tell(study: "Study", trial: "Trial", sweep: Sweep, choice: Choice, objective: str) -> None:
    from optuna.trial import TrialState  # noqa: PLC0415 - heavy, as above

    outcome = sweep.outcome(choice)
    value = None if outcome is None else worth(outcome.figures, objective)
    if value is None:
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, value)
