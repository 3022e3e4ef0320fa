"""What can be set of the local Bybit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from livebot.simulator.api_key import ApiKey


@dataclass(frozen=True, slots=True, kw_only=True)
class BybitSettings:
    """`rates` (requests a second, by path and category) replace the venue's documented ones in `limits`.

    `leverage` is what positions report; it is to be the leverage of the venue's fill model.  `position_mode` is 0
    (one way) or 3 (hedge, in which this exchange accepts no order until it is switched back).
    """

    keys: Mapping[str, ApiKey] = field(default_factory=lambda: {"key": ApiKey("secret")})
    leverage: Decimal = Decimal(10)
    position_mode: int = 0
    rates: Mapping[tuple[str, str], int] = field(default_factory=dict)
    requests_per_five_seconds: int = 600
    remember_ended: int = 2_000
    fault_seed: int = 1
