"""`state/journal/YYYY-MM-DD.jsonl`: what happened, one JSON object a line, for people and for later replays.

Nothing depends on it: lines may be lost when the machine dies, when the disk is full or when they come faster than
they can be written.  It never raises into whoever tells it something and never makes anybody wait; it counts what it
dropped.
"""

import errno
import os
import queue
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from io import RawIOBase
from pathlib import Path
from threading import Thread

from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.json_text import json_of
from livebot.core.facts import Fact
from livebot.core.ranking import Round
from livebot.errors import LivebotError
from livebot.ports import Clock, Decision

QUEUE_ITEMS_MAX = 20_000
BATCH_ITEMS_MAX = 500
CLOSE_SECONDS_MAX = 5.0
DAYS_KEPT = 30

_FACT: Codec[Fact] = Codec(Fact)
_DECISION: Codec[Decision] = Codec(Decision)
_ROUND: Codec[Round] = Codec(Round)
_DAY_FILE = re.compile(r"\d{4}-\d{2}-\d{2}\.jsonl")
_LINE_END = b"\n"

Line = Fact | Decision | Round | Mapping[str, object]
Item = tuple[int, Line]


class Journal:
    """A Listener that writes on a thread of its own."""

    def __init__(
        self, folder: Path, clock: Clock, *, days_kept: int = DAYS_KEPT, queue_items_max: int = QUEUE_ITEMS_MAX
    ) -> None:
        self.name = "journal"
        self._clock = clock
        self._queue: queue.Queue[Item | None] = queue.Queue(queue_items_max)
        self._files = _DayFiles(folder, days_kept)
        self._dropped = 0
        self._unwritten = 0
        self._thread = Thread(target=self._write_all, name="journal", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many lines were lost so far: the queue was full, or the disk refused them."""
        return self._dropped + self._unwritten

    def hear(self, items: Iterable[Fact | Decision]) -> None:
        """Note facts and decisions; returns at once, whatever happens to them."""
        ts_ms = self._clock.now_ms()
        for item in items:
            self._put((ts_ms, item))

    def note(self, kind: str, fields: Mapping[str, object]) -> None:
        """Note anything else, such as an operator's command; `fields` are plain JSON values."""
        self._put((self._clock.now_ms(), {"type": kind, **fields}))

    def hear_round(self, judged: Round) -> None:
        """Note who wanted something at a close, who got it, and why the others did not; returns at once."""
        self._put((self._clock.now_ms(), judged))

    def close(self) -> None:
        """Write what is waiting, for a bounded time; blocking."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=CLOSE_SECONDS_MAX)
        self._thread.join(CLOSE_SECONDS_MAX)

    def _put(self, item: Item) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self._dropped += 1

    # ------------------------------------------------------------ on the journal's thread

    def _write_all(self) -> None:
        going = True
        while going:
            batch: list[Item | None] = [self._queue.get()]
            with suppress(queue.Empty):
                while len(batch) < BATCH_ITEMS_MAX:
                    batch.append(self._queue.get_nowait())
            items = [item for item in batch if item is not None]
            going = len(items) == len(batch)
            self._write(items)
        self._files.close()

    def _write(self, items: list[Item]) -> None:
        days: dict[str, list[bytes]] = {}
        for ts_ms, what in items:
            try:
                line = line_of(ts_ms, what)
            except LivebotError:
                self._unwritten += 1
            else:
                days.setdefault(_day_of(ts_ms), []).append(line)
        for day, lines in days.items():
            try:
                self._files.append(day, b"".join(lines))
            except OSError:
                self._unwritten += len(lines)


class _DayFiles:
    """The file of the present day, and the removal of old ones."""

    def __init__(self, folder: Path, days_kept: int) -> None:
        self._folder = folder
        self._days_kept = days_kept
        self._day: str | None = None
        self._file: RawIOBase | None = None

    def append(self, day: str, data: bytes) -> None:
        if day != self._day or self._file is None:
            self.close()
            self._file = self._opened(day)
            self._day = day
        try:
            _write_fully(self._file, data)
        except OSError:
            self.close()  # and try anew with the next lines
            raise

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._file = None

    def _opened(self, day: str) -> RawIOBase:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._remove_old(day)
        file = (self._folder / f"{day}.jsonl").open("ab+", buffering=0)
        end = file.seek(0, os.SEEK_END)
        # a last line that was cut off must not swallow the next one
        if end and os.pread(file.fileno(), 1, end - 1) != _LINE_END:
            file.write(_LINE_END)
        return file

    def _remove_old(self, day: str) -> None:
        names = sorted(path.name for path in self._folder.iterdir() if _DAY_FILE.fullmatch(path.name))
        earlier = [name for name in names if name < f"{day}.jsonl"]
        for name in earlier[: max(0, len(earlier) + 1 - self._days_kept)]:
            with suppress(OSError):
                (self._folder / name).unlink()


def _write_fully(file: RawIOBase, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a disk that is nearly full takes a part and says nothing
        taken = file.write(rest)
        if not taken:
            raise OSError(errno.EIO, "the filesystem takes no more bytes and does not say why")
        rest = rest[taken:]


def line_of(ts_ms: int, what: Line) -> bytes:
    """What happened at `ts_ms`, as a line of the journal.  Raises LivebotError if it has no JSON."""
    if isinstance(what, Fact):
        tree = _FACT.to_tree(what)
    elif isinstance(what, Decision):
        tree = {"type": "Decision", **_DECISION.to_tree(what)}
    elif isinstance(what, Round):
        tree = {"type": "Round", **_ROUND.to_tree(what)}
    else:
        tree = dict(what)
    return json_of({"at_ms": ts_ms, **tree}) + _LINE_END


def _day_of(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d")
