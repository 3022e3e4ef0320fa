"""`livebot exchange`: a local exchange in the foreground, and how to point a livebot at it.

Rules of this file: everything heavy is imported when the command runs.
"""

import json
import math
import tempfile
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from livebot.simulator.local_exchange import ExchangeOptions, Listening

EXAMPLE = "livebot exchange --protocol bybit --count 10 --faults faults.yaml"


class ProtocolName(StrEnum):
    """Which venue it speaks like."""

    BYBIT = "bybit"
    BINANCE = "binance"


class MarketName(StrEnum):
    """Which of the venue's markets."""

    SPOT = "spot"
    PERPETUAL = "perpetual"


def _wallet(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter("must be a number") from None
    if not (value.is_finite() and value > 0):
        raise typer.BadParameter("must be above 0")
    return value


def _above_zero(value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise typer.BadParameter("must be above 0")
    return value


def _show_format(wanted: bool) -> None:
    if wanted:
        from livebot.simulator.fault_script import format_text

        typer.echo(format_text(), nl=False)
        raise typer.Exit


PortNumber = Annotated[int, typer.Option("--port", min=0, max=65535, metavar="N", help="0: any free one.")]
ControlPortNumber = Annotated[
    int, typer.Option("--control-port", min=0, max=65535, metavar="N", help="For faults; 0: any free one.")
]
SpeedOption = Annotated[
    float, typer.Option("--speed", metavar="X", callback=_above_zero, help="Market time over real time; 1: the wall's.")
]


def exchange(
    *,
    protocol: Annotated[ProtocolName, typer.Option(help="Whose API it speaks.")] = ProtocolName.BYBIT,
    market: Annotated[
        MarketName | None, typer.Option(help="Whose symbols --count means (perpetual).", show_default=False)
    ] = None,
    port: PortNumber = 0,
    control_port: ControlPortNumber = 0,
    ca_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to write the certificate to trust (a temporary folder).", show_default=False
        ),
    ] = None,
    symbols: Annotated[
        str | None, typer.Option(metavar="A,B", help="What is traded, such as BTC/USDT:USDT.", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="So many well-known symbols instead.")] = 10,
    candles: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Replay these candle files.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="The same seed makes the same market.")] = 1,
    volatility: Annotated[
        float, typer.Option(metavar="X", callback=_above_zero, help="1 moves like real large coins.")
    ] = 1.0,
    speed: SpeedOption = 1.0,
    wallet: Annotated[
        Decimal, typer.Option(metavar="X", parser=_wallet, help="Quote currency in a new account.")
    ] = Decimal(10_000),
    memory: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the account there; taken up again next time.", show_default=False),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What goes wrong, and when; see --faults-format.", show_default=False),
    ] = None,
    start_ms: Annotated[
        int | None,
        typer.Option(metavar="MS", min=0, help="UTC milliseconds at which a new account begins.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print where it listens as one line of JSON.")] = False,
    _faults_format: Annotated[
        bool,
        typer.Option(
            "--faults-format", is_eager=True, callback=_show_format, help="Print the format of faults and end."
        ),
    ] = False,
) -> None:
    """An exchange on this machine, with faults on demand.

    It speaks a real venue's protocol: TLS, signatures, rate limits, REST and streams.

    It runs until Ctrl-C, whatever the daemons do that trade there.  A file of faults is a list (YAML or JSON) of entries
    such as {kind: freeze, symbols: [BTC/USDT:USDT], endpoints: [kline], seconds: 25, after_s: 20}; the same entries
    can be sent by POST to /_faults on the control port, DELETE ends them all.  Kinds: refuse, lose, late, ban, delay,
    silence, cut, status, truncate, html, empty, unfinished, drop, duplicate, reorder, freeze, disconnect, partial,
    burst, skew, delist, close_position, liquidate, expire_listen_key; `livebot exchange --faults-format` explains them and
    all keys.
    """
    import asyncio

    from livebot.simulator.local_exchange import ExchangeOptions, chosen_symbols, run_exchange, scripted

    chosen = chosen_symbols(symbols, count, market.value if market else None)
    script = scripted(faults, chosen)
    folder = tempfile.TemporaryDirectory(prefix="livebot-exchange-")
    options = ExchangeOptions(
        protocol=protocol.value,
        symbols=chosen,
        port=port,
        control_port=control_port,
        ca_file=(ca_file or Path(folder.name) / "ca.pem").resolve(),
        candles=candles,
        seed=seed,
        volatility=volatility,
        speed=speed,
        wallet=wallet,
        memory=memory,
        faults=script,
        start_ms=start_ms,
    )
    show = _print_json if as_json else _print_text
    with folder:
        asyncio.run(run_exchange(options, lambda listening: show(options, listening)))


def _print_json(options: "ExchangeOptions", listening: "Listening") -> None:
    typer.echo(json.dumps(_facts(options, listening)))


def _facts(options: "ExchangeOptions", listening: "Listening") -> dict[str, object]:
    import os

    from livebot.simulator.local_exchange import SECRET, SECRET_VARIABLE, keys_of

    key, secret = keys_of(os.environ)
    return {
        "protocol": options.protocol,
        "exchange": options.exchange_id,
        "port": listening.port,
        "control_port": listening.control_port,
        "ca_file": str(options.ca_file),
        "key": key,
        "secret": secret if secret == SECRET else f"(as in {SECRET_VARIABLE})",
        "symbols": list(listening.symbols),
        "speed": options.speed,
        "market_ms": listening.market_ms,
    }


def _print_text(options: "ExchangeOptions", listening: "Listening") -> None:
    facts = _facts(options, listening)
    named = ", ".join(listening.symbols[:5]) + (", ..." if len(listening.symbols) > 5 else "")  # noqa: PLR2004
    loopback = {name: facts[name] for name in ("port", "control_port")}
    typer.echo(f"""\
a local exchange that speaks {options.protocol}: {len(listening.symbols)} symbols ({named}), speed {options.speed:g}

  listens at    127.0.0.1:{listening.port} (TLS, under the venue's own host names)
  control port  127.0.0.1:{listening.control_port} (faults: GET, POST, DELETE http://127.0.0.1:{listening.control_port}/_faults)
  CA file       {options.ca_file}
  key, secret   {facts["key"]} {facts["secret"]}

point livebot at it, in config.yaml:

  mode: live
  exchange:
    id: {options.exchange_id}
    loopback: {{port: {loopback["port"]}, control_port: {loopback["control_port"]}, ca_file: {options.ca_file}}}

and in its environment:

  LIVEBOT_API_KEY={facts["key"]} LIVEBOT_API_SECRET={facts["secret"]} LIVEBOT_CONFIRM_LIVE=<system of the config>

Ctrl-C ends it.""")
