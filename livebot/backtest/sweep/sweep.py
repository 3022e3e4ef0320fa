"""Many trials of one plan with other parameters, each of which is kept in the ledger of trials.

Rules of this file: a trial is in the ledger before anybody hears of it; one that is there with the same key is not made
again; parameters that a strategy refuses are told and passed over; in how many processes it is done changes no figure.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from livebot.backtest.engine import tapes_of
from livebot.backtest.forked import results_of
from livebot.backtest.plan import BacktestPlan
from livebot.backtest.run import run
from livebot.backtest.sweep.figures import figures_of, worth
from livebot.backtest.sweep.keys import KeyMaker
from livebot.backtest.sweep.space import Choice, with_choice
from livebot.backtest.trials import Trial, TrialFigures, TrialKey, TrialLedger
from livebot.errors import BadInput

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A trial that was made, now or (`known`) earlier."""

    choice: Choice
    figures: TrialFigures
    known: bool


@dataclass(frozen=True, slots=True)
class Skipped:
    """Parameters that could not be tried, and why."""

    choice: Choice
    why: str


@dataclass(frozen=True, slots=True)
class _Made:
    """What comes back from a process: figures, or why there are none."""

    figures: TrialFigures | None
    why: str
    seconds: float


class Sweep:
    """The trials of one sweep.  `outcomes` and `skipped` hold what was done at any time, also after an interrupt."""

    def __init__(
        self,
        plan: BacktestPlan,
        ledger: TrialLedger,
        strategies: Iterable[str],
        now_ms: Callable[[], int],
        *,
        again: bool = False,
        jobs: int = 1,
    ) -> None:
        """`strategies` are the ids of those whose parameters are chosen; `again` makes known trials anew.

        Raises:
            BadInput: the plan's candles are unfit.

        """
        self._plan = _shared(plan)
        self._ledger = ledger
        self._keys = KeyMaker(plan, strategies)
        self._now_ms = now_ms
        self._again = again
        self._jobs = jobs
        self._found: dict[Choice, Outcome | Skipped] = {}

    @property
    def outcomes(self) -> list[Outcome]:
        """The trials that were made."""
        return [each for each in self._found.values() if isinstance(each, Outcome)]

    @property
    def skipped(self) -> list[Skipped]:
        """What could not be tried."""
        return [each for each in self._found.values() if isinstance(each, Skipped)]

    @property
    def key(self) -> TrialKey:
        """Of the plan as it is: whose strategy and data are those of all trials."""
        return self._keys.key(self._plan)

    def make(self, choices: Sequence[Choice], progress: Progress) -> None:
        """Make these trials; `progress` hears of trials done and trials in all.

        Raises:
            BadInput, Fatal: the ledger cannot be used, or a process was ended from outside.

        """
        wanted = [choice for choice in dict.fromkeys(choices) if choice not in self._found]
        missing = {choice: key for choice in wanted if (key := self._missing(choice)) is not None}
        pieces, done = list(missing), len(choices) - len(missing)
        progress(done, len(choices))
        with closing(results_of(_make, self._plan, pieces, self._jobs)) as results:
            for place, made in results:
                self._keep(pieces[place], missing[pieces[place]], made)
                done += 1
                progress(done, len(choices))

    def outcome(self, choice: Choice) -> Outcome | None:
        """Of a choice that was made; None: it could not be tried."""
        found = self._found.get(choice)
        return found if isinstance(found, Outcome) else None

    def _missing(self, choice: Choice) -> TrialKey | None:
        """The key of a trial that is still to be made."""
        try:
            plan = with_choice(self._plan, choice)
        except BadInput as error:
            self._found[choice] = Skipped(choice, str(error))
            return None
        key = self._keys.key(plan)
        known = None if self._again else self._ledger.find(key)
        if known is None:
            return key
        self._found[choice] = Outcome(choice=choice, figures=known.figures, known=True)
        return None

    def _keep(self, choice: Choice, key: TrialKey, made: _Made) -> None:
        if made.figures is None:
            self._found[choice] = Skipped(choice, made.why)
            return
        self._ledger.add(Trial(key=key, made_ms=self._now_ms(), seconds=made.seconds, figures=made.figures))
        self._found[choice] = Outcome(choice=choice, figures=made.figures, known=False)


def ranked(outcomes: Iterable[Outcome], objective: str) -> list[Outcome]:
    """The best first, those without a figure last; in one order, whichever ended first."""

    def place(outcome: Outcome) -> tuple[bool, float, str]:
        value = worth(outcome.figures, objective)
        return value is None, 0.0 if value is None else -value, str(outcome.choice)

    return sorted(outcomes, key=place)


def _shared(plan: BacktestPlan) -> BacktestPlan:
    """The plan with what no parameter changes made once for all trials and processes.

    Without the cache of features: a file for each set of them would only push out others, and on minutes they are a
    hundredth of a trial.
    """
    tapes = {symbol: (plan.candles[symbol], tape) for symbol, tape in tapes_of(plan).items()}
    return replace(plan, tapes=tapes, cache=None)


def _make(plan: BacktestPlan, choice: Choice) -> _Made:
    began = time.perf_counter()
    try:
        figures = figures_of(run(with_choice(plan, choice)))
    except BadInput as error:
        return _Made(None, str(error), 0.0)
    return _Made(figures, "", time.perf_counter() - began)
