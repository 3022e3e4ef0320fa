"""The commands of the control API: what each takes, and what it asks of the daemon.

Rules of this file: one row is one command; all symbols are meant only by an explicit null, never by leaving something
out.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from livebot.control_ports import SystemControl
from livebot.ops.control.fields import (
    LEVEL,
    NEEDED_REASON,
    REASON,
    STOP,
    STRATEGY,
    SYMBOLS,
    TARGET,
    Field,
)

Ask = Callable[[SystemControl, Mapping[str, Any]], Coroutine[Any, Any, str]]


@dataclass(frozen=True, slots=True)
class Command:
    """POST /v1/`name`; `ask` is given the values of `fields` that were not left out.

    `urgent`: it finds room also while as many others are under way as may be.
    """

    name: str
    summary: str
    fields: tuple[Field, ...]
    ask: Ask
    urgent: bool = False


COMMANDS: tuple[Command, ...] = (
    Command(
        "pause",
        "Open nothing new on these symbols; what is open is managed on.",
        (SYMBOLS, REASON),
        lambda control, given: control.pause(given["symbols"]),
    ),
    Command(
        "resume",
        "Lift a pause, or a switch-off by win rate.",
        (SYMBOLS, REASON),
        lambda control, given: control.resume(given["symbols"]),
    ),
    Command(
        "restart",
        "Start these symbols again from their files; lifts a quarantine.",
        (SYMBOLS, REASON),
        lambda control, given: control.restart(given["symbols"]),
    ),
    Command(
        "flatten",
        "Cancel entries and close positions at the market.",
        (SYMBOLS, REASON),
        lambda control, given: control.flatten(given["symbols"]),
        urgent=True,
    ),
    Command(
        "adopt",
        "Take over positions that somebody else opened.",
        (SYMBOLS, STOP, TARGET, STRATEGY, REASON),
        lambda control, given: control.adopt(
            given["symbols"], stop=given.get("stop"), target=given.get("target"), strategy=given.get("strategy")
        ),
    ),
    Command(
        "dismiss",
        "Let what is not ours stay there as it is, and trade the symbols again.",
        (SYMBOLS, REASON),
        lambda control, given: control.dismiss(given["symbols"]),
    ),
    Command(
        "halt",
        "Open nothing any more until unhalt, over any restart; exits go on.",
        (NEEDED_REASON,),
        lambda control, given: control.halt(given["reason"]),
        urgent=True,
    ),
    Command(
        "unhalt",
        "Trade again after a halt.",
        (NEEDED_REASON,),
        lambda control, given: control.unhalt(given["reason"]),
    ),
    Command(
        "reload",
        "Read the config again and take over what can change while the daemon runs.",
        (REASON,),
        lambda control, _: control.reload(),
    ),
    Command(
        "log-level",
        "Log from this level on, until the daemon is restarted.",
        (LEVEL, REASON),
        lambda control, given: control.log_level(given["level"]),
    ),
)
