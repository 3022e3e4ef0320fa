"""Writes log lines from a thread of its own, so that a reader that stalls (a paged terminal, a full pipe) never stalls
trading.

Rules of this file: taking a line never waits; what no longer fits is dropped, counted, and told when there is room.
"""

import atexit
import contextlib
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import IO

LINES_MAX = 10_000
BATCH_LINES = 500

Sink = Callable[[str], None]
"""Takes one or more lines, without the last line end; may block, may raise OSError or ValueError if nobody reads."""


class LineWriter:
    """A bounded queue of lines and the thread that gives them to a sink, in order, many at a time."""

    def __init__(self, sink: Sink, told_dropped: Callable[[int], str], *, lines_max: int = LINES_MAX) -> None:
        self._sink = sink
        self._told_dropped = told_dropped
        self._lines_max = lines_max
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, line: str) -> None:
        """Take a line; it is written soon, or counted if there is no room."""
        if len(self._lines) >= self._lines_max:
            self._dropped += 1
            return
        self._lines.append(line)
        self._wake.set()

    def close(self, seconds: float = 2.0) -> None:
        """Write what is left, for a bounded time."""
        atexit.unregister(self.close)
        self._closing = True
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            closing = self._closing  # read before the queue, so that nothing taken before the close stays behind
            while self._lines:
                self._write_some()
            if closing:
                return

    def _write_some(self) -> None:
        batch = [self._lines.popleft() for _ in range(min(len(self._lines), BATCH_LINES))]
        dropped, self._dropped = self._dropped, 0
        if dropped:
            batch.append(self._told_dropped(dropped))
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more; trading goes on
            self._sink("\n".join(batch))


def writes_to(stream: IO[str]) -> Sink:
    """A sink that writes UTF-8 to the stream's file, past its buffer, whose lock would outlive a blocked thread."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # an object that only looks like a file
        return lambda text: (stream.write(f"{text}\n"), stream.flush())[1]
    return lambda text: _write_all(descriptor, f"{text}\n".encode("utf-8", "backslashreplace"))


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another process made the shared terminal non-blocking
            select.select([], [descriptor], [], 1.0)
