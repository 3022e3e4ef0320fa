"""What the path of a file of another program says of its candles: venue, market, symbol, timeframe.

Rules of this file: pure; what the path does not say is None, what it says twice and differently is refused; only the
last folders of a path are looked at.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from livebot.core.market import Timeframe

FOLDERS = 8  # of a path, counted from the file
_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "BTC", "ETH", "BNB", "TRY", "DAI")
_SUFFIXES = re.compile(r"\.(csv|txt|json|feather|arrow|parquet|gz|zip)$", re.IGNORECASE)
_TIMEFRAME = re.compile(r"(?<![A-Za-z0-9.])(\d{1,2}[mhdHD])(?![A-Za-z0-9])")
_TRADINGVIEW = re.compile(
    r"(?P<venue>[A-Z]+)_(?P<pair>[A-Z0-9]+?)(?P<perpetual>\.P|PERP)?, (?P<frame>\d+[SDWM]?)(?:_\w+)?"
)
_MINUTES = {each.ms // 60_000: each for each in Timeframe}
_PERPETUAL = {"perpetual", "perp", "futures", "swap", "um", "linear", "usdm"}
_SPOT = {"spot"}
_VENUES = {
    "binance",
    "binanceusdm",
    "bybit",
    "okx",
    "kraken",
    "kucoin",
    "bitget",
    "gate",
    "coinbase",
    "hyperliquid",
    "htx",
}
_NO_CANDLES = re.compile(r"(^|[-_.])(funding_rate|mark|index|premiumIndex|trades|funding)([-_.]|$)")
_KINDS = re.compile(r"[-_](futures|spot|swap|perp|perpetual)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Told:
    """What a path says."""

    venue: str | None = None
    market: str | None = None
    symbol: str | None = None
    timeframe: Timeframe | None = None
    candles: bool = True


def told_by(path: Path) -> Told:
    """What a path says of the candles in it; `candles` False: it says that it holds something else."""
    stem = _stem(path.name)
    folders = [part.lower() for part in path.parts[-FOLDERS - 1 : -1]]
    view = _TRADINGVIEW.fullmatch(stem)
    if view is not None:
        traded = "perpetual" if view["perpetual"] else _market(folders, "") or "spot"
        return Told(view["venue"].lower(), traded, _symbol(view["pair"], traded), _of_view(view["frame"]))
    kind = _KINDS.search(stem)
    market = _market(folders, kind[1].lower() if kind else "")
    bare = stem[: kind.start()] if kind else stem
    frame = _timeframe(bare) or _timeframe_of_folders(folders)
    name = _TIMEFRAME.split(bare, maxsplit=1)[0].rstrip("-_ ,")
    name = re.sub(rf"^({'|'.join(sorted(_VENUES))})_(?=.)", "", name, flags=re.IGNORECASE)
    symbol = _symbol(name, market)
    if market is None and symbol is not None and ":" in symbol:
        market = "perpetual"
    owner = next((part for part in reversed(folders) if part in _VENUES), _venue_in(stem))
    return Told(owner, market, symbol, frame, candles=not _NO_CANDLES.search(stem))


def _stem(name: str) -> str:
    while _SUFFIXES.search(name):
        name = _SUFFIXES.sub("", name)
    return name


def _venue_in(stem: str) -> str | None:
    return next((venue for venue in sorted(_VENUES) if stem.lower().startswith(f"{venue}_")), None)


def _market(folders: list[str], kind: str) -> str | None:
    for word in (kind, *reversed(folders)):
        parts = set(re.split(r"[-_]", word))
        if parts & _PERPETUAL:
            return "perpetual"
        if parts & _SPOT:
            return "spot"
    return None


def _timeframe(text: str) -> Timeframe | None:
    found = _TIMEFRAME.search(text.replace("_", "-"))
    return _known(found[1]) if found else None


def _timeframe_of_folders(folders: list[str]) -> Timeframe | None:
    return next((frame for part in reversed(folders) if (frame := _timeframe(part)) is not None), None)


def _known(text: str) -> Timeframe | None:
    return next((each for each in Timeframe if each.value == text.lower()), None)


def _of_view(text: str) -> Timeframe | None:
    if text.isdigit():
        return _MINUTES.get(int(text))
    return Timeframe.D1 if text in {"D", "1D"} else None


def _symbol(name: str, market: str | None) -> str | None:
    parts = [part for part in re.split(r"[-_/:]", name.upper()) if part]
    match parts:
        case [pair]:
            quote = next((quote for quote in _QUOTES if pair.endswith(quote) and len(pair) > len(quote)), None)
            if quote is None:
                return None
            base, settle = pair.removesuffix(quote), quote if market == "perpetual" else ""
        case [base, str(quote)] if quote.isalpha():
            settle = quote if market == "perpetual" else ""
        case [base, str(quote), settle] if quote.isalpha() and settle.isalpha():
            pass
        case _:
            return None
    return f"{base}/{quote}:{settle}" if settle else f"{base}/{quote}"
