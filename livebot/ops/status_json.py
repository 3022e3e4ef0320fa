"""SystemStatus as JSON and back.

Rules of this file: exact decimals travel as strings, so nothing is rounded on the way; what is encoded decodes to
an equal value; what may be long is encoded in pieces, so that the event loop is never held up for long.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from time import perf_counter
from typing import Any

import orjson

from livebot.core.clusters import ClusterStatus
from livebot.core.universe_memory import UniverseStatus
from livebot.errors import Rejected
from livebot.ports import LimitUse, ModelStatus, SignalStatus, SymbolStatus, SystemStatus

_EXACT_IN_SIGNAL = ("quantity", "entry_price", "stop_loss", "take_profit", "unrealised")


PIECE_S = 0.002  # then everybody else has a turn
_NAMES = tuple(field.name for field in fields(SystemStatus))
_LONG = "symbols"


def encode_status(status: SystemStatus) -> bytes:
    """One JSON object, its keys those of SystemStatus."""
    return encode_plain(status)


async def encode_in_pieces(status: SystemStatus) -> bytes:
    """The same bytes, without holding up the event loop."""
    symbols = await encode_list(status.symbols)
    parts = (symbols if name == _LONG else encode_plain(getattr(status, name)) for name in _NAMES)
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), part) for name, part in zip(_NAMES, parts, strict=True))


async def encode_list(items: Iterable[object]) -> bytes:
    """A JSON array, one item after another, with a turn for everybody else now and then."""
    encoded: list[bytes] = []
    since = perf_counter()
    for item in items:
        encoded.append(encode_plain(item))
        if perf_counter() - since > PIECE_S:
            await asyncio.sleep(0)
            since = perf_counter()
    return b"[%b]" % b",".join(encoded)


def encode_plain(value: object) -> bytes:
    """Anything that a status may hold, at once."""
    return orjson.dumps(value, default=_plain)


def _plain(value: object) -> object:
    match value:
        case Decimal():
            return str(value)
        case Mapping():  # a mapping that is no dict, such as a read-only view
            return dict(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no place in a status")


def decode_status(data: Mapping[str, Any]) -> SystemStatus:
    """The status that `encode_status` was given.

    Raises:
        Rejected: it is not a status, for example from a daemon of another version.

    """
    try:
        return SystemStatus(
            **{
                **data,
                "equity": Decimal(data["equity"]),
                "day_pnl": Decimal(data["day_pnl"]),
                "unprotected": tuple(data["unprotected"]),
                "problems": tuple(data["problems"]),
                "limits": tuple(_limit(limit) for limit in data["limits"]),
                "symbols": tuple(_symbol(symbol) for symbol in data["symbols"]),
                "universe": _universe(data.get("universe")),
                "clusters": _clusters(data.get("clusters")),
                "models": _models(data.get("models")),
            }
        )
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise Rejected(
            "the daemon's status cannot be read; is it another version of livebot than this command? "
            f"({type(error).__name__}: {error})"
        ) from error


def _limit(data: Mapping[str, Any]) -> LimitUse:
    return LimitUse(
        name=data["name"],
        used=Decimal(data["used"]),
        allowed=_exact(data["allowed"]),
        floor=data.get("floor", False),  # a daemon of before knows of none
    )


def _universe(data: Mapping[str, Any] | None) -> UniverseStatus | None:
    if data is None:
        return None
    return UniverseStatus(**{**data, **{name: tuple(data[name]) for name in ("members", "departing", "resting")}})


def _clusters(data: Mapping[str, Any] | None) -> ClusterStatus | None:
    if data is None:
        return None
    return ClusterStatus(**{**data, "largest": tuple((name, size) for name, size in data["largest"])})


def _models(data: Sequence[Mapping[str, Any]] | None) -> tuple[ModelStatus, ...] | None:
    if data is None:
        return None
    return tuple(ModelStatus(**{**each, "uncovered": tuple(each["uncovered"])}) for each in data)


def _symbol(data: Mapping[str, Any]) -> SymbolStatus:
    return SymbolStatus(
        **{
            **data,
            "blocks": tuple(data["blocks"]),
            "signals": tuple(_signal(signal) for signal in data["signals"]),
        }
    )


def _signal(data: Mapping[str, Any]) -> SignalStatus:
    return SignalStatus(**{**data, **{name: _exact(data[name]) for name in _EXACT_IN_SIGNAL}})


def _exact(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
