"""What can be set of the local Binance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from livebot.simulator.api_key import ApiKey
from livebot.simulator.venue_listings import LINEAR, SPOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one address and account may do: request weight a minute, new orders, messages to a market stream a second.

    `patience` is how many requests above the weight are answered with 429 before the address is banned (418) for
    `ban_seconds`.
    """

    weight_per_minute: int
    orders_per_ten_seconds: int
    orders_per_minute: int
    stream_messages_per_second: int
    patience: int = 20
    ban_seconds: int = 120


_LIMITS = {
    LINEAR: Limits(
        weight_per_minute=2400, orders_per_ten_seconds=300, orders_per_minute=1200, stream_messages_per_second=10
    ),
    SPOT: Limits(
        weight_per_minute=6000, orders_per_ten_seconds=100, orders_per_minute=600, stream_messages_per_second=5
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceSettings:
    """`limits` are by market, linear (USD-M futures) and spot; `leverage` is to be that of the venue's fill model.

    `dual_side` is hedge mode, in which this exchange accepts no order until it is switched back.  A listen key lasts
    `listen_key_seconds` since it was last asked for.
    """

    keys: Mapping[str, ApiKey] = field(default_factory=lambda: {"key": ApiKey("secret")})
    leverage: Decimal = Decimal(10)
    dual_side: bool = False
    limits: Mapping[str, Limits] = field(default_factory=lambda: dict(_LIMITS))
    listen_key_seconds: float = 3600.0
    remember_ended: int = 2_000
    fault_seed: int = 1
