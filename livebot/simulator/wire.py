"""The few values that leave the process (to a log, to a socket) as JSON, and back, exactly.

Rules of this file: decimals travel as text, enumerations as their value, dataclasses as objects with their field names;
what comes back is built from the annotations of the dataclass, so that a field is never described twice.
"""

import asyncio
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import orjson

from livebot.core.inputs import OrderAccepted, OrderEnded, OrderEvent, OrderFilled, OrderRejected, OrderUnknown
from livebot.core.series import CandleSeries

T = TypeVar("T")
LONGEST_FRAME = 64 * 2**20
_LENGTH_BYTES = 4
Reader = Callable[[Any], Any]
Text = orjson.Fragment

_EVENTS: dict[str, type] = {
    kind.__name__: kind for kind in (OrderAccepted, OrderRejected, OrderUnknown, OrderFilled, OrderEnded)
}


def to_json(value: object) -> bytes:
    """One line of JSON, without the line's end."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)


def text_of(value: object) -> Text:
    """Its JSON, to stand inside what is written later."""
    return orjson.Fragment(to_json(value))


def from_json(text: bytes) -> Any:  # noqa: ANN401 - whatever the text holds
    """The plain value.  Raises ValueError if the text is not JSON."""
    return orjson.loads(text)


def frame(value: object) -> bytes:
    """A message for a socket: its length in four bytes, then its JSON."""
    text = to_json(value)
    return len(text).to_bytes(_LENGTH_BYTES, "big") + text


async def read_frame(stream: asyncio.StreamReader) -> dict[str, Any] | None:
    """The next message, None where the stream ends, also inside one.  Raises ValueError or TypeError for another's."""
    try:
        length = int.from_bytes(await stream.readexactly(_LENGTH_BYTES), "big")
        if length > LONGEST_FRAME:
            message = f"a message of {length} bytes is too long"
            raise ValueError(message)
        value = from_json(await stream.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    if not isinstance(value, dict):
        message = "a message must be an object"
        raise TypeError(message)
    return value


def read(kind: type[T], raw: object) -> T:
    """The value that `to_json` made `raw` from.  Raises KeyError, TypeError, ValueError or ArithmeticError."""
    annotation: Any = kind
    value: T = _reader(annotation)(raw)
    return value


def read_all(kind: type[T], raw: list[object]) -> tuple[T, ...]:
    """Several of one kind."""
    annotation: Any = kind
    reader = _reader(annotation)
    return tuple(reader(each) for each in raw)


def named(event: OrderEvent) -> dict[str, object]:
    """An event together with the name of its kind."""
    return {"kind": type(event).__name__, "value": event}


def read_named(raw: dict[str, Any]) -> Any:  # noqa: ANN401 - one of the kinds above, as its name says
    """The event that `named` was given."""
    return _reader(_EVENTS[raw["kind"]])(raw["value"])


def read_series(raw: dict[str, Any]) -> CandleSeries:
    """A candle series; its arrays are new."""
    columns = {name: np.array(raw[name], dtype=np.float64) for name in ("open", "high", "low", "close", "volume")}
    return CandleSeries(ts_ms=np.array(raw["ts_ms"], dtype=np.int64), **columns)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    message = f"{type(value).__name__} has no form on the wire"
    raise TypeError(message)


@cache
def _reader(kind: Any) -> Reader:  # noqa: ANN401 - any annotation
    """How to build a value of this annotation from plain JSON."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _optional(_reader(next(each for each in arguments if each is not type(None))))
    if origin in (tuple, list):
        return _sequence(origin, _reader(arguments[0]))
    if origin is dict:
        return _mapping(_reader(arguments[1]))
    if kind is Decimal or issubclass(kind, Enum):
        return _calling(kind)
    if is_dataclass(kind):
        return _record(kind)
    return _same


def _same(raw: Any) -> Any:  # noqa: ANN401
    return raw


def _calling(kind: Callable[[Any], Any]) -> Reader:
    return kind


def _optional(inner: Reader) -> Reader:
    return lambda raw: None if raw is None else inner(raw)


def _sequence(kind: Callable[[Any], Any], inner: Reader) -> Reader:
    return lambda raw: kind([inner(each) for each in raw])


def _mapping(inner: Reader) -> Reader:
    return lambda raw: {name: inner(each) for name, each in raw.items()}


def _record(kind: Any) -> Reader:  # noqa: ANN401 - a dataclass
    hints = get_type_hints(kind)
    readers = [(field.name, _reader(hints[field.name])) for field in fields(kind)]
    return lambda raw: kind(**{name: reader(raw[name]) for name, reader in readers if name in raw})
