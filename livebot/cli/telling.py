"""What a command tells the running daemon, and how the daemon's answer is shown.

Rules of this file: nothing heavy is imported; what can be seen to be wrong without the daemon is bad usage.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from livebot.ops.control_client import ControlClient

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
    arguments: dict[str, list[str] | str | None] = {"symbols": symbols or None, **more}
    if reason is not None:
        arguments["reason"] = reason
    tell(client, name, arguments, as_json)


def tell(client: "ControlClient", name: str, arguments: dict[str, list[str] | str | None], as_json: bool) -> None:
    """Have a command carried out and print what the daemon says.  Raises as `ControlClient.command`."""
    message = client.command(name, arguments)
    typer.echo(json.dumps({"message": message}, indent=2) if as_json else message)
