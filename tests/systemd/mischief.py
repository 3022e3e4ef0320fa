"""A strategy that breaks the daemon it runs in, in the way that a file in the state folder names; tests/systemd puts it in.

It trades like tests.process.strategies.Eager; a file is taken away when it is heeded, so that the next process is sound.
"""

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from livebot.core.entry import Entry
from livebot.core.market import MINUTE_MS, Side, Timeframe
from livebot.simulator.feed import SimulatedFeed
from livebot.strategies.interface import Strategy, View

STATE = Path(os.environ.get("STATE_DIRECTORY", "."))
CREDENTIALS = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"))

if (STATE / "die").exists():
    os._exit(7)
if CREDENTIALS.is_dir() and STATE.is_dir() and os.access(STATE, os.W_OK):
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in CREDENTIALS.iterdir()}
    (STATE / "credentials-seen").write_text(repr(sorted(found.items())))


@dataclass(frozen=True)
class Nothing:
    """No parameters."""


class Mischief(Strategy[Nothing]):
    """A market entry on every candle; out again within minutes."""

    name = "mischief"
    Params = Nothing

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.M1

    def decide(self, view: View) -> Entry | None:
        if _asked("block"):
            time.sleep(600)
        if _asked("silence"):
            _feeds[0]._listeners.clear()
        if _asked("silence-one"):
            _feeds[0].ignore(view.symbol)
        return Entry(
            side=Side.LONG,
            stop_loss=view.close * 0.9985,
            take_profit=view.close * 1.002,
            lifetime_ms=3 * MINUTE_MS,
        )


def _asked(what: str) -> bool:
    if not (STATE / what).exists():
        return False
    (STATE / what).unlink()
    return True


# The feed of this process; its listeners are what it delivers candles to.
_feeds: list[SimulatedFeed] = []
_listen = SimulatedFeed.listen


def _remembered(self, symbol, deliver):
    _feeds[:] = [self]
    _listen(self, symbol, deliver)


SimulatedFeed.listen = _remembered
