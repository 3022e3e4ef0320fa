"""`livebot compare`: every way to organise models over symbols, held against each other on candles that were.

Rules of this file: progress goes to stderr, results to stdout; everything heavy is imported when the command runs.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from livebot.cli.interrupt import INTERRUPTED
from livebot.cli.options import (
    DEFAULT_CONFIG,
    MOST_JOBS,
    CandlesOption,
    ConfigOption,
    FromOption,
    JsonOption,
    ToOption,
    root_option,
)
from livebot.errors import BadInput

if TYPE_CHECKING:
    from livebot.bootstrap.compare import Compared, CompareRequest

EXAMPLE = "livebot compare --config config.yaml --candles candles --unseen ADA/USDT,XRP/USDT --name first"
_MOST_DAYS = 3_650


def compare(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    root: Annotated[Path | None, root_option("state/")] = None,
    strategy: Annotated[
        str | None, typer.Option(metavar="ID", help="Whose entries, if several are judged.", show_default=False)
    ] = None,
    symbols: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Train and test on these (all of the config).", show_default=False),
    ] = None,
    unseen: Annotated[
        str | None, typer.Option(metavar="C,D", help="Only test on these, in later time.", show_default=False)
    ] = None,
    begin: FromOption = None,
    end: ToOption = None,
    candles: CandlesOption = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Its folder under state/experiments/ (the time); again to go on.", show_default=False
        ),
    ] = None,
    arms: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these models (all).", show_default=False)
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, max=MOST_JOBS, help="Workers to use.")] = 2,
    backend: Annotated[str, typer.Option(metavar="NAME", help="Where they run: loky, threading, dask, ray.")] = "loky",
    train_days: Annotated[
        int, typer.Option(metavar="N", min=1, max=_MOST_DAYS, help="Days to train on, a fold.")
    ] = 180,
    test_days: Annotated[int, typer.Option(metavar="N", min=1, max=_MOST_DAYS, help="Days to test on, a fold.")] = 30,
    margin: Annotated[
        float, typer.Option(metavar="RATIO", min=0, max=10, help="What an arm must gain at least; 0.02 is 2 % a year.")
    ] = 0.02,
    listing: Annotated[bool, typer.Option("--list", help="Show the experiments there are.")] = False,
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Hold two experiments side by side.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the ways to organise models over symbols.

    No filter, a random one, one symbol's model, one model of all symbols (blind, one-hot, native, embedding), a model a
    symbol, clusters, hybrids: all on the same walk-forward and combinatorial folds of the rows of a strategy, after costs.
    What decides is written down before the first fold and cannot change.  A run that was ended goes on with the same --name.
    All of it is in state/experiments/NAME/ (report.html, report.md, metrics.json, registration.json).
    """
    if listing or diff is not None:
        _look(config, root, diff, as_json=as_json)
        return
    from livebot.adapters.clock import SystemClock
    from livebot.bootstrap.compare import CompareRequest
    from livebot.cli.since import since_ms

    clock = SystemClock()
    now_ms = clock.now_ms()
    request = CompareRequest(
        now_ms=clock.now_ms,
        strategy=strategy,
        symbols=_names("--symbols", symbols),
        unseen=_names("--unseen", unseen) or (),
        candles=candles,
        from_ms=None if begin is None else since_ms(begin, now_ms, "--from"),
        to_ms=None if end is None else since_ms(end, now_ms, "--to"),
        name=name,
        arms=_names("--arms", arms),
        jobs=jobs,
        backend=backend,
        train_days=train_days,
        test_days=test_days,
        margin=margin,
    )
    made = _made(config, root, request)
    (_print_json if as_json else _print_text)(made)


def _made(config: Path, root: Path | None, request: "CompareRequest") -> "Compared":
    from livebot.bootstrap.compare import Telling
    from livebot.bootstrap.compare import compare as made_of
    from livebot.cli.data_progress import ComparisonProgress

    try:
        with ComparisonProgress() as progress:
            return made_of(config, root, request, Telling(progress.rows, progress.folds, progress.words))
    except KeyboardInterrupt:
        again = "" if request.name is None else f"; run it again with --name {request.name} to go on"
        typer.echo(f"interrupted: what was computed is kept{again}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _look(config: Path, root: Path | None, diff: tuple[str, str] | None, *, as_json: bool) -> None:
    from livebot.bootstrap.compare import experiments_folder
    from livebot.reporting.document import as_text
    from livebot.research.experiments import check_name, comparison, experiments_in, listing, read

    folder = experiments_folder(config, root)
    if diff is not None:
        for each in diff:
            check_name(each, "--diff")
        found = tuple(read(folder / each) for each in diff)
        text = comparison(*found)
    else:
        found = experiments_in(folder)
        text = listing(found)
    if as_json:
        trees = [
            {
                "name": each.name,
                "registered_ms": each.registered_ms,
                "registration": each.registration,
                "metrics": each.metrics,
            }
            for each in found
        ]
        typer.echo(json.dumps(trees, indent=2))
        return
    typer.echo(as_text(text), nl=False)


def _names(option: str, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not found:
        raise BadInput(f"{option} is empty; write names with commas between them, or leave it out")
    return found


def _print_json(made: "Compared") -> None:
    from dataclasses import asdict

    told = {"folder": str(made.experiment.folder), "cached": made.cached, **asdict(made.results)}
    typer.echo(json.dumps(told, indent=2))


def _print_text(made: "Compared") -> None:
    from livebot.reporting.document import Document, as_text
    from livebot.research.report import decision, money

    figures = {arm.name: arm.threshold.figures for arm in made.results.arms}
    blocks = (decision(made.results), money("Arms by their own thresholds, 1x costs", figures))
    typer.echo(as_text(Document(f"Model comparison: {made.experiment.name}", blocks)), nl=False)
    cpu_s = sum(made.seconds.values())
    typer.echo(
        f"written to {made.experiment.folder} ({cpu_s:,.0f} s of CPU for fits); open report.html in a browser", err=True
    )
