"""Whether anything that a backtest decided came from after its time, and whether warm-ups hold.

At sampled moments the plan is run again with the future cut off, and with another future; whatever had been decided,
computed or filled up to the moment must be the same, to the last bit.

Rules of this file: what changes is told with strategy, symbol, time and both values; a change is counted, and shown once
for each thing that changes, at its earliest; moments that could not be tried are told, never passed over.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from livebot.backtest.audit.compare import Kind, Peek, Seen, peeks_of
from livebot.backtest.audit.future import JUMPS, corrupted, truncated
from livebot.backtest.audit.points import DEFAULT_POINTS, points_of
from livebot.backtest.audit.warmup import WarmUp, warm_ups_of
from livebot.backtest.audit.watch import Columns, Pair, Watched, columns_of, watching
from livebot.backtest.forked import results_of
from livebot.backtest.plan import BacktestPlan
from livebot.backtest.result import BacktestResult
from livebot.backtest.run import run
from livebot.errors import BadInput, LivebotError

Change = str  # how the future was changed: TRUNCATED or CORRUPTED
TRUNCATED, CORRUPTED = "cut off", "other prices"
_FOLLOWING = (Kind.VERDICT, Kind.FACT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that changes with the future; `count` is at how many moments it did, `first` the earliest of them.

    `moment_ms` is from when on the future was changed, and `change` how.
    """

    first: Peek
    moment_ms: int
    change: Change
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What came of it.  `untried` are sentences about moments that could not be tried."""

    points: tuple[int, ...]
    seed: int
    decisions: int
    findings: tuple[Finding, ...]
    warm_ups: tuple[WarmUp, ...]
    untried: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing peeks and every warm-up holds."""
        return not self.findings and all(each.holds for each in self.warm_ups)

    @property
    def causes(self) -> tuple[Finding, ...]:
        """The findings without verdicts and facts that may follow from a feature or answer that had changed before."""
        begun_ms = [each.first.ts_ms for each in self.findings if each.first.kind not in _FOLLOWING]
        first_ms = min(begun_ms, default=None)
        return tuple(
            each
            for each in self.findings
            if each.first.kind not in _FOLLOWING or first_ms is None or each.first.ts_ms < first_ms
        )


@dataclass(frozen=True, slots=True)
class _Whole:
    """The plan as it is, with all that it did."""

    plan: BacktestPlan
    seen: Seen
    seed: int


@dataclass(frozen=True, slots=True)
class _Try:
    """One other future, from `moment_ms` on."""

    moment_ms: int
    jump: float | None  # None: cut off

    @property
    def change(self) -> Change:
        return TRUNCATED if self.jump is None else CORRUPTED


def audit(
    plan: BacktestPlan,
    progress: Callable[[int, int], None],
    *,
    points: int = DEFAULT_POINTS,
    seed: int = 1,
    jobs: int = 1,
) -> Audit:
    """Audit a plan.  `progress` hears of runs done and runs in all.

    Raises:
        BadInput: the plan itself cannot be run.
        Fatal: a process that worked on it was ended from outside.

    """
    plan = replace(plan, cache=None)
    whole = _Whole(plan, _seen(plan, None), seed)
    moments = points_of(plan, whole.seen.watched, whole.seen.facts, points, seed)
    tries = [_Try(moment, jump) for place, moment in enumerate(moments) for jump in (None, JUMPS[place % len(JUMPS)])]
    found: list[tuple[_Try, tuple[Peek, ...]]] = []
    untried = []
    progress(1, len(tries) + 1)
    with closing(results_of(_tried, whole, tries, jobs)) as results:
        for done, (place, (peeks, problem)) in enumerate(results, start=2):
            found.append((tries[place], peeks))
            if problem:
                untried.append(problem)
            progress(done, len(tries) + 1)
    return Audit(
        points=moments,
        seed=seed,
        decisions=sum(len(each) for each in whole.seen.watched.answers.values()),
        findings=_findings(found),
        warm_ups=warm_ups_of(plan),
        untried=tuple(sorted(untried)),
    )


def _seen(plan: BacktestPlan, until_ms: int | None) -> Seen:
    watched = Watched()
    result: BacktestResult = run(watching(plan, watched, until_ms))
    columns: dict[Pair, Columns] = columns_of(plan)
    return Seen(watched=watched, facts=result.facts, verdicts=result.verdicts, columns=columns)


def _tried(whole: _Whole, each: _Try) -> tuple[tuple[Peek, ...], str]:
    """What changes, and why it could not be tried, if so."""
    moment = each.moment_ms
    plan = _able(whole, moment)
    # Who shares a symbol changes how it is traded: then the plan as it is runs without those who come later, too.
    before = whole.seen if plan is whole.plan else _seen(plan, moment)
    other = truncated(plan, moment) if each.jump is None else corrupted(plan, moment, whole.seed, each.jump)
    try:
        seen = _seen(other, moment)
    except BadInput as error:
        if each.jump is not None:
            return (), f"other prices could not be tried: {error}"
        ids = ", ".join(run.id for run in plan.strategies)
        return (Peek(Kind.FAILURE, ids, "", moment, "run", "goes on", str(error)),), ""
    except LivebotError as error:
        return (), f"{each.change} could not be tried: {error}"
    return peeks_of(before, seen, moment, after_open=each.jump is None), ""


def _able(whole: _Whole, moment_ms: int) -> BacktestPlan:
    """The plan without strategies that were asked nothing before this moment: they cannot be run up to it."""
    first = whole.seen.watched.first_ms()
    able = {strategy for (strategy, _), first_ms in first.items() if first_ms <= moment_ms}
    if able >= {run.id for run in whole.plan.strategies}:
        return whole.plan
    runs = tuple(run if run.id in able else replace(run, symbols=()) for run in whole.plan.strategies)
    return replace(whole.plan, strategies=runs)


def _findings(tried: Iterable[tuple[_Try, Sequence[Peek]]]) -> tuple[Finding, ...]:
    groups: dict[tuple[str, str, str, str], list[tuple[_Try, Peek]]] = {}
    for each, peeks in tried:
        for peek in peeks:
            groups.setdefault((peek.kind.value, peek.strategy, peek.symbol, peek.name), []).append((each, peek))
    findings = []
    for _, members in sorted(groups.items()):
        each, peek = min(members, key=lambda member: (member[1].ts_ms, member[0].moment_ms, member[0].change))
        count = len({member[0].moment_ms for member in members})
        findings.append(Finding(first=peek, moment_ms=each.moment_ms, change=each.change, count=count))
    return tuple(findings)
