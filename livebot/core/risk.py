"""The portfolio's verdict, and leave to send an order.

Rules of this file: a verdict is a function of (usage, limits, candidate); `Approved` has no constructor that outside
code can call; reducing a position is always approved, whatever the trading state; a check that raises denies.
"""

from dataclasses import InitVar, dataclass
from typing import final

from livebot.core.candidate import Candidate
from livebot.core.checks import CHECKS, SIZES
from livebot.core.denial import DenialCode, Denied
from livebot.core.limits import Limits, Usage
from livebot.core.order import Leg, OrderRecord, OrderRequest
from livebot.errors import Fatal

_SEAL = object()


@final
@dataclass(frozen=True, slots=True)
class Approved:
    """Leave to send one order.  Only the three functions below make one; nobody can alter one."""

    order: OrderRequest
    candidate: Candidate | None
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse anyone without this module's seal.

        Raises:
            Fatal: called from outside this module.

        """
        if seal is not _SEAL:
            message = "Approved is made by the portfolio's judgement only"
            raise Fatal(message)


def approve_reduction(order: OrderRequest) -> Approved:
    """Leave to reduce or protect a position; always given.

    Raises:
        Fatal: the order could add exposure.

    """
    if not order.reduce_only or order.leg.opens:
        message = f"order {order.client_order_id} is not reduce-only and needs the portfolio's approval"
        raise Fatal(message)
    return Approved(order, None, _SEAL)


def approve_repricing(order: OrderRequest, admitted: OrderRecord) -> Approved:
    """Leave to send an entry that was admitted at another price, in the room that was kept for it.

    Raises:
        Fatal: it is not that entry, or it needs more room.

    """
    price, room = order.price, admitted.admitted_price
    same = order.leg is admitted.request.leg is Leg.ENTRY and order.symbol == admitted.request.symbol
    if not same or price is None or room is None or order.quantity * price > admitted.request.quantity * room:
        message = (
            f"order {order.client_order_id} is not within what {admitted.request.client_order_id} was admitted for"
        )
        raise Fatal(message)
    return Approved(order, None, _SEAL)


def judge(usage: Usage, limits: Limits, candidate: Candidate) -> Approved | Denied:
    """Leave to send the candidate's order, or the first check that is against it.  Never raises."""
    for check in CHECKS:
        try:
            denied = check(usage, limits, candidate)
        except Exception as error:  # noqa: BLE001 - a check that cannot tell must not let an order through
            name = check.__name__.strip("_").replace("_", " ")
            return Denied(DenialCode.CHECK_FAILED, f"check of {name} failed: {type(error).__name__}: {error}")
        if denied is not None:
            return denied
    return Approved(candidate.order, candidate, _SEAL)


def exceeded(usage: Usage, limits: Limits, candidate: Candidate) -> tuple[str, ...]:
    """Every limit that the candidate would exceed, by its name in the config and with its figures.

    For what is there whether we allow it or not.
    """
    found = ((name, check(usage, limits, candidate)) for name, check in SIZES)
    return tuple(f"risk.limits.{name} ({denied.text})" for name, denied in found if denied is not None)
