"""Which column is which: by the names that the usual bots and venues give them, by position, or as the operator says.

Rules of this file: pure; nothing is guessed from numbers; a doubt is refused with the way to name the columns.
"""

from collections.abc import Sequence

from livebot.errors import BadInput
from livebot.history.table import VALUES

WANTED = ("time", *VALUES)
_TIMES = (
    "ts_ms", "timestamp_ms", "timestamp", "ts", "unix", "unix_timestamp", "open_time", "opentime", "open_timestamp",
    "time", "datetime", "date", "start", "start_time", "starttime", "t", "period_start", "time_period_start",
)  # fmt: skip
_NAMES: dict[str, tuple[str, ...]] = {
    "time": _TIMES,
    "open": ("open", "o", "open_price", "price_open"),
    "high": ("high", "h", "max", "high_price", "price_high"),
    "low": ("low", "l", "min", "low_price", "price_low"),
    "close": ("close", "c", "close_price", "price_close"),
    "volume": ("volume", "vol", "v", "base_volume", "volume_base", "volume_traded", "amount"),
}
HOW = "name them in the order time,open,high,low,close,volume with --columns (names, or numbers from 1)"


def recognise(names: Sequence[str], base: str | None) -> tuple[int, ...]:
    """Indexes of time, open, high, low, close and volume among named columns; `base` is the base asset if known.

    Raises:
        BadInput: one of them is not there.

    """
    plain = [_plain(name) for name in names]
    # "Volume BTC" beside "Volume USDT": the base asset's is meant
    volumes = (*_NAMES["volume"], *((f"volume_{base.lower()}",) if base else ()))
    found: dict[str, int] = {}
    for wanted in WANTED:
        known = volumes if wanted == "volume" else _NAMES[wanted]
        index = next((plain.index(name) for name in known if name in plain), None)
        if index is not None:
            found[wanted] = index
    lacking = [wanted for wanted in WANTED if wanted not in found]
    if lacking:
        raise BadInput(f"no column is known as {', '.join(lacking)}; it has {', '.join(names)}; {HOW}")
    return tuple(found[wanted] for wanted in WANTED)


def by_position(count: int) -> tuple[int, ...]:
    """The first six of so many columns without names: ccxt's, freqtrade's and Binance's order.  Raises BadInput."""
    if count < len(WANTED):
        raise BadInput(f"has {count} columns without names, and six are needed; {HOW}")
    return tuple(range(len(WANTED)))


def chosen(text: str, names: Sequence[str] | None, count: int) -> tuple[int, ...]:
    """What `--columns` says, over `count` columns that have names or (None) have not.

    Raises:
        BadInput: it is not six columns that are there.

    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(WANTED) or len(set(parts)) != len(parts):
        raise BadInput(f"--columns {text!r}: {HOW}")
    found: list[int] = []
    for part in parts:
        if names is not None and part in names:
            found.append(list(names).index(part))
        elif part.isdigit() and 1 <= int(part) <= count:
            found.append(int(part) - 1)
        else:
            has = ", ".join(names) if names is not None else f"{count} columns without names"
            raise BadInput(f"--columns: there is no column {part!r}; it has {has}")
    return tuple(found)


def _plain(name: str) -> str:
    return name.strip().strip("<>").replace("(utc)", "").strip().lower().replace(" ", "_").replace("-", "_")
