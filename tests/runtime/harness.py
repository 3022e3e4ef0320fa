"""A whole system over a simulated venue, with stores in memory, that can be killed at any step of the event loop.

A `World` is what outlives a daemon: the venue, the state files, the ledger.  A `Process` is one daemon in it: everything
it does outside goes through ports that can be cut, as a SIGKILL cuts them; what was already on the wire still arrives.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

from livebot.core.entry import NO_EXIT_PLAN, Adjustment, Entry, ExitPlan
from livebot.core.facts import ORDER_KINDS, EntryCancelled, Fact, SignalClosed, SignalOpening, SignalScheduled
from livebot.core.inputs import SymbolState
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Instrument, Side, Timeframe
from livebot.core.order import ZERO, Leg, OrderRequest, owner_prefix
from livebot.core.performance import WinRate
from livebot.core.risk import Approved
from livebot.core.rules import EntryRules, FixedNotional, Rules, Sizing
from livebot.core.signal import Closing, Idle, Open
from livebot.errors import Fatal, Rejected, Transient
from livebot.ports import DamagedFile, Decision, Listener, LoadedStates, PortfolioMemory
from livebot.runtime.inbox import Activity
from livebot.runtime.operator.control import Control
from livebot.runtime.portfolio.order_history import in_order
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.settings import ExecutionSettings, LossLimit, RestartSettings, RuntimeSettings
from livebot.runtime.shutdown import Shutdown
from livebot.runtime.system import System, SystemParts
from livebot.runtime.venue.reconcile import expected_quantity
from livebot.simulator.clock import VenueClock
from livebot.simulator.exchange import SimulatedExchange
from livebot.simulator.feed import SimulatedFeed
from livebot.simulator.market import Market
from livebot.simulator.matching import FillModel
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from livebot.strategies.interface import Strategy, View
from tests import virtual_loop
from tests.virtual_loop import VirtualLoop

BTC, ETH, SOL, XRP = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "XRP/USDT:USDT"
SYSTEM = "test"
START_MS = 1_767_225_600_000
D = Decimal
T = TypeVar("T")
Key = tuple[str, str]

NO_LIMITS = Limits()
WIDE = EntryRules(minimum_stop_distance=D("0.00001"), minimum_target_distance=D("0.00001"))
QUICK = RuntimeSettings(
    history=20,
    context_deadline_s=0.2,
    shutdown_s=8.0,
    restarts=RestartSettings(maximum=2, window_s=600.0, backoff_s=0.5, backoff_maximum_s=2.0),
)
BRIEF = ExecutionSettings(
    order_timeout_s=2.0,
    unprotected_s=1.0,
    unknown_poll_s=0.05,
    retries=2,
    retry_backoff_s=0.02,
    retry_backoff_maximum_s=0.1,
    reconcile_s=5.0,
    positions_lag_s=1.5,
)


# ---------------------------------------------------------------- strategies


@dataclass(frozen=True)
class Script:
    """What a scripted strategy answers."""

    decide: Callable[[View], Entry | None]
    manage: Callable[[View, Open], Adjustment | None] | None = None
    timeframe: Timeframe = Timeframe.M1
    others: tuple[str, ...] = ()


class Scripted(Strategy[Script]):
    """Decides as the test says."""

    name = "scripted"
    Params = Script

    @property
    def timeframe(self) -> Timeframe:
        return self.params.timeframe

    @property
    def others(self) -> tuple[str, ...]:
        return self.params.others

    def decide(self, view: View) -> Entry | None:
        return self.params.decide(view)


class Managing(Scripted):
    """Manages as the test says, too."""

    def manage(self, view: View, signal: Open) -> Adjustment | None:
        return None if self.params.manage is None else self.params.manage(view, signal)


def entry(
    view: View,
    *,
    side: Side = Side.LONG,
    stop: float = 0.01,
    target: float = 0.02,
    minutes: int = 60,
    limit: float | None = None,
    exits: ExitPlan | None = None,
) -> Entry:
    """At the market, or `limit` (a ratio) away from it; distances are ratios."""
    price = view.close if limit is None else view.close * (1 - side.sign * limit)
    return Entry(
        side=side,
        limit_price=None if limit is None else price,
        schedule_ms=None if limit is None else 5 * MINUTE_MS,
        stop_loss=price * (1 - side.sign * stop),
        take_profit=price * (1 + side.sign * target),
        lifetime_ms=minutes * MINUTE_MS,
        exits=exits,
    )


def always(**changes: Any) -> Scripted:
    """Wants a trade on every candle."""
    return Scripted(Script(lambda view: entry(view, **changes)))


def never() -> Scripted:
    """Wants nothing."""
    return Scripted(Script(lambda _: None))


def once(at_minute: int = 0, **changes: Any) -> Scripted:
    """Wants one trade, so many minutes after the start of the world."""
    wanted = START_MS + (at_minute + 1) * MINUTE_MS

    def decide(view: View) -> Entry | None:
        return entry(view, **changes) if view.close_ms == wanted else None

    return Scripted(Script(decide))


# ---------------------------------------------------------------- what outlives a daemon


class MemoryStore:
    """State files in memory.  `fail` makes saves fail; `damaged` are keys whose file is spoilt."""

    def __init__(self) -> None:
        self.files: dict[Key, SymbolState] = {}
        self.damaged: set[Key] = set()
        self.fail: Callable[[SymbolState], bool] = lambda _: False
        self.saves = 0
        self.loads = 0

    async def load(self) -> LoadedStates:
        await asyncio.sleep(0)
        damaged = tuple(DamagedFile(_path(key), f"{_path(key)}.damaged-1", *key, "checksum") for key in self.damaged)
        self.damaged.clear()
        return LoadedStates(tuple(self.files.values()), damaged)

    async def load_one(self, strategy: str, symbol: str) -> SymbolState | None:
        await asyncio.sleep(0)
        self.loads += 1
        if (strategy, symbol) in self.damaged:
            raise Rejected(f"{_path((strategy, symbol))} is damaged (checksum) and was set aside")
        return self.files.get((strategy, symbol))

    async def save(self, state: SymbolState) -> None:
        await asyncio.sleep(0)
        if self.fail(state):
            raise Fatal(f"cannot write {_path((state.strategy, state.symbol))}: No space left on device (ENOSPC)")
        self.files[state.strategy, state.symbol] = state
        self.damaged.discard((state.strategy, state.symbol))
        self.saves += 1
        await asyncio.sleep(0)

    def damage(self, strategy: str, symbol: str) -> None:
        """Spoil a file."""
        del self.files[strategy, symbol]
        self.damaged.add((strategy, symbol))


def _path(key: Key) -> str:
    return f"signals/{key[0]}/{key[1].replace('/', '-').replace(':', '_')}.json"


class MemoryPortfolioStore:
    """`state/portfolio.json` in memory."""

    def __init__(self) -> None:
        self.memory: PortfolioMemory | None = None
        self.fails = False

    async def load(self) -> PortfolioMemory | None:
        await asyncio.sleep(0)
        return self.memory

    async def save(self, memory: PortfolioMemory) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise Fatal("cannot write portfolio.json: No space left on device (ENOSPC)")
        self.memory = memory


class MemoryLedger:
    """A ledger and its history in memory."""

    def __init__(self) -> None:
        self.facts: dict[tuple[str, str, int], Fact] = {}
        self.decisions: dict[tuple[str, str, int], Decision] = {}
        self.told = 0
        self.fails = False

    async def record(self, facts: Sequence[Fact], decisions: Sequence[Decision]) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise Transient("the database is locked")
        for fact in facts:
            key = (fact.strategy, fact.symbol, fact.sequence)
            if self.facts.setdefault(key, fact) != fact:
                raise Fatal(f"the ledger holds another fact under {key}")
            self.told += 1
        for decision in decisions:
            self.decisions.setdefault((decision.strategy, decision.symbol, decision.close_ms), decision)
        await asyncio.sleep(0)

    async def close(self) -> None:
        await asyncio.sleep(0)

    async def closes(self) -> Sequence[SignalClosed]:
        await asyncio.sleep(0)
        return [fact for fact in self.facts.values() if isinstance(fact, SignalClosed)]

    async def entries(self, since_ms: int) -> Sequence[Fact]:
        await asyncio.sleep(0)
        return in_order(
            fact for fact in self.facts.values() if isinstance(fact, ORDER_KINDS) and fact.ts_ms >= since_ms
        )

    async def last_numbers(self) -> Mapping[Key, tuple[int, int]]:
        await asyncio.sleep(0)
        numbers: dict[Key, tuple[int, int]] = {}
        for (strategy, symbol, sequence), fact in sorted(self.facts.items()):
            numbers[strategy, symbol] = (sequence, int(fact.signal_id.rpartition("#")[2]))
        return numbers

    def of(self, strategy: str, symbol: str) -> list[Fact]:
        """The facts of one, in order."""
        return [fact for key, fact in sorted(self.facts.items()) if key[:2] == (strategy, symbol)]

    def kinds(self, strategy: str, symbol: str) -> list[str]:
        """Their names."""
        return [type(fact).__name__ for fact in self.of(strategy, symbol)]


class Ear:
    """A listener that keeps what it hears; `raises` or `takes_s` make it a bad one."""

    def __init__(self, name: str = "ear") -> None:
        self.name = name
        self.items: list[Fact | Decision] = []

    def hear(self, items: Iterable[Fact | Decision]) -> None:
        self.items.extend(items)


@dataclass(kw_only=True)
class World:
    """What is there whether a daemon runs or not, and how daemons are configured in it."""

    strategies: Mapping[str, Callable[[], Strategy[Any]]]
    symbols: tuple[str, ...] = (BTC,)
    runs_on: Mapping[str, tuple[str, ...]] | None = None  # by symbol; all strategies on all symbols
    market: Market | None = None
    seed: int = 1
    volatility: float = 3.0
    fills: FillModel = FillModel()
    wallet: int = 1_000_000
    speed: float = 0.0
    latency_ms: float = 0.0
    limits: Limits = NO_LIMITS
    loss_limit: LossLimit | None = None
    win_rate: WinRate | None = None
    sizing: Sizing = FixedNotional(D(1000))
    exits: ExitPlan = NO_EXIT_PLAN
    terms: tuple[tuple[str, Any], ...] = ()  # further ones of Rules, by name
    settings: RuntimeSettings = QUICK
    execution: ExecutionSettings = BRIEF
    listeners: tuple[Listener, ...] = ()

    def __post_init__(self) -> None:
        settings = SyntheticSettings(seed=self.seed, volatility=self.volatility)
        market = self.market or SyntheticMarket(self.symbols, settings)
        self.venue = SimulatedVenue(
            market,
            VenueSettings(start_ms=START_MS if self.market is None else None, wallet=D(self.wallet), fills=self.fills),
        )
        self.store = MemoryStore()
        self.portfolio_store = MemoryPortfolioStore()
        self.ledger = MemoryLedger()
        self.outside: set[asyncio.Task[Any]] = set()

    def process(self, *, minutes: int | None = None, **changes: Any) -> "Process":
        """A daemon, not yet running; `changes` are of the parts."""
        return Process(self, minutes, changes)

    async def live(self, minutes: int, **changes: Any) -> "Process":
        """A daemon that runs so many minutes of the market and stops in order."""
        process = self.process(minutes=minutes, **changes)
        await process.system.run(process.shutdown)
        return process

    def state(self, strategy: str, symbol: str = BTC) -> SymbolState:
        """What its file says."""
        return self.store.files[strategy, symbol]

    def held(self, symbol: str = BTC) -> Decimal:
        """What the venue holds."""
        return sum((each.quantity for each in self.venue.positions() if each.symbol == symbol), ZERO)

    def orders(self, symbol: str = BTC, leg: Leg | None = None) -> list[Any]:
        """Open orders at the venue, of one leg if given."""
        return [
            order
            for order in self.venue.open_orders()
            if order.symbol == symbol and (leg is None or (order.client_order_id or "?" * 9)[-3] == leg.value)
        ]


class Wire:
    """`ports.Exchange` over a network: what was sent arrives, also if the sender is dead by then."""

    def __init__(self, process: "Process", exchange: SimulatedExchange) -> None:
        self._process = process
        self._exchange = exchange
        self.faults = exchange.faults
        self.sent: list[OrderRequest] = []
        self.window_ms = exchange.absence_window_ms
        self.refuses_repeated_ids = exchange.refuses_repeated_ids
        self.positions_may_lag = process.world.speed > 0  # in lockstep no time passes in which it could
        self.lacks: set[str] = set()
        self.ignored: list[str] = []

    @property
    def name(self) -> str:
        return self._exchange.name

    @property
    def absence_window_ms(self) -> int:
        return self.window_ms

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        return await self._through(self._exchange.instruments(symbols))

    async def submit(self, approved: Approved) -> Any:
        self._process.check_alive()
        self.sent.append(approved.order)
        return await self._through(self._exchange.submit(approved))

    async def amend(self, approved: Approved) -> Any:
        return await self._through(self._exchange.amend(approved))

    async def cancel(self, symbol: str, client_order_id: str) -> None:
        await self._through(self._exchange.cancel(symbol, client_order_id))

    async def fetch_order(self, symbol: str, client_order_id: str) -> Any:
        return await self._through(self._exchange.fetch_order(symbol, client_order_id))

    async def fetch_fills(self, symbol: str, client_order_id: str) -> Any:
        return await self._through(self._exchange.fetch_fills(symbol, client_order_id))

    async def fetch_open_orders(self, symbols: Any = None) -> Any:
        return await self._through(self._exchange.fetch_open_orders(symbols))

    async def fetch_positions(self) -> Any:
        return await self._through(self._exchange.fetch_positions())

    async def fetch_account(self) -> Any:
        return await self._through(self._exchange.fetch_account())

    def listen(self, symbol: str, deliver: Callable[[Any], None]) -> None:
        self._exchange.listen(symbol, lambda event: deliver(event) if self._process.alive else None)

    def ignore(self, symbol: str) -> None:
        self.ignored.append(symbol)
        self._exchange.ignore(symbol)

    def listen_notices(self, deliver: Callable[[Any], None]) -> None:
        self._exchange.listen_notices(lambda notice: deliver(notice) if self._process.alive else None)

    async def close(self) -> None:
        await self._exchange.close()

    async def _through(self, call: Coroutine[Any, Any, T]) -> T:
        if not self._process.alive:
            call.close()
        self._process.check_alive()
        answer = await asyncio.shield(self._process.outside(_on_the_way(call)))
        self._process.check_alive()
        return answer


async def _on_the_way(call: Coroutine[Any, Any, T]) -> T:
    await asyncio.sleep(0)
    answer = await call
    await asyncio.sleep(0)
    return answer


class Cut:
    """Any port whose calls have no effect once the process is dead."""

    def __init__(self, process: "Process", port: Any) -> None:
        self._process = process
        self._port = port

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        async def cut(*args: Any) -> Any:
            self._process.check_alive()
            result = call(*args)
            task = asyncio.ensure_future(result)
            self._process.inside.add(task)
            task.add_done_callback(self._process.inside.discard)
            return await asyncio.shield(task)

        return cut


class Process:
    """One daemon in a world."""

    def __init__(self, world: World, minutes: int | None, changes: Mapping[str, Any]) -> None:
        self.world = world
        self.alive = True
        self.inside: set[asyncio.Task[Any]] = set()
        self.clock = VenueClock(world.venue, speed=world.speed)
        self.activity = Activity()
        self.exchange = SimulatedExchange(world.venue, self.clock, latency_ms=world.latency_ms)
        self.wire = Wire(self, self.exchange)
        self.faults = self.exchange.faults
        self.problems = Problems()
        self.portfolio = Portfolio(
            world.limits, loss_limit=world.loss_limit, win_rate=world.win_rate, report=self.problems.report
        )
        feed = SimulatedFeed(world.venue, self.clock, quiesce=self.activity.idle, minutes=minutes)
        runs_on = world.runs_on or dict.fromkeys(world.symbols, tuple(world.strategies))
        parts = SystemParts(
            name=SYSTEM,
            market="perpetual",
            mode="paper",
            strategies=runs_on,
            watched=self._watched(runs_on),
            make_strategy=lambda name: world.strategies[name]() if name in world.strategies else None,
            rules=self._rules,
            clock=self.clock,
            exchange=self.wire,
            feed=feed,
            store=Cut(self, world.store),
            portfolio_store=Cut(self, world.portfolio_store),
            ledger=Cut(self, world.ledger),
            history=Cut(self, world.ledger),
            portfolio=self.portfolio,
            problems=self.problems,
            listeners=world.listeners,
            settings=world.settings,
            execution_settings=world.execution,
            activity=self.activity,
            random=Random(1),
        )
        self.system = System(replace(parts, **changes))
        self.control = Control(self.system)
        self.shutdown = Shutdown(close_gate=self.portfolio.close_gate)
        self.task: asyncio.Task[None] | None = None

    def start(self) -> "Process":
        """Begin to run."""
        self.task = asyncio.create_task(self.system.run(self.shutdown), name="system")
        return self

    async def until_ready(self) -> "Process":
        """Run, and return when it is ready."""
        self.start()
        await asyncio.wait({self.task, asyncio.ensure_future(self.system.ready.wait())}, return_when="FIRST_COMPLETED")
        if self.task.done():
            await self.task
        return self

    async def end(self) -> None:
        """Stop in order."""
        self.shutdown.request("the test ends")
        await self.task

    async def kill(self) -> None:
        """End it as SIGKILL does: nothing it does from here on has an effect."""
        self.die()
        rest = asyncio.all_tasks() - self.world.outside - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def die(self) -> None:
        """No effect from now on."""
        self.alive = False
        for task in self.inside:
            task.cancel()

    def check_alive(self) -> None:
        if not self.alive:
            raise asyncio.CancelledError

    def outside(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Something that goes on when the process is dead."""
        task = asyncio.ensure_future(work)
        self.world.outside.add(task)
        task.add_done_callback(self._arrived)
        return task

    def _arrived(self, task: "asyncio.Task[Any]") -> None:
        self.world.outside.discard(task)
        if not task.cancelled():
            task.exception()

    def _rules(self, strategy: str, instrument: Instrument) -> Rules:
        return Rules(
            system=SYSTEM,
            strategy=strategy,
            instrument=instrument,
            sizing=self.world.sizing,
            entry=WIDE,
            exits=self.world.exits,
            schedule_ms=5 * MINUTE_MS,
            **dict(self.world.terms),
        )

    def _watched(self, runs_on: Mapping[str, tuple[str, ...]]) -> Mapping[str, frozenset[str]]:
        made = {}
        for name, make in self.world.strategies.items():
            try:
                made[name] = frozenset(make().others)
            except Exception:
                made[name] = frozenset()
        return {
            symbol: frozenset().union(*(made.get(name, frozenset()) for name in names))
            for symbol, names in runs_on.items()
        }


