"""What the bodies and the addresses of requests may hold: for each thing how it is read and how OpenAPI describes it.

Rules of this file: what is read and what is described stand together; null is the same as leaving something out, except
for `symbols`, where it means all; nothing that was not asked for is passed over in silence.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from livebot.ops.control.answers import Refused

BODY_SECONDS = 5.0
SYMBOLS_MAX = 10_000
SYMBOL_CHARACTERS_MAX = 64
REASON_CHARACTERS_MAX = 500
STRATEGY_CHARACTERS_MAX = 100
PRICE_CHARACTERS_MAX = 40
KEY_CHARACTERS_MAX = 100
LEVELS = ("debug", "info", "warning", "error")
JSON = "application/json"
IDEMPOTENCY_KEY = "Idempotency-Key"
_PRICE = re.compile(r"[0-9]+(\.[0-9]+)?")
_KEY = re.compile(rf"[!-~]{{1,{KEY_CHARACTERS_MAX}}}")

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a body, or of a query.  `read` gives its value or raises Refused.

    `needed` says what it is, if it may not be left out.
    """

    name: str
    schema: Schema
    read: Callable[[Any], object]
    needed: str = ""

    @property
    def required(self) -> bool:
        """Whether it may not be left out."""
        return bool(self.needed)


# ------------------------------------------------------------------ the values


def _read_symbol(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= SYMBOL_CHARACTERS_MAX:
        raise Refused(f"a symbol must be text of 1 to {SYMBOL_CHARACTERS_MAX} characters, such as BTC/USDT")
    return value


def _read_symbols(value: object) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not 0 < len(value) <= SYMBOLS_MAX:
        raise Refused(f"'symbols' must be a list of 1 to {SYMBOLS_MAX} symbols, or null for all")
    for symbol in value:
        if not isinstance(symbol, str) or not 0 < len(symbol) <= SYMBOL_CHARACTERS_MAX:
            raise Refused(
                f"each of 'symbols' must be text of 1 to {SYMBOL_CHARACTERS_MAX} characters, such as BTC/USDT"
            )
    return list(dict.fromkeys(value))


def _read_reason(value: object) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not (0 < len(text) <= REASON_CHARACTERS_MAX and text.isprintable()):
        raise Refused(f"'reason' must be text of 1 to {REASON_CHARACTERS_MAX} printable characters")
    return text


def _price_reader(name: str) -> Callable[[object], Decimal]:
    def read(value: object) -> Decimal:
        if isinstance(value, str) and len(value) <= PRICE_CHARACTERS_MAX and _PRICE.fullmatch(value):
            price = Decimal(value)
            if price > 0:
                return price
        raise Refused(f'{name!r} must be a price as text, such as "61000.5"')

    return read


def _read_strategy(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= STRATEGY_CHARACTERS_MAX:
        return value
    raise Refused(f"'strategy' must be text of 1 to {STRATEGY_CHARACTERS_MAX} characters")


def _read_level(value: object) -> str:
    if isinstance(value, str) and value in LEVELS:
        return value
    raise Refused(f"'level' must be one of {', '.join(LEVELS)}")


_SYMBOL: Schema = {"type": "string", "minLength": 1, "maxLength": SYMBOL_CHARACTERS_MAX, "examples": ["BTC/USDT"]}
_REASON: Schema = {
    "type": "string",
    "format": "line",
    "minLength": 1,
    "maxLength": REASON_CHARACTERS_MAX,
    "description": "Printable text of one line, kept in the journal; white space in it becomes single spaces.",
}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _price(name: str, what: str) -> Field:
    schema = {
        "type": ["string", "null"],
        "pattern": r"^(?=.*[1-9])[0-9]+(\.[0-9]+)?$",
        "maxLength": PRICE_CHARACTERS_MAX,
        "examples": ["61000.5"],
        "description": what,
    }
    return Field(name, schema, _price_reader(name))


SYMBOLS = Field(
    "symbols",
    {
        "type": ["array", "null"],
        "items": _SYMBOL,
        "minItems": 1,
        "maxItems": SYMBOLS_MAX,
        "description": "The symbols meant; null: all of them.",
    },
    _read_symbols,
    needed="a list of symbols, or null for all",
)
REASON = Field("reason", _or_null(_REASON), _read_reason)
NEEDED_REASON = Field("reason", _REASON, _read_reason, needed="why, in a text of one line")
STOP = _price("stop", "Where its stop goes; for one symbol alone.")
TARGET = _price("target", "Its target; for one symbol alone.")
STRATEGY = Field(
    "strategy",
    {
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": STRATEGY_CHARACTERS_MAX,
        "description": "Whose the position becomes, where several strategies run on the symbol.",
    },
    _read_strategy,
)
LEVEL = Field("level", {"type": "string", "enum": list(LEVELS)}, _read_level, needed=f"one of {', '.join(LEVELS)}")
SYMBOL = Field("symbol", {**_SYMBOL, "description": "Only this one."}, _read_symbol)
KEY_SCHEMA: Schema = {"type": "string", "pattern": rf"^[!-~]{{1,{KEY_CHARACTERS_MAX}}}$"}


# ------------------------------------------------------------------ reading a request


async def read_body(request: web.Request, fields: Sequence[Field]) -> dict[str, Any]:
    """The body's keys with their values, without those that are left out or null.  Raises Refused."""
    if request.content_type != JSON:
        raise Refused(f"the body must be {JSON}, and its Content-Type say so", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    data = _object_of(await _whole_body(request), fields)
    known = {field.name for field in fields}
    if unknown := data.keys() - known:
        raise Refused(f"unknown key {_names(unknown)}; allowed: {_names(known)}")
    found: dict[str, Any] = {}
    for field in fields:
        value = data.get(field.name)
        if field.name not in data and field.required:
            raise Refused(f"{field.name!r} is missing: {field.needed}")
        if value is not None or field.required:
            found[field.name] = field.read(value)
    return found


async def _whole_body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        text = f"the body did not arrive within {BODY_SECONDS:g} s"
        raise Refused(text, HTTPStatus.REQUEST_TIMEOUT) from None
    except ConnectionResetError:  # nobody will read this; raised further, it would fill the log
        raise Refused("the caller hung up before the body was whole") from None


def _object_of(body: bytes, fields: Sequence[Field]) -> dict[str, Any]:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(f"the body is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise Refused(f"the body must be a JSON object with {_names({field.name for field in fields})}")
    return data


def _names(keys: set[str]) -> str:
    return ", ".join(repr(key[:SYMBOL_CHARACTERS_MAX]) for key in sorted(keys)[:5])


def read_query(request: web.Request, fields: Sequence[Field]) -> dict[str, Any]:
    """The arguments in the address.  Raises Refused; nothing of the address is in the text."""
    known = {field.name: field for field in fields}
    found: dict[str, Any] = {}
    for name, value in request.query.items():
        if name not in known or name in found:
            taken = f"only {_names(set(known))}, once" if known else "nothing"
            raise Refused(f"the address may have {taken} behind its question mark; a token never stands there")
        found[name] = known[name].read(value)
    return found


def read_key(request: web.Request) -> str | None:
    """What makes a repeated command the same one, if the caller says so.  Raises Refused."""
    keys = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise Refused(
            f"{IDEMPOTENCY_KEY} must stand there once, with 1 to {KEY_CHARACTERS_MAX} characters and no spaces"
        )
    return keys[0]
