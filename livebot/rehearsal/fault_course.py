"""What goes wrong in a rehearsal when nobody says otherwise.

Rules of this file: everything is over well before the end, so that there is time to recover; seconds count from when
the daemon stands.  The frozen stream comes first, and nothing is killed before it has lived again.
"""

from collections.abc import Sequence
from random import Random

from livebot.simulator.venue_faults import Fault

# How each protocol names the placing of orders, and candles, for faults.
_ORDERS = {"bybit": ("order/create",), "binance": ("order/create", "algoOrder/create")}
_CANDLES = {"bybit": ("kline",), "binance": ("kline",)}
_FREEZES_S = 25.0  # the longest; a frozen stream is to be noticed within 20 s
_ROUND_S = 60.0  # a longer rehearsal has the same faults again and again
_KILLS = (0.45, 0.85)  # when, in parts of the whole
_FIRST_KILL_S = 30.0  # a long rehearsal need not wait that long
_BANNED_S = 3.0


def kill_times(rng: Random, seconds: float, count: int) -> list[float]:
    """Random moments, in order."""
    first = min(_KILLS[0] * seconds, _FIRST_KILL_S)
    return sorted(rng.uniform(first, _KILLS[1] * seconds) for _ in range(count))


def usual_faults(protocol: str, symbols: Sequence[str], seconds: float) -> tuple[Fault, ...]:
    """One symbol's stream freezes, answers of orders are lost, orders fill in pieces, sockets fall, an address is banned."""
    if seconds < 2 * _ROUND_S:
        return _one_round(protocol, symbols, seconds)
    return tuple(
        fault if not fault.after_s else fault.model_copy(update={"every_s": _ROUND_S})
        for fault in _one_round(protocol, symbols, _ROUND_S)
    )


def _one_round(protocol: str, symbols: Sequence[str], seconds: float) -> tuple[Fault, ...]:
    orders, candles = _ORDERS[protocol], _CANDLES[protocol]
    frozen, bursting = symbols[0], symbols[-1]
    return (
        Fault(kind="partial", symbols=tuple(symbols[1:3]), pieces=3, times=None),
        Fault(kind="burst", symbols=(bursting,), pieces=5, times=None),
        Fault(kind="cut", endpoints=orders, odds=0.3, times=2, after_s=seconds * 0.03),
        Fault(
            kind="drop",
            symbols=(frozen,),
            endpoints=candles,
            times=None,
            after_s=1.0,
            for_s=min(_FREEZES_S, seconds * 0.4),
        ),
        Fault(kind="duplicate", endpoints=("execution", "order"), odds=0.5, times=5, after_s=seconds * 0.15),
        Fault(kind="status", endpoints=orders, after_s=seconds * 0.25),
        Fault(kind="silence", endpoints=orders, after_s=seconds * 0.35),
        Fault(kind="disconnect", endpoints=candles, after_s=seconds * 0.5),
        Fault(kind="disconnect", endpoints=("order", "execution"), after_s=seconds * 0.55),
        Fault(kind="ban", status=429, seconds=_BANNED_S, after_s=seconds * 0.65),
    )
