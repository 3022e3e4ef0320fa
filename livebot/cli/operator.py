"""The commands that tell the running daemon what to do.

Rules of this file: what is asked for is said in full, all symbols only by --all; nothing heavy is imported, because an
operator who halts must not wait.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated

import typer

from livebot.cli.options import (
    DEFAULT_CONFIG,
    AllOption,
    ConfigOption,
    JsonOption,
    ReasonOption,
    RootOption,
    SymbolArguments,
)
from livebot.cli.telling import (
    Command,
    StopOption,
    StrategyOption,
    TargetOption,
    client_of,
    tell,
    tell_each,
    tell_symbols,
)

OPERATOR = "by the operator"


class LogLevel(Enum):
    """From which level on the log tells."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def pause(
    symbols: SymbolArguments = None,
    everything: AllOption = False,
    reason: ReasonOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open nothing new on these symbols.

    What is open is managed on.
    """
    tell_symbols("pause", symbols, everything, reason, client_of(config, root), as_json)


def resume(
    symbols: SymbolArguments = None,
    everything: AllOption = False,
    reason: ReasonOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lift a pause, or a switch-off by win rate."""
    tell_symbols("resume", symbols, everything, reason, client_of(config, root), as_json)


def restart(
    symbols: SymbolArguments = None,
    everything: AllOption = False,
    reason: ReasonOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start these symbols again from their files.

    Lifts a quarantine.
    """
    tell_symbols("restart", symbols, everything, reason, client_of(config, root), as_json)


def flatten(
    symbols: SymbolArguments = None,
    everything: AllOption = False,
    reason: ReasonOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close these symbols' positions at the market.

    Entries that have not filled are cancelled, and nothing new opens there until the venue shows that all is closed.
    Afterwards it may: see pause, and halt --flatten.  What takes longer than half a minute goes on, status shows it.
    """
    tell_symbols("flatten", symbols, everything, reason, client_of(config, root), as_json)


def adopt(
    *,
    symbols: SymbolArguments = None,
    everything: AllOption = False,
    dismiss: Annotated[
        bool, typer.Option("--dismiss", help="Leave it there as it is, and trade the symbol again.")
    ] = False,
    stop: StopOption = None,
    target: TargetOption = None,
    strategy: StrategyOption = None,
    reason: ReasonOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take over a position that somebody else opened, or let it be.

    A strategy that runs on the symbol manages it from then on, behind a stop that is placed at once.  Orders of
    somebody else cannot be taken over: cancel them at the venue, or --dismiss them.  What was dismissed and then
    changes is told anew, and stops its symbol again.
    """
    options = {"stop": stop, "target": target, "strategy": strategy}
    given = {name: value for name, value in options.items() if value is not None}
    if dismiss and given:
        raise typer.BadParameter(f"what is dismissed has no {' or '.join(given)}", param_hint="--dismiss")
    tell_symbols(
        "dismiss" if dismiss else "adopt", symbols, everything, reason, client_of(config, root), as_json, given
    )


def halt(
    *,
    out: Annotated[bool, typer.Option("--flatten", help="And then close everything, as flatten --all does.")] = False,
    reason: ReasonOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open nothing any more until `livebot unhalt`.

    This holds over any restart.  Exits go on.
    """
    why = reason or OPERATOR
    commands: list[Command] = [("halt", {"reason": why})]
    if out:
        commands.append(("flatten", {"symbols": None, "reason": why}))
    tell_each(client_of(config, root), commands, as_json)


def unhalt(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the journal.")],
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trade again after a halt."""
    tell(client_of(config, root), "unhalt", {"reason": reason}, as_json)


def reload(
    reason: ReasonOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the daemon read its config again.

    What can change while it runs holds from then on, and the answer says what needs a restart.  A config that is wrong
    changes nothing.  The same as `systemctl reload`.
    """
    tell(client_of(config, root), "reload", _with(reason), as_json)


def log_level(
    level: Annotated[LogLevel, typer.Argument(help="From which level on.", show_default=False)],
    reason: ReasonOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the log tell more, or less.

    This holds until the daemon is started again.
    """
    tell(client_of(config, root), "log-level", {"level": level.value, **_with(reason)}, as_json)


def _with(reason: str | None) -> dict[str, list[str] | str | None]:
    return {} if reason is None else {"reason": reason}


COMMANDS: Mapping[str, Callable[..., None]] = {
    "pause": pause,
    "resume": resume,
    "restart": restart,
    "flatten": flatten,
    "adopt": adopt,
    "halt": halt,
    "unhalt": unhalt,
    "reload": reload,
    "log-level": log_level,
}
EXAMPLES: Mapping[str, str] = {
    "pause": "livebot pause BTC/USDT ETH/USDT",
    "resume": "livebot resume --all",
    "restart": "livebot restart BTC/USDT",
    "flatten": "livebot flatten BTC/USDT --reason 'delisting'",
    "adopt": "livebot adopt BTC/USDT:USDT --stop 61000",
    "halt": "livebot halt --flatten --reason 'news'",
    "unhalt": "livebot unhalt --reason 'losses were looked into'",
    "reload": "livebot reload",
    "log-level": "livebot log-level debug",
}
