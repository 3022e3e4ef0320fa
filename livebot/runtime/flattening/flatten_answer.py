"""What the operator is told of a flatten: how much was closed, what is not yet and why, and what is not ours.

Rules of this file: it says no more than what was seen at the venue.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from livebot.core.inputs import SymbolState
from livebot.core.signal import Closing, Open, Opening, Scheduled
from livebot.runtime.flattening.flat_check import closed

SHOWN = 5  # symbols named with a reason
NAMED = 10  # symbols named without


@dataclass(frozen=True, slots=True)
class Before:
    """What was open of the chosen symbols when it began, counted by symbol."""

    positions: int
    entries: int


def before_of(chosen: Iterable[str], states: Iterable[SymbolState]) -> Before:
    """Count what is open on the chosen symbols."""
    wanted, held, waiting = frozenset(chosen), set(), set()
    for state in states:
        if state.symbol in wanted and not closed((state,)):
            if isinstance(state.signal, Open | Closing):
                held.add(state.symbol)
            elif isinstance(state.signal, Scheduled | Opening):
                waiting.add(state.symbol)
    return Before(len(held), len(waiting - held))


def unattended(known: Iterable[str], states: Iterable[SymbolState]) -> tuple[str, ...]:
    """Symbols with something open by our files that nobody runs."""
    run = frozenset(known)
    return tuple(sorted({state.symbol for state in states if state.symbol not in run and not closed((state,))}))


def still_closing(left: Mapping[str, str], chosen: Sequence[str], *, stopped: bool) -> str:
    """The answer while not all are closed; `left` are those, and why."""
    others = len(chosen) - len(left)
    done = f"; {others} flat and verified" if others else ""
    if stopped:
        return (
            f"livebot is stopping before it is done: not seen to be flat are {reasons(left)}{done}; their stops stay at "
            "the venue, and what was being closed is closed by the next start"
        )
    return f"still closing {reasons(left)}{done}; it goes on, `livebot status` shows"


def flat(chosen: Sequence[str], before: Before, remarks: Sequence[str], nobodys: Sequence[str]) -> str:
    """The answer when all that somebody runs are closed."""
    counts = (
        _counted(before.positions, "position closed", "positions closed"),
        _counted(before.entries, "entry taken back", "entries taken back"),
    )
    done = ", ".join(count for count in counts if count)
    said = f"flat: {done}" if done else f"nothing is open on {named(chosen)}"
    if nobodys:
        text = "have something open by their files, and nobody can act for them: close it at the venue by hand"
        said = f"not flat: {named(nobodys)} {text}; of the others: {said}"
    return "; ".join((f"{said}, verified at the venue", *remarks))


def reasons(left: Mapping[str, str]) -> str:
    """Those that are under way, the first ones with why."""
    shown = ", ".join(f"{symbol} ({why})" for symbol, why in tuple(left.items())[:SHOWN])
    return shown if len(left) <= SHOWN else f"{shown} and {len(left) - SHOWN} more"


def named(symbols: Sequence[str]) -> str:
    """The first of them."""
    shown = ", ".join(symbols[:NAMED])
    return shown if len(symbols) <= NAMED else f"{shown} and {len(symbols) - NAMED} more"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}" if count else ""
