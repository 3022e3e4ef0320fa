"""How an event looks: one JSON object for machines, one coloured line for people.

Rules of this file: rendering never raises, whatever the event holds; no line is longer than a journal takes; nothing
from outside can move a terminal's cursor or begin a line of its own.
"""

import re
from collections.abc import Callable, Mapping, MutableMapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import orjson

Event = MutableMapping[str, Any]

VALUE_CHARACTERS_MAX = 4_000
EXCEPTION_CHARACTERS_MAX = 16_000
LINE_BYTES_MAX = 40_000  # journald cuts at 48 KiB
_HEAD = ("ts", "level", "event", "symbol", "strategy")
# a terminal shows one system, now; and a signal's id is its symbol, its strategy and a number
_NOT_AMONG_DETAILS = {*_HEAD, "exception", "system", "signal_id", "ts_ms", "opened_ms"}
_DIGITS = Context(prec=8, rounding=ROUND_HALF_EVEN)
_RESET, _BOLD, _DIM, _CYAN = "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[36m"
_LEVEL_COLOURS = {
    "debug": _DIM,
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;97;41m",
}
_NEEDS_QUOTES = re.compile(r"[\s=\"']|^$")


def shorten(event: Event, redact: Callable[[str], str]) -> Event:
    """Long texts are cut, after taking secrets out: half a secret would not be recognised any more."""
    for key, value in event.items():
        limit = EXCEPTION_CHARACTERS_MAX if key == "exception" else VALUE_CHARACTERS_MAX
        if isinstance(value, str) and len(value) > limit:
            whole = redact(value)
            event[key] = f"{whole[:limit]}... ({len(whole) - limit} more characters)"
    return event


def json_line(event: Mapping[str, Any]) -> str:
    """One JSON object: when, how bad, what, to whom, then the details."""
    ordered = {key: event[key] for key in _HEAD if key in event}
    ordered.update(event)
    line = _json(ordered)
    if len(line) > LINE_BYTES_MAX:
        head = {key: str(ordered[key])[:VALUE_CHARACTERS_MAX] for key in _HEAD if key in ordered}
        line = _json({**head, "cut": f"the line had {len(line)} bytes; its details are left out"})
    return line.decode()


def json_line_without(redact: Callable[[str], str], event: Mapping[str, Any]) -> str:
    """The line of `json_line` without secrets, still JSON where the secret was a bare number or a piece of syntax."""
    line = json_line(event)
    clean = redact(line)
    if clean == line or _is_json(clean):
        return clean
    return json_line({redact(str(key)): redact(_shown(value)) for key, value in event.items()})


def _is_json(line: str) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _json(event: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(event, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # half characters, odd keys, integers of more than 64 bits, what holds itself
        return orjson.dumps({_whole(str(key)): _whole(_shown(value)) for key, value in event.items()})


def _plain(value: object) -> object:
    match value:
        case Mapping():
            return {str(key): item for key, item in value.items()}
        case set() | frozenset() | list() | tuple():
            return [*value]
        case Decimal():
            return str(value)
        case _:
            return _shown(value)


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  a broken __str__ of anybody's object must not stop who logs it
        return f"<{type(value).__name__}>"


def _whole(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def text_line(event: Mapping[str, Any], *, colours: bool) -> str:
    """`12:03:41.123 info    signal_opened          BTC/USDT:USDT ema_cross  price=61234.5 quantity=0.013`."""
    rest = {key: value for key, value in event.items() if key not in _NOT_AMONG_DETAILS}
    level = str(event.get("level", ""))
    where = " ".join(_safe(event[key]) for key in ("symbol", "strategy") if event.get(key)) + _signal_number(event)
    name = _safe(event.get("event", ""))
    clock = str(event.get("ts", ""))[11:23]
    paint = _painted if colours else _plainly
    parts = [paint(clock, _DIM), paint(f"{level:7}", _LEVEL_COLOURS.get(level, "")), paint(f"{name:24}", _BOLD)]
    if where:
        parts.append(paint(where, _CYAN))
    parts += [f"{paint(_safe(key) + '=', _DIM)}{_value(value)}" for key, value in rest.items()]
    line = " ".join(parts).rstrip()
    if exception := event.get("exception"):
        line += "".join(f"\n    {paint(_safe(row), _DIM)}" for row in str(exception).splitlines())
    return line


def _signal_number(event: Mapping[str, Any]) -> str:
    _, sign, number = _safe(event.get("signal_id", "")).rpartition("#")
    return sign + number if sign else ""


def _painted(text: str, colour: str) -> str:
    return f"{colour}{text}{_RESET}"


def _plainly(text: str, _: str) -> str:
    return text


def _value(value: object) -> str:
    match value:
        case Decimal() if value.is_finite():
            return f"{value.normalize(_DIGITS):f}"
        case list() | tuple() | set() | frozenset():
            text = ",".join(map(_safe, value)) or "none"
        case _:
            text = _safe(value)
    return f'"{text}"' if _NEEDS_QUOTES.search(text) else text


def _safe(value: object) -> str:
    text = _shown(value)
    return text if text.isprintable() else repr(text)[1:-1]
