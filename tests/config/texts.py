"""A config of the fewest keys, and what the loader says of a text."""

from livebot.config.load import check
from livebot.config.problems import ConfigErrors

MINIMAL = """\
system: demo
market: perpetual
symbols: [BTC/USDT:USDT, ETH/USDT:USDT]
strategies:
  - name: ema_cross
"""


def complaints(text: str) -> list[str]:
    """What is wrong with it, line by line; nothing if it is accepted."""
    try:
        check(text, "config.yaml")
    except ConfigErrors as errors:
        return str(errors).splitlines()
    return []


def of(extra: str) -> list[str]:
    """What is wrong once this is appended to the minimal config (it begins on line 6)."""
    return complaints(MINIMAL + extra)
