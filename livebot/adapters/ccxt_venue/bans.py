"""Until when a venue does not want to hear from this address.

Rules of this file: a ban is read from the HTTP answer itself, before ccxt makes one of several exceptions of it; it holds
for both clients, since venues ban addresses; while it lasts nothing is sent at all, also no cancellation and no order
that reduces: venues prolong a ban with every request (Binance up to days), and the stops of open positions rest there.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

_TEAPOT, _TOO_MANY, _FORBIDDEN = 418, 429, 403
_LONGEST_S = 3 * 86_400.0  # the longest that any venue's documentation threatens with
_SHORT_S = 10.0  # "slow down", without saying for how long
_UNTIL = re.compile(r"banned until (\d{13})")


class Bans:
    """At most one at a time; `listen` to hear when one begins or grows."""

    def __init__(self) -> None:
        self._until_s = 0.0  # of the loop's clock
        self._listener: Callable[[], None] | None = None

    @property
    def left_s(self) -> float:
        """Seconds that the present ban still lasts; 0 if there is none."""
        if not self._until_s:
            return 0.0
        return max(self._until_s - asyncio.get_running_loop().time(), 0.0)

    async def over(self) -> None:
        """Wait until there is none."""
        while left_s := self.left_s:  # noqa: ASYNC110 - it may have grown meanwhile
            await asyncio.sleep(left_s)

    def listen(self, changed: Callable[[], None]) -> None:
        """Call this when a ban begins or becomes longer; replaces an earlier listener."""
        self._listener = changed

    def begin(self, seconds: float) -> None:
        """Nothing is to be sent for so long; a shorter ban does not end a longer one."""
        until_s = asyncio.get_running_loop().time() + min(seconds, _LONGEST_S)
        if until_s > self._until_s:
            self._until_s = until_s
            if self._listener is not None:
                self._listener()

    def watch(self, client: Any, ban_s: float) -> None:  # noqa: ANN401 - ccxt ships no types
        """Look at every answer that this client gets; `ban_s` is for bans that do not tell their end."""
        original = client.on_rest_response

        def look(
            code: int, reason: str, url: str, method: str, headers: Mapping[str, str], body: str, *rest: object
        ) -> Any:  # noqa: ANN401 - ccxt's own form
            seconds = ban_of(code, headers, body, ban_s, client.milliseconds())
            if seconds:
                self.begin(seconds)
            return original(code, reason, url, method, headers, body, *rest)

        client.on_rest_response = look


def ban_of(status: int, headers: Mapping[str, str], body: str, ban_s: float, now_ms: int) -> float:
    """For how many seconds this answer bans us; 0 if it does not."""
    if status not in (_TEAPOT, _TOO_MANY, _FORBIDDEN):
        return 0.0
    if status == _FORBIDDEN and body.lstrip()[:1] == "{":
        return 0.0  # a refusal of this one request, with the venue's own code in it
    told = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    if told.isdigit():
        return max(float(told), 1.0)
    until = _UNTIL.search(body)
    if until is not None:
        return max((int(until[1]) - now_ms) / 1000, 1.0)
    return min(_SHORT_S, ban_s) if status == _TOO_MANY else ban_s
