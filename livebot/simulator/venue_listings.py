"""Which instruments a local exchange lists, and under which names: `BTCUSDT` is another thing in each category."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from livebot.core.market import Instrument
from livebot.errors import BadInput
from livebot.simulator.market import parts_of
from livebot.simulator.venue import SimulatedVenue

LINEAR, SPOT = "linear", "spot"


@dataclass(frozen=True, slots=True)
class Listing:
    """One instrument of one category."""

    category: str
    name: str
    instrument: Instrument

    @property
    def symbol(self) -> str:
        """The symbol of the venue behind."""
        return self.instrument.symbol

    @property
    def spot(self) -> bool:
        """Whether coins change hands, and there is no position."""
        return self.category == SPOT


class Listings:
    """All of a venue, save what was delisted: that is known by its symbol only."""

    def __init__(self, venue: SimulatedVenue) -> None:
        self._gone: set[str] = set()
        self._by_symbol: dict[str, Listing] = {}
        self._by_name: dict[tuple[str, str], Listing] = {}
        for symbol in venue.symbols:
            instrument = venue.instrument(symbol)
            assert instrument is not None  # it is among the venue's symbols
            category = LINEAR if parts_of(symbol)[2] else SPOT
            listing = Listing(category, instrument.base + instrument.quote, instrument)
            self._by_symbol[symbol] = self._by_name[category, listing.name] = listing

    def of_symbol(self, symbol: str) -> Listing:
        """By the venue's symbol, which has to exist."""
        return self._by_symbol[symbol]

    def find(self, category: str, name: str) -> Listing | None:
        """By category and the exchange's name."""
        found = self._by_name.get((category, name))
        return None if found is None or found.symbol in self._gone else found

    def of_category(self, category: str) -> list[Listing]:
        """All of a category."""
        return [
            each for each in self._by_symbol.values() if each.category == category and each.symbol not in self._gone
        ]

    def named(self, names: Sequence[str]) -> list[Listing]:
        """Those of symbols, or of the exchange's names in any category, listed or not.  Raises BadInput if there is none."""
        found = []
        for name in names:
            meant = [each for each in self._by_symbol.values() if name in (each.symbol, each.name)]
            if not meant:
                raise BadInput(f"this exchange does not trade {name}")
            found += meant
        return found

    def delist(self, listing: Listing) -> None:
        """It is not traded any more."""
        self._gone.add(listing.symbol)

    def list_again(self, listing: Listing) -> None:
        """It is traded again."""
        self._gone.discard(listing.symbol)


def names_of(listing: Listing | None) -> tuple[str, ...]:
    """What faults may call it; nothing if there is none."""
    return (listing.symbol, listing.name) if listing else ()


def text(value: Decimal | None) -> str:
    """A number as venues write it: plain digits, empty if there is none."""
    if value is None:
        return ""
    return format(value.normalize(), "f") if value else "0"
