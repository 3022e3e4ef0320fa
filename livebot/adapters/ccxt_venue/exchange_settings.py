"""What can be set of the order side of a venue.

Rules of this file: seconds are of the wall clock and end in `_s`; every wait and every list has its bound here.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """The defaults suit every venue in the capability table.

    `stream_ready_s`: how long the private streams may take to stand at the start.  `silence_s`: an event that the venue
    has proved to have happened (an accepted order, a listed trade) and that no stream told of within this means that the
    stream is dead, whatever it answers to pings.  `probe_s`: how often the venue is asked for its newest trade to see that.
    A stream that is lost is opened again `reconnect_s` later, each time after twice as long (at most
    `reconnect_maximum_s`) until one has stood for `silence_s`; what does not stand within `stream_ready_s` is given up and
    tried anew.  `listen_key_s`: how often the key of a user stream is made to live on.
    `skew_limit_ms`: beyond this difference of the clocks, which is measured every `skew_every_s`, nothing opens until it is
    right again, looked for every `skew_again_s`.  `resends`: how often an order that was refused for
    its rate or its timestamp only (so nothing of it lives there) is sent again, each `resend_wait_s` later.  `pages`: the
    most pages that are asked for of one list.  `turn_s`: an entry that waited longer for its turn among the orders is not
    sent.  `ban_wait_s`: an order that reduces is sent at the end of a ban that ends that soon.  `maintenance_s`: a
    maintenance is over when the venue answers and has not spoken of it for so long.
    """

    stream_ready_s: float = 15.0
    silence_s: float = 5.0
    probe_s: float = 20.0
    reconnect_s: float = 0.25
    reconnect_maximum_s: float = 30.0
    listen_key_s: float = 1_200.0
    skew_every_s: float = 300.0
    skew_again_s: float = 20.0
    skew_limit_ms: int = 1_000
    resends: int = 3
    resend_wait_s: float = 0.4
    sweep_attempts: int = 5
    sweep_wait_s: float = 1.0
    pages: int = 40
    turn_s: float = 3.0
    ban_wait_s: float = 8.0
    maintenance_s: float = 60.0
    order_ids: int = 4_096
    trade_ids: int = 4_096
