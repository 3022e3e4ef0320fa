"""What a command tells the running daemon, and how the daemon's answer is shown.

Rules of this file: nothing heavy is imported; what can be seen to be wrong without the daemon is bad usage.
"""

import json
import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from livebot.errors import Rejected

if TYPE_CHECKING:
    from livebot.ops.control.client import ControlClient

Arguments = dict[str, list[str] | str | None]
Command = tuple[str, Arguments]  # its name and arguments

_NOTHING: Mapping[str, str] = MappingProxyType({})


def _price(text: str) -> str:
    try:
        value = Decimal(text)
    except ArithmeticError:
        raise typer.BadParameter("must be a price, such as 61000.5") from None
    if not (value.is_finite() and value > 0):
        raise typer.BadParameter("must be a price above 0")
    return text


StopOption = Annotated[
    str | None, typer.Option("--stop", metavar="PRICE", help="Where its stop goes.", show_default=False, parser=_price)
]
TargetOption = Annotated[
    str | None, typer.Option("--target", metavar="PRICE", help="Its target.", show_default=False, parser=_price)
]
StrategyOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Whose it becomes, where several run.", show_default=False)
]


def complain(text: str) -> None:
    """A sentence on stderr, without secrets."""
    from livebot.adapters.log.redaction import Redaction, secrets_of

    typer.echo(Redaction(secrets_of(os.environ))(text), err=True)


def client_of(config: Path, root: Path | None) -> "ControlClient":
    """Who asks the daemon of this root.  Raises BadInput as `daemon_address`."""
    from livebot.cli.daemon_address import daemon_address
    from livebot.ops.control.client import ControlClient

    return ControlClient(daemon_address(config, root, complain))


def tell_symbols(
    name: str,
    symbols: list[str] | None,
    everything: bool,
    reason: str | None,
    client: "ControlClient",
    as_json: bool,
    more: Mapping[str, str] = _NOTHING,
) -> None:
    """Have a command on symbols carried out; `more` are its other arguments.  Raises as `ControlClient.command`."""
    if bool(symbols) == everything:
        raise typer.BadParameter(f"name the symbols to {name}, or say --all", param_hint="SYMBOL...")
    arguments: Arguments = {"symbols": symbols or None, **more}
    if reason is not None:
        arguments["reason"] = reason
    tell(client, name, arguments, as_json)


def tell(client: "ControlClient", name: str, arguments: Arguments, as_json: bool) -> None:
    """Have a command carried out and print what the daemon says.  Raises as `ControlClient.command`."""
    tell_each(client, [(name, arguments)], as_json)


def tell_each(client: "ControlClient", commands: Sequence[Command], as_json: bool) -> None:
    """Have several carried out, each whatever the daemon said of the one before, and print what it says of all.

    Raises:
        DaemonNotReached: nobody answers.
        Rejected: one of them was refused.

    """
    said, refused = [], []
    for name, arguments in commands:
        try:
            said.append(client.command(name, arguments))
        except Rejected as error:
            refused.append(str(error))
    if said:
        message = "\n".join(said)
        typer.echo(json.dumps({"message": message}, indent=2) if as_json else message)
    if refused:
        raise Rejected("; ".join(refused))
