"""What becomes of orders that were let through: saved, published late, filled in part, refused, cancelled, closed, never sent.

Rules of this file: the truth changes first, and then the portfolio hears the fact of it, as a worker would tell it.
"""

from decimal import Decimal

from livebot.core.facts import (
    EntryCancelled,
    Fact,
    OrderFailed,
    PositionIncreased,
    SignalClosed,
    SignalOpened,
    SignalOpening,
    SignalScheduled,
    StopMoved,
)
from livebot.core.market import Side
from livebot.core.order import Leg
from livebot.core.signal import CancelReason, CloseReason
from tests.sequences.asking import Asking
from tests.sequences.truth import ZERO, Life


class Ordering(Asking):
    """The venue's and the workers' part."""

    # What becomes of orders

    def save(self) -> None:
        """A promised entry is in the file; mostly the portfolio hears of it at once."""
        life = self.one(
            lambda life: (
                life.promised is not None and life.promised.signal is not None and life.key not in self.unpublished
            )
        )
        if life is None or life.promised is None or life.promised.signal is None:
            return
        asked, signal = life.promised, life.promised.signal
        assert signal is not None
        life.number, life.attempts = signal.number, 0
        life.side, life.stop, life.price = asked.side, signal.stop_loss, asked.price
        life.quantity, life.cost, life.pending = ZERO, ZERO, signal.quantity
        life.alive, exposed = True, None
        self.waiting(life).saved = True
        exposed = life.exposure
        life.alive = False  # as far as the portfolio knows
        life.sequence += 1
        told = {
            **self.shared(life, exposed),
            "ts_ms": self.waiting(life).ts_ms,
            "quantity": signal.quantity,
            "stop_loss": signal.stop_loss,
            "take_profit": signal.take_profit,
            "confidence": None,
            "reason": "",
        }
        limit = signal.limit_price
        fact: Fact = SignalOpening(**told, reference_price=asked.price)
        if limit is not None:
            fact = SignalScheduled(**told, limit_price=limit)
        self.ledger.append(fact)
        self.unpublished[life.key] = fact
        if self.random.random() < 0.8:
            self.publish_of(life)

    def publish(self) -> None:
        """The portfolio hears at last."""
        life = self.one(lambda life: life.key in self.unpublished)
        if life is not None:
            self.publish_of(life)

    def publish_of(self, life: Life) -> None:
        fact = self.unpublished.pop(life.key, None)
        if fact is not None:
            self.taken_over(life, fact)
            self.portfolio.hear([fact])

    def taken_over(self, life: Life, fact: Fact) -> None:
        """The entry is no promise any more, and counts among repeated executions."""
        if life.promised is not None:
            self.waiting(life).told = True
            life.promised = None
        life.alive = True
        self.truth.entries.append((fact.ts_ms, life.key))
        if self.truth.repeated(life.key, fact.ts_ms):
            self.truth.paused.add(life.key[1])

    def fill(self) -> None:
        """All of what is pending, or half of it; a purchase sometimes at a better price."""
        life = self.one(lambda life: life.alive and life.pending > 0)
        if life is None:
            return
        part = life.pending if self.random.random() < 0.5 else life.pending / 2
        better = Decimal("0.25") if life.side is Side.LONG and self.random.random() < 0.3 else ZERO
        first, averaging = not life.quantity, bool(life.attempts)
        life.quantity, life.pending = life.quantity + part, life.pending - part
        life.cost += part * (life.price - better)
        self.told(life)
        shared = self.shared(life)
        if first:
            levels = {"stop_loss": life.stop, "take_profit": life.price + life.side.sign}
            self.hear(SignalOpened(**shared, quantity=part, price=life.price, **levels))
        else:
            leg = Leg.AVERAGE if averaging else Leg.ENTRY
            self.hear(PositionIncreased(**shared, leg=leg, quantity=part, price=life.price))

    def told(self, life: Life) -> None:
        """A fact tells of an averaging order that was promised."""
        if life.promised is not None:
            self.waiting(life).told = True
            life.promised = None
        life.sequence += 1

    def averaging_works(self) -> None:
        """It is in the file and at the venue; the next fact shows it."""
        life = self.averaging()
        if life is None or life.promised is None:
            return
        self.waiting(life).saved = True
        life.pending, life.price = life.promised.order.quantity, life.promised.price
        life.attempts = life.promised.order.attempt
        if self.random.random() < 0.3:  # its worker crashes before any fact tells of it
            self.recover(life)
            return
        self.told(life)
        self.hear(StopMoved(**self.shared(life), stop_loss=life.stop, cause="trailing"))

    def averaging_fails(self) -> None:
        """The venue refuses it."""
        life = self.averaging()
        if life is None or life.promised is None:
            return
        order = self.waiting(life)
        order.saved, life.attempts = True, life.promised.order.attempt
        self.told(life)
        name = order.candidate.order.client_order_id
        self.hear(OrderFailed(**self.shared(life), leg=Leg.AVERAGE, client_order_id=name, code="no", text="no"))

    def averaging(self) -> Life | None:
        return self.one(lambda life: life.promised is not None and life.promised.signal is None)

    def stop_moves(self) -> None:
        """Tighter, and knowing nothing of an averaging order that was promised in the same candle."""
        life = self.one(lambda life: life.alive and life.quantity > 0)
        if life is not None:
            tighter = life.stop + life.side.sign * Decimal("0.125")
            if (life.cost / life.quantity - tighter) * life.side.sign > 0 and not life.promised:
                life.stop = tighter
            life.sequence += 1
            self.hear(StopMoved(**self.shared(life), stop_loss=life.stop, cause="trailing"))

    def rest_is_cancelled(self) -> None:
        """What is pending expires, is cancelled or rejected: with nothing filled the signal is over."""
        life = self.one(lambda life: life.alive and life.pending > 0)
        if life is None:
            return
        life.pending = ZERO
        life.sequence += 1
        if life.quantity:
            self.hear(StopMoved(**self.shared(life), stop_loss=life.stop, cause="trailing"))
            return
        self.over(life)
        reason = self.random.choice([*CancelReason])
        self.hear(EntryCancelled(**self.shared(life, number=life.number - 1), reason=reason, text="no"))

    def close(self) -> None:
        """Won or lost or neither."""
        life = self.one(lambda life: life.alive and life.quantity > 0)
        if life is None:
            return
        pnl = Decimal(self.random.choice((-6, -3, -1, 0, 2, 4)))
        self.now_ms += 1  # the ledger does not say which of one millisecond came first
        self.give_up_told(life)
        life.sequence += 1
        self.over(life)
        self.truth.closes.append((self.now_ms, life.key[1], pnl))
        fact = SignalClosed(
            **self.shared(life, number=life.number - 1),
            reason=CloseReason.STOP_LOSS,
            opened_ms=self.now_ms,
            quantity=Decimal(1),
            entry_price=Decimal(1),
            exit_price=Decimal(1),
            fees=ZERO,
            pnl_net=pnl,
            pnl_ratio=ZERO,
        )
        self.hear(fact)

    def give_up_told(self, life: Life) -> None:
        """An averaging order that was promised ends with its signal, and is not asked for again."""
        if life.promised is not None:
            self.waiting(life).told = True
            life.promised = None

    def over(self, life: Life) -> None:
        life.alive, life.number = False, life.number + 1
        life.quantity = life.cost = life.pending = ZERO

    def release(self) -> None:
        """What was promised is not sent after all."""
        life = self.one(lambda life: life.promised is not None and life.key not in self.unpublished)
        if life is not None:
            self.give_up(life)
            self.portfolio.release(*life.key)
