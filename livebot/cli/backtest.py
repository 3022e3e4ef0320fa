"""`livebot backtest`: the config's strategies over candles that were.

Rules of this file: progress goes to stderr, results to stdout; everything heavy is imported when the command runs.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from livebot.cli import audit as audits
from livebot.cli import sweep as sweeps
from livebot.cli.options import (
    DEFAULT_CONFIG,
    MOST_JOBS,
    CandlesOption,
    ConfigOption,
    FromOption,
    ToOption,
    root_option,
)
from livebot.errors import BadInput

if TYPE_CHECKING:
    from livebot.bootstrap.backtest import Finished

EXAMPLE = "livebot backtest --config config.yaml --candles candles --from 2024-01-01 --to 2024-07-01"


def backtest(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    root: Annotated[Path | None, root_option("state/")] = None,
    begin: FromOption = None,
    end: ToOption = None,
    symbols: Annotated[
        str | None, typer.Option("--symbols", metavar="A,B", help="Only these of the config's.", show_default=False)
    ] = None,
    candles: CandlesOption = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Its folder under state/backtests/ (the time).", show_default=False),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=MOST_JOBS, help="Processes to use (one a core).", show_default=False),
    ] = None,
    audit: audits.AuditOption = False,
    audit_points: audits.PointsOption = None,
    param: sweeps.ParamOption = None,
    trials: sweeps.TrialsOption = None,
    objective: sweeps.ObjectiveOption = sweeps.DEFAULT_OBJECTIVE,
    again: sweeps.AgainOption = False,
    seed: audits.SeedOption = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Run the config's strategies over candles that were.

    All symbols together, with the code that trades live: the same signals, sizes, limits and exits, and the same facts as
    `livebot run` on the simulator over the same candles.  Without --candles it takes what the config's simulator plays,
    else the candle store.  Symbols are compared first; the whole report and every fact are in
    state/backtests/NAME/ (report.md, report.html, report.json, facts.jsonl).

    With --audit it is run again with other futures, and ends with 3 if anything looks ahead.  With --param it is run with
    many parameters; each trial is kept in state/backtests/trials.sqlite, so that the best is shown with how many were tried.
    """
    from livebot.adapters.clock import SystemClock
    from livebot.bootstrap.backtest import BacktestRequest, carry_out, prepare
    from livebot.cli.data_progress import RunProgress
    from livebot.cli.since import since_ms

    now_ms = SystemClock().now_ms()
    request = BacktestRequest(
        from_ms=None if begin is None else since_ms(begin, now_ms, "--from"),
        to_ms=None if end is None else since_ms(end, now_ms, "--to"),
        symbols=_listed(symbols),
        candles=candles,
    )
    jobs = jobs or _cores()
    if audit or param or trials is not None:
        options = sweeps.SweepOptions(
            params=tuple(param or ()), trials=trials, objective=objective, again=again, seed=seed, jobs=jobs
        )
        if not audit:
            sweeps.sweep(prepare(config, root, request), options, as_json=as_json)
            return
        if param or trials is not None:
            raise BadInput("--audit looks at one set of parameters; leave --param and --trials out")
        audits.audit(prepare(config, root, request), points=audit_points, seed=seed, jobs=jobs, as_json=as_json)
        return
    with RunProgress("backtest") as progress:
        prepared = prepare(config, root, request)
        finished = carry_out(prepared, name, jobs=jobs, progress=progress.tell)
    (_print_json if as_json else _print_text)(finished)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _listed(symbols: str | None) -> tuple[str, ...] | None:
    if symbols is None:
        return None
    found = tuple(dict.fromkeys(part.strip() for part in symbols.split(",") if part.strip()))
    if not found:
        raise BadInput("--symbols is empty; write such as BTC/USDT:USDT,ETH/USDT:USDT")
    return found


def _print_json(finished: "Finished") -> None:
    from livebot.reporting.performance_formats import as_json

    told = {"folder": str(finished.folder), "seconds": round(finished.seconds, 3), **as_json(finished.report)}
    typer.echo(json.dumps(told, indent=2))


def _print_text(finished: "Finished") -> None:
    from livebot.reporting.performance_formats import as_text

    typer.echo(as_text(finished.report))
    typer.echo(f"written to {finished.folder} in {finished.seconds:.1f} s; open report.html in a browser", err=True)
