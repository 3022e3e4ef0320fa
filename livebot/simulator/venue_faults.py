"""What can go wrong between a client and a local exchange, on demand; the same for every venue it speaks like.

Rules of this file: a fault is a value.  It is looked for at four places: when a request has come in, when its answer
goes out, when a message is pushed, and when an order is accepted; a table says which kind belongs where, and which
happen at once.  The oldest armed fault that fits and whose odds hit is used up once.  Chance is seeded.

    refuse      the request is answered with `code` and `text` and not carried out
    lose        the request never arrives: not carried out, not answered
    late        not answered, and carried out `seconds` later
    ban         HTTP `status` (403, 429, 418) to everything for `seconds`, as the venue words it
    delay       the answer, or the message, comes `seconds` later
    silence     carried out, and never answered
    cut         carried out, and the connection is reset
    status      carried out, and answered with HTTP `status` (503)
    truncate, html, empty   carried out, and answered 200 with half a body, a page, or nothing
    unfinished  the last closed candle of an answer is half formed; a pushed candle is never confirmed
    drop, duplicate, reorder   a message is lost, sent twice, or sent after the next one
    freeze      the socket tells nothing for `seconds` (0: ever after), but answers pings
    disconnect  the socket is reset
    partial     an order fills in `pieces`: the next piece a minute later
    burst       an order fills in `pieces`, all at once

    skew        at once: the exchange's clock is `seconds` ahead (0: right again)
    delist      at once: the symbols are traded no more; their orders are cancelled, their positions settled
    close_position      at once: somebody closes the positions of the symbols (none named: all) by hand
    liquidate   at once: the venue itself closes the positions of the symbols that are contracts (none named: all)
    expire_listen_key   at once: keys of user streams are worth nothing any more (a venue without them does nothing)
"""

from collections import Counter, deque
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from random import Random
from typing import Annotated, Literal, Protocol, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from livebot.errors import BadInput
from livebot.simulator.book import FillShape
from livebot.simulator.fault_timers import FaultTimers


class Place(Enum):
    """Where a fault strikes."""

    REQUEST = "request"
    ANSWER = "answer"
    PUSH = "push"
    FILL = "fill"
    NOW = "now"


_REQUEST, _ANSWER, _PUSH = frozenset({Place.REQUEST}), frozenset({Place.ANSWER}), frozenset({Place.PUSH})
_FILL, _NOW = frozenset({Place.FILL}), frozenset({Place.NOW})
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
    "partial": _FILL,
    "burst": _FILL,
    "skew": _NOW,
    "delist": _NOW,
    "close_position": _NOW,
    "liquidate": _NOW,
    "expire_listen_key": _NOW,
}
_DEFAULT_STATUS = {"ban": 403, "status": 503}
_TAKE_TIME = ("late", "ban", "delay")
Kind = Literal[
    "refuse", "lose", "late", "ban", "delay", "silence", "cut", "status", "truncate", "html", "empty",
    "unfinished", "drop", "duplicate", "reorder", "freeze", "disconnect", "partial", "burst",
    "skew", "delist", "close_position", "liquidate", "expire_listen_key",
]  # fmt: skip
_MOST_PIECES = 100
_MOST_REMARKS = 100
_MOST_IDLE = 1_000

Seconds = Annotated[float, Field(allow_inf_nan=False)]
SomeSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)]


