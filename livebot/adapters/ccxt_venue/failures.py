"""The one table from what ccxt raises to whose fault it is and what happens next.

Rules of this file: a definite no is one of few exceptions and carries the venue's own code; everything else about an
order that was sent is unknown.  Texts hold the venue's words and code, never a URL, a header, a key or a signature.
"""

import json
import re
from dataclasses import dataclass
from enum import Enum

import aiohttp
import ccxt

from livebot.errors import Fatal, LivebotError, Transient

# What a call of ccxt may raise for the venue's sake: its own exceptions, those of the transport that it lets through,
# and those of its parsers over an answer that has not the documented form.
VENUE_ERRORS: tuple[type[Exception], ...] = (
    ccxt.BaseError,
    aiohttp.ClientError,
    OSError,  # TimeoutError is one
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
)


class Cause(Enum):
    """Whose fault it is."""

    REFUSED = "refused"  # the venue's definite no to what was asked
    DUPLICATE = "duplicate"  # an order with this client id is there already
    NOT_FOUND = "not_found"  # no such order, or one that has ended
    KEYS = "keys"  # the operator's: key, signature, permission, account
    NOT_ALLOWED = "not_allowed"  # the key is right, and this account may not do this there, or not now
    CLOCK = "clock"  # our clock and the venue's disagree
    TOO_FAST = "too_fast"  # refused for this moment only, mostly for its rate, with the venue's code
    BANNED = "banned"  # not sent at all: the venue does not want to hear from this address now
    NOT_SENT = "not_sent"  # not sent at all: too much had to go before it
    MAINTENANCE = "maintenance"  # the venue is closed for a while, and does not say what it did
    NO_ANSWER = "no_answer"  # the network's or the venue's: nobody knows what was done


@dataclass(frozen=True, slots=True)
class Failure:
    """`code` is the venue's own (empty if it gave none); `text` a clause for the operator, without the venue's name."""

    cause: Cause
    code: str
    text: str

    @property
    def definite(self) -> bool:
        """Whether the venue said so itself, and nothing of what was asked was done."""
        return self.cause in _DEFINITE


_DEFINITE = (Cause.REFUSED, Cause.NOT_FOUND, Cause.KEYS, Cause.NOT_ALLOWED, Cause.CLOCK, Cause.TOO_FAST)
# ccxt raises these for the venue's own words only, and then leaves the code out (Binance spot).
_BY_WORDS = (ccxt.InsufficientFunds, ccxt.OrderImmediatelyFillable)
_CODE = re.compile(r'"(?:retCode|ret_code|code)"\s*:\s*"?(-?\d+)')
_MESSAGE = re.compile(r'"(?:retMsg|ret_msg|msg|message)"\s*:\s*("(?:[^"\\]|\\.)*")')
_SECRET = re.compile(r"(origin_string|apiKey|api_key|signature|sign)\s*[\[=:]\s*[^\s,\]&]*\]?", re.IGNORECASE)
_LONGEST_TEXT = 200

# Codes whose exception says something else.  Bybit and Binance have no code in common.
_BY_CODE: dict[str, Cause] = {
    "110072": Cause.DUPLICATE,  # bybit, contracts
    "170141": Cause.DUPLICATE,  # bybit, spot
    "-4116": Cause.DUPLICATE,  # binance, contracts
    "10014": Cause.DUPLICATE,  # bybit: the same request came twice
    "170035": Cause.NO_ANSWER,  # bybit, spot: "submitted to the system for processing"
    "170146": Cause.NO_ANSWER,  # bybit, spot: its answer came too late, and the order may be there
    "170147": Cause.NO_ANSWER,  # likewise of a cancel
    "170195": Cause.NO_ANSWER,  # bybit, spot: "your order may not be filled": it may be there
    "170196": Cause.NO_ANSWER,
    "10009": Cause.KEYS,  # bybit: the address is banned for good; ccxt's word for it is right
    "10024": Cause.NOT_ALLOWED,  # bybit: not offered in this country or to this account
    "10029": Cause.NOT_ALLOWED,  # bybit: not among the symbols of the key
    "170224": Cause.NOT_ALLOWED,  # bybit, spot: not unlocked
    "-4087": Cause.NOT_ALLOWED,  # binance, contracts, as those that follow: the account may only reduce
    "-4088": Cause.NOT_ALLOWED,
    "-4105": Cause.NOT_ALLOWED,  # the symbol is under risk control
    "-4106": Cause.NOT_ALLOWED,
    "-4107": Cause.NOT_ALLOWED,
    "-4189": Cause.NOT_ALLOWED,
    "-4192": Cause.NOT_ALLOWED,
    "-4400": Cause.NOT_ALLOWED,
    "-4401": Cause.NOT_ALLOWED,
    "-4402": Cause.NOT_ALLOWED,
    "-2014": Cause.KEYS,  # binance: key of a wrong form
    "-2015": Cause.KEYS,  # binance: key, address or permission; after an earlier success ccxt calls it DDoSProtection
    "-1022": Cause.KEYS,  # binance: signature
    "-1021": Cause.CLOCK,  # binance
    "-2011": Cause.NOT_FOUND,  # binance: nothing to cancel
    "-2013": Cause.NOT_FOUND,
    "10006": Cause.TOO_FAST,  # bybit
    "10018": Cause.TOO_FAST,
    "170005": Cause.TOO_FAST,  # bybit, spot: orders
    "170191": Cause.TOO_FAST,  # bybit, spot: cannot be cancelled just now
    "-1015": Cause.TOO_FAST,  # binance: orders
    "-5028": Cause.TOO_FAST,  # binance, contracts: it was in time, and came too late to the matching engine, which takes none
}
_BY_CLASS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Cause], ...] = (
    (ccxt.DuplicateOrderId, Cause.DUPLICATE),
    (ccxt.OrderNotFound, Cause.NOT_FOUND),
    (ccxt.AuthenticationError, Cause.KEYS),
    (ccxt.InvalidNonce, Cause.CLOCK),
    (ccxt.OnMaintenance, Cause.MAINTENANCE),
    (ccxt.RateLimitExceeded, Cause.TOO_FAST),
    ((ccxt.InsufficientFunds, ccxt.InvalidOrder, ccxt.BadRequest, ccxt.OperationRejected), Cause.REFUSED),
)


