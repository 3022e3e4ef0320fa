"""The terminal of `livebot run`: the log scrolls above, below it a table stays and is drawn anew.

Rules of this file: the event loop never waits for the terminal: it leaves the newest status here, and the threads of the
log and of the drawing do the rest; the table always leaves room for the log.
"""

import threading
from collections import Counter
from typing import Self

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.segment import SegmentLines
from rich.text import Text

from livebot.cli.status_view import count_parts, identity, limit_parts, problem_lines, titled, verdict, worth
from livebot.cli.symbol_rows import Row, Urgency, rows_of, table_of
from livebot.ports import SystemStatus

REFRESHES_PER_SECOND = 2
CLOSE_SECONDS = 2.0
LOG_LINES_MIN = 8
TALL = 28  # lines; a lower terminal shows less of everything but the answer
ROWS_MIN = 3
PROBLEMS_MAX = 3
_NAMES = {
    Urgency.UNPROTECTED: "without a stop",
    Urgency.TROUBLE: "in trouble",
    Urgency.OPEN: "open",
    Urgency.HELD_BACK: "held back",
    Urgency.QUIET: "idle",
}


class TerminalScreen:
    """A `Screen` on a terminal, from `start` to `close`."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._status: SystemStatus | None = None
        self._drawn_of: tuple[SystemStatus | None, ConsoleDimensions] | None = None
        self._drawn: RenderableType = Text()
        self._live: Live | None = None

    def start(self) -> Self:
        """Take the terminal."""
        self._live = Live(
            get_renderable=self._picture,
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            vertical_overflow="crop",
        )
        self._live.start()
        return self

    def log_line(self, text: str) -> None:
        """Print above the table."""
        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def show(self, status: SystemStatus) -> None:
        """Keep it for the next drawing."""
        self._status = status

    def close(self) -> None:
        """Take the table away and show the cursor again; a terminal that is stopped (Ctrl-S) is not waited for long."""
        live, self._live = self._live, None
        if live is not None:
            stopping = threading.Thread(target=live.stop, name="screen close", daemon=True)
            stopping.start()
            stopping.join(CLOSE_SECONDS)

    def _picture(self) -> RenderableType:
        status, size = self._status, self._console.size
        if self._drawn_of is None or self._drawn_of[0] is not status or self._drawn_of[1] != size:
            view = Text("starting ...", "dim") if status is None else live_view(status, self._console)
            # made ready once: each line of the log draws it again
            self._drawn = SegmentLines(self._console.render_lines(view, pad=False), new_lines=True)
            self._drawn_of = (status, size)
        return self._drawn


def live_view(status: SystemStatus, console: Console, *, log_lines: int = LOG_LINES_MIN) -> RenderableType:
    """What stands below so many lines of log."""
    width, height = console.size
    tall = height >= TALL
    above = [verdict(status), identity(status, width), worth(status)]
    above += problem_lines(status, PROBLEMS_MAX if tall else 1)
    for line in above:
        line.truncate(width, overflow="ellipsis")
    below = titled("Limits", limit_parts(status.limits), width, lines_max=2 if tall else 1)
    below += titled("Counts", count_parts(status), width, lines_max=1)
    taken = 2 + len(above) + len(below)  # with the rule and the table's titles
    room = max(ROWS_MIN, height - taken - log_lines)
    return Group(Rule(style="dim"), *above, *_table(rows_of(status), room, width), *below)


def _table(rows: list[Row], room: int, width: int) -> list[RenderableType]:
    if len(rows) <= room:
        return [table_of(rows, width)]
    shown, left = rows[: room - 1], rows[room - 1 :]
    counts = Counter(row.urgency for row in left)
    told = ", ".join(f"{counts[urgency]} {_NAMES[urgency]}" for urgency in Urgency if counts[urgency])
    return [table_of(shown, width), Text(f"... {len(left)} more: {told}", "dim")]
