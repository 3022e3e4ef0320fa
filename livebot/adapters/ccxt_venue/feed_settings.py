"""What can be set of the candle feed; every wait of it has its name here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """Seconds of the loop's clock, unless the name says otherwise.

    `stale_s` after its last message a symbol is looked up by REST, and at latest `quiet_s` after that again if the market
    was found quiet.  A candle that others of its minute have got, or that the symbol's own next message shows to be
    missing, is fetched after `grace_s`; so long a stream may also lag behind REST before it is called frozen.  A closed
    candle waits for earlier ones at most `hold_s`.  A symbol opens nothing when for `fresh_s` nothing has shown that all
    its closed candles are here.  `poll_s`: between two questions by REST for a symbol whose stream is given up; `retry_s`:
    until its stream, or a refused symbol, is tried again.  `reconnect_s`: before a lost subscription is made again, twice
    as long each time up to `reconnect_maximum_s`.  `answer_s`: for a word of the venue on the stream.  `confirm_s`:
    until REST is asked again about a candle that has only just closed.  Every `audit_s` the
    last `audit_candles` of each symbol are compared with REST.  `asks_at_once` and `histories_at_once` bound the
    requests that wait in ccxt's queue.
    """

    stale_s: float = 14.0
    quiet_s: float = 60.0
    grace_s: float = 3.0
    hold_s: float = 30.0
    fresh_s: float = 90.0
    poll_s: float = 15.0
    retry_s: float = 60.0
    reconnect_s: float = 0.2
    reconnect_maximum_s: float = 10.0
    answer_s: float = 2.0
    confirm_s: float = 0.2
    audit_s: float = 900.0
    audit_candles: int = 16
    asks_at_once: int = 8
    histories_at_once: int = 6

    @property
    def tick_s(self) -> float:
        """How often all symbols are looked at."""
        return min(self.stale_s, self.grace_s, self.poll_s) / 4
