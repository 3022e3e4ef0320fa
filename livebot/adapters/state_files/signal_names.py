"""Names of state files: `signals/<strategy>/<symbol>.json`, and back.

A name is refused rather than changed if it could leave the folder or be the name of another symbol's file, so one file
is always one (strategy, symbol): `/` becomes `-` and `:` becomes `_`, hence neither may stand in a base or a quote.
"""

import re

from livebot.errors import BadInput

SUFFIX = ".json"
NAME_BYTES_MAX = 120

# letters of any script (venues list such bases), digits, and signs that are plain in a file name
_PART = r"[^\W_](?:[^\W_]|[.$+&@!'])*"
_SYMBOL = re.compile(rf"\$?{_PART}(?:/{_PART}(?::{_PART}(?:-{_PART})*)?)?")
_FILE = re.compile(rf"(\$?{_PART})(?:-({_PART})(?:_({_PART}(?:-{_PART})*))?)?\.json")
_STRATEGY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def folder_name(strategy: str) -> str:
    """The folder of a strategy.

    Raises:
        BadInput: not a name for a folder.

    """
    if not _STRATEGY.fullmatch(strategy) or len(strategy) > NAME_BYTES_MAX:
        message = (
            f"strategy {strategy!r} cannot name a folder: use letters, digits, '_', '.' and '-', a letter or digit "
            f"first, at most {NAME_BYTES_MAX} characters"
        )
        raise BadInput(message)
    return strategy


def file_name(symbol: str) -> str:
    """The file of a symbol: BTC/USDT:USDT -> BTC-USDT_USDT.json.

    Raises:
        BadInput: not of the form BASE/QUOTE, BASE/QUOTE:SETTLE or BASE/QUOTE:SETTLE-EXPIRY, or too long.

    """
    if not _SYMBOL.fullmatch(symbol) or len(symbol.encode()) > NAME_BYTES_MAX:
        message = (
            f"symbol {symbol!r} cannot name a file: it must read BASE/QUOTE, BASE/QUOTE:SETTLE or "
            f"BASE/QUOTE:SETTLE-EXPIRY without '-' or '_' in base and quote, at most {NAME_BYTES_MAX} bytes"
        )
        raise BadInput(message)
    return symbol.replace("/", "-").replace(":", "_") + SUFFIX


def symbol_of(name: str) -> str | None:
    """The symbol whose file has this name, or None if it is no symbol's."""
    found = _FILE.fullmatch(name)
    if not found:
        return None
    base, quote, settle = found.groups()
    symbol = base + (f"/{quote}" if quote else "") + (f":{settle}" if settle else "")
    return symbol if len(symbol.encode()) <= NAME_BYTES_MAX else None
