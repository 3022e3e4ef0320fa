"""What each venue tells of all its listings at once, so that symbols can be chosen by it.

Rules of this file: ccxt is not imported; what is not in the table is not told; a claim is held by a test that lets stock
ccxt read what the venue really sends.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from livebot.adapters.ccxt_venue.venue_traits import PERPETUAL, SPOT
from livebot.core.universe_rules import FactKind

_TICKERS = frozenset({FactKind.VOLUME, FactKind.PRICE, FactKind.SPREAD})
_ALL = _TICKERS | {FactKind.AGE}
_FACTS: Mapping[tuple[str, str], frozenset[FactKind]] = MappingProxyType(
    {
        ("bybit", PERPETUAL): _ALL,
        ("bybit", SPOT): _TICKERS,  # a spot market has no launch time
        ("binance", PERPETUAL): _ALL,  # the spread by a second call, see `listings`
        ("binanceusdm", PERPETUAL): _ALL,
        ("binance", SPOT): _TICKERS,
    }
)


def facts_of(exchange_id: str, market: str) -> frozenset[FactKind]:
    """What the venue tells of every listing; nothing, if it was never looked at."""
    return _FACTS.get((exchange_id, market), frozenset())


def lacking_fact(exchange_id: str, market: str, wanted: Iterable[FactKind]) -> FactKind | None:
    """The first of these that the venue does not tell."""
    told = facts_of(exchange_id, market)
    return next((fact for fact in wanted if fact not in told), None)