def failure_of(error: Exception | None) -> Failure:
    """What an exception means; None for an answer that came and says nothing usable."""
    if error is None:
        return Failure(Cause.NO_ANSWER, "", "the answer is not usable")
    raw = str(error)
    found = _CODE.search(raw)
    code = found[1] if found is not None and found[1] != "0" else ""
    return Failure(_cause(error, raw, code), code, _wording(error, raw, code))


def at_open(failure: Failure, what: str, venue: str) -> LivebotError:
    """The exception that a failed opening step raises: Fatal if waiting does not mend it, else Transient."""
    text = f"{venue}: {what}: {failure.text}"
    if failure.cause is Cause.KEYS:
        return Fatal(f"{text}; {mend_keys(failure.code)}")
    if failure.cause is Cause.NOT_ALLOWED:
        return Fatal(f"{text}; {mend_permission(failure.code)}")
    if failure.cause is Cause.CLOCK:
        return Fatal(f"{text}; set this machine's clock (timedatectl set-ntp true)")
    return Fatal(text) if failure.definite and failure.cause is not Cause.TOO_FAST else Transient(text)


def mend_keys(code: str) -> str:
    """What the operator can do about a refused key."""
    return _MENDS.get(code, "check LIVEBOT_API_KEY and LIVEBOT_API_SECRET, and the key's permissions at the venue")


def mend_permission(code: str) -> str:
    """What the operator can do about what the account may not do."""
    return _MENDS.get(code, "see at the venue what this account may trade there, or take the symbol out of the config")


_MENDS = {
    "10003": "the key is not known there: check LIVEBOT_API_KEY, and exchange.sandbox (testnet keys are separate)",
    "10004": "the signature is wrong: check LIVEBOT_API_SECRET",
    "10005": "the key lacks a permission: allow it to trade this market, not read-only",
    "10009": "this machine's address is banned there: ask the venue",
    "10010": "the key is bound to other addresses: add this machine's address to the key",
    "10024": "the venue does not serve this account or country",
    "10027": "the venue has stopped this account from trading: ask the venue",
    "10028": "the account is not a unified trading account: upgrade it at the venue",
    "10029": "the key is for other symbols: let it trade this one too at the venue, or take the symbol out of the config",
    "170224": "let the account trade the Innovation Zone at the venue, or take the symbol out of the config",
    "33004": "the key has expired: make a new one at the venue",
    "-2014": "the key's form is wrong: check LIVEBOT_API_KEY",
    "-2015": "check LIVEBOT_API_KEY, the addresses it is bound to, and that it may trade this market",
    "-1022": "the signature is wrong: check LIVEBOT_API_SECRET",
    "-4087": "the venue lets this account only reduce: ask the venue",
    "-4088": "the venue takes no orders from this account at present: ask the venue",
    "-4192": "the account is in a cooling-off period that was set at the venue: wait for its end",
    "-4400": "the venue lets this account only reduce there until its trading rules are kept again: wait",
    "-4401": "the account holds too much of it by the venue's rules: reduce what other programs hold there",
    "-4402": "the venue does not serve this account or country",
}


def _cause(error: Exception, raw: str, code: str) -> Cause:
    if code in _BY_CODE:
        return _BY_CODE[code]
    cause = next((cause for kind, cause in _BY_CLASS if isinstance(error, kind)), Cause.NO_ANSWER)
    if cause is Cause.REFUSED and "duplicate" in raw.lower():
        return Cause.DUPLICATE
    if not code and cause not in (Cause.KEYS, Cause.MAINTENANCE) and not isinstance(error, _BY_WORDS):
        return Cause.NO_ANSWER  # nobody but the venue can say no
    return cause


def _wording(error: Exception, raw: str, code: str) -> str:
    found = _MESSAGE.search(raw)
    if found is None:
        plain = _PLAIN.get(type(error), "")
        return plain or f"{_spaced(type(error).__name__)}"
    try:
        words = str(json.loads(found[1]))
    except ValueError:
        words = found[1].strip('"')
    words = _SECRET.sub(r"\1", words).strip()[:_LONGEST_TEXT].rstrip(".! ") or _spaced(type(error).__name__)
    return f"{words} (code {code})" if code else words


_PLAIN: dict[type[Exception], str] = {
    ccxt.RequestTimeout: "no answer in time",
    ccxt.OnMaintenance: "it is closed for maintenance",
    ccxt.ExchangeNotAvailable: "it cannot be reached, or is not available",
    ccxt.RateLimitExceeded: "it wants fewer requests",
    ccxt.DDoSProtection: "it has banned this address for a while",
    ccxt.ExchangeError: "the answer is not usable",
    ccxt.NetworkError: "the connection broke",
    ccxt.AuthenticationError: "it does not accept the key",
    ccxt.ExchangeClosedByUser: "the connection is closed",
}


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
