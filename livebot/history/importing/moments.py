"""Opening times in any of the usual forms, as UTC milliseconds.

Rules of this file: the unit of numbers is told by their size, for every row, and all rows must agree; a zone that is
written must be the same in all rows; text without a zone is taken as UTC, and that is said.  pyarrow is given in.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from livebot.core.series import Times
from livebot.errors import BadInput

_UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
_FROM = np.array([10**11, 10**14, 10**17])  # the first three digits more of each unit; see soundness.py
_PER_MS = (None, 1, 10**3, 10**6)
_EARLIEST_SECONDS = 10**8  # March 1973; smaller numbers are no times of candles
_LONGEST = 40  # digits that are read
_LATEST = 4 * 10**18  # the year 2096 in nanoseconds
_MOMENT = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})(?:[T ](?P<time>\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?))?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
_UTC = {"Z", "UTC", "GMT", "+00:00", "+0000", "-00:00", "-0000"}
_UNZONED = ""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Opening times in UTC milliseconds, and what an operator should know of how they were read (or nothing)."""

    ts_ms: Times
    note: str = ""


def of_numbers(values: npt.NDArray[Any]) -> Moments:
    """Whole numbers of s, ms, us or ns since 1970 (int or float array).

    Raises:
        BadInput: naming the row (from 1): no time, or of another unit than the rows before.

    """
    if values.dtype.kind == "f":
        broken = np.flatnonzero(~np.isfinite(values) | (values != np.round(values)))
        if len(broken):
            raise BadInput(f"row {broken[0] + 1}: the time {values[broken[0]]} is not a whole number; write whole ones")
    outside = np.flatnonzero((values < _EARLIEST_SECONDS) | (values > _LATEST))
    if len(outside):
        row = int(outside[0])
        raise BadInput(f"row {row + 1}: {values[row]} is no time since 1970; name the column of times with --columns")
    whole = values.astype(np.int64)
    units = np.searchsorted(_FROM, whole, side="right")
    other = np.flatnonzero(units != units[0])
    if len(other):
        row = int(other[0])
        raise BadInput(
            f"row {row + 1}: the time {whole[row]} is in {_UNITS[units[row]]}, and row {row} has {whole[row - 1]}, in "
            f"{_UNITS[units[row - 1]]}; write one unit throughout, or split the file there"
        )
    divisor = _PER_MS[units[0]]
    return Moments(whole * 1000 if divisor is None else _whole_ms(whole, divisor))


def of_texts(texts: list[str]) -> Moments:
    """Numbers written as text, or ISO times such as 2026-01-31T12:00:00Z.

    Raises:
        BadInput: naming the row (from 1) and the mend.

    """
    if texts[0].lstrip("-").replace(".", "", 1).isdigit():
        return of_numbers(_numbers(texts))
    zones: list[str] = []
    moments: list[str] = []
    for row, text in enumerate(texts, start=1):
        match = _MOMENT.fullmatch(text.strip())
        if match is None:
            raise BadInput(f"row {row}: {text!r:.60} is not a time; write 2026-01-31T12:00:00Z, or a number since 1970")
        moments.append(f"{match['date']}T{match['time'] or '00:00'}")
        zones.append(_zone(match["zone"]))
    _require_one_zone(zones, texts)
    try:
        calendar = np.array(moments, dtype="datetime64[us]")
    except ValueError as error:
        raise BadInput(f"a time is none of the calendar ({error}); mend the row") from error
    found = of_calendar(calendar, zoned=zones[0] != _UNZONED)
    return Moments(found.ts_ms - _offset_ms(zones[0]), found.note)


def of_calendar(values: npt.NDArray[Any], *, zoned: bool) -> Moments:
    """A column of numpy's datetime64; `zoned`: it says that it is UTC (or in a zone of which it holds the UTC)."""
    found = _whole_ms(values.astype("datetime64[us]").astype(np.int64), 1000)
    early = np.flatnonzero(found < _EARLIEST_SECONDS * 1000)
    if len(early):
        row = int(early[0])
        raise BadInput(f"row {row + 1}: {values[row]} is no time of a candle; name the column of times with --columns")
    return Moments(found, "" if zoned else "its times have no zone and were taken as UTC")


def _whole_ms(values: Times, per_ms: int) -> Times:
    # what is finer than a millisecond is looked at nowhere else: it must not be rounded away silently
    finer = np.flatnonzero(values % per_ms)
    if len(finer):
        row = int(finer[0])
        raise BadInput(f"row {row + 1}: the time {values[row]} is not a whole millisecond; round the opening times")
    whole: Times = values // per_ms
    return whole


def _numbers(texts: list[str]) -> npt.NDArray[Any]:
    found: list[int] = []
    for row, text in enumerate(texts, start=1):
        whole, _, rest = text.strip().partition(".")
        if not whole.isdigit() or rest.strip("0"):
            raise BadInput(f"row {row}: the time {text!r:.60} is not a whole number as in the rows before; mend it")
        found.append(min(int(whole[:_LONGEST]), _LATEST + 1))
    return np.array(found, dtype=np.int64)


def _zone(text: str | None) -> str:
    if text is None:
        return _UNZONED
    return "Z" if text in _UTC else text.replace(":", "")


def _require_one_zone(zones: list[str], texts: list[str]) -> None:
    other = next((row for row, zone in enumerate(zones) if zone != zones[0]), None)
    if other is not None:
        said = [repr(zone) if zone else "none" for zone in (zones[other], zones[0])]
        raise BadInput(
            f"row {other + 1}: the time {texts[other]!r:.60} has the zone {said[0]}, and the rows before have {said[1]}; "
            "write all times in UTC"
        )


def _offset_ms(zone: str) -> int:
    if zone in {_UNZONED, "Z"}:
        return 0
    sign = -1 if zone[0] == "-" else 1
    return sign * (int(zone[1:3]) * 60 + int(zone[3:5])) * 60_000
