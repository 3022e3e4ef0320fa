"""Spot: what is bought is owned; nothing can be sold that is not held."""

import re
from dataclasses import dataclass

_NAME = r"[^\W_a-z]+"  # capitals and digits, and letters of other scripts, which some coins are named in
_SYMBOL = re.compile(rf"(?P<base>{_NAME})/(?P<quote>{_NAME})")


@dataclass(frozen=True, slots=True)
class Spot:
    """The rules of spot markets."""

    name: str = "spot"
    can_short: bool = False

    def check_symbol(self, symbol: str) -> str | None:
        """What is wrong with a symbol and how to mend it; None if it is one of this market."""
        if _SYMBOL.fullmatch(symbol):
            return None
        if ":" in symbol and _SYMBOL.fullmatch(symbol.partition(":")[0]):
            return f"{symbol!r} is a derivative; the spot symbol is {symbol.partition(':')[0]!r}"
        return f"{symbol!r} is not a spot symbol; write BASE/QUOTE in capitals, such as 'BTC/USDT'"

    def settlement(self, symbol: str) -> str:
        """The currency that profits and losses are in: the quote.

        Raises:
            ValueError: not a symbol of this market.

        """
        match = _SYMBOL.fullmatch(symbol)
        if match is None:
            raise ValueError(self.check_symbol(symbol))
        return match["quote"]
