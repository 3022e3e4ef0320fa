"""What one strategy on one symbol sees of the features that are made of other symbols."""

from collections.abc import Callable, Mapping
from typing import Protocol

from livebot.core.series import Floats


class ContextReader(Protocol):
    """One for each (strategy, symbol)."""

    @property
    def columns(self) -> Mapping[str, Floats]:
        """Recent values by the strategy's own names, read only and kept up to date by `settle`."""
        ...

    def lacking(self, close_ms: int) -> tuple[str, ...]:
        """The symbols that are waited for at this close."""
        ...

    def settle(self, close_ms: int) -> int:
        """Bring the columns up to date; the index behind this close in them, 0 if it is not known."""
        ...

    def when_complete(self, close_ms: int, call: Callable[[], None]) -> None:
        """Call once nobody is lacking at this close."""
        ...
