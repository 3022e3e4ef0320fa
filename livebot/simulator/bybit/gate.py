"""Who may ask, and how often: signatures, receive windows, rate limits."""

import hmac
from collections import deque
from collections.abc import Mapping

from livebot.simulator.api_key import signature
from livebot.simulator.bybit.codes import (
    BAD_KEY,
    BAD_SIGNATURE,
    BAD_TIME,
    KEY_EXPIRED,
    NO_PERMISSION,
    TOO_MANY_VISITS,
    Refused,
    bad_parameter,
)
from livebot.simulator.bybit.settings import BybitSettings
from livebot.simulator.venue_listings import LINEAR, SPOT

AHEAD_MS = 1000  # how far before the exchange's clock a request may be
_DEFAULT_WINDOW = "5000"
_DEFAULT_RATE = 50

RATES: dict[tuple[str, str], int] = {
    ("/v5/order/create", LINEAR): 10,
    ("/v5/order/create", SPOT): 20,
    ("/v5/order/amend", LINEAR): 10,
    ("/v5/order/amend", SPOT): 10,
    ("/v5/order/cancel", LINEAR): 10,
    ("/v5/order/cancel", SPOT): 20,
    ("/v5/order/cancel-all", LINEAR): 10,
    ("/v5/order/cancel-all", SPOT): 20,
    ("/v5/position/trading-stop", LINEAR): 10,
    ("/v5/position/set-leverage", LINEAR): 10,
    ("/v5/user/query-api", ""): 10,
}


def check_request(
    headers: Mapping[str, str], payload: str, settings: BybitSettings, now_ms: int, *, writes: bool
) -> str:
    """The key that signed a request.  Raises Refused with the venue's code."""
    name, stamp, given = (headers.get(f"X-BAPI-{each}", "") for each in ("API-KEY", "TIMESTAMP", "SIGN"))
    window = headers.get("X-BAPI-RECV-WINDOW") or _DEFAULT_WINDOW
    if not (name and given and stamp.isdigit() and window.isdigit()):
        text = f"empty value: apiTimestamp[{stamp}] apiKey[{name}] apiSignature[{given}]: openapi sign params error!"
        raise bad_parameter(text)
    key = settings.keys.get(name)
    if key is None:
        raise Refused(BAD_KEY, "API key is invalid.")
    if not now_ms - int(window) <= int(stamp) < now_ms + AHEAD_MS:
        text = (
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{stamp}],server_timestamp[{now_ms}],recv_window[{window}]"
        )
        raise Refused(BAD_TIME, text)
    origin = f"{stamp}{name}{window}{payload}"
    if not hmac.compare_digest(signature(key.secret, origin), given):
        raise Refused(BAD_SIGNATURE, f"error sign! origin_string[{origin}]")
    if key.state == "expired":
        raise Refused(KEY_EXPIRED, "Your api key has expired.")
    if writes and key.state == "read_only":
        raise Refused(NO_PERMISSION, "Permission denied, please check your API key permissions.")
    return name


def check_stream(args: list[str], settings: BybitSettings, now_ms: int) -> str | None:
    """Why the authentication of a stream is refused, None if it is right."""
    if len(args) != 3:  # noqa: PLR2004 - key, expiry, signature
        return "Params Error"
    name, expires, given = args
    key = settings.keys.get(name)
    if key is None or key.state == "expired":
        return "Invalid apikey"
    if not expires.isdigit() or int(expires) < now_ms:
        return "Your timestamp is expired"
    right = hmac.compare_digest(signature(key.secret, f"GET/realtime{expires}"), given)
    return None if right else "Invalid sign"


class RateLimits:
    """Requests of the last second by key, path and category, and of the last five seconds by address."""

    def __init__(self, settings: BybitSettings) -> None:
        self._rates = RATES | dict(settings.rates)
        self._most = settings.requests_per_five_seconds
        self._windows: dict[tuple[str, str, str], deque[float]] = {}
        self._all: deque[float] = deque()

    def too_frequent(self, now: float) -> bool:
        """Count a request of the address; whether it is one too many (HTTP 403)."""
        return not _count(self._all, now, 5.0, self._most)

    def count(self, key: str, path: str, category: str, now: float, now_ms: int) -> tuple[bool, dict[str, str]]:
        """Count a request of a key; whether it is allowed, and the headers that tell how many are left."""
        most = self._rates.get((path, category), self._rates.get((path, ""), _DEFAULT_RATE))
        window = self._windows.setdefault((key, path, category), deque())
        allowed = _count(window, now, 1.0, most)
        left = most - len(window)
        return allowed, {
            "X-Bapi-Limit": str(most),
            "X-Bapi-Limit-Status": str(left),
            "X-Bapi-Limit-Reset-Timestamp": str(now_ms if left else now_ms + 1000),
        }


def too_many_visits() -> Refused:
    """The limit of one path."""
    return Refused(TOO_MANY_VISITS, "Too many visits. Exceeded the API Rate Limit.")


def _count(window: deque[float], now: float, seconds: float, most: int) -> bool:
    while window and window[0] <= now - seconds:
        window.popleft()
    if len(window) >= most:
        return False
    window.append(now)
    return True
