"""The keys that a local exchange knows, and what they sign with."""

import hmac
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key the exchange knows; `state` is ok, read_only or expired.

    `observer`: what is asked with it meets no fault, no limit and no ban, so that it shows what is true.
    """

    secret: str
    state: str = "ok"
    observer: bool = False


def signature(secret: str, payload: str) -> str:
    """HMAC-SHA256 in hexadecimal."""
    return hmac.new(secret.encode(), payload.encode(), sha256).hexdigest()
