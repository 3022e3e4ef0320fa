"""How long a difference between files and venue has been there, look after look.

Rules of this file: a venue's list of positions may be behind its trades, or empty for a moment, so that a difference counts
once it has stood as it is for as long as that may last; it knows no clock, who looks says when.
"""

from collections.abc import Hashable


class Standing:
    """One difference at a time; `over` when a look does not show it, or tells nothing."""

    def __init__(self) -> None:
        """There is none."""
        self._difference: Hashable = None
        self._since_s = 0.0

    def left_s(self, difference: Hashable, looked_s: float, lag_s: float) -> float:
        """How long it has still to stand, by a look that began at `looked_s` and shows it; 0: it counts."""
        if difference != self._difference:
            self._difference, self._since_s = difference, looked_s
        return max(self._since_s + lag_s - looked_s, 0.0)

    def over(self) -> None:
        """It is not there any more."""
        self._difference = None
