"""`livebot backtest --audit`: whether anything that was decided came from after its time.

Rules of this file: what was found is told with its strategy, symbol, time and both values; nothing is a matter of opinion:
a change is a finding.
"""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from livebot.errors import BadInput
from livebot.reporting.document import Document, Pairs, Sentences, Table, as_text
from livebot.reporting.shown import minute

if TYPE_CHECKING:
    from livebot.backtest.audit.audit import Audit, Finding
    from livebot.backtest.audit.warmup import WarmUp
    from livebot.bootstrap.backtest import Prepared

AuditOption = Annotated[bool, typer.Option("--audit", help="Look for anything that looks ahead, instead of a report.")]
PointsOption = Annotated[
    int | None, typer.Option("--audit-points", metavar="N", help="At so many moments (16).", min=1, show_default=False)
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Of --audit and --trials.", min=0)]

EXIT_PEEKS = 3
_WIDEST_VALUE = 300  # of a value in the text; JSON has it whole


def audit(prepared: "Prepared", *, points: int | None, seed: int, jobs: int, as_json: bool) -> None:
    """Audit a plan, print what came of it, and leave with EXIT_PEEKS if it is not clean.

    Raises:
        BadInput, Fatal: it cannot be run.

    """
    from livebot.adapters.log.logs import configure_logs
    from livebot.backtest.audit.audit import audit as carry_out
    from livebot.backtest.audit.points import DEFAULT_POINTS, MOST_POINTS
    from livebot.cli.data_progress import RunProgress

    points = DEFAULT_POINTS if points is None else points
    if points > MOST_POINTS:
        raise BadInput(
            f"--audit-points {points}: at most {MOST_POINTS} can be tried at once; take another --seed for more"
        )
    with RunProgress("audit") as progress, configure_logs(level="error"):
        found = carry_out(prepared.plan, progress.tell, points=points, seed=seed, jobs=jobs)
    typer.echo(json.dumps(as_tree(found), indent=2) if as_json else as_text(document(found)), nl=as_json)
    if not found.clean:
        raise typer.Exit(EXIT_PEEKS)


def document(found: "Audit") -> Document:
    """For people."""
    blocks = (
        Pairs("What was tried", _tried(found)),
        Table(
            "What depends on the future",
            ("Strategy", "Symbol", "Time (UTC)", "What", "Future", "Moments"),
            frozenset({"Moments"}),
            tuple(_row(each) for each in found.causes),
            empty="Nothing: every decision, feature and fill was the same whatever came after it.",
        ),
        *((Sentences("Before and after", _values(found)),) if found.findings else ()),
        Table(
            "Warm-ups",
            ("Strategy", "Candles", "Feature", "Declared", "Off by", "Would do", "Holds"),
            frozenset({"Declared", "Off by", "Would do"}),
            tuple(_warm_up_row(each) for each in found.warm_ups),
            empty="No strategy declares a feature.",
        ),
        *((Sentences("Not tried", found.untried),) if found.untried else ()),
        Sentences("Verdict", (verdict(found),)),
    )
    return Document("Audit: does anything look ahead?", blocks)


def verdict(found: "Audit") -> str:
    """In one sentence."""
    loose = sum(not each.holds for each in found.warm_ups)
    if found.findings:
        peeking = ", ".join(sorted({each.first.strategy for each in found.causes}))
        return (
            f"Something looks ahead in {peeking}: figures of this backtest cannot be believed.  Where a feature changes, mend "
            "the feature; where only decisions do, the strategy reads past its view or remembers earlier calls."
        )
    if loose:
        return (
            f"Nothing looks ahead, but {loose} of {len(found.warm_ups)} features have not settled when they are first used: "
            "live and backtest will differ; declare a longer warm-up."
        )
    if not found.points:
        return "No strategy was ever asked, so nothing could be tried; choose a longer range."
    return f"Clean at {len(found.points)} moments; what was not sampled is not proven: try another --seed, or more --audit-points."


def _tried(found: "Audit") -> tuple[tuple[str, str], ...]:
    span = f"{minute(found.points[0])} to {minute(found.points[-1])} UTC" if found.points else "none"
    return (
        ("Moments", f"{len(found.points)} ({span}), seed {found.seed}"),
        ("Futures", f"{2 * len(found.points)}: at each moment once cut off, once with other prices from there on"),
        ("Answers compared", f"{found.decisions:,} entries and adjustments of the whole run, and all features"),
    )


def _row(each: "Finding") -> tuple[str, ...]:
    peek = each.first
    what = f"{peek.kind.value} {peek.name}"
    return peek.strategy, peek.symbol, minute(peek.ts_ms), what, each.change, f"{each.count:,}"


def _values(found: "Audit") -> tuple[str, ...]:
    following = len(found.findings) - len(found.causes)
    told = tuple(
        f"{each.first.strategy} {each.first.symbol} {each.first.name}: {_short(each.first.before)}; "
        f"with the future {each.change} from {minute(each.moment_ms)}: {_short(each.first.after)}"
        for each in found.causes
    )
    return (*told, f"{following:,} verdicts and facts that changed after these are in --json") if following else told


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST_VALUE else f"{text[:_WIDEST_VALUE]} ..."


def _warm_up_row(each: "WarmUp") -> tuple[str, ...]:
    if each.error is None:
        return (
            each.strategy,
            each.timeframe,
            each.feature,
            f"{each.declared:,}",
            "n/a",
            "n/a",
            "too few candles to tell",
        )
    off = "no value yet" if each.error == float("inf") else f"{each.error:.1e}"
    needed = f"over {each.tried:,}" if each.needed is None else f"{each.needed:,}"
    holds = "yes" if each.holds else "NO"
    return each.strategy, each.timeframe, each.feature, f"{each.declared:,}", off, needed, holds


def as_tree(found: "Audit") -> dict[str, Any]:
    """For programs; times are UTC milliseconds, `error` is in usual sizes of the feature (null: none can be told)."""
    return {
        "clean": found.clean,
        "verdict": verdict(found),
        "points_ms": found.points,
        "seed": found.seed,
        "answers": found.decisions,
        "findings": [_finding_tree(each) for each in found.findings],
        "warm_ups": [_warm_up_tree(each) for each in found.warm_ups],
        "not_tried": found.untried,
    }


def _finding_tree(each: "Finding") -> dict[str, Any]:
    peek = each.first
    return {
        "kind": peek.kind.value,
        "strategy": peek.strategy,
        "symbol": peek.symbol,
        "ts_ms": peek.ts_ms,
        "name": peek.name,
        "before": peek.before,
        "after": peek.after,
        "future": each.change,
        "future_from_ms": each.moment_ms,
        "moments": each.count,
    }


def _warm_up_tree(each: "WarmUp") -> dict[str, Any]:
    return {
        "strategy": each.strategy,
        "timeframe": each.timeframe,
        "feature": each.feature,
        "declared": each.declared,
        "error": None if each.error is None or each.error == float("inf") else each.error,
        "needed": each.needed,
        "holds": each.holds,
        "known": each.error is not None,
    }
