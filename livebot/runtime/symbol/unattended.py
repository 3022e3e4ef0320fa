"""Stands in for a strategy that cannot or must not be asked: it wants nothing, and rules manage what is open."""

from types import NoneType

from livebot.core.entry import Entry
from livebot.core.market import Timeframe
from livebot.strategies.interface import Strategy, View


class Unattended(Strategy[None]):
    """For a guard, and for a signal of a strategy that the config no longer names."""

    name = "unattended"
    Params = NoneType

    @property
    def timeframe(self) -> Timeframe:
        """Any would do; it never decides."""
        return Timeframe.M1

    def decide(self, view: View) -> Entry | None:
        """Nothing."""
        return None
