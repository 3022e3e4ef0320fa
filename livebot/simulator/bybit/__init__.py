"""A local exchange that speaks Bybit v5 (linear and spot, REST and WebSocket) over a simulated venue."""

from livebot.simulator.api_key import ApiKey
from livebot.simulator.bybit.faults import Fault, Faults
from livebot.simulator.bybit.server import BybitServer
from livebot.simulator.bybit.settings import BybitSettings

__all__ = ["ApiKey", "BybitServer", "BybitSettings", "Fault", "Faults"]