class Fault(BaseModel):
    """A fault to be armed.

    `symbols` (unified, or the venue's names) and `endpoints` (the end of a path such as `order/create`, a topic's first
    word; empty: any) say what it befalls, `odds` how likely, `times` how often (None: for ever).  It is armed `after_s`
    from now, again every `every_s`, and withdrawn (skew and delist: undone) `for_s` after it was armed.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    symbols: Names = ()
    endpoints: Names = ()
    odds: Annotated[float, Field(gt=0, le=1)] = 1.0
    times: Annotated[int, Field(gt=0)] | None = 1
    seconds: Seconds = 0.0
    code: int = 10016
    text: str = "System error. Please try again later."
    status: Annotated[int, Field(ge=0, le=599)] = 0
    pieces: Annotated[int, Field(ge=2, le=_MOST_PIECES)] = 3
    after_s: Annotated[Seconds, Field(ge=0)] = 0.0
    every_s: Annotated[float, Field(ge=0.01, allow_inf_nan=False)] | None = None
    for_s: SomeSeconds | None = None
    _entry: int = PrivateAttr(default=0)

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        if not self.status:
            self.status = _DEFAULT_STATUS.get(self.kind, 0)
        if self.kind in _TAKE_TIME and self.seconds <= 0:
            raise ValueError(f"{self.kind} needs seconds above 0")
        if self.seconds < 0 and self.kind != "skew":
            raise ValueError("seconds must not be negative")
        if self.kind == "delist" and not self.symbols:
            raise ValueError("delist needs symbols")
        if self.every_s is not None and self.for_s is not None and self.for_s > self.every_s:
            raise ValueError("for_s must not be above every_s")
        return self

    @property
    def timed(self) -> bool:
        """Whether time arms or withdraws it."""
        return bool(self.after_s or self.every_s or self.for_s)

    @property
    def entry(self) -> int:
        """Its number among all that were ever armed, from 1; 0: it is not armed yet.  Its fresh copies share it."""
        return self._entry

    def become(self, entry: int) -> None:
        """Have this number."""
        self._entry = entry

    @property
    def named(self) -> str:
        """What an operator knows it by: its kind, and what it is meant for."""
        meant = [
            f"{name} {', '.join(each)}"
            for name, each in (("endpoints", self.endpoints), ("symbols", self.symbols))
            if each
        ]
        return f"{self.kind} ({'; '.join(meant)})" if meant else self.kind

    def fits(self, place: Place, endpoint: str, names: Sequence[str]) -> bool:
        """Whether it is meant for this."""
        return (
            place in PLACES[self.kind]
            and (not self.symbols or any(name in self.symbols for name in names))
            and (not self.endpoints or any(_same(endpoint, wanted) for wanted in self.endpoints))
        )


_SEVERAL = TypeAdapter(list[Fault])


class Deeds(Protocol):
    """What an exchange can be told to do at once.  Symbols are unified, or the venue's names."""

    def check(self, symbols: Sequence[str]) -> None:
        """Raises BadInput for one that the exchange does not have."""
        ...

    def delist(self, symbols: Sequence[str]) -> None:
        """Trade them no more.  Raises BadInput for one that is not listed."""
        ...

    def list_again(self, symbols: Sequence[str]) -> None:
        """Trade them again."""
        ...

    def close_positions(self, symbols: Sequence[str]) -> None:
        """Somebody closes these positions, or all, by hand; those that are flat stay so.  Raises BadInput as above."""
        ...

    def liquidate(self, symbols: Sequence[str]) -> None:
        """The venue closes these positions, or all, itself; those that are flat stay so.  Raises BadInput as above."""
        ...

    def expire_listen_keys(self) -> str:
        """Forget the keys of user streams; a sentence that says what that meant."""
        ...


