"""Who may ask, and how often: keys, signatures, receive windows, request weights, order limits, bans.

Rules of this file: windows of limits are whole minutes (and ten seconds) of the wall, as at Binance: all is forgiven
when the next one begins, except a ban.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from livebot.simulator.api_key import ApiKey, signature
from livebot.simulator.binance.codes import (
    BAD_KEY,
    BAD_KEY_FORMAT,
    BAD_SIGNATURE,
    BAD_TIME,
    TOO_MANY_ORDERS,
    WINDOW_TOO_LONG,
    Refused,
    missing,
)
from livebot.simulator.binance.settings import BinanceSettings, Limits

AHEAD_MS = 1000  # how far before the exchange's clock a request may be
_DEFAULT_WINDOW = "5000"
_LONGEST_WINDOW_MS = 60_000
_MINUTE_S, _TEN_SECONDS = 60, 10


def check_key(name: str, settings: BinanceSettings, *, writes: bool) -> ApiKey:
    """The key, if it may do this.  Raises Refused."""
    if not name:
        raise Refused(BAD_KEY_FORMAT, "API-key format invalid.")
    key = settings.keys.get(name)
    if key is None or key.state == "expired" or (writes and key.state == "read_only"):
        raise Refused(BAD_KEY, "Invalid API-key, IP, or permissions for action.")
    return key


def check_signature(payload: str, params: Mapping[str, str], key: ApiKey, now_ms: int) -> None:
    """Whether `payload` (what was sent, without the signature) was signed by this key just now.  Raises Refused."""
    given, stamp, window = (params.get(name, "") for name in ("signature", "timestamp", "recvWindow"))
    if not given:
        raise missing("signature")
    if not stamp.isdigit():
        raise missing("timestamp")
    lasts = int(window or _DEFAULT_WINDOW) if (window or _DEFAULT_WINDOW).isdigit() else _LONGEST_WINDOW_MS + 1
    if lasts > _LONGEST_WINDOW_MS:
        raise Refused(WINDOW_TOO_LONG, "recvWindow must be less than 60000")
    if int(stamp) >= now_ms + AHEAD_MS:
        raise Refused(BAD_TIME, "Timestamp for this request was 1000ms ahead of the server's time.")
    if int(stamp) < now_ms - lasts:
        raise Refused(BAD_TIME, "Timestamp for this request is outside of the recvWindow.")
    if not hmac.compare_digest(signature(key.secret, payload), given):
        raise Refused(BAD_SIGNATURE, "Signature for this request is not valid.")


def parameters(query: str, body: str) -> tuple[str, dict[str, str]]:
    """What was signed, and the parameters by name: query and body count as one text."""
    whole = query + body
    params = dict(parse_qsl(query, keep_blank_values=True)) | dict(parse_qsl(body, keep_blank_values=True))
    return whole.partition("&signature=")[0], params


def signed_parameters(params: Mapping[str, object]) -> tuple[str, dict[str, str]]:
    """The same of a request over a socket, where parameters are signed in the order of their names."""
    texts = {name: str(value) for name, value in params.items()}
    return "&".join(f"{name}={texts[name]}" for name in sorted(texts) if name != "signature"), texts


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request passes: `status` 200, 429 or 418; a client that does not wait `retry_s` is banned."""

    status: int
    used: int
    retry_s: int = 0
    text: str = ""


class Traffic:
    """What one address did in the present minute, and one account's new orders."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._used: dict[tuple[str, int], int] = {}
        self._minute = -1
        self._above = 0
        self._banned_until = 0.0

    def ask(self, weight: int, now_s: float) -> Verdict:
        """Count a request at this time of the wall."""
        minute = int(now_s // _MINUTE_S)
        if minute != self._minute:
            self._minute, self._above = minute, 0
        if now_s < self._banned_until:
            return self._banned(now_s)
        used = self._count("weight", minute, weight)
        if used <= self._limits.weight_per_minute:
            return Verdict(200, used)
        self._above += 1
        if self._above > self._limits.patience:
            self.ban(now_s, self._limits.ban_seconds)
            return self._banned(now_s)
        most = self._limits.weight_per_minute
        text = (
            f"Too much request weight used; current limit is {most} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )
        return Verdict(429, used, int((minute + 1) * _MINUTE_S - now_s) + 1, text)

    def ban(self, now_s: float, seconds: float) -> None:
        """Answer nothing but 418 for so long."""
        self._banned_until = now_s + seconds

    def order(self, now_s: float) -> dict[str, str]:
        """Count a new order; the headers that tell how many there were.  Raises Refused."""
        limits = self._limits
        ten = self._count("10s", int(now_s // _TEN_SECONDS), 1)
        minute = self._count("1m", int(now_s // _MINUTE_S), 1)
        for used, most, name in (
            (ten, limits.orders_per_ten_seconds, "10 SECOND"),
            (minute, limits.orders_per_minute, "1 MINUTE"),
        ):
            if used > most:
                raise Refused(TOO_MANY_ORDERS, f"Too many new orders; current limit is {most} orders per {name}.")
        return {"X-MBX-ORDER-COUNT-10S": str(ten), "X-MBX-ORDER-COUNT-1M": str(minute)}

    def _banned(self, now_s: float) -> Verdict:
        until_ms = int(self._banned_until * 1000)
        text = (
            f"Way too much request weight used; IP banned until {until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        return Verdict(418, 0, int(self._banned_until - now_s) + 1, text)

    def _count(self, name: str, window: int, amount: int) -> int:
        used = self._used.get((name, window), 0) + amount
        self._used = {key: value for key, value in self._used.items() if key[0] != name} | {(name, window): used}
        return used
