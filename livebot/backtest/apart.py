"""Symbols that do not depend on each other, each in a process of its own.

Rules of this file: symbols are run apart only where no limit, size or loss looks at more than one of them; what they share
all the same is the account's margin, and whether that was enough for all together is checked afterwards, with a reserve:
if in doubt, the plan is run whole.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace

from livebot.backtest.engine import Progress, TooYoung, in_order, moment_of_verdict, still_open, tapes_of
from livebot.backtest.equity import courses_of, equity_curve
from livebot.backtest.forked import results_of
from livebot.backtest.margin import independent, margin_suffices
from livebot.backtest.plan import BacktestPlan
from livebot.backtest.result import BacktestResult
from livebot.core.facts import Fact
from livebot.core.market import MINUTE_MS
from livebot.core.order import ZERO

RunPart = Callable[[BacktestPlan, Progress], BacktestResult]


def run_apart(plan: BacktestPlan, run_part: RunPart, progress: Progress, jobs: int) -> BacktestResult | None:
    """The result of a plan whose symbols are independent; None if they are not, or if there is one only.

    `run_part` runs the plan of one symbol.

    Raises:
        BadInput: as `run_whole`.
        Fatal: a process was ended from outside.

    """
    parts = _parts(plan)
    if len(parts) < 2 or not independent(plan):  # noqa: PLR2004 - one part is the whole
        return None
    try:
        results = _run_parts(plan, parts, run_part, progress, jobs)
    except TooYoung:
        return None  # on this symbol; there may be others
    tapes = tapes_of(plan)
    facts = in_order(fact for result in results for fact in result.facts)
    courses = courses_of(facts)
    if not margin_suffices(plan, courses, tapes):
        return None
    funding = tuple(sorted((paid for result in results for paid in result.funding), key=lambda paid: paid.ts_ms))
    return BacktestResult(
        facts=facts,
        verdicts=tuple(sorted((said for part in results for said in part.verdicts), key=moment_of_verdict)),
        equity=equity_curve(
            courses, tapes, funding, wallet=float(plan.wallet), start_ms=plan.start_ms, end_ms=plan.end_ms
        ),
        wallet=plan.wallet + sum((result.wallet - plan.wallet for result in results), ZERO),
        funding=funding,
        notes=_notes(plan, facts, results),
    )


def _parts(plan: BacktestPlan) -> list[BacktestPlan]:
    """One plan for each symbol that is traded."""
    traded = [symbol for symbol in plan.symbols if any(symbol in run.symbols for run in plan.strategies)]
    return [
        replace(
            plan,
            strategies=tuple(
                replace(run, symbols=(symbol,) if symbol in run.symbols else ()) for run in plan.strategies
            ),
            funding={symbol: plan.funding[symbol]} if symbol in plan.funding else {},
        )
        for symbol in traded
    ]


def _run_parts(
    plan: BacktestPlan, parts: Sequence[BacktestPlan], run_part: RunPart, progress: Progress, jobs: int
) -> list[BacktestResult]:
    """In the order of the parts."""
    span = (plan.end_ms - plan.start_ms) // MINUTE_MS
    found: dict[int, BacktestResult] = {}
    with closing(results_of(_run_part, (run_part, parts), range(len(parts)), jobs)) as results:
        for place, result in results:
            found[place] = result
            progress(len(found) * span, len(parts) * span)
    return [found[place] for place in range(len(parts))]


def _run_part(shared: tuple[RunPart, Sequence[BacktestPlan]], place: int) -> BacktestResult:
    run_part, parts = shared
    return run_part(parts[place], _nobody)


def _nobody(_done: int, _all: int) -> None:
    """The parent counts the parts."""


def _notes(plan: BacktestPlan, facts: Sequence[Fact], results: Sequence[BacktestResult]) -> tuple[str, ...]:
    said = (*plan.notes, *still_open(facts))
    own = (note for part in results for note in part.notes if note not in (*plan.notes, *still_open(part.facts)))
    return (*said, *sorted(own))
