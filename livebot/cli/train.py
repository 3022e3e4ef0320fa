"""`livebot train`: models of the config's strategies, from the candle store.

Rules of this file: progress goes to stderr, results to stdout; everything heavy is imported when the command runs.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from livebot.cli.options import (
    DEFAULT_CONFIG,
    MOST_JOBS,
    CandlesOption,
    ConfigOption,
    JsonOption,
    ToOption,
    root_option,
)
from livebot.errors import Rejected

if TYPE_CHECKING:
    from livebot.bootstrap.training import TrainingReport
    from livebot.learning.training_run import Trained

EXAMPLE = "livebot train --config config.yaml --strategy ema_cross"
MOST_SEED = 2**63 - 1
SYMBOLS_TOLD = 12
_STATES = {
    "current": "in use from now on",
    "challenger": "kept as challenger, in shadow",
    "saved": "saved, not in use",
    "refused": "refused",
}


def train(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    root: Annotated[Path | None, root_option("models/ and candles/")] = None,
    strategies: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy", metavar="ID", help="Only this one; may be given more than once.", show_default=False
        ),
    ] = None,
    symbol: Annotated[
        str | None,
        typer.Option(
            metavar="SYMBOL", help="Train on this symbol alone, whatever training_mode says.", show_default=False
        ),
    ] = None,
    candles: CandlesOption = None,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="Learn from then on: 2026-01-31, 730d (history.target_days).",
            show_default=False,
        ),
    ] = None,
    end: ToOption = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=MOST_JOBS, help="Processes to use.")] = 1,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=MOST_SEED, help="Instead of model.seed.", show_default=False)
    ] = None,
    if_due: Annotated[
        bool, typer.Option("--if-due", help="Only what is due: by the clock, new symbols or drift (model.retrain).")
    ] = False,
    promote: Annotated[
        bool | None,
        typer.Option(
            "--promote/--no-promote", help="Use it whatever it shows, or only save it; without either, by the floor."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train the models of the config's strategies.

    The newest days (retrain.window_days) are kept from training.  On them the new version is held against the one in use, or
    against the strategy without a model if there is none; it takes over if it clears the floor, else it is kept as challenger.
    A running daemon takes a new version into use by itself, and never trains.
    """
    from livebot.adapters.clock import SystemClock
    from livebot.bootstrap.training import TrainingRequest
    from livebot.bootstrap.training import train as train_models
    from livebot.cli.data_progress import StepsProgress
    from livebot.cli.since import since_ms

    now_ms = SystemClock().now_ms()
    request = TrainingRequest(
        now_ms=now_ms,
        strategies=tuple(dict.fromkeys(strategies)) if strategies else None,
        symbol=symbol,
        candles=candles,
        from_ms=None if begin is None else since_ms(begin, now_ms, "--from"),
        to_ms=None if end is None else since_ms(end, now_ms, "--to"),
        jobs=jobs,
        seed=seed,
        if_due=if_due,
        promote=promote,
    )
    with StepsProgress() as progress:
        report = train_models(config, root, request, progress.tell)
    typer.echo(json.dumps(as_tree(report), indent=2) if as_json else "\n".join(as_lines(report)))
    if report.refused:
        refused = ", ".join(each.scope for each in report.trained if each.state == "refused")
        raise Rejected(f"not trained: {refused}; what is in use goes on")


def as_tree(report: "TrainingReport") -> dict[str, object]:
    """For --json."""
    trained = [
        {
            "strategy": each.strategy,
            "scope": each.scope,
            "version": each.version,
            "state": each.state,
            "covered": list(each.covered),
            "short": list(each.short),
            "rows": each.rows,
            "window_rows": each.window_rows,
            "metrics": dict(each.metrics),
            "told": list(each.told),
        }
        for each in report.trained
    ]
    return {
        "due": {name: list(why) for name, why in report.due.items()},
        "trained": trained,
        "notes": list(report.notes),
    }


def as_lines(report: "TrainingReport") -> list[str]:
    """For people."""
    lines = list(report.notes)
    if not report.due:
        return [*lines, "nothing is due, nothing was trained"]
    for strategy, why in report.due.items():
        lines.append(f"{strategy}: {'; '.join(why)}")
    for each in report.trained:
        lines += _of_one(each)
    return lines


def _of_one(each: "Trained") -> list[str]:
    name = each.scope if each.version is None else f"{each.scope}/{each.version}"
    lines = [f"{name}: {_STATES[each.state]}"]
    if each.version is not None:
        metrics = each.metrics
        lines.append(
            f"  trained on {each.rows:,} entries, judged on {each.window_rows:,} later ones; while calibrating: AUC "
            f"{metrics['auc']:.3f}, log-loss {metrics['log_loss']:.4f}, Brier {metrics['brier']:.4f}"
        )
        lines.append(f"  covers {_listed(each.covered)}")
    if each.short:
        lines.append(f"  too little history: {_listed(each.short)}")
    return [*lines, *(f"  {text}" for text in each.told)]


def _listed(symbols: tuple[str, ...]) -> str:
    more = f" and {len(symbols) - SYMBOLS_TOLD} more" if len(symbols) > SYMBOLS_TOLD else ""
    return (", ".join(symbols[:SYMBOLS_TOLD]) or "nothing") + more
