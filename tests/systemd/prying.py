"""A strategy that looks, where the retrain unit trains it, at what can be written and which keys are there.

It says so on stderr, so in the journal of the unit.  In the daemon it only trades.  tests/systemd puts it in.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from livebot.core.entry import Entry
from livebot.core.market import MINUTE_MS, Side, Timeframe
from livebot.strategies.interface import Strategy, View

EVERY_MS = 5 * MINUTE_MS
FOLDERS = [Path(folder) for folder in os.environ.get("STATE_DIRECTORY", "").split(":") if folder]


def writable(folder: Path) -> bool:
    """Whether a file can be made there; it is taken away again."""
    file = folder / "pried"
    try:
        file.touch()
    except OSError:
        return False
    file.unlink()
    return True


if len(FOLDERS) == 2:  # the unit that trains has two, the daemon one, a command none
    market = FOLDERS[0].parent
    credentials = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"))
    keys = sorted(path.name for path in credentials.iterdir()) if credentials.is_dir() else []
    places = (*FOLDERS, market, market / "state", market / "signals", market.parent / "beta")
    found = {str(folder): writable(folder) for folder in places if folder.is_dir()}  # all of them the user's own
    print("pried:", json.dumps({"written": found, "keys": keys}), file=sys.stderr)


@dataclass(frozen=True)
class Nothing:
    """No parameters."""


class Prying(Strategy[Nothing]):
    """A market entry every five minutes; out again within three."""

    name = "prying"
    Params = Nothing

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.M1

    def decide(self, view: View) -> Entry | None:
        if view.close_ms % EVERY_MS:
            return None
        return Entry(
            side=Side.LONG,
            stop_loss=view.close * 0.9985,
            take_profit=view.close * 1.002,
            lifetime_ms=3 * MINUTE_MS,
        )
