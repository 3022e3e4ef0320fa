"""The one screen: am I safe, what is open, what is wrong."""

import asyncio
import os
from collections.abc import Mapping

from livebot.control_ports import PortfolioStatus
from livebot.core.clusters import ClusterStatus, status_of_clusters
from livebot.core.exposure import protected
from livebot.core.inputs import SymbolState
from livebot.core.market import decimal_of
from livebot.core.signal import Closing, Idle, Open
from livebot.ports import SignalStatus, SymbolStatus, SystemStatus
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.supervision.supervisor import ChildState, ChildStatus
from livebot.runtime.system import System

PIECE = 16  # symbols looked at before the loop may do something else
_NOT_STARTED = ChildStatus(state=ChildState.WAITING, restarts=0, last_error=None)


def status_of(system: System) -> SystemStatus:
    """Everything an operator is shown, as of now."""
    return _whole(system, tuple(_symbol(system, symbol) for symbol in system.workers.strategies))


async def status_in_pieces(system: System) -> SystemStatus:
    """The same without holding up the loop; symbols that were looked at first are a moment older than the rest."""
    symbols: list[SymbolStatus] = []
    for number, symbol in enumerate(tuple(system.workers.strategies), start=1):
        if symbol in system.workers.strategies:
            symbols.append(_symbol(system, symbol))
        if number % PIECE == 0:
            await asyncio.sleep(0)
    return _whole(system, tuple(symbols))


def portfolio_of(portfolio: Portfolio) -> PortfolioStatus:
    """What all symbols together are worth and may do, as of now."""
    reservations, reserved = portfolio.reserved
    return PortfolioStatus(
        trading_state=portfolio.trading_state.value,
        state_reason=portfolio.state_reason,
        causes=portfolio.causes,
        equity=portfolio.equity,
        day_pnl=portfolio.day_pnl,
        open_signals=portfolio.open_signals,
        reservations=reservations,
        reserved=reserved,
    )


def _whole(system: System, symbols: tuple[SymbolStatus, ...]) -> SystemStatus:
    parts, portfolio = system.parts, system.portfolio
    observations = system.observations
    restarts = system.supervisor.restarts() if system.supervisor is not None else 0
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
        unprotected=observations.unprotected_now,
        problems=system.problems.sentences(),
        limits=portfolio.limit_use(),
        instances=system.workers.instances.counts(),
        counts={**portfolio.counts(), **observations.counts, "restarts": restarts},
        slow_calls=dict(observations.slow_calls),
        symbols=symbols,
        universe=system.universe.status() if system.universe is not None else None,
        config_loaded_ms=system.config_loaded_ms,
        clusters=_clusters(system),
        models=None if parts.confidences is None else parts.confidences.status(),
    )


def _clusters(system: System) -> ClusterStatus | None:
    if system.clusters is not None:
        return system.clusters.status()
    named = system.parts.clusters
    if not isinstance(named, Mapping):
        return None
    return status_of_clusters({symbol: named.get(symbol, symbol) for symbol in system.workers.strategies})


def _symbol(system: System, symbol: str) -> SymbolStatus:
    child = system.supervisor.status(symbol) if system.supervisor is not None else _NOT_STARTED
    workers = system.workers
    instances = {instance.strategy_name: instance for instance in workers.instances.of(symbol)}
    prices = [instance.last_price for instance in instances.values() if instance.last_price is not None]
    last_price = prices[0] if prices else None
    # While nobody runs the symbol, what was last saved is what there is.
    states = [
        instances[name].state if name in instances else workers.states.get((name, symbol))
        for name in workers.strategies[symbol]
    ]
    return SymbolStatus(
        symbol=symbol,
        worker=child.state.value,
        restarts=child.restarts,
        blocks=tuple(code.value for code in system.portfolio.blocks.of(symbol)),
        last_error=child.last_error,
        last_close_ms=system.hub.last_close_ms.get(symbol) if system.hub is not None else None,
        last_price=last_price,
        signals=tuple(_signal(state, last_price) for state in states if state is not None),
    )


def _signal(state: SymbolState, last_price: float | None) -> SignalStatus:
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
    price = decimal_of(last_price) if last_price is not None else None
    entry_price = signal.reference_price if signal.limit_price is None else signal.limit_price
    return SignalStatus(
        strategy=state.strategy,
        state=type(present).__name__,
        signal_id=f"{state.strategy}/{state.symbol}#{signal.number}",
        side=signal.side.value,
        quantity=held.position.quantity if held is not None else signal.quantity,
        entry_price=held.position.entry_price if held is not None else entry_price,
        stop_loss=held.stop_loss if held is not None else signal.stop_loss,
        take_profit=held.take_profit if held is not None else signal.take_profit,
        unrealised=held.position.unrealised(price) if held is not None and price is not None else None,
        protected=protected(held, state.orders) if held is not None else None,
        confidence=signal.confidence,
        model=signal.model,
        opened_ms=held.opened_ms if held is not None else None,
    )
