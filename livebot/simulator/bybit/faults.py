"""What can go wrong between a client and the local Bybit, on demand.

Rules of this file: a fault is a value.  It is looked for at three places: when a request has come in, when its answer
goes out, and when a message is pushed; the table says which kind belongs where.  The oldest armed fault that fits and
whose odds hit is used up once.  Chance is seeded.

    refuse      the request is answered with `code` and `text` and not carried out
    lose        the request never arrives: not carried out, not answered
    late        not answered, and carried out `seconds` later
    ban         HTTP `status` (403, 429) to everything for `seconds`
    delay       the answer, or the message, comes `seconds` later
    silence     carried out, and never answered
    cut         carried out, and the connection is reset
    status      carried out, and answered with HTTP `status` (503)
    truncate, html, empty   carried out, and answered 200 with half a body, a page, or nothing
    unfinished  the last closed candle of an answer is half formed; a pushed candle is never confirmed
    drop, duplicate, reorder   a message is lost, sent twice, or sent after the next one
    freeze      the socket tells nothing for `seconds` (0: ever after), but answers pings
    disconnect  the socket is reset
    skew        at once: the exchange's clock is `seconds` ahead (0: right again)
"""

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from random import Random
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from livebot.errors import BadInput


class Place(Enum):
    """Where a fault strikes."""

    REQUEST = "request"
    ANSWER = "answer"
    PUSH = "push"
    NOW = "now"


_REQUEST, _ANSWER, _PUSH = frozenset({Place.REQUEST}), frozenset({Place.ANSWER}), frozenset({Place.PUSH})
PLACES: dict[str, frozenset[Place]] = {
    "refuse": _REQUEST,
    "lose": _REQUEST,
    "late": _REQUEST,
    "ban": _REQUEST,
    "delay": _ANSWER | _PUSH,
    "silence": _ANSWER,
    "cut": _ANSWER,
    "status": _ANSWER,
    "truncate": _ANSWER,
    "html": _ANSWER,
    "empty": _ANSWER,
    "unfinished": _ANSWER | _PUSH,
    "drop": _PUSH,
    "duplicate": _PUSH,
    "reorder": _PUSH,
    "freeze": _PUSH,
    "disconnect": _PUSH,
    "skew": frozenset({Place.NOW}),
}
_DEFAULT_STATUS = {"ban": 403, "status": 503}
Kind = Literal[
    "refuse", "lose", "late", "ban", "delay", "silence", "cut", "status", "truncate", "html", "empty",
    "unfinished", "drop", "duplicate", "reorder", "freeze", "disconnect", "skew",
]  # fmt: skip


class Fault(BaseModel):
    """An armed fault.

    `symbols` (unified, or Bybit's names) and `endpoints` (`order/create`, a topic's first word; empty: any) say what it
    befalls, `odds` how likely, `times` how often (None: for ever).
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    symbols: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    odds: Annotated[float, Field(gt=0, le=1)] = 1.0
    times: Annotated[int, Field(gt=0)] | None = 1
    seconds: float = 0.0
    code: int = 10016
    text: str = "System error. Please try again later."
    status: int = 0

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        if not self.status:
            self.status = _DEFAULT_STATUS.get(self.kind, 0)
        return self

    def fits(self, place: Place, endpoint: str, names: Sequence[str]) -> bool:
        """Whether it is meant for this."""
        return (
            place in PLACES[self.kind]
            and (not self.symbols or any(name in self.symbols for name in names))
            and (not self.endpoints or any(_same(endpoint, wanted) for wanted in self.endpoints))
        )


_SEVERAL = TypeAdapter(list[Fault])


class Faults:
    """All that are armed, and how far the exchange's clock is off."""

    def __init__(self, seed: int = 1) -> None:
        self.armed: list[Fault] = []
        self.skew_ms = 0
        self._random = Random(seed)

    def arm(self, fault: Fault) -> None:
        """From now on."""
        if fault.kind == "skew":
            self.skew_ms = round(fault.seconds * 1000)
        else:
            self.armed.append(fault)

    def arm_json(self, text: bytes) -> None:
        """One or several, as JSON.  Raises BadInput."""
        try:
            several = _SEVERAL.validate_json(text if text.lstrip()[:1] == b"[" else b"[" + text + b"]")
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"][1:])
            message = f"fault {where}: {first['msg']}"
            raise BadInput(message) from error
        for fault in several:
            self.arm(fault)

    def arm_file(self, path: Path) -> None:
        """Those of a JSON file.  Raises BadInput."""
        try:
            text = path.read_bytes()
        except OSError as error:
            message = f"{path}: the faults cannot be read: {error}"
            raise BadInput(message) from error
        self.arm_json(text)

    def clear(self) -> None:
        """All is well again."""
        self.armed.clear()
        self.skew_ms = 0

    def take(self, place: Place, endpoint: str, names: Sequence[str] = ()) -> Fault | None:
        """The fault that strikes here, used up once; None if all goes well."""
        for fault in self.armed:
            if fault.fits(place, endpoint, names) and (fault.odds >= 1 or self._random.random() < fault.odds):
                if fault.times is not None:
                    fault.times -= 1
                    if not fault.times:
                        self.armed.remove(fault)
                return fault
        return None


def _same(endpoint: str, wanted: str) -> bool:
    return endpoint == wanted or endpoint.endswith("/" + wanted.lstrip("/")) or endpoint.startswith(wanted + ".")