# ---------------------------------------------------------------- what must hold


def disagreements(world: World, *, settled: bool = True) -> list[str]:
    """What is wrong between files, ledger and venue.  `settled`: nothing is under way, so all must agree exactly."""
    said = list(_ledger_problems(world))
    by_symbol: dict[str, list[SymbolState]] = {}
    for (strategy, symbol), state in world.store.files.items():
        by_symbol.setdefault(symbol, []).append(state)
        said += _state_problems(strategy, symbol, state, world)
    known = {record.request.client_order_id for state in world.store.files.values() for record in state.orders}
    for order in world.venue.open_orders():
        order_id = order.client_order_id or ""
        if order_id.startswith(owner_prefix(SYSTEM)) and order_id not in known:
            said.append(f"I1: order {order_id} is open and no file knows it")
    if settled:
        for symbol in world.venue.symbols:
            ours, theirs = expected_quantity(by_symbol.get(symbol, [])), world.held(symbol)
            if ours != theirs:
                said.append(f"I4: {symbol} is {ours} in the files and {theirs} at the venue")
    return said


def _state_problems(strategy: str, symbol: str, state: SymbolState, world: World) -> Iterable[str]:
    if isinstance(state.signal, Idle) and state.orders:
        yield f"{strategy}/{symbol} is Idle and has orders"
    entries = [
        record for record in state.orders if record.request.leg is Leg.ENTRY and not isinstance(state.signal, Idle)
    ]
    if len(entries) > 1:
        yield f"I2: {strategy}/{symbol} has {len(entries)} entries"
    signal = state.signal
    if isinstance(signal, Open | Closing) and signal.position.quantity > signal.signal.quantity * 3:
        yield f"I2: {strategy}/{symbol} holds {signal.position.quantity} of {signal.signal.quantity}"


