"""SystemStatus as JSON and back.

Rules of this file: exact decimals travel as strings, so nothing is rounded on the way; what is encoded decodes to
an equal value.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from livebot.core.universe_memory import UniverseStatus
from livebot.errors import Rejected
from livebot.ports import LimitUse, SignalStatus, SymbolStatus, SystemStatus

_EXACT_IN_SIGNAL = ("quantity", "entry_price", "stop_loss", "take_profit", "unrealised")


def encode_status(status: SystemStatus) -> bytes:
    """One JSON object, its keys those of SystemStatus."""
    return orjson.dumps(status, default=_plain)


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
            }
        )
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise Rejected(
            "the daemon's status cannot be read; is it another version of livebot than this command? "
            f"({type(error).__name__}: {error})"
        ) from error


def _limit(data: Mapping[str, Any]) -> LimitUse:
    return LimitUse(name=data["name"], used=Decimal(data["used"]), allowed=_exact(data["allowed"]))


def _universe(data: Mapping[str, Any] | None) -> UniverseStatus | None:
    if data is None:
        return None
    return UniverseStatus(**{**data, **{name: tuple(data[name]) for name in ("members", "departing", "resting")}})


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
