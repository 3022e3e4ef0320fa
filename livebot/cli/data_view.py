"""How results of `livebot data` are printed: tables and sentences for people, or JSON.

Rules of this file: what is cut says how much was cut; times are UTC; text of files is shown, never obeyed.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from livebot.cli.figures import clean, span
from livebot.history.checks import Finding
from livebot.history.coverage import Gap
from livebot.history.fetching import Fetched
from livebot.history.importing.run import ImportReport
from livebot.history.inspection import FileReport
from livebot.history.place import place_of
from livebot.history.store import Stored

GAPS_TOLD = 5
SENTENCES_TOLD = 20
_WIDEST = 1_000


def print_fetched(fetched: Sequence[Fetched], folder: Path, *, as_json: bool) -> None:
    """What came of every symbol."""
    if as_json:
        _print_json({"folder": str(folder), "symbols": [_fetched_json(each) for each in fetched]})
        return
    table = _table("symbol", "added", "replaced", "unchanged", "venue's gaps", "requests", right=range(1, 6))
    for each in fetched:
        counts, missing = each.counts, sum(end - begin for begin, end in each.gaps)
        gaps = f"{len(each.gaps)} ({span(missing)})" if each.gaps else "0"
        numbers = (counts.added, counts.replaced, counts.unchanged)
        table.add_row(clean(each.symbol), *(f"{number:,}" for number in numbers), gaps, f"{each.requests:,}")
    _print(table)
    for each in fetched:
        if each.problem:
            _say(f"{each.symbol}: {each.problem}")
    failed = sum(each.problem is not None for each in fetched)
    if failed:
        _say(f"{failed} of {len(fetched)} symbols are not complete; run the same command again, it goes on from there")
    _say(f"stored in {folder}")


def _fetched_json(each: Fetched) -> dict[str, object]:
    return {
        "symbol": each.symbol,
        **asdict(each.counts),
        "requests": each.requests,
        "revised": each.revised,
        "gaps": [{"from_ms": begin, "to_ms": end} for begin, end in each.gaps],
        "problem": each.problem,
    }


def print_imported(report: ImportReport, passed: Sequence[Path], folder: Path, *, as_json: bool) -> None:
    """What came of all files."""
    if as_json:
        rows = [
            {
                **_place_json(each.place),
                "files": each.files,
                **asdict(each.counts),
                "first_ms": each.first_ms,
                "stop_ms": each.stop_ms,
            }
            for each in report.imported
        ]
        told = {"notes": report.notes, "refused": report.refused, "passed_over": [str(path) for path in passed]}
        _print_json({"folder": str(folder), "imported": rows, **told})
        return
    if report.imported:
        table = _table(
            "symbol", "market", "length", "files", "added", "replaced", "unchanged", "from", "to", right=range(3, 7)
        )
        for each in report.imported:
            place, counts = each.place, each.counts
            numbers = (each.files, counts.added, counts.replaced, counts.unchanged)
            where = (clean(place.symbol), f"{place.venue} {place.market}", place.timeframe.value)
            table.add_row(*where, *(f"{number:,}" for number in numbers), _minute(each.first_ms), _minute(each.stop_ms))
        _print(table)
    _say_some(report.notes)
    if passed:
        _say(f"{len(passed)} files were passed over: by their names they hold no candles ({passed[0].name}, ...)")
    _say_some(report.refused)
    if report.refused:
        _say(f"{len(report.refused)} files were refused; nothing of them was stored")
    if report.imported:
        _say(f"stored in {folder}")


def print_checked(reports: Sequence[FileReport], *, as_json: bool) -> None:
    """What is wrong, and what is only worth a look."""
    wrong = sum(not report.sound for report in reports)
    if as_json:
        _print_json({"sound": not wrong, "files": [_report_json(report) for report in reports]})
        return
    table = _table(
        "symbol", "length", "candles", "from", "to", "coverage", "missing", "venue's", "", right=(2, 5, 6, 7)
    )
    for report in reports:
        coverage = report.coverage
        lost = [sum(gap.candles for gap in report.gaps if gap.venue is venue) for venue in (False, True)]
        table.add_row(
            clean(report.symbol),
            report.timeframe or "-",
            f"{report.rows:,}",
            _minute(report.first_ms) if report.rows else "-",
            _minute(report.stop_ms) if report.rows else "-",
            f"{_floor(coverage.ratio):.2%}" if coverage else "-",
            *(f"{count:,}" if coverage else "-" for count in lost),
            "ok" if report.sound else "WRONG",
        )
    _print(table)
    for report in reports:
        _say_some(_sentences(report))
    verdict = f"{wrong} of {len(reports)} files would change a backtest" if wrong else "nothing would change a backtest"
    _say(f"{len(reports)} files: {verdict}")


def _floor(ratio: float) -> float:
    return int(ratio * 10_000) / 10_000  # what lacks a single candle is not shown as whole


def _sentences(report: FileReport) -> list[str]:
    lines = [_sentence(report, finding) for finding in report.findings]
    own = sorted((gap for gap in report.gaps if not gap.venue), key=lambda gap: -gap.candles)
    lines += [f"{report.path}: missing here: {_gap(gap)}" for gap in own[:GAPS_TOLD]]
    if own:
        more = f"{len(own) - GAPS_TOLD} shorter gaps more (all in --json); " if len(own) > GAPS_TOLD else ""
        lines.append(f"{report.path}: {more}{_filling(report, min(gap.from_ms for gap in own))}")
    return lines


def _sentence(report: FileReport, finding: Finding) -> str:
    when = f", at {_minute(finding.ts_ms)}" if finding.ts_ms > 0 and finding.kind != "unit" else ""
    if finding.error:
        return f"{report.path}: {finding.text}{when}" + (f"; {finding.mend}" if finding.mend else "")
    count = f" ({finding.count - 1} more)" if finding.count > 1 else ""
    return f"note: {report.symbol} {report.timeframe}: {finding.text}{when}{count}"


def _filling(report: FileReport, since_ms: int) -> str:
    place = place_of(report.path)
    if place is None:
        return "fetch or export them again"
    options = (
        f"--exchange {place.venue} --market {place.market} --symbols {place.symbol} --timeframe {place.timeframe.value}"
    )
    return f"fill them with: livebot data fetch {options} --since {_minute(since_ms)[:10]}"


def _gap(gap: Gap) -> str:
    return f"{_minute(gap.from_ms)} to {_minute(gap.to_ms)}, {gap.candles:,} candles ({span(gap.to_ms - gap.from_ms)})"


def _report_json(report: FileReport) -> dict[str, object]:
    coverage = report.coverage
    return {
        "path": str(report.path),
        "symbol": report.symbol,
        "timeframe": report.timeframe,
        "rows": report.rows,
        "first_ms": report.first_ms,
        "stop_ms": report.stop_ms,
        "sound": report.sound,
        "coverage": coverage.ratio if coverage else None,
        "expected": coverage.expected if coverage else None,
        "gaps": [asdict(gap) for gap in report.gaps],
        "findings": [asdict(finding) for finding in report.findings],
    }


def print_stored(stored: Sequence[Stored], folder: Path, *, as_json: bool) -> None:
    """What the store holds."""
    if as_json:
        rows = [
            {**_place_json(each.place), "path": str(each.path), "rows": each.rows, "first_ms": each.first_ms}
            | {"stop_ms": each.stop_ms, "bytes": each.size, "problem": each.problem}
            for each in stored
        ]
        _print_json({"folder": str(folder), "files": rows})
        return
    if not stored:
        _say(f"{folder}: no candles; fetch some with livebot data fetch, or import files with livebot data import")
        return
    table = _table("venue", "market", "length", "symbol", "candles", "from", "to", "size", right=(4, 7))
    for each in stored:
        place, known = each.place, each.problem is None
        table.add_row(
            place.venue,
            place.market,
            place.timeframe.value,
            clean(place.symbol),
            f"{each.rows:,}",
            _minute(each.first_ms) if known else "-",
            _minute(each.stop_ms) if known else "-",
            _size(each.size),
        )
    _print(table)
    _say_some([each.problem for each in stored if each.problem])
    _say(f"{len(stored)} files, {_size(sum(each.size for each in stored))}, in {folder}")


def _place_json(place: object) -> dict[str, object]:
    found = asdict(place)  # type: ignore[call-overload]
    return {**found, "timeframe": found["timeframe"].value}


def _table(*names: str, right: Iterable[int]) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    aligned = set(right)
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index in aligned else "left", no_wrap=True)
    return table


def _print(table: Table) -> None:
    """As wide as it is: a figure that is cut tells nothing."""
    width = Console(width=_WIDEST).measure(table).maximum
    Console(highlight=False, width=width).print(table, soft_wrap=True)


def _say_some(sentences: Sequence[str]) -> None:
    for sentence in sentences[:SENTENCES_TOLD]:
        _say(sentence)
    if len(sentences) > SENTENCES_TOLD:
        _say(f"... and {len(sentences) - SENTENCES_TOLD} more (all in --json)")


def _say(text: str) -> None:
    typer.echo(clean(text))


def _print_json(data: object) -> None:
    typer.echo(json.dumps(data, indent=2))


def _minute(ts_ms: int) -> str:
    try:
        return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return str(ts_ms)


def _size(count: int) -> str:
    for unit, power in (("GB", 30), ("MB", 20), ("kB", 10)):
        if count >= 1 << power:
            return f"{count / (1 << power):.1f} {unit}"
    return f"{count} B"
