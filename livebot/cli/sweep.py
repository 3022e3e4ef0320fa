"""`livebot backtest --param ...`: many trials, ranked, with what they say about luck.

Rules of this file: the best is never shown without how many were tried; Ctrl-C keeps and shows what is done; progress goes
to stderr, results to stdout.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from livebot.cli.interrupt import INTERRUPTED
from livebot.errors import BadInput
from livebot.reporting.document import Document, Pairs, Sentences, Table, as_text
from livebot.reporting.figure import NotAvailable
from livebot.reporting.shown import percent, ratio, signed_money, signed_percent

if TYPE_CHECKING:
    from livebot.backtest.sweep.space import Axis, Choice
    from livebot.backtest.sweep.sweep import Outcome, Skipped, Sweep
    from livebot.backtest.trials import TrialFigures
    from livebot.bootstrap.backtest import Prepared
    from livebot.reporting.figure import Figure

ParamOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="NAME=VALUES", help="Try them all: fast=8,12,16 or fast=8:32:4.", show_default=False
    ),
]
TrialsOption = Annotated[
    int | None,
    typer.Option(
        "--trials", metavar="N", help="Search with so many instead (needs optuna).", min=1, show_default=False
    ),
]
ObjectiveOption = Annotated[
    str, typer.Option("--objective", metavar="FIGURE", help="What is best: sharpe, pnl, profit_factor, drawdown, ...")
]
AgainOption = Annotated[bool, typer.Option("--again", help="Make trials again that the ledger has.")]

DEFAULT_OBJECTIVE = "sharpe"
ROWS_SHOWN = 20
SKIPPED_TOLD = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions:
    """What the command line says; `trials` None: the whole grid."""

    params: tuple[str, ...]
    trials: int | None
    objective: str
    again: bool
    seed: int
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is printed; `tried` is how many trials were ever made on this data and strategy, `luck` the deflated Sharpe."""

    ranked: "Sequence[Outcome]"
    skipped: "Sequence[Skipped]"
    objective: str
    tried: int
    luck: "Figure"
    interrupted: bool


def sweep(prepared: "Prepared", options: SweepOptions, *, as_json: bool) -> None:
    """Make the trials and print them ranked.

    Raises:
        BadInput: the parameters, the objective or the ledger cannot be used.
        Fatal: the ledger cannot be written, or a process was ended from outside.

    """
    from livebot.adapters.clock import SystemClock
    from livebot.adapters.log.logs import configure_logs
    from livebot.backtest.sweep.space import axes_of
    from livebot.backtest.sweep.sweep import Sweep
    from livebot.backtest.trials import LEDGER, TrialLedger
    from livebot.bootstrap.backtest import FOLDER

    _check(options)
    plan = prepared.plan
    axes = axes_of(plan, options.params, continuous=options.trials is not None)
    path = prepared.paths.state / FOLDER / LEDGER
    with TrialLedger(path) as ledger, configure_logs(level="error"):
        strategies = {axis.strategy for axis in axes}
        made = Sweep(plan, ledger, strategies, SystemClock().now_ms, again=options.again, jobs=options.jobs)
        interrupted = _make(made, axes, options)
        told = _told(made, ledger.made_on(made.key), options.objective, interrupted=interrupted)
    if as_json:
        typer.echo(json.dumps({"ledger": str(path), **as_tree(told)}, indent=2))
    else:
        typer.echo(as_text(document(told)), nl=False)
        typer.echo(f"every trial is kept in {path}", err=True)
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _check(options: SweepOptions) -> None:
    from livebot.backtest.sweep.figures import OBJECTIVES

    if not options.params:
        raise BadInput("--trials: search among what? say it with --param, such as --param fast=8:32:4")
    if options.objective not in OBJECTIVES:
        raise BadInput(f"--objective {options.objective}: choose one of {', '.join(OBJECTIVES)}")


def _make(made: "Sweep", axes: "Sequence[Axis]", options: SweepOptions) -> bool:
    """Make them; says whether it was interrupted."""
    from livebot.backtest.sweep.search import search
    from livebot.backtest.sweep.space import grid
    from livebot.cli.data_progress import RunProgress

    try:
        with RunProgress("sweep") as progress:
            if options.trials is None:
                made.make(list(grid(axes)), progress.tell)
            else:
                wanted, seed = options.trials, options.seed
                search(made, axes, wanted, objective=options.objective, seed=seed, progress=progress.tell)
    except KeyboardInterrupt:
        return True
    return False


