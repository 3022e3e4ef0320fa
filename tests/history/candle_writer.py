"""A child process that merges candles into one file again and again until it is killed.

`python -m tests.history.candle_writer FOLDER`; a line on stdout is a merge that was acknowledged.  Merge number n shifts
all prices anew, so a file that mixes two merges can be told.  The disk takes few bytes at a time, so that kills hit writes.
"""

import sys
from pathlib import Path

import numpy as np

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.history.store import CandleStore
from livebot.history.table import CandleTable
from tests.history.builders import PLACE, START_MS

ROWS = 20_000
BYTES = 64


def version(number: int) -> CandleTable:
    """All candles of one merge: prices by chance, of which the number is the seed; the volume is the number."""
    ts_ms = START_MS + np.arange(ROWS + number, dtype=np.int64) * 60_000
    price = 1.0 + np.random.default_rng(number).random(len(ts_ms))
    return CandleTable(ts_ms, np.array([price, price, price, price, np.full(len(ts_ms), float(number))]))


class SlowDisk(SystemFiles):
    """Takes few bytes at a time."""

    def write(self, descriptor: int, data: memoryview) -> int:
        return super().write(descriptor, data[:BYTES])


def main() -> None:
    store = CandleStore(Path(sys.argv[1]), SlowDisk())
    number = int(store.read(PLACE).values[4, 0]) if store.path_of(PLACE).exists() else 0
    while True:
        number += 1
        with store.writing(PLACE) as writer:
            writer.merge(version(number))
        print(number, flush=True)


if __name__ == "__main__":
    main()
