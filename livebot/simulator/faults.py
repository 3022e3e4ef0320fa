"""What can go wrong between a daemon and a simulated venue, on demand.

Rules of this file: a fault is armed for a number of times, for all symbols or one, for all orders or those of one leg;
the oldest that fits is used up first.  Nothing here is random and nothing is configuration: tests arm faults.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from livebot.core.inputs import OrderEvent
from livebot.core.order import Leg

Deliver = Callable[[OrderEvent], None]


class FaultKind(Enum):
    """What happens to a call."""

    LOSE_ANSWER = "lose_answer"  # it is carried out, and the answer is lost
    LOSE_REQUEST = "lose_request"  # it never arrives
    REFUSE = "refuse"  # the venue says no
    FAIL_FETCH = "fail_fetch"  # a question is not answered


@dataclass(slots=True)
class Fault:
    """An armed fault; `code` and `text` are for REFUSE."""

    kind: FaultKind
    symbol: str | None
    leg: Leg | None
    left: int
    code: str = ""
    text: str = ""

    def fits(self, symbol: str | None, leg: Leg | None) -> bool:
        """Whether it is meant for such a call."""
        return self.symbol in (None, symbol) and self.leg in (None, leg)


class Faults:
    """The armed faults of one exchange, and the order events it holds back."""

    def __init__(self) -> None:
        """Nothing is wrong."""
        self._armed: list[Fault] = []
        self._held: list[tuple[Deliver, OrderEvent]] = []
        self._holding = False

    def arm(
        self,
        kind: FaultKind,
        *,
        times: int = 1,
        symbol: str | None = None,
        leg: Leg | None = None,
        code: str = "refused",
        text: str = "refused on demand",
    ) -> None:
        """Let this happen to the next calls that fit."""
        self._armed.append(Fault(kind, symbol, leg, times, code, text))

    def take(self, kind: FaultKind, symbol: str | None = None, leg: Leg | None = None) -> Fault | None:
        """The fault that befalls this call, used up once; None if it goes well."""
        for fault in self._armed:
            if fault.kind is kind and fault.fits(symbol, leg):
                fault.left -= 1
                if not fault.left:
                    self._armed.remove(fault)
                return fault
        return None

    def hold_events(self) -> None:
        """Order events (fills, ends) are late from now on; the venue still tells of them when asked."""
        self._holding = True

    def release_events(self) -> None:
        """Deliver what was held back, in order, and be on time again."""
        self._holding = False
        held, self._held = self._held, []
        for deliver, event in held:
            deliver(event)

    def deliver(self, deliver: Deliver, event: OrderEvent) -> None:
        """Now, or later if events are held."""
        if self._holding:
            self._held.append((deliver, event))
        else:
            deliver(event)
