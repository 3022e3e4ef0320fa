"""The models on the screen: one line a scope.

Rules of this file: what is wrong with a model is coloured; whatever is cut says how much was cut.
"""

from collections.abc import Callable, Sequence

from rich.text import Text

from livebot.cli.figures import ABSENT, clean, span
from livebot.ports import ModelStatus, SystemStatus

SCOPES_MAX = 10
SYMBOLS_MAX = 5

Titled = Callable[[str, list[Text], int], list[Text]]


def model_lines(status: SystemStatus, titled: Titled) -> list[Text]:
    """Each scope's version, its age, and whom it covers; `titled` puts lines of a width behind a title."""
    if status.models is None:
        return []
    lines = [_line(model, status.now_ms) for model in status.models[:SCOPES_MAX]]
    more = len(status.models) - SCOPES_MAX
    if more > 0:
        lines.append(Text(f"... and {more} more; `livebot status --json` shows all", "dim"))
    shown = []
    for place, line in enumerate(lines or [Text("none was looked at yet", "dim")]):
        shown += titled("" if place else "Models", [line], line.cell_len + _ROOM)
    return shown


_ROOM = 80  # beyond its own length: a line is never broken here


def _line(model: ModelStatus, now_ms: int) -> Text:
    made = Text.assemble((f"{clean(model.scope)} ", "bold"))
    if model.version is None:
        made.append("no model in use", "bold yellow")
    else:
        known = ABSENT if model.train_end_ms is None else _trained(model.train_end_ms, now_ms)
        made.append(f"{clean(model.version)}, {known}")
        if model.stale:
            made.append(", stale: it is refused", "bold red")
        made.append(f", {model.covered} symbols covered")
    if model.uncovered:
        made.append(f", not covered: {_few(model.uncovered)}", "yellow")
    if model.shadow is not None:
        made.append(f", in shadow {clean(model.shadow)}", "dim")
    return made


def _few(symbols: Sequence[str]) -> str:
    more = f" and {len(symbols) - SYMBOLS_MAX} more" if len(symbols) > SYMBOLS_MAX else ""
    return ", ".join(map(clean, symbols[:SYMBOLS_MAX])) + more


def _trained(end_ms: int, now_ms: int) -> str:
    if end_ms > now_ms:
        return f"trained on the next {span(end_ms - now_ms)}: what it says of them is no forecast"
    return f"trained up to {span(now_ms - end_ms)} ago"
