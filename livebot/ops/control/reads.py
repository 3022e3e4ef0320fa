"""What the control API tells: the status and its parts, as JSON.

Rules of this file: reading changes nothing; what grows with the number of symbols is looked at and encoded in pieces, so
that nobody is held up; every list is bounded, and says how much it leaves out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from http import HTTPStatus
from itertools import islice

from aiohttp import web

from livebot.control_ports import OrderLine, SystemControl
from livebot.ops.control.answers import Refused
from livebot.ops.control.fields import JSON, SYMBOL, read_query
from livebot.ops.status_json import encode_in_pieces, encode_list, encode_plain
from livebot.ports import LimitUse, SignalStatus, SymbolStatus

ROWS_MAX = 10_000
IDLE = "Idle"
_SIGNAL = tuple(field.name for field in fields(SignalStatus))


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """The answer of /v1/symbols."""

    now_ms: int
    left_out: int
    symbols: tuple[SymbolStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSignal(SignalStatus):
    """A signal that is not Idle, and its symbol."""

    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """The answer of /v1/signals."""

    now_ms: int
    left_out: int
    signals: tuple[SymbolSignal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """The answer of /v1/orders."""

    left_out: int
    orders: tuple[OrderLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The answer of /v1/limits."""

    limits: tuple[LimitUse, ...]


class Reads:
    """The handlers of what only reads."""

    def __init__(self, control: SystemControl, *, rows_max: int = ROWS_MAX) -> None:
        """No list has more than `rows_max` rows."""
        self._control = control
        self._rows_max = rows_max

    async def status(self, request: web.Request) -> web.Response:
        """SystemStatus."""
        read_query(request, ())
        return _answered(await encode_in_pieces(await self._control.look()))

    async def symbols(self, request: web.Request) -> web.Response:
        """Symbols."""
        chosen = self._chosen(request)
        status = await self._control.look()
        found = [each for each in status.symbols if chosen in (None, each.symbol)]
        return await self._listed({"now_ms": status.now_ms}, "symbols", found)

    async def signals(self, request: web.Request) -> web.Response:
        """Signals."""
        chosen = self._chosen(request)
        status = await self._control.look()
        found = [
            {"symbol": each.symbol, **{name: getattr(signal, name) for name in _SIGNAL}}
            for each in status.symbols
            if chosen in (None, each.symbol)
            for signal in each.signals
            if signal.state != IDLE
        ]
        return await self._listed({"now_ms": status.now_ms}, "signals", found)

    async def orders(self, request: web.Request) -> web.Response:
        """Orders."""
        return await self._listed({}, "orders", self._control.orders(self._chosen(request)))

    async def portfolio(self, request: web.Request) -> web.Response:
        """PortfolioStatus."""
        read_query(request, ())
        return _answered(encode_plain(self._control.portfolio()))

    async def limits(self, request: web.Request) -> web.Response:
        """Limits."""
        read_query(request, ())
        return _answered(encode_plain(Limits(limits=self._control.limits())))

    def _chosen(self, request: web.Request) -> str | None:
        symbol: str | None = read_query(request, (SYMBOL,)).get(SYMBOL.name)
        if symbol is not None and not self._control.knows(symbol):
            raise Refused("this symbol is none of this system's; /v1/symbols lists them", HTTPStatus.NOT_FOUND)
        return symbol

    async def _listed(self, head: dict[str, object], name: str, rows: Iterable[object]) -> web.Response:
        rest = iter(rows)
        listed = await encode_list(islice(rest, self._rows_max))
        left_out = sum(1 for _ in rest)
        top = encode_plain({**head, "left_out": left_out})
        return _answered(b'%b,"%b":%b}' % (top[:-1], name.encode(), listed))


def _answered(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=JSON)
