"""Strategies that cannot be run."""

from typing import Any

from livebot.core.entry import Adjustment
from livebot.core.signal import Open
from livebot.strategies.interface import View
from tests.backtest.whims import Whim


class Unfeatured(Whim):
    """Asks for what it has not declared."""

    name = "unfeatured"

    def decide(self, view: View) -> Any:
        return view.feature("nothing")


class Answering(Whim):
    """Answers what is no entry."""

    name = "answering"

    def decide(self, view: View) -> Any:
        return "buy"


class Adjusting(Whim):
    """Wants of an open signal what nobody understands."""

    name = "adjusting"

    def manage(self, view: View, signal: Open) -> Any:
        return "sell"


class Stumbling(Whim):
    """Fails when something is open."""

    name = "stumbling"

    def manage(self, view: View, signal: Open) -> Adjustment | None:
        raise ZeroDivisionError
