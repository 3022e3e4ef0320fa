"""The faults of the local Bybit are those of every local exchange."""

from livebot.simulator.venue_faults import PLACES, Fault, Faults, Place

__all__ = ["PLACES", "Fault", "Faults", "Place"]
