"""Perpetual swaps, linear: margined and settled in the quote currency, long or short, without an end date."""

import re
from dataclasses import dataclass

_NAME = r"[^\W_a-z]+"  # capitals and digits, and letters of other scripts, which some coins are named in
_SYMBOL = re.compile(rf"(?P<base>{_NAME})/(?P<quote>{_NAME}):(?P<settlement>{_NAME})(?P<dated>-.+)?")
_SPOT_SYMBOL = re.compile(rf"{_NAME}/(?P<quote>{_NAME})")


@dataclass(frozen=True, slots=True)
class Perpetual:
    """The rules of linear perpetual swaps."""

    name: str = "perpetual"
    can_short: bool = True

    def check_symbol(self, symbol: str) -> str | None:
        """What is wrong with a symbol and how to mend it; None if it is one of this market."""
        match = _SYMBOL.fullmatch(symbol)
        if match is None:
            spot = _SPOT_SYMBOL.fullmatch(symbol)
            if spot is not None:
                return f"{symbol!r} is a spot symbol; the perpetual is '{symbol}:{spot['quote']}'"
            return f"{symbol!r} is not a perpetual symbol; write BASE/QUOTE:QUOTE, such as 'BTC/USDT:USDT'"
        if match["dated"]:
            return f"{symbol!r} has an end date; the perpetual is {symbol.removesuffix(match['dated'])!r}"
        if match["settlement"] != match["quote"]:
            return (
                f"{symbol!r} settles in {match['settlement']}; only contracts that settle in their quote currency "
                "are traded, such as 'BTC/USDT:USDT'"
            )
        return None

    def settlement(self, symbol: str) -> str:
        """The currency that margin, profits and losses are in.

        Raises:
            ValueError: not a symbol of this market.

        """
        problem = self.check_symbol(symbol)
        if problem is not None:
            raise ValueError(problem)
        return symbol.partition(":")[2]
