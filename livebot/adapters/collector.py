"""When the garbage collector works: while nothing else does.

Left to itself it begins in the middle of a close, when most objects are made, and holds up the event loop for up to a
tenth of a second.  What lives on after a collection is frozen: it is not looked at again, and goes away when nobody refers
to it, as ever; only cycles among such objects stay until the next thorough collection.

Rules of this file: the collector of the process is as it was when `run` ends.
"""

import asyncio
import ctypes
import gc
from collections.abc import Callable
from typing import Final

EVERY_S: Final = 1.0
WORTH: Final = 20_000  # more objects than after the last collection: worth one at a quiet moment
MOST: Final = 200_000  # more objects, and it collects at any moment
GROWTH: Final = 1  # times as many objects frozen since the last thorough collection as then: time for the next one


class Collector:
    """One for the process."""

    def __init__(self, quiet: Callable[[], bool]) -> None:
        """`quiet` says whether nothing is being worked on."""
        self._quiet = quiet
        self._frozen = 0  # at the last thorough collection
        self._added = 0  # since; an estimate, because to count them takes as long as to collect
        self.thorough = 0  # collections of everything
        self.brief = 0  # of what is new

    async def run(self) -> None:
        """Collect until cancelled, beginning with everything."""
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            self._collect_all()
            while True:
                await asyncio.sleep(EVERY_S)
                self._collect_if_due()
        finally:
            gc.unfreeze()
            if was_enabled:
                gc.enable()

    def _collect_if_due(self) -> None:
        new = gc.get_count()[0]
        if new > MOST or (new > WORTH and self._quiet()):
            gc.collect()
            gc.freeze()
            self._added += new
            self.brief += 1
        if self._added > GROWTH * self._frozen and self._quiet():
            self._collect_all()

    def _collect_all(self) -> None:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._frozen, self._added = gc.get_freeze_count(), 0
        self.thorough += 1
        _give_back()


def _give_back() -> None:
    """What the histories took for a moment goes back to the system, where the C library can do that."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
