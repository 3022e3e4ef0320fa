"""How far a fetch or an import is: a bar on a terminal, a line now and then elsewhere; always on stderr.

Rules of this file: at most one line in `LINE_S` where nobody watches a bar.
"""

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from livebot.history.fetching import Progress as SymbolProgress

if TYPE_CHECKING:
    from livebot.research.progress import Standing

LINE_S = 5.0
_SCALE = 1000  # of the bar


class _Shown:
    """A bar, or lines."""

    def __init__(self, total: int, *, own_time: bool = False) -> None:
        """`own_time`: the text tells the time left, and not the bar by its speed."""
        console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        if console.is_terminal and not console.is_dumb_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
            timed = columns if own_time else (*columns, TimeRemainingColumn())
            self._bar = Progress(*timed, console=console, transient=True)
            self._task = self._bar.add_task("", total=total)
        self._told_s = time.monotonic()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _show(self, done: float, text: str, more: str = "") -> None:
        """`more` is what a bar shows by itself."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=text)
        elif time.monotonic() - self._told_s >= LINE_S:
            self._told_s = time.monotonic()
            print(text + more, file=sys.stderr, flush=True)


class FetchProgress(_Shown):
    """Of a fetch of many symbols."""

    def __init__(self) -> None:
        super().__init__(_SCALE)
        self._symbols: dict[str, SymbolProgress] = {}

    def tell(self, progress: SymbolProgress) -> None:
        """One symbol has come on."""
        self._symbols[progress.symbol] = progress
        wanted = sum(each.wanted_ms for each in self._symbols.values())
        done = sum(each.done_ms for each in self._symbols.values())
        candles = sum(each.candles for each in self._symbols.values())
        share = done / wanted if wanted else 1.0
        days = (wanted - done) / 86_400_000
        self._show(
            share * _SCALE,
            f"fetching {len(self._symbols)} symbols: {candles:,} candles",
            f", {share:.0%} done, {days:,.1f} days of history left",
        )


class FilesProgress(_Shown):
    """Of work on files, one after the other."""

    def __init__(self, deed: str, count: int) -> None:
        super().__init__(count)
        self._deed, self._count, self._done = deed, count, 0

    def tell(self, path: Path) -> None:
        """A file is done."""
        self._done += 1
        self._show(self._done, f"{self._deed} {self._done} of {self._count} files: {path.name}")


class RunProgress(_Shown):
    """Of a run through a stretch of time."""

    def __init__(self, deed: str) -> None:
        super().__init__(_SCALE)
        self._deed = deed

    def tell(self, done: int, whole: int) -> None:
        """So much of the whole is done."""
        self._show(_SCALE * done / whole if whole else _SCALE, self._deed, f", {done / max(whole, 1):.0%} done")


class StepsProgress(_Shown):
    """Of work in steps, each with a length of its own."""

    def __init__(self) -> None:
        super().__init__(_SCALE)

    def tell(self, step: str, done: int, whole: int) -> None:
        """So much of this step is done."""
        share = done / whole if whole else 1.0
        self._show(_SCALE * share, step, f", {share:.0%} done")


class ComparisonProgress(_Shown):
    """Of a comparison: its rows, its folds with the time left, and what comes after."""

    def __init__(self) -> None:
        super().__init__(_SCALE, own_time=True)

    def rows(self, done: int, whole: int) -> None:
        """So much of the candles was gone through."""
        self._show(_SCALE * done / max(whole, 1), "rows", f", {done / max(whole, 1):.0%} done")

    def folds(self, standing: "Standing") -> None:
        """So many fits are done."""
        left = "" if standing.left_s is None else f", about {_time(standing.left_s)} left, then the figures"
        text = f"folds {standing.done:,} of {standing.pieces:,}{left}"
        self._show(_SCALE * standing.share, text, f", {standing.share:.0%} done")

    def words(self, text: str) -> None:
        """What is being worked out."""
        self._show(_SCALE, text)


def _time(seconds: float) -> str:
    """`45 s`, `3 min`, `1 h 05 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:  # noqa: PLR2004 - below, a minute and a half says less than seconds do
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"  # noqa: PLR2004 - of an hour
