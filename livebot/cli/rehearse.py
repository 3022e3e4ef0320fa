"""`livebot rehearse`: the operator's config on a local exchange that misbehaves, and a verdict.

Rules of this file: progress goes to stderr, the verdict to stdout; everything heavy is imported when the command runs.
"""

import json
import math
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from livebot.cli.exchange import ProtocolName

if TYPE_CHECKING:
    from livebot.rehearsal.course import Outcome, Plan

EXAMPLE = "livebot rehearse --config config.yaml --seconds 90 --kills 2"
EXIT_NOT_CLEAN = 3
_MOST_KILLS = 1_000


def _above_zero(value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise typer.BadParameter("must be above 0")
    return value


def rehearse(
    *,
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="The config to try; its exchange is replaced.")
    ] = Path("config.yaml"),
    root: Annotated[
        Path | None,
        typer.Option(
            "--root",
            "-r",
            metavar="DIR",
            help="An empty folder to run in and keep (a temporary one).",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(metavar="N", callback=_above_zero, help="How long, without start and end.")
    ] = 60.0,
    protocol: Annotated[ProtocolName, typer.Option(help="Which venue the exchange speaks like.")] = ProtocolName.BYBIT,
    faults: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What goes wrong instead of the usual; see `livebot exchange --faults-format`.",
            show_default=False,
        ),
    ] = None,
    kills: Annotated[int, typer.Option(metavar="N", min=0, max=_MOST_KILLS, help="SIGKILLs at random moments.")] = 1,
    speed: Annotated[float, typer.Option(metavar="X", callback=_above_zero, help="Market time over real time.")] = 60.0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the moments of the kills.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
) -> None:
    """Try a config live, without money, and judge every promise.

    Starts an exchange on this machine and the daemon against it, through the real client, with your symbols, strategies
    and risk, throw-away keys, and data of its own.  Streams freeze, answers are lost, the daemon is killed and started
    again, and at the end stands whether every promise was kept.  With --root a page is kept that draws the use of each
    limit against its bound.  Exits 0 if all was kept, else 3 and keeps the folder.
    """
    import asyncio

    from livebot.errors import BadInput
    from livebot.rehearsal.course import Plan
    from livebot.rehearsal.course import rehearse as run
    from livebot.rehearsal.page import PAGE
    from livebot.rehearsal.scratch import rehearsed
    from livebot.simulator.local_exchange import scripted

    found = rehearsed(config)
    script = None if faults is None else scripted(faults, found.market.symbols)
    if root is not None and root.exists() and any(root.iterdir()):
        raise BadInput(f"{root} is not empty; a rehearsal needs a folder of its own")
    folder = (root or Path(tempfile.mkdtemp(prefix="livebot-rehearsal-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        found=found,
        root=folder,
        protocol=protocol.value,
        seconds=seconds,
        kills=kills,
        speed=speed,
        seed=seed,
        faults=script,
    )
    clean = False
    try:
        outcome = asyncio.run(run(plan, lambda line: print(line, file=sys.stderr, flush=True)))
        clean = outcome.clean
        (folder / PAGE).write_text(_page(plan, outcome), encoding="utf-8")
        (_print_json if as_json else _print_table)(outcome)
    except asyncio.CancelledError:
        raise typer.Exit(EXIT_NOT_CLEAN) from None
    finally:
        if clean and root is None:
            shutil.rmtree(folder)
        else:
            print(f"everything it wrote is in {folder}; {PAGE} draws the use of each limit", file=sys.stderr)
    if not clean:
        raise typer.Exit(EXIT_NOT_CLEAN)


def _page(plan: "Plan", outcome: "Outcome") -> str:
    from livebot.rehearsal.files import read_denials
    from livebot.rehearsal.page import page_of

    found = plan.found
    facts = (
        f"{len(found.system.keys)} pairs of strategy and symbol for {outcome.seconds:.0f} s",
        f"{outcome.opened} signals opened, {outcome.closed} closed",
        f"faults: {sum(outcome.faults.values())}, kills: {outcome.kills}",
        "every promise was kept" if outcome.verdict.clean else "NOT CLEAN",
    )
    denied = read_denials(plan.root / "state" / "ledger.sqlite")
    return page_of(found.system.name, facts, outcome.limits, denied, outcome.verdict)


def _print_json(outcome: "Outcome") -> None:
    from livebot.rehearsal.verdict import NOT_JUDGED
    from livebot.reporting.limits_page import limits_table

    verdict = outcome.verdict
    typer.echo(
        json.dumps(
            {
                "clean": outcome.clean,
                "seconds": round(outcome.seconds, 1),
                "opened": outcome.opened,
                "closed": outcome.closed,
                "kills": outcome.kills,
                "faults": outcome.faults,
                "idle_faults": outcome.idle_faults,
                "told": [{"what": each.what, "passed": each.passed} for each in outcome.told],
                "invariants": {
                    name: {"checked": verdict.checked[name], "broken": said} for name, said in verdict.broken.items()
                },
                "not_judged": dict(NOT_JUDGED),
                "limits": [
                    dict(zip(("name", "allowed", "most_used", "share"), row, strict=True))
                    for row in limits_table(outcome.limits).rows
                ],
            },
            indent=2,
        )
    )


def _print_table(outcome: "Outcome") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from livebot.rehearsal.verdict import INVARIANTS, NOT_JUDGED
    from livebot.reporting.limits_page import limits_table

    struck = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.faults.items()))
    console = Console(highlight=False)
    console.print(
        f"\n{outcome.opened} signals opened, {outcome.closed} closed; {outcome.kills} kills; faults: {struck or 'none'}\n",
        soft_wrap=True,
    )
    for idle in outcome.idle_faults:
        console.print(
            f"  - {idle} never struck: see that its endpoints and symbols are spelt right, and that time was left for it",
            soft_wrap=True,
            markup=False,
        )
    console.print(
        "what the daemon told its operator:" if outcome.told else "the daemon told its operator of no problem"
    )
    for each in outcome.told:
        console.print(f"  - {each.what}{' (passed)' if each.passed else ''}", soft_wrap=True, markup=False)
    table = Table("", "invariant", "checked", "result", box=box.SIMPLE, pad_edge=False)
    for name, text in INVARIANTS.items():
        checked, broken = outcome.verdict.checked[name], outcome.verdict.broken[name]
        result = f"BROKEN ({len(broken)})" if broken else "held" if checked else "not judged"
        table.add_row(name, text, str(checked), result)
    for name, text in NOT_JUDGED.items():
        table.add_row(name, text, "", "not here")
    console.print(table)
    uses = limits_table(outcome.limits)
    most = Table(*uses.columns, box=box.SIMPLE, pad_edge=False)
    for row in uses.rows:
        most.add_row(*row)
    console.print(most)
    for name, said in outcome.verdict.broken.items():
        for sentence in said:
            console.print(f"{name}: {sentence}", soft_wrap=True, markup=False)
    if not outcome.opened:
        console.print("no signal opened, so nothing was proven: rehearse for longer (--seconds)")
    console.print("clean" if outcome.clean else "NOT CLEAN")
