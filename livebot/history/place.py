"""Where a symbol's candles lie: `<folder>/<venue>/<market>/<timeframe>/BTC-USDT_USDT.parquet`.

Rules of this file: pure; a name that could lead out of the folder is refused; a symbol is written as in `signals/`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from livebot.core.market import Timeframe
from livebot.errors import BadInput

SUFFIX = ".parquet"
MARKETS = ("spot", "perpetual")

_WORD = re.compile(r"[a-z0-9][a-z0-9_]{0,31}")
_SYMBOL = re.compile(r"[^\s/:_.-][^\s/:_]{0,39}/[^\s/:_.-][^\s/:_]{0,39}(:[^\s/:_.-][^\s/:_]{0,39})?")
_STEM = re.compile(r"([^-_]+)-([^_]+?)(?:_([^_]+))?")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One symbol's candles of one length."""

    venue: str
    market: str
    timeframe: Timeframe
    symbol: str

    def path_in(self, folder: Path) -> Path:
        """The file.  Raises BadInput: one of the names cannot be a file's."""
        if not _WORD.fullmatch(self.venue):
            raise BadInput(f"{self.venue!r} cannot be a venue's name; write one such as bybit")
        if self.market not in MARKETS:
            raise BadInput(f"{self.market!r} is not a market; write {' or '.join(MARKETS)}")
        check_symbol(self.symbol, self.market)
        return folder / self.venue / self.market / self.timeframe.value / file_name(self.symbol)

    def __str__(self) -> str:
        return f"{self.symbol} {self.timeframe.value} of {self.venue} {self.market}"


def check_symbol(symbol: str, market: str) -> None:
    """Raises BadInput: the symbol has not the form that the market's symbols have."""
    form = "BASE/QUOTE:SETTLE, such as BTC/USDT:USDT" if market == "perpetual" else "BASE/QUOTE, such as BTC/USDT"
    if not _SYMBOL.fullmatch(symbol) or (":" in symbol) != (market == "perpetual"):
        raise BadInput(f"{symbol!r} is no symbol of a {market} market; write {form}")


def file_name(symbol: str) -> str:
    """BTC/USDT:USDT is BTC-USDT_USDT.parquet."""
    return f"{symbol.replace('/', '-').replace(':', '_')}{SUFFIX}"


def symbol_of(stem: str) -> str | None:
    """The symbol that a file's name (without suffix) is of; None if it is of none."""
    match = _STEM.fullmatch(stem)
    if match is None:
        return None
    base, quote, settle = match.groups()
    return f"{base}/{quote}:{settle}" if settle else f"{base}/{quote}"


def timeframe_of(text: str) -> Timeframe:
    """Raises BadInput: there is no such timeframe."""
    try:
        return Timeframe(text)
    except ValueError:
        known = ", ".join(each.value for each in Timeframe)
        raise BadInput(f"{text!r} is not a timeframe; known are {known}") from None


def place_of(path: Path) -> Place | None:
    """What the last four parts of a path say, None if they do not say it all."""
    if len(path.parts) < 4:  # noqa: PLR2004
        return None
    venue, market, timeframe = path.parts[-4:-1]
    symbol = symbol_of(path.stem)
    if symbol is None or market not in MARKETS or path.suffix != SUFFIX or not _WORD.fullmatch(venue):
        return None
    try:
        return Place(venue, market, Timeframe(timeframe), symbol)
    except ValueError:
        return None
