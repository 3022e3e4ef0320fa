"""`data check`: every file looked at, each group of one venue, market and timeframe together.

Rules of this file: a file that cannot be read is a finding, not an end; gaps are told with their times; how many are
listed is bounded, how many there are is always told.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from livebot.core.market import Timeframe
from livebot.core.series import Times
from livebot.errors import BadInput
from livebot.history.candle_file import load_file
from livebot.history.checks import Finding, findings, in_order
from livebot.history.coverage import Coverage, Gap, Held, coverages, held_of
from livebot.history.place import SUFFIX, place_of, symbol_of


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file.  `coverage` is None, and the times are 0, if its candles could not be read."""

    path: Path
    group: str
    symbol: str
    timeframe: str
    rows: int
    first_ms: int
    stop_ms: int
    coverage: Coverage | None
    findings: tuple[Finding, ...]

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Oldest first."""
        return self.coverage.gaps if self.coverage else ()

    @property
    def sound(self) -> bool:
        """Whether nothing in it would change a backtest."""
        return not any(finding.error for finding in self.findings) and all(gap.venue for gap in self.gaps)


@dataclass(frozen=True, slots=True)
class _Looked:
    report: FileReport
    timeframe: Timeframe
    held: Held


def files_of(given: Sequence[Path]) -> tuple[Path, ...]:
    """The candle files named, and those in the folders named and below.

    Raises:
        BadInput: one of the names is of nothing, or a folder has no parquet file.

    """
    found: list[Path] = []
    for path in given:
        inside = sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path] if path.is_file() else []
        if not inside:
            raise BadInput(
                f"{path}: {'no parquet file is in it' if path.is_dir() else 'is not there'}; name a file or folder"
            )
        found += inside
    return tuple(dict.fromkeys(found))


def inspect(
    paths: Iterable[Path], now_ms: int, tell: Callable[[Path], None] = lambda _: None
) -> tuple[FileReport, ...]:
    """The reports, in the order given; files of one folder are one group.  `tell` is called when one was read."""
    looked: list[_Looked | FileReport] = []
    for path in paths:
        looked.append(_look(path, now_ms))
        tell(path)
    groups = Counter((each.report.group, each.timeframe) for each in looked if isinstance(each, _Looked))
    covered: dict[Path, Coverage] = {}
    for group, timeframe in groups:
        members = {
            str(each.report.path): each.held
            for each in looked
            if isinstance(each, _Looked) and (each.report.group, each.timeframe) == (group, timeframe)
        }
        covered |= {Path(path): coverage for path, coverage in coverages(members, timeframe.ms).items()}
    return tuple(
        replace(each.report, coverage=covered[each.report.path]) if isinstance(each, _Looked) else each
        for each in looked
    )


def _look(path: Path, now_ms: int) -> _Looked | FileReport:
    place = place_of(path)
    symbol = place.symbol if place else symbol_of(path.stem) or path.stem
    blank = FileReport(path, str(path.parent), symbol, "", 0, 0, 0, None, ())
    try:
        table, note = load_file(path)
    except BadInput as error:
        unreadable = Finding("unreadable", True, 0, 0, 0, str(error).removeprefix(f"{path}: "), "")
        return replace(blank, timeframe=place.timeframe.value if place else "", findings=(unreadable,))
    timeframe = place.timeframe if place else note.place.timeframe if note else spacing_of(table.ts_ms)
    ordered = in_order(table)
    report = replace(
        blank,
        symbol=note.place.symbol if note and place is None else symbol,
        timeframe=timeframe.value,
        rows=len(table),
        first_ms=int(ordered.ts_ms[0]),
        stop_ms=int(ordered.ts_ms[-1]) + timeframe.ms,
        findings=findings(table, timeframe, _known_ms(path, ordered.ts_ms, timeframe, now_ms), told=note is not None),
    )
    if any(finding.kind in ("unit", "grid", "timeframe") for finding in report.findings):
        return report  # where candles are missing cannot be told by such times
    return _Looked(report, timeframe, held_of(ordered.ts_ms, timeframe.ms, note.fetched if note else ()))


def _known_ms(path: Path, ts_ms: Times, timeframe: Timeframe, now_ms: int) -> int:
    """When the candles were known: when the file was written if that was while its last candle formed, else now."""
    written_ms = path.stat().st_mtime_ns // 1_000_000
    forming = int(ts_ms[-1]) <= written_ms < int(ts_ms[-1]) + timeframe.ms
    return min(written_ms, now_ms) if forming else now_ms


def spacing_of(ts_ms: Times) -> Timeframe:
    """The timeframe that rows are of by the most usual step between them; 1m if that is of none."""
    steps = np.abs(np.diff(ts_ms))
    steps = steps[steps > 0]
    if not len(steps):
        return Timeframe.M1
    sizes, counts = np.unique(steps, return_counts=True)
    step = int(sizes[np.argmax(counts)])
    return next((each for each in Timeframe if each.ms == step), Timeframe.M1)
