"""The commands.

Rules of this file: a deliberate error is one sentence on stderr and an exit code (0 success, 2 bad usage or config, 3
refused or failed, 4 the daemon cannot be reached), never a traceback; whatever is heavy is imported inside the command
that needs it, because `livebot --help`, `halt` and `status` have to answer at once.
"""

import functools
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from livebot.cli import (
    alerts,
    backtest,
    compare,
    data,
    drift,
    evaluate,
    exchange,
    models,
    operator,
    rehearse,
    train,
    universe,
)
from livebot.cli.interrupt import leaving_at_once
from livebot.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, RootOption
from livebot.cli.report_format import ReportFormat
from livebot.cli.telling import client_of, complain
from livebot.errors import BadInput, LivebotError

EXIT_USAGE = 2
EXIT_FAILED = 3
EXIT_NOT_REACHED = 4

app = typer.Typer(
    help="A live trading daemon for many symbols at once.",
    epilog="Exit codes: 0 success, 2 bad usage or config, 3 refused or failed, 4 the daemon cannot be reached.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Parameters = ParamSpec("Parameters")


def command(
    name: str, *, example: str, group: typer.Typer = app
) -> Callable[[Callable[Parameters, None]], Callable[Parameters, None]]:
    """Make a function a command whose deliberate errors are told plainly."""

    def register(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
        @functools.wraps(function)
        def told(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except LivebotError as error:
                complain(str(error))
                raise typer.Exit(_exit_code(error)) from None

        return group.command(name, epilog=f"Example: {example}")(told)

    return register


def _exit_code(error: LivebotError) -> int:
    from livebot.ops.control.client import DaemonNotReached

    if isinstance(error, DaemonNotReached):
        return EXIT_NOT_REACHED
    return EXIT_USAGE if isinstance(error, BadInput) else EXIT_FAILED


def _print_json(data: object) -> None:
    typer.echo(json.dumps(data, indent=2))


# ------------------------------------------------------------------ the daemon itself


@command("run", example="livebot run --config config.yaml --seconds 60")
def run(
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="N", help="Stop after so many seconds.", show_default=False)
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="debug, info, warning or error; else $LIVEBOT_LOG_LEVEL, else info."),
    ] = None,
) -> None:
    """Run the daemon in the foreground.

    Ctrl-C stops it gracefully, a second one at once.  On a terminal it shows its log and below it a live table,
    elsewhere it logs JSON lines; LIVEBOT_LOG=json or text decides against the terminal.
    """
    with leaving_at_once():
        from rich.console import Console

        from livebot.adapters.log.logs import LogForm, log_form
        from livebot.cli.as_service import told_to_service
        from livebot.cli.screen import TerminalScreen

    if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
        raise typer.BadParameter("must be above 0", param_hint="--seconds")
    console = Console(highlight=False)
    live = console.is_terminal and not console.is_dumb_terminal and log_form(os.environ, sys.stdout) is LogForm.TEXT
    screen = TerminalScreen(console).start() if live else None
    try:
        with leaving_at_once(live=live), told_to_service(os.environ):
            # imported below the first picture: it takes a second, and people begin to wonder
            from livebot import bootstrap

            code = bootstrap.run_daemon(config, root, seconds=seconds, screen=screen, log_level=log_level)
    finally:
        if screen is not None:
            screen.close()
    if console.is_terminal:
        _print_last_report(config, root)
    raise typer.Exit(code)


def _print_last_report(config: Path, root: Path | None) -> None:
    from livebot.cli.report_text import last_report

    try:
        typer.echo(last_report(config, root), nl=False)
    except LivebotError as error:  # the run itself ended well
        complain(f"the report cannot be shown: {error}")


@command("check", example="livebot check --config config.yaml")
def check(config: ConfigOption = DEFAULT_CONFIG, root: RootOption = None, as_json: JsonOption = False) -> None:
    """Say what is wrong with the config, and how to mend it.

    Validates everything that can be validated without running.
    """
    from livebot import bootstrap

    problems = bootstrap.check(config, root)
    if as_json:
        _print_json({"problems": problems})
    else:
        for problem in problems:
            typer.echo(problem)
        for sentence in () if problems else bootstrap.to_know(config):
            typer.echo(sentence)
        typer.echo(f"{config}: {_problem_count(problems)}", err=bool(problems))
    if problems:
        raise typer.Exit(EXIT_USAGE)


def _problem_count(problems: list[str]) -> str:
    match len(problems):
        case 0:
            return "nothing is wrong"
        case 1:
            return "1 thing to mend"
        case count:
            return f"{count} things to mend"


