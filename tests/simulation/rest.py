"""What must agree when nothing is going on: files, ledger and venue."""

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from livebot.adapters.state_files.sealed_json import unseal
from livebot.adapters.state_files.signal_store import STATES
from livebot.core.denial import TradingState
from livebot.core.inputs import SymbolState
from livebot.core.order import ZERO, OrderRequest
from livebot.core.signal import Closing, Idle, Open
from livebot.errors import LivebotError
from livebot.simulator.book import is_attached
from tests.simulation.truth import Key

if TYPE_CHECKING:
    from tests.simulation.world import World


def states_of(world: "World") -> dict[Key, SymbolState]:
    """What the files say."""
    found = {}
    for key, name in world.checker.truth.files.items():
        node = world.disk.names.get(name)
        if node is not None:
            try:
                found[key] = STATES.from_tree(unseal(node.data))
            except LivebotError as error:
                world.checker.wrong("disk", f"{name} cannot be read: {error}")
    return found


def look(world: "World") -> None:
    """I4 and I3, that no room is kept for what nobody will send, and that nothing rests that must not fill."""
    look_at_entries(world)
    kept = 0 if world.process is None else world.process.portfolio.reserved[0]
    if kept:
        world.checker.wrong("room", f"at rest: room is kept for {kept} orders that no fact tells of")
    states = states_of(world)
    for symbol in world.venue.symbols:
        of_symbol = [state for (_, of), state in states.items() if of == symbol]
        for text in (*_positions(world, symbol, of_symbol), *_orders(world, symbol, of_symbol)):
            world.checker.wrong("I4", f"at rest: {symbol}: {text}")
        if lacking := world.checker.cover.lacking(symbol):
            world.checker.wrong("I3", f"at rest: {symbol}: {lacking} has no stop")


def look_at_entries(world: "World") -> None:
    """Nothing is left to fill while trading is not ACTIVE."""
    if world.process is None or world.process.portfolio.trading_state is TradingState.ACTIVE:
        return
    working = [order.request for symbol in world.venue.symbols for order in world.venue._engine.book.working(symbol)]
    opening = [each.client_order_id for each in working if each.leg.opens and not is_attached(each.client_order_id)]
    if opening:
        state = world.process.portfolio.trading_state.value
        world.checker.wrong("rests", f"trading is {state}, and {opening} may still fill")


def look_flat(world: "World") -> None:
    """Somebody was told that everything is closed."""
    for symbol in world.venue.symbols:
        held = world.venue._engine.holdings.quantity(symbol)
        opening = [
            order.request.client_order_id
            for order in world.venue._engine.book.working(symbol)
            if order.request.leg.opens and not is_attached(order.request.client_order_id)
        ]
        if held or opening:
            world.checker.wrong("flat", f"{symbol} was called flat, and the venue has {held} and {opening}")
    world.note("flat")


def _positions(world: "World", symbol: str, states: list[SymbolState]) -> Iterator[str]:
    known, held = ZERO, world.venue._engine.holdings.quantity(symbol)
    for state in states:
        if isinstance(state.signal, Open | Closing):
            known += state.signal.signal.side.sign * state.signal.position.quantity
    if held != known:
        yield f"the venue holds {held}, the files say {known}"


def _orders(world: "World", symbol: str, states: list[SymbolState]) -> Iterator[str]:
    live = {rec.request.client_order_id: rec for state in states for rec in state.orders if rec.status.live}
    throttled = "amend_interval_ms" in world.plan.rules
    working = {order.request.client_order_id: order for order in world.venue._engine.book.working(symbol)}
    there = {order_id: order for order_id, order in working.items() if not is_attached(order_id)}
    if live.keys() != there.keys():
        lacking, beyond = sorted(live.keys() - there.keys()), sorted(there.keys() - live.keys())
        yield f"orders only in files {lacking}, only at the venue {beyond}"
    for order_id in sorted(live.keys() & there.keys()):
        ours, theirs = live[order_id].request, there[order_id]
        if throttled and not live[order_id].confirmed:
            continue  # it waits for its time to be changed
        # a quantity of an OCO group the venue changes by itself, and one that was triggered nobody can change
        if not theirs.running and _prices(ours) != _prices(theirs.request):
            yield f"{order_id} is {_prices(ours)} in the file and {_prices(theirs.request)} at the venue"


def _prices(request: OrderRequest) -> str:
    return f"{request.kind.value} {request.price} {request.trigger_price}"


def look_at_end(world: "World", wallet: Decimal) -> None:
    """After an orderly stop with everything closed, also I8 and the balance."""
    look(world)
    checker, truth = world.checker, world.checker.truth
    for key, state in states_of(world).items():
        if not isinstance(state.signal, Idle) or state.orders:
            checker.wrong("end", f"{key} is {type(state.signal).__name__} with {len(state.orders)} orders at the end")
        last = world.ledger.last.get(key, (0, 0))[0]
        if last != state.sequence:
            checker.wrong("I8", f"{key}: the file ends at fact {state.sequence}, the ledger at {last}")
    for signal, each in truth.signals.items():
        if each.bought != each.sold and signal not in truth.mixed:
            checker.wrong("end", f"{signal}: {each.bought} was bought and {each.sold} sold")
    if truth.mixed:
        return
    earned = sum((fact.pnl_net for fact in world.ledger.closed), ZERO)
    moved = world.venue.account().wallet - wallet
    # the venue rounds each part of a position that it closes to ten decimals
    if abs(earned - moved) > Decimal("1e-6"):
        checker.wrong("balance", f"the ledger's signals made {earned}, the wallet moved by {moved}")