def _told(made: "Sweep", tried: Sequence[Any], objective: str, *, interrupted: bool) -> Told:
    from livebot.backtest.sweep.sweep import ranked
    from livebot.backtest.trials_luck import deflated_sharpe

    order = ranked(made.outcomes, objective)
    luck: Figure = NotAvailable("the best has no Sharpe ratio")
    best = order[0].figures if order else None
    if best is not None and best.daily_sharpe is not None:
        assert best.skewness is not None  # the three come together
        assert best.kurtosis is not None
        others = [each.figures.daily_sharpe for each in tried if each.figures.daily_sharpe is not None]
        luck = deflated_sharpe(best.daily_sharpe, best.days, best.skewness, best.kurtosis, others, len(tried))
    return Told(
        ranked=order,
        skipped=made.skipped,
        objective=objective,
        tried=len(tried),
        luck=luck,
        interrupted=interrupted,
    )


# For people


def document(told: Told) -> Document:
    """The table, and what to think of it."""
    names = _names(told.ranked)
    figures = ("Signals", "Win rate", "PnL", "PF", "Return", "Sharpe", "Sortino", "Max DD")
    rows = tuple(
        (str(place), *_values(each.choice), *_figures(each.figures), "earlier" if each.known else "now")
        for place, each in enumerate(told.ranked[:ROWS_SHOWN], start=1)
    )
    more = len(told.ranked) - len(rows)
    blocks = (
        Table(
            f"By {told.objective}, the best first" + (f" ({more:,} more are in --json)" if more > 0 else ""),
            ("#", *names, *figures, "Made"),
            frozenset({"#", *names, *figures}),
            rows,
            empty="No trial could be made.",
        ),
        *((Sentences("Passed over", _passed_over(told.skipped)),) if told.skipped else ()),
        Pairs("Luck", _luck(told)),
        Sentences("What this means", (meaning(told),)),
    )
    title = f"Sweep: {len(told.ranked):,} trials" + (", interrupted: what was done is kept" if told.interrupted else "")
    return Document(title, blocks)


def _names(ranked: "Sequence[Outcome]") -> tuple[str, ...]:
    if not ranked:
        return ()
    choice = ranked[0].choice
    several = len({strategy for strategy, _, _ in choice}) > 1
    return tuple(f"{strategy}.{name}" if several else name for strategy, name, _ in choice)


def _values(choice: "Choice") -> tuple[str, ...]:
    return tuple(_shown(value) for _, _, value in choice)


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value.value if isinstance(value, Enum) else value)


def _figures(figures: "TrialFigures") -> tuple[str, ...]:
    return (
        f"{figures.signals:,}",
        percent(figures.win_rate, 1),
        signed_money(figures.pnl),
        ratio(figures.profit_factor),
        signed_percent(figures.total_return),
        ratio(figures.sharpe),
        ratio(figures.sortino),
        percent(figures.drawdown),
    )


def _passed_over(skipped: "Sequence[Skipped]") -> tuple[str, ...]:
    shown = tuple(
        f"{', '.join(f'{name}={_shown(value)}' for _, name, value in each.choice)}: {each.why}"
        for each in skipped[:SKIPPED_TOLD]
    )
    more = len(skipped) - len(shown)
    return (*shown, f"and {more:,} more") if more > 0 else shown


def _luck(told: Told) -> tuple[tuple[str, str], ...]:
    why = f" ({told.luck.why})" if isinstance(told.luck, NotAvailable) else ""
    return (
        ("Trials ever made", f"{told.tried:,} on this data and strategy, by this sweep and earlier ones"),
        ("Deflated Sharpe ratio", f"{percent(told.luck, 1)}{why} of the best above"),
    )


def meaning(told: Told) -> str:
    """The deflated Sharpe ratio in one sentence."""
    from livebot.backtest.trials_luck import BELIEVABLE

    if isinstance(told.luck, NotAvailable):
        return f"How much of the best is luck cannot be told: {told.luck.why}."
    chance = (
        f"{percent(told.luck, 1)} is the probability that the best is better than what {told.tried:,} trials without any "
        "skill would have shown as their best"
    )
    if float(told.luck) >= BELIEVABLE:
        return f"{chance}; that is above the usual bar of {BELIEVABLE:.0%}. Confirm it on data that no trial has seen."
    return f"{chance}; below {BELIEVABLE:.0%} take it for luck, and do not trade it for this figure."


# For programs


def as_tree(told: Told) -> dict[str, Any]:
    """All trials; what is not supported is null."""
    luck = told.luck
    return {
        "objective": told.objective,
        "interrupted": told.interrupted,
        "trials_ever": told.tried,
        "deflated_sharpe": None if isinstance(luck, NotAvailable) else float(luck),
        "meaning": meaning(told),
        "trials": [
            {"params": _params(each.choice), "earlier": each.known, "figures": asdict(each.figures)}
            for each in told.ranked
        ],
        "passed_over": [{"params": _params(each.choice), "why": each.why} for each in told.skipped],
    }


def _params(choice: "Choice") -> dict[str, object]:
    return {f"{strategy}.{name}": _plain(value) for strategy, name, value in choice}


def _plain(value: object) -> object:
    value = value.value if isinstance(value, Enum) else value
    return value if isinstance(value, bool | int | float | str | None) else str(value)
