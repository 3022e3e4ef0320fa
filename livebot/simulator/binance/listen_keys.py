"""The keys of the futures' user streams: each lasts a while, and longer if it is asked for again.

Rules of this file: a key that has expired is known no more; whoever listens by it hears so once, and then nothing.
"""

from collections.abc import Callable
from secrets import token_hex

from livebot.simulator.binance.codes import BAD_LISTEN_KEY, Refused


class ListenKeys:
    """One key for each API key; `later` calls something after so many seconds, `expired` hears of keys that expire."""

    def __init__(
        self,
        lasts_s: float,
        now_s: Callable[[], float],
        later: Callable[[float, Callable[[], object]], None],
        expired: Callable[[str], None],
    ) -> None:
        self._lasts_s = lasts_s
        self._now_s = now_s
        self._later = later
        self._expired = expired
        self._keys: dict[str, tuple[str, float]] = {}

    def make(self, owner: str) -> str:
        """The key of this owner, with its whole life before it."""
        self.expire()
        name, _ = self._keys.get(owner, (token_hex(32), 0.0))
        self._keys[owner] = name, self._now_s() + self._lasts_s
        self._later(self._lasts_s, self.expire)
        return name

    def keep(self, owner: str) -> str:
        """Let the owner's key live on.  Raises Refused if there is none any more."""
        self.expire()
        if owner not in self._keys:
            raise Refused(BAD_LISTEN_KEY, "This listenKey does not exist.")
        return self.make(owner)

    def drop(self, owner: str) -> None:
        """The owner needs it no more; nobody is told."""
        self._keys.pop(owner, None)

    def valid(self, name: str) -> bool:
        """Whether somebody who listens by it hears anything."""
        self.expire()
        return any(name == key for key, _ in self._keys.values())

    def expire(self, *, everything: bool = False) -> int:
        """End those whose time is over; how many that were."""
        now = self._now_s()
        over = [owner for owner, (_, ends) in self._keys.items() if everything or ends <= now]
        for owner in over:
            name, _ = self._keys.pop(owner)
            self._expired(name)
        return len(over)
