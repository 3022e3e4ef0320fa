"""`livebot universe`: which symbols are in, and with `--explain` for each symbol what let it in or kept it out.

Rules of this file: nothing is changed; everything heavy is imported when the command runs.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from livebot.cli.options import DEFAULT_CONFIG, ConfigOption, root_option

if TYPE_CHECKING:
    from livebot.bootstrap.universe import Look
    from livebot.core.universe import Verdict

EXAMPLE = "livebot universe --explain"
RootOption = Annotated[Path | None, root_option("state/ and candles/")]


def universe(
    *,
    explain: Annotated[
        bool, typer.Option("--explain", help="For each symbol, the filter that let it in or out, with the numbers.")
    ] = False,
    symbol: Annotated[
        str | None, typer.Option(metavar="SYMBOL", help="Only this symbol, with all its filters.", show_default=False)
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="As of then, from stored candles: 2026-01-31, 30d.", show_default=False),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, always with the reasons.")] = False,
) -> None:
    """Which symbols a universe holds now, and why.

    They are chosen as the daemon would choose them now.  The venue is asked (no keys are needed); a simulated market is
    looked at as it stands.  Members that the daemon remembers have the advantage of members.  Nothing is changed: what is
    shown holds once the daemon looks itself.
    """
    from livebot.adapters.clock import SystemClock
    from livebot.bootstrap.universe import look
    from livebot.cli.since import since_ms
    from livebot.errors import BadInput

    at_ms = None if at is None else since_ms(at, SystemClock().now_ms())
    found = look(config, root, at_ms)
    verdicts = [each for each in found.selection.verdicts if symbol in (None, each.symbol)]
    if not verdicts:
        raise BadInput(f"{found.source} does not list {symbol}; livebot universe --explain shows what it does")
    if as_json:
        typer.echo(json.dumps(_tree(found, verdicts), indent=2))
        return
    for line in _lines(found, verdicts, explain=explain or symbol is not None, whole=symbol is not None):
        typer.echo(line)


def _tree(found: "Look", verdicts: "list[Verdict]") -> dict[str, Any]:
    selection = found.selection
    return {
        "source": found.source,
        "at_ms": found.at_ms,
        "chosen_ms": found.memory.asked_ms if found.memory is not None else None,
        "members": list(selection.membership.symbols),
        "enters": list(selection.entered),
        "leaves": list(selection.left),
        "departing": [symbol for symbol, _ in found.memory.departing] if found.memory is not None else [],
        "symbols": [
            {
                "symbol": each.symbol,
                "in": each.inside,
                "was_in": each.was_inside,
                "decided_by": each.decided_by,
                "why": each.text,
                "place": each.place,
                "checks": [
                    {"name": check.name, "enter": check.enter, "stay": check.stay, "text": check.text}
                    for check in each.checks
                ],
            }
            for each in verdicts
        ],
    }


def _lines(found: "Look", verdicts: "list[Verdict]", *, explain: bool, whole: bool) -> list[str]:
    from livebot.cli.figures import moment

    selection, memory = found.selection, found.memory
    inside = len(selection.membership.since_ms)
    lines = [f"{inside} of {len(selection.verdicts)} symbols of {found.source} are in, as of {moment(found.at_ms)}"]
    if memory is not None:
        lines.append(f"the daemon chose last {moment(memory.asked_ms)}: {_changes(found)}")
    width = max(len(each.symbol) for each in verdicts)
    for each in verdicts:
        mark = "in " if each.inside else "out"
        if explain:
            lines.append(f"{mark}  {each.symbol:<{width}}  {each.decided_by}: {each.text}")
            lines += [f"     {'':<{width}}  {_checked(check)}" for check in each.checks if whole]
        elif each.inside:
            lines.append(f"{each.symbol:<{width}}  {each.text}")
    if memory is not None and memory.departing:
        lines.append(f"left, and managed to their close: {', '.join(symbol for symbol, _ in memory.departing)}")
    return lines


def _checked(check: Any) -> str:  # noqa: ANN401 - a Check
    passed = "passed" if check.enter else "enough to stay" if check.stay else "not passed"
    return f"{check.name} ({passed}): {check.text}"


def _changes(found: "Look") -> str:
    selection = found.selection
    parts = [f"{', '.join(selection.entered)} would enter"] if selection.entered else []
    parts += [f"{', '.join(selection.left)} would leave"] if selection.left else []
    return "; ".join(parts) or "nothing would change"
