"""What can be told: the kinds of events, how much each weighs, and which kind a problem's source belongs to.

Rules of this file: tables only; a source that no row knows is told all the same, as a trouble of the daemon.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum


class Level(IntEnum):
    """How much an event weighs.  Only what is critical passes quiet hours."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


class Kind(Enum):
    """What happened; the value is the key under `alerts.events`."""

    OPENED = "opened"
    CLOSED = "closed"
    DENIED = "denied"
    QUARANTINED = "quarantined"
    HALTED = "halted"
    REDUCING = "reducing"
    LIFTED = "lifted"
    UNPROTECTED = "unprotected"
    FOREIGN = "foreign"
    FEED = "feed"
    VENUE = "venue"
    RESTART = "restart"
    DAEMON = "daemon"
    MODEL_STALE = "model_stale"
    DAILY_SUMMARY = "daily_summary"
    CHANNEL = "channel"
    STARTED = "started"
    STOPPED = "stopped"
    FAILED = "failed"


# As a title says it.
TITLES: dict[Kind, str] = {
    Kind.OPENED: "signal opened",
    Kind.CLOSED: "signal closed",
    Kind.DENIED: "entries denied",
    Kind.QUARANTINED: "quarantine",
    Kind.HALTED: "trading HALTED",
    Kind.REDUCING: "trading REDUCING",
    Kind.LIFTED: "trading again",
    Kind.UNPROTECTED: "unprotected position",
    Kind.FOREIGN: "something that is not ours",
    Kind.FEED: "candles",
    Kind.VENUE: "the venue",
    Kind.RESTART: "a symbol was restarted",
    Kind.DAEMON: "the daemon itself",
    Kind.MODEL_STALE: "the model is stale",
    Kind.DAILY_SUMMARY: "the day",
    Kind.CHANNEL: "alerts fail",
    Kind.STARTED: "started",
    Kind.STOPPED: "stopped",
    Kind.FAILED: "the daemon has ended",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Problems whose source is `name`, or begins with it if it ends with a colon.

    `advice` follows the problem's own sentence: what the daemon has done already, and what to do.
    """

    name: str
    kind: Kind
    advice: str = ""


TRADING_STATE = "trading_state"
CHANNEL = "alerts:"
_STALE = (
    "What gets no candles decides nothing; open positions keep their stops at the venue.  If it lasts, look at the "
    "network and at the venue's own status page."
)
_VENUE = (
    "Stops rest at the venue meanwhile, and the daemon goes on trying.  If it lasts, look at the network, at the API key "
    "and at the venue's own status page."
)

SOURCES: tuple[Source, ...] = (
    Source(
        "unprotected:",
        Kind.UNPROTECTED,
        "Follow it with `livebot status` until it is flat; if it stays open, close it at the venue yourself.",
    ),
    Source(
        "quarantine:",
        Kind.QUARANTINED,
        "Nothing opens there; an open position keeps its stop at the venue and is watched.  Find the cause in the log, "
        "then `livebot restart` the symbol.",
    ),
    Source("foreign-order:", Kind.FOREIGN),
    Source("foreign-position:", Kind.FOREIGN),
    Source("feed:", Kind.FEED, _STALE),
    Source("candles:", Kind.FEED, _STALE),
    Source("exchange:", Kind.VENUE, _VENUE),
    Source("venue:", Kind.VENUE, _VENUE),
    Source("reconcile", Kind.VENUE, _VENUE),
    Source("instrument:", Kind.VENUE),
    Source("wallet", Kind.VENUE),
    Source(
        "flatten",
        Kind.DAEMON,
        "It goes on until the venue shows that nothing is left, and what is open keeps its stop meanwhile.  What cannot wait "
        "can be closed at the venue by hand: that is noticed.",
    ),
    Source("model-stale:", Kind.MODEL_STALE),
    Source("drift:", Kind.MODEL_STALE),
    Source(CHANNEL, Kind.CHANNEL, "What it should have told waits, as far as there is room, and is tried again."),
)
_OTHER = Source("", Kind.DAEMON)


def source_of(name: str) -> Source:
    """The row of a problem's source."""
    for source in SOURCES:
        if name == source.name or (source.name.endswith(":") and name.startswith(source.name)):
            return source
    return _OTHER