# ------------------------------------------------------------------ asking the running daemon


@command("status", example="livebot status")
def status(config: ConfigOption = DEFAULT_CONFIG, root: RootOption = None, as_json: JsonOption = False) -> None:
    """Am I safe, what is open, what is wrong?

    One screen from the running daemon.
    """
    data = client_of(config, root).status()
    if as_json:
        _print_json(data)
        return
    from rich.console import Console

    from livebot.cli.status_view import print_status
    from livebot.ops.status_json import decode_status

    print_status(decode_status(data), Console(highlight=False))


@command("watch", example="livebot watch --every 5")
def watch(
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, max=3600, help="How often to ask.")] = 1.0,
    seconds: Annotated[
        float | None, typer.Option(metavar="N", min=0, help="End after so many seconds.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Keep the status in view until Ctrl-C."""
    from livebot.cli.watch import watch_daemon

    watch_daemon(client_of(config, root), every=every, seconds=seconds, as_json=as_json)


# ------------------------------------------------------------------ telling the running daemon

for _name, _function in operator.COMMANDS.items():
    command(_name, example=operator.EXAMPLES[_name])(_function)

# ------------------------------------------------------------------ looking back


@command("report", example="livebot report --format md --symbol BTC/USDT --since 7d")
def report(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    form: Annotated[ReportFormat, typer.Option("--format", help="How it is written.")] = ReportFormat.TEXT,
    strategy: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this strategy.", show_default=False)
    ] = None,
    symbol: Annotated[str | None, typer.Option(metavar="SYMBOL", help="Only this symbol.", show_default=False)] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only from then on: 2026-01-31, 2026-01-31T12:00, 24h.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """What happened to every signal, and how well it went.

    Figures for each strategy and symbol, and a line for each signal.  Needs no running daemon.
    """
    from livebot import bootstrap
    from livebot.adapters.clock import SystemClock
    from livebot.cli.report_text import rendered
    from livebot.cli.since import since_ms
    from livebot.reporting.signals_report import Selection

    begin_ms = None if since is None else since_ms(since, SystemClock().now_ms())
    selection = Selection(strategy=strategy, symbol=symbol, since_ms=begin_ms)
    made = bootstrap.report(config, root, selection, candles=True)
    text = rendered(made, ReportFormat.JSON if as_json else form)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LivebotError(f"the report cannot be written to {output}: {error.strerror}") from error
    typer.echo(f"written to {output}", err=True)


# ------------------------------------------------------------------ trying it out

command("backtest", example=backtest.EXAMPLE)(backtest.backtest)
command("rehearse", example=rehearse.EXAMPLE)(rehearse.rehearse)
command("exchange", example=exchange.EXAMPLE)(exchange.exchange)
command("universe", example=universe.EXAMPLE)(universe.universe)

# ------------------------------------------------------------------ models

command("train", example=train.EXAMPLE)(train.train)
command("compare", example=compare.EXAMPLE)(compare.compare)

models_app = typer.Typer(
    help="Models: list and show, choose the one in use, remove old ones.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(models_app, name="models")
command("list", example=models.EXAMPLES["list"], group=models_app)(models.show_all)
command("show", example=models.EXAMPLES["show"], group=models_app)(models.show)
command("promote", example=models.EXAMPLES["promote"], group=models_app)(models.promote)
command("rollback", example=models.EXAMPLES["rollback"], group=models_app)(models.rollback)
command("prune", example=models.EXAMPLES["prune"], group=models_app)(models.prune)
command("coverage", example=models.EXAMPLES["coverage"], group=models_app)(models.coverage)
command("drift", example=drift.EXAMPLE)(drift.drift)
command("evaluate", example=evaluate.EXAMPLE)(evaluate.evaluate)

# ------------------------------------------------------------------ being told

alerts_app = typer.Typer(
    help="Alerts: try whether they arrive.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(alerts_app, name="alerts")
command("test", example=alerts.EXAMPLE, group=alerts_app)(alerts.send_test)

# ------------------------------------------------------------------ candles

data_app = typer.Typer(
    help="Candles: fetch, import, check and list them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")
command("fetch", example=data.EXAMPLES["fetch"], group=data_app)(data.fetch)
command("import", example=data.EXAMPLES["import"], group=data_app)(data.take)
command("check", example=data.EXAMPLES["check"], group=data_app)(data.check)
command("list", example=data.EXAMPLES["list"], group=data_app)(data.show)
