"""`livebot alerts`: whether the operator would be told.

Rules of this file: everything heavy is imported when the command runs; no URL is ever shown.
"""

import json
from typing import Annotated

import typer

from livebot.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption

EXAMPLE = "livebot alerts test --channel phone"
EXIT_FAILED = 3


def send_test(
    channel: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only over this channel.", show_default=False)
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Send one test message over each channel of alerts, and say what came of it.

    Needs no running daemon.  The exit code is 3 if one of them failed.
    """
    from livebot import bootstrap

    outcomes = bootstrap.alerts_test(config, channel)
    if as_json:
        rows = [
            {"channel": each.channel, "arrived": each.why is None, "why": each.why, "seconds": round(each.seconds, 3)}
            for each in outcomes
        ]
        typer.echo(json.dumps({"channels": rows}, indent=2))
    else:
        for each in outcomes:
            said = f"sent in {each.seconds:.1f} s" if each.why is None else f"failed: {each.why}"
            typer.echo(f"{each.channel}: {said}")
    if any(each.why is not None for each in outcomes):
        raise typer.Exit(EXIT_FAILED)
