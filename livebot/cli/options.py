"""Options that several commands take, each with one name, one short form and one sentence.

Rules of this file: what only one command takes stands with that command.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

DEFAULT_CONFIG = Path("config.yaml")
MOST_JOBS = 256
ELSE = "without it $STATE_DIRECTORY, else the config's folder."


def root_option(what: str) -> Any:  # noqa: ANN401 - what typer makes of an option has no public name
    """The data folder, told by what the command looks for in it."""
    return typer.Option("--root", "-r", metavar="DIR", help=f"The folder that holds {what}; {ELSE}", show_default=False)


ConfigOption = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The config file.")]
RootOption = Annotated[Path | None, root_option("signals/, state/ and models/")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SymbolArguments = Annotated[
    list[str] | None, typer.Argument(metavar="SYMBOL...", help="Such as BTC/USDT.", show_default=False)
]
AllOption = Annotated[bool, typer.Option("--all", help="All symbols.")]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the journal.", show_default=False)
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="From then on: 2026-01-31, 2026-01-31T12:00, 90d.", show_default=False),
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="Up to then; without it, all there is.", show_default=False)
]
CandlesOption = Annotated[
    Path | None,
    typer.Option(
        "--candles",
        metavar="DIR",
        help="A folder of candle files, or a candle store (what the config says).",
        show_default=False,
    ),
]
