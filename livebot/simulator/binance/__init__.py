"""A local exchange that speaks Binance (USD-M futures and spot, REST and WebSocket) over a simulated venue."""

from livebot.simulator.api_key import ApiKey
from livebot.simulator.binance.server import BinanceServer
from livebot.simulator.binance.settings import BinanceSettings, Limits
from livebot.simulator.venue_faults import Fault, Faults

__all__ = ["ApiKey", "BinanceServer", "BinanceSettings", "Fault", "Faults", "Limits"]
