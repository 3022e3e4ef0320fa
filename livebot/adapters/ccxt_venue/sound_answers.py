"""Answers that are no answers, found before ccxt's parsers make an empty list of them.

Rules of this file: a page, half a body or nothing at all, sent with status 200, is read by ccxt as "no orders" and "no
position"; believing that would close a signal whose position lives on.  So whatever is not JSON, and a list that is not
there where the venue's documentation has one, is a bad response, and nobody knows what was done.
"""

from typing import Any

import ccxt

_GOOD = range(200, 300)
# path ending -> where the list is; an empty name: the answer itself
_LISTS = {
    "/v5/order/realtime": ("result", "list"),
    "/v5/order/history": ("result", "list"),
    "/v5/position/list": ("result", "list"),
    "/v5/execution/list": ("result", "list"),
    "/v5/account/wallet-balance": ("result", "list"),
    "/fapi/v1/openOrders": (),
    "/fapi/v1/openAlgoOrders": (),
    "/fapi/v1/userTrades": (),
    "/fapi/v3/positionRisk": (),
    "/fapi/v2/positionRisk": (),
    "/api/v3/openOrders": (),
    "/api/v3/myTrades": (),
}


def refuse_unsound(client: Any) -> None:  # noqa: ANN401 - ccxt ships no types
    """Let this client raise BadResponse for answers that are none."""
    original = client.handle_errors

    def check(
        status: int, reason: str, url: str, method: str, headers: object, body: str, answer: object, *rest: object
    ) -> object:
        result = original(status, reason, url, method, headers, body, answer, *rest)
        if status in _GOOD and not is_sound(url, answer):
            raise ccxt.BadResponse("the answer is not usable")
        return result

    client.handle_errors = check


def is_sound(url: str, answer: object) -> bool:
    """Whether an answer with a good status has the form that the venue documents."""
    if not isinstance(answer, dict | list):
        return False
    where = _LISTS.get("/" + url.partition("?")[0].partition("://")[2].partition("/")[2])
    if where is None:
        return True
    for name in where:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return isinstance(answer, list)
