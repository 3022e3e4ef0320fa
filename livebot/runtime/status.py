"""The one screen: am I safe, what is open, what is wrong."""

import os

from livebot.core.exposure import protected
from livebot.core.market import decimal_of
from livebot.core.signal import Closing, Idle, Open
from livebot.ports import SignalStatus, SymbolStatus, SystemStatus
from livebot.runtime.strategy_instance import StrategyInstance
from livebot.runtime.supervisor import ChildState, ChildStatus
from livebot.runtime.system import System


def status_of(system: System) -> SystemStatus:
    """Everything an operator is shown, as of now."""
    parts, portfolio = system.parts, system.portfolio
    observations = system.observations
    return SystemStatus(
        system=parts.name,
        market=parts.market,
        mode=parts.mode,
        exchange=parts.exchange.name,
        pid=os.getpid(),
        started_ms=system.started_ms,
        now_ms=parts.clock.now_ms(),
        ready=system.ready.is_set(),
        trading_state=portfolio.trading_state.value,
        state_reason=portfolio.state_reason,
        equity=portfolio.equity,
        day_pnl=portfolio.day_pnl,
        open_signals=portfolio.open_signals,
        unprotected=tuple(sorted(observations.unprotected_now)),
        problems=system.problems.sentences(),
        limits=portfolio.limit_use(),
        instances=system.instances.counts(),
        counts={**portfolio.counts(), **observations.counts, "restarts": _restarts(system)},
        slow_calls=dict(observations.slow_calls),
        symbols=tuple(_symbol(system, symbol) for symbol in system.inboxes),
    )


def _restarts(system: System) -> int:
    return system.supervisor.restarts() if system.supervisor is not None else 0


def _symbol(system: System, symbol: str) -> SymbolStatus:
    child = (
        system.supervisor.status(symbol)
        if system.supervisor is not None
        else ChildStatus(state=ChildState.WAITING, restarts=0, last_error=None)
    )
    instances = system.instances.of(symbol)
    last_price = next((instance.last_price for instance in instances if instance.last_price is not None), None)
    return SymbolStatus(
        symbol=symbol,
        worker=child.state.value,
        restarts=child.restarts,
        blocks=tuple(code.value for code in system.portfolio.blocks.of(symbol)),
        last_error=child.last_error,
        last_close_ms=system.hub.last_close_ms.get(symbol) if system.hub is not None else None,
        last_price=last_price,
        signals=tuple(_signal(instance) for instance in instances),
    )


def _signal(instance: StrategyInstance) -> SignalStatus:
    state = instance.state
    present = state.signal
    if isinstance(present, Idle):
        return SignalStatus(
            strategy=state.strategy,
            state="Idle",
            signal_id=None,
            side=None,
            quantity=None,
            entry_price=None,
            stop_loss=None,
            take_profit=None,
            unrealised=None,
            protected=None,
            opened_ms=None,
        )
    signal = present.signal
    held = present if isinstance(present, Open | Closing) else None
    price = decimal_of(instance.last_price) if instance.last_price is not None else None
    return SignalStatus(
        strategy=state.strategy,
        state=type(present).__name__,
        signal_id=f"{state.strategy}/{state.symbol}#{signal.number}",
        side=signal.side.value,
        quantity=held.position.quantity if held is not None else signal.quantity,
        entry_price=held.position.entry_price if held is not None else signal.limit_price or signal.reference_price,
        stop_loss=held.stop_loss if held is not None else signal.stop_loss,
        take_profit=held.take_profit if held is not None else signal.take_profit,
        unrealised=held.position.unrealised(price) if held is not None and price is not None else None,
        protected=protected(held, state.orders) if held is not None else None,
        opened_ms=held.opened_ms if held is not None else None,
    )
