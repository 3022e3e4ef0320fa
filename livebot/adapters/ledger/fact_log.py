"""Tells the log what happens: every fact and every decision as an event of its own, symbol and strategy with it.

The log's own time is the world's; `ts_ms` is when it happened on the market, which differs in a simulation.
"""

import re
from collections.abc import Iterable
from dataclasses import fields
from enum import Enum

import structlog

from livebot.core.facts import FACT_KINDS, Fact, OrderFailed, StopMoved, TargetMoved
from livebot.ports import Decision

_WORD = re.compile(r"(?<!^)(?=[A-Z])")
_LAST = {"signal_id", "ts_ms"}
_LEFT_OUT = {"symbol", "strategy", "sequence", "exposure", "outcome", "close_ms", "feature_set"}
_log = structlog.get_logger("livebot.facts")


def event_name(kind: type[Fact]) -> str:
    """`signal_opened` of SignalOpened."""
    return _WORD.sub("_", kind.__name__).lower()


def _detail_names(kind: type[Fact | Decision]) -> tuple[str, ...]:
    names = [field.name for field in fields(kind) if field.name not in {*_LEFT_OUT, *_LAST}]
    return (*names, *(field.name for field in fields(kind) if field.name in _LAST))


_DETAILS = {kind: _detail_names(kind) for kind in (*FACT_KINDS, Decision)}
_EVENTS = {kind: event_name(kind) for kind in FACT_KINDS}
_LEVELS: dict[type[Fact], str] = {StopMoved: "debug", TargetMoved: "debug", OrderFailed: "warning"}


class FactLog:
    """A Listener.  A stop that trails is of use only to who looks for a bug, as is an approval, which a fact follows."""

    name = "log"

    def hear(self, items: Iterable[Fact | Decision]) -> None:
        """Log each."""
        for item in items:
            if isinstance(item, Decision):
                level, event = "debug" if item.outcome == "approved" else "info", f"entry_{item.outcome}"
            else:
                level, event = _LEVELS.get(type(item), "info"), _EVENTS[type(item)]
            getattr(_log, level)(event, symbol=item.symbol, strategy=item.strategy, **_details(item))


def _details(item: Fact | Decision) -> dict[str, object]:
    """What the item says, without what it does not say."""
    found = {name: getattr(item, name) for name in _DETAILS[type(item)]}
    return {
        name: value.name.lower() if isinstance(value, Enum) else value
        for name, value in found.items()
        if value is not None and value != ""
    }
