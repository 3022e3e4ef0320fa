"""What each venue can do for livebot, and what it cannot: looked up here, never guessed and never asked of ccxt.

Rules of this file: ccxt is not imported; a venue, a market or a kind of order that is not in the table is refused with a
sentence; a claim in the table is held by a test that captures the request which stock ccxt builds from it.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from livebot.adapters.ccxt_venue.venue_rows import ELSEWHERE, ROWS
from livebot.adapters.ccxt_venue.venue_traits import (
    PERPETUAL,
    SPOT,
    Amendable,
    Ask,
    AttachedStop,
    ClientId,
    DeadMansSwitch,
    Form,
    IdStyle,
    PositionMode,
    Repeated,
    Sandbox,
    VenueCapabilities,
)
from livebot.core.order import Leg
from livebot.errors import BadInput

__all__ = [
    "PERPETUAL",
    "SPOT",
    "TABLE",
    "Amendable",
    "Ask",
    "AttachedStop",
    "ClientId",
    "DeadMansSwitch",
    "Form",
    "IdStyle",
    "PositionMode",
    "Repeated",
    "Sandbox",
    "VenueCapabilities",
    "capabilities_of",
    "capability_rows",
    "from_venue_id",
    "problem_with",
    "to_venue_id",
]

LIVE: Final = "live"

TABLE: Mapping[tuple[str, str], VenueCapabilities] = MappingProxyType(
    {(each.exchange_id, each.market): each for each in ROWS}
)

_LEGS = frozenset(leg.value for leg in Leg)
_OURS = re.compile(r"lb(?P<head>[0-9a-f]{20})(?P<leg>[a-z])(?P<attempt>[0-9a-f]{2})")
_MARK = "6c626f74"  # "lbot": tells our 128 bits from anybody else's
_OUR_HEX = re.compile(rf"{_MARK}(?P<head>[0-9a-f]{{20}})(?P<leg>[0-9a-f]{{2}})(?P<attempt>[0-9a-f]{{2}})")


def to_venue_id(client_order_id: str, capabilities: VenueCapabilities) -> str:
    """Our client order id as the venue is to see it.

    Raises:
        BadInput: the venue cannot take it.

    """
    known = capabilities.client_id
    if known.style is IdStyle.HEX_128:
        text = known.prefix + _packed(client_order_id, capabilities)
    else:
        text = known.prefix + client_order_id
    if not client_order_id or len(text) > known.longest or not re.fullmatch(f"[{known.alphabet}]+", text):
        raise BadInput(
            f"{capabilities.name}: the client order id {text!r} does not fit, "
            f"at most {known.longest} characters of [{known.alphabet}] are taken"
        )
    return text


def from_venue_id(text: str, capabilities: VenueCapabilities) -> str | None:
    """The client order id that `to_venue_id` was given, None if no livebot made it."""
    known = capabilities.client_id
    if not text.startswith(known.prefix):
        return None
    text = text.removeprefix(known.prefix)
    if known.style is IdStyle.HEX_128:
        match = _OUR_HEX.fullmatch(text.lower())
        text = f"lb{match['head']}{chr(int(match['leg'], 16))}{match['attempt']}" if match else ""
    match = _OURS.fullmatch(text)
    return text if match and match["leg"] in _LEGS else None


def _packed(client_order_id: str, capabilities: VenueCapabilities) -> str:
    match = _OURS.fullmatch(client_order_id)
    if match is None:
        raise BadInput(
            f"{capabilities.name}: {client_order_id!r} is no client order id of livebot and cannot be packed"
        )
    return f"{_MARK}{match['head']}{ord(match['leg']):02x}{match['attempt']}"


def capabilities_of(exchange_id: str, market: str) -> VenueCapabilities:
    """What a venue can do in a market, spot or perpetual.

    Raises:
        BadInput: it is not in the table; the text names what is.

    """
    found = TABLE.get((exchange_id, market))
    if found is not None:
        return found
    if (exchange_id, market) in ELSEWHERE:
        raise BadInput(ELSEWHERE[exchange_id, market])
    known = ", ".join(sorted(name for name, of in TABLE if of == market))
    if not known:
        raise BadInput(f"{market!r} is not a market of any venue; write {SPOT} or {PERPETUAL}")
    raise BadInput(f"{exchange_id!r} is not a venue that livebot knows for {market}; known are {known}")


def problem_with(exchange_id: str, market: str, *, mode: str, sandbox: bool) -> str | None:
    """Why a config cannot use a venue, in one sentence; None if it can.

    `mode` is live (orders leave) or paper (candles only).
    """
    try:
        found = capabilities_of(exchange_id, market)
    except BadInput as error:
        return str(error)
    if not (found.usable if mode == LIVE else found.data):
        return f"{found.name}: {found.why}"
    if sandbox and found.sandbox is None:
        return f"{found.name}: ccxt reaches no sandbox there; write sandbox: false"
    return None


def capability_rows() -> tuple[tuple[str, ...], ...]:
    """The table for people: a header, then one row per venue and market."""
    return (_HEADER, *(_row(each) for each in TABLE.values()))


_HEADER = (
    "venue",
    "market",
    "live",
    "paper",
    "stop in the entry's request",
    "stop orders",
    "changed in place",
    "found by our id in",
    "dead man's switch",
    "why not",
)


def _row(each: VenueCapabilities) -> tuple[str, ...]:
    changed = sorted(one.value for one in each.amend | each.amend_stop)
    finds = dict.fromkeys(ask.method for ask in (*each.find, *each.finding(Leg.STOP)))
    return (
        each.exchange_id,
        each.market,
        "yes" if each.usable else "no",
        "yes" if each.data else "no",
        each.attached_stop.value if each.attached_stop else "no",
        _stops(each),
        ", ".join(changed) or "nothing",
        "a list of all orders" if any(ask.key is None for ask in each.find) else ", then ".join(finds),
        each.dead_mans_switch.value,
        each.why,
    )


def _stops(each: VenueCapabilities) -> str:
    if Form.STOP_MARKET not in each.forms:
        return "no"
    return "apart from the others" if each.conditionals_apart else "among the others"