class Faults:
    """All that are armed, how often each kind has struck, and how far the exchange's clock is off."""

    def __init__(self, seed: int = 1) -> None:
        self.armed: list[Fault] = []
        self.struck: Counter[str] = Counter()
        self.idle: dict[int, str] = {}  # what has never struck, by its number among all that were ever armed
        self.remarks: deque[str] = deque(maxlen=_MOST_REMARKS)
        self.skew_ms = 0
        self._random = Random(seed)
        self._deeds: Deeds | None = None
        self._timers = FaultTimers(self._ring, self._withdraw)
        self._delisted: list[Fault] = []
        self._entries = 0

    def begin(self, deeds: Deeds) -> None:
        """The exchange stands: what was armed by time before counts from now."""
        self._deeds = deeds
        self._timers.start()

    def end(self) -> None:
        """Nothing more is armed by time."""
        self._timers.stop()

    def arm(self, fault: Fault) -> None:
        """From now on, or when its time comes.  Raises BadInput for a symbol that the exchange lacks."""
        self._entries += 1
        fault.become(self._entries)
        if len(self.idle) < _MOST_IDLE:
            self.idle[fault.entry] = f"entry {fault.entry}: {fault.named}"
        if fault.timed:
            self._timers.add(fault)
        else:
            self._begin(fault)

    def arm_json(self, text: bytes) -> None:
        """One or several, as JSON.  Raises BadInput, with all that is wrong; then none is armed."""
        try:
            several = _SEVERAL.validate_json(text if text.lstrip()[:1] == b"[" else b"[" + text + b"]")
        except ValidationError as error:
            raise BadInput("\n".join(sentences(error))) from None
        if self._deeds is not None:
            self._deeds.check([name for fault in several for name in fault.symbols])
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
        """All is well again, and nothing is armed by time any more."""
        self._timers.clear()
        self.armed.clear()
        self.skew_ms = 0
        for fault in self._delisted[:]:
            self._withdraw(fault)

    def take(self, place: Place, endpoint: str, names: Sequence[str] = ()) -> Fault | None:
        """The fault that strikes here, used up once; None if all goes well."""
        for fault in self.armed:
            if fault.fits(place, endpoint, names) and (fault.odds >= 1 or self._random.random() < fault.odds):
                if fault.times is not None:
                    fault.times -= 1
                    if not fault.times:
                        self.armed.remove(fault)
                self._count(fault)
                return fault
        return None

    def fill_shape(self, names: Sequence[str]) -> FillShape | None:
        """How an order that is accepted now is to fill; None: as ever."""
        fault = self.take(Place.FILL, "", names)
        return None if fault is None else FillShape(fault.pieces, fault.kind == "burst")

    def _ring(self, fault: Fault) -> None:
        try:
            self._begin(fault)
        except BadInput as error:  # nobody waits for an answer any more
            self.remarks.append(str(error))

    def _begin(self, fault: Fault) -> None:
        if Place.NOW not in PLACES[fault.kind]:
            self.armed.append(fault)
            return
        if fault.kind == "skew":
            self.skew_ms = round(fault.seconds * 1000)
        elif self._deeds is None:
            raise BadInput(f"{fault.kind} cannot happen before the exchange stands; give it after_s")
        else:
            self._do(fault, self._deeds)
        self._count(fault)

    def _count(self, fault: Fault) -> None:
        self.struck[fault.kind] += 1
        self.idle.pop(fault.entry, None)

    def _do(self, fault: Fault, deeds: Deeds) -> None:
        if fault.kind == "delist":
            deeds.delist(fault.symbols)
            self._delisted.append(fault)
        elif fault.kind == "close_position":
            deeds.close_positions(fault.symbols)
        elif fault.kind == "liquidate":
            deeds.liquidate(fault.symbols)
        else:
            self.remarks.append(deeds.expire_listen_keys())

    def _withdraw(self, fault: Fault) -> None:
        """Its time is over; one that has been used up is not there any more."""
        self.armed[:] = [each for each in self.armed if each is not fault]
        if fault.kind == "skew":
            self.skew_ms = 0
        elif fault.kind == "delist" and any(each is fault for each in self._delisted):
            self._delisted[:] = [each for each in self._delisted if each is not fault]
            if self._deeds is not None:
                self._deeds.list_again(fault.symbols)


def sentences(error: ValidationError) -> list[str]:
    """All that is wrong with a list of faults, each with the number of its entry, from 1."""
    told = []
    for each in error.errors():
        number, *keys = each["loc"] or ("",)
        where = f"entry {number + 1}" if isinstance(number, int) else "the faults"
        key = ".".join(str(part) for part in keys if not str(part).startswith("function-"))
        told.append(f"{where}: {f'{key}: ' if key else ''}{each['msg'].removeprefix('Value error, ')}")
    return list(dict.fromkeys(told))


def _same(endpoint: str, wanted: str) -> bool:
    return endpoint == wanted or endpoint.endswith("/" + wanted.lstrip("/")) or endpoint.startswith(wanted + ".")
