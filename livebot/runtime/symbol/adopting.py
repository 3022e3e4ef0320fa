"""A position that is not ours made a signal of ours, in the worker of its symbol.

Rules of this file: nothing is adopted before a comparison has shown, twice, how much of the position is not ours; what
cannot be protected at once is refused with a sentence and left as it is.  It is there whether the limits allow it or not: it
is not refused for them, they are named in the answer, and it counts.
"""

from decimal import Decimal

from livebot.core.adoption import Adoption, adopt
from livebot.core.candidate import Candidate, Refused
from livebot.core.exposure import protected
from livebot.core.inputs import Step, Submit
from livebot.core.market import Side, decimal_of
from livebot.core.order import ZERO, OrderKind
from livebot.core.signal import Closing, Open
from livebot.core.wording import duration, number
from livebot.errors import Rejected
from livebot.runtime.inbox import Adopt
from livebot.runtime.symbol.strategy_instance import StrategyInstance
from livebot.runtime.symbol.surroundings import Surroundings
from livebot.runtime.symbol.symbol_reconcile import SymbolReconcile
from livebot.runtime.symbol.symbol_states import SymbolStates
from livebot.runtime.venue.reconcile import VenueSnapshot


class Adopting:
    """One for each run of a worker."""

    def __init__(self, states: SymbolStates, reconcile: SymbolReconcile, shared: Surroundings) -> None:
        """Nothing is adopted."""
        self._symbol = states.symbol
        self._states = states
        self._reconcile = reconcile
        self._shared = shared

    async def run(self, wish: Adopt) -> None:
        """Do it, and answer with a sentence or with Rejected."""
        try:
            sentence = await self._adopt(wish)
        except Rejected as error:
            wish.refuse(error)
        else:
            wish.tell(sentence)

    async def _adopt(self, wish: Adopt) -> str:
        instance = next(each for each in self._states.instances if each.strategy_name == wish.strategy)
        seen = await self._reconcile.run()
        if seen is None:
            raise Rejected(
                f"{self._symbol} trades too fast to tell what is ours, the venue does not say what it holds, or has shown it "
                f"for less than {self._shared.execution.lag_s:g} s; nothing was adopted, try again"
            )
        beyond = self._reconcile.beyond(seen)
        if not beyond:
            raise Rejected(f"{self._symbol}: the venue holds nothing that is not ours; nothing was adopted")
        if instance.last_price is None:
            raise Rejected(f"{self._symbol} has no price yet; nothing was adopted, try again in a minute")
        stop = self._resting_stop(seen, beyond) if wish.stop is None else wish.stop
        if stop is None:
            raise Rejected(
                f"{self._symbol}: no stop rests there and none was given, so the position could not be protected; "
                f"nothing was adopted: `livebot adopt {self._symbol} --stop PRICE`"
            )
        price = decimal_of(instance.last_price)
        adoption = Adoption(
            quantity=beyond,
            entry_price=self._entry_price(seen, beyond, price),
            price=price,
            stop_loss=stop,
            take_profit=wish.target,
            ts_ms=self._shared.clock.now_ms(),
        )
        made = adopt(instance.state, adoption, instance.own_rules)
        if isinstance(made, Refused):
            raise Rejected(f"{self._symbol}: {made.text}; nothing was adopted")
        beyond_limits = self._exceeded(instance, made, adoption)
        self._states.take(instance, made)
        await self._states.commit()
        self._shared.observer.foreign_position(self._symbol, self._reconcile.beyond(seen))
        return self._said(instance, beyond, wish) + beyond_limits

    def _exceeded(self, instance: StrategyInstance, made: Step, adoption: Adoption) -> str:
        """What is there already is adopted whatever the limits say; what it exceeds is told, and it counts from now on."""
        signal = made.state.signal
        stop = next(request.approved.order for request in made.requests if isinstance(request, Submit))
        assert isinstance(signal, Open)  # so it was made
        quantity, price = signal.position.quantity, adoption.entry_price
        candidate = Candidate(
            strategy=instance.strategy_name,
            symbol=self._symbol,
            side=signal.signal.side,
            order=stop,
            signal=signal.signal,
            price=price,
            notional=quantity * price,
            risk=quantity * abs(price - signal.stop_loss),
            confidence=None,
            ts_ms=adoption.ts_ms,
        )
        exceeded = self._shared.portfolio.exceeded(candidate, adoption.ts_ms)
        if not exceeded:
            return ""
        return f"; with it more is open than allowed, so that nothing else opens until less is: {'; '.join(exceeded)}"

    def _resting_stop(self, seen: VenueSnapshot, beyond: Decimal) -> Decimal | None:
        """The stop that somebody else has placed for it, the nearest if there are several."""
        side = Side.LONG if beyond > 0 else Side.SHORT
        triggers = [
            order.trigger_price
            for order in (*seen.orders.values(), *seen.unnamed)
            if order.symbol == self._symbol
            and order.kind is OrderKind.STOP_MARKET
            and order.side is side.exit_order
            and order.trigger_price is not None
            and not self._states.was_ours(order.client_order_id or "")
        ]
        return max(triggers, key=lambda price: side.sign * price, default=None)

    def _entry_price(self, seen: VenueSnapshot, beyond: Decimal, present: Decimal) -> Decimal:
        """The venue's average price less what our own part of the position cost."""
        position = seen.positions[self._symbol]
        if not position.average_price:
            return present  # of coins a venue does not say what they cost
        cost = ZERO
        for instance in self._states.instances:
            signal = instance.state.signal
            if isinstance(signal, Open | Closing) and signal.position.quantity:
                cost += signal.signal.side.sign * signal.position.quantity * signal.position.entry_price
        price = (position.quantity * position.average_price - cost) / beyond
        return price if price > 0 else position.average_price

    def _said(self, instance: StrategyInstance, beyond: Decimal, wish: Adopt) -> str:
        state = instance.state
        name = f"{state.strategy}/{self._symbol}#{state.number}"
        if not isinstance(state.signal, Open):
            return f"{name} was adopted and is being closed: see `livebot status`"
        signal = state.signal
        stands = "stands" if protected(signal, state.orders) else "is on its way"
        target = "no target" if wish.target is None else f"a target of {number(signal.take_profit)}"
        return (
            f"adopted {number(beyond)} {self._symbol} as {name}: its stop at {number(signal.stop_loss)} {stands}, "
            f"{target}; it closes after {duration(signal.signal.lifetime_ms)} at the latest"
        )