def _ledger_problems(world: World) -> Iterable[str]:
    by_key: dict[Key, list[Fact]] = {}
    for (strategy, symbol, _), fact in sorted(world.ledger.facts.items()):
        by_key.setdefault((strategy, symbol), []).append(fact)
    for (strategy, symbol), facts in by_key.items():
        sequences = [fact.sequence for fact in facts]
        if sequences != list(range(1, len(facts) + 1)):
            yield f"I8: {strategy}/{symbol} has facts {sequences}"
        yield from _order_problems(f"{strategy}/{symbol}", facts)


def _order_problems(name: str, facts: Sequence[Fact]) -> Iterable[str]:
    present: str | None = None
    number = 0
    for fact in facts:
        if isinstance(fact, SignalOpening | SignalScheduled):
            if present is not None:
                yield f"{name}: {fact.signal_id} begins before {present} has ended"
            present = fact.signal_id
            begun = int(fact.signal_id.rpartition("#")[2])
            if begun <= number:
                yield f"{name}: {fact.signal_id} comes after number {number}"
            number = begun
        elif fact.signal_id != present:
            yield f"{name}: {type(fact).__name__} of {fact.signal_id} while {present}"
        if isinstance(fact, SignalClosed | EntryCancelled):
            present = None


def story(world: World, symbol: str, strategy: str | None = None) -> list[Any]:
    """The facts of a symbol without what only the order of the whole account decides."""
    return [
        fact
        for key, fact in sorted(world.ledger.facts.items())
        if key[1] == symbol and (strategy is None or key[0] == strategy)
    ]


# ---------------------------------------------------------------- loops

LONGEST_S = 3_000.0  # of virtual time; a test that waits for what never comes fails soon


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time."""
    return virtual_loop.run(main, limit_s=LONGEST_S)


class SteppingLoop(VirtualLoop):
    """Counts its steps, and calls `at_step` when it comes to number `stop_at`."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.stop_at: int | None = None
        self.at_step: Callable[[], None] = lambda: None

    def _run_once(self) -> None:
        self.steps += 1
        if self.steps == self.stop_at:
            self.at_step()
        super()._run_once()  # type: ignore[misc]


def run_stepping(main: Callable[[SteppingLoop], Awaitable[T]]) -> T:
    """As `virtual_loop.run`, on a loop that counts."""
    made: list[SteppingLoop] = []

    def make() -> SteppingLoop:
        made.append(SteppingLoop())
        return made[0]

    async def run() -> T:
        return await main(made[0])

    with asyncio.Runner(loop_factory=make) as runner:
        result = runner.run(run())
    for context in made[0].errors:
        raise AssertionError(context.get("message", "")) from context.get("exception")
    return result
