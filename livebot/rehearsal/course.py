"""A rehearsal from beginning to end: the exchange, the daemon, the faults, the kills, the looks, the verdict.

Rules of this file: what is judged is judged in `verdict`; here is only when.  Seconds count from when the daemon first
stands.  The witness is a stock client whose requests meet no fault.
"""

import asyncio
import os
import secrets
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from livebot.core.facts import Fact, SignalClosed, SignalOpened
from livebot.core.market import MINUTE_MS
from livebot.core.order import ZERO
from livebot.errors import Fatal, Transient
from livebot.ops.control.client import ControlClient
from livebot.rehearsal.fault_course import kill_times, usual_faults
from livebot.rehearsal.files import Told, every_file, read_facts, read_problems, read_states, read_trading_state
from livebot.rehearsal.limit_samples import LimitSamples
from livebot.rehearsal.processes import READY_S, Child
from livebot.rehearsal.scratch import Keys, Rehearsed, environment, write_config
from livebot.rehearsal.sights import SeenOrder, Sight
from livebot.rehearsal.stock_client import StockClient, stock_client
from livebot.rehearsal.verdict import (
    ProtectionWatch,
    Verdict,
    disagreements,
    judge_ends,
    judge_entries,
    judge_exposure,
    judge_facts,
    judge_halt,
    judge_known,
    judge_open_signals,
    judge_output,
    judge_secret,
    judge_stopped,
    judge_trades,
)
from livebot.reporting.limits_page import UseSample
from livebot.simulator.local_exchange import KEY_VARIABLE, OBSERVER, SECRET_VARIABLE
from livebot.simulator.venue_faults import Fault
from livebot.simulator.wall_clock import wall_ms

LOOK_EVERY_S = 0.5
TELL_EVERY_S = 3.0
AGREE_S = 90.0  # longer than a lost order is asked for, and than a venue's minute of request weight
_CLOSING_S = 10.0  # to close what stayed bare, through whatever fault is on
_MARGIN_S = 120.0  # of the wall clock, by which the market begins earlier than it has to
_EXCHANGE_S = 30.0
_BLIND_LOOKS_MAX = 40
_POLL_S = 0.1
_BREATH_S = (0.3, 2.0)  # how long it lives at least before it is killed again
_DIES_YOUNG = 0.3  # how often it is killed again while it starts
_YOUTH_S = (0.2, 5.0)
DAEMON_LOG, EXCHANGE_LOG = "daemon.log", "exchange.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`faults` None are the usual ones; `kills` at random moments of `seed`."""

    found: Rehearsed
    root: Path
    protocol: str = "bybit"
    seconds: float = 90.0
    kills: int = 1
    speed: float = 60.0
    seed: int = 1
    faults: tuple[Fault, ...] | None = None


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    verdict: Verdict = field(default_factory=Verdict)
    opened: int = 0
    closed: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    idle_faults: list[str] = field(default_factory=list)  # those that never struck
    kills: int = 0
    seconds: float = 0.0
    told: list[Told] = field(default_factory=list)
    limits: tuple[UseSample, ...] = ()

    @property
    def clean(self) -> bool:
        """Nothing was broken, and something was traded."""
        return self.verdict.clean and self.opened > 0


async def rehearse(plan: Plan, tell: Callable[[str], None]) -> Outcome:
    """Run it; `tell` is given a line every few seconds.

    Raises:
        Fatal: the exchange or the daemon does not come up.
        Transient: the exchange does not answer its witness.

    """
    task = asyncio.current_task()
    assert task is not None  # a coroutine runs in one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # what it started must not outlive it
    keys = Keys(f"rehearsal-{secrets.token_hex(8)}", secrets.token_hex(24))
    async with AsyncExitStack() as opened:
        exchange, where = await _start_exchange(plan, keys, opened)
        ca_file = Path(where["ca_file"])
        witness = await opened.enter_async_context(
            stock_client(
                where["exchange"],
                where["port"],
                ca_file,
                f"{keys.key}{OBSERVER}",
                keys.secret,
                plan.found.market.symbols,
            )
        )
        config = write_config(
            plan.found,
            plan.root,
            plan.protocol,
            port=where["port"],
            control_port=where["control_port"],
            ca_file=ca_file,
        )
        control = await opened.enter_async_context(
            aiohttp.ClientSession(f"http://127.0.0.1:{where['control_port']}", trust_env=False)
        )
        course = _Course(plan, keys, config, witness, control, tell)
        opened.push_async_callback(course.close)
        sampling = asyncio.create_task(course.limits.run(), name="limits")
        opened.callback(sampling.cancel)
        await course.run()
        sampling.cancel()
        course.judge_texts(exchange)
        course.outcome.verdict.add("I5", course.limits.above, times=course.limits.answered)
        course.outcome.limits = tuple(course.limits.samples)
        return course.outcome


async def _start_exchange(plan: Plan, keys: Keys, opened: AsyncExitStack) -> tuple[Child, dict[str, Any]]:
    market = plan.found.market
    before_ms = round((plan.seconds * plan.speed + _MARGIN_S * plan.speed) * 1000)
    arguments = ["exchange", "--json", "--protocol", plan.protocol, "--symbols", ",".join(market.symbols)]
    arguments += ["--ca-file", str(plan.root / "ca.pem"), "--memory", str(plan.root / "exchange")]
    arguments += ["--seed", str(market.seed), "--volatility", str(market.volatility), "--speed", str(plan.speed)]
    arguments += ["--wallet", str(market.wallet)]
    if market.candles is not None:
        arguments += ["--candles", str(market.candles)]
    else:
        start_ms = wall_ms() - before_ms
        arguments += ["--start-ms", str(start_ms - start_ms % MINUTE_MS)]
    environ = environment(plan.found, keys, os.environ) | {KEY_VARIABLE: keys.key, SECRET_VARIABLE: keys.secret}
    exchange = await Child.start(arguments, plan.root / EXCHANGE_LOG, environ)
    opened.push_async_callback(exchange.stop)
    return exchange, await exchange.said("control_port", _EXCHANGE_S)


class _Course:
    """One daemon after the other, and all that is looked at meanwhile."""

    def __init__(
        self,
        plan: Plan,
        keys: Keys,
        config: Path,
        witness: StockClient,
        control: aiohttp.ClientSession,
        tell: Callable[[str], None],
    ) -> None:
        self.outcome = Outcome()
        self._plan = plan
        self._keys = keys
        self._arguments = ["run", "--config", str(config), "--root", str(plan.root)]
        self._environ = environment(plan.found, keys, os.environ)
        self._witness = witness
        self._control = control
        self._tell = tell
        self._system = plan.found.system
        self._symbols = plan.found.market.symbols
        shares = Counter(symbol for _, symbol in self._system.keys)
        self._watch = ProtectionWatch(plan.found.unprotected_s + _CLOSING_S, shares)
        self._peak_equity = ZERO
        self._blind_looks = 0
        self._was_halted = False
        self._orders: dict[str, SeenOrder] = {}
        self.limits = LimitSamples(plan.root / "state" / "control.sock")
        self._daemon: Child | None = None
        self._began_s = 0.0
        self._told_s = 0.0

    @property
    def _passed_s(self) -> float:
        return asyncio.get_running_loop().time() - self._began_s

    @property
    def _verdict(self) -> Verdict:
        return self.outcome.verdict

    async def close(self) -> None:
        """End the daemon, if it still runs."""
        if self._daemon is not None:
            await self._daemon.kill()

    async def run(self) -> None:
        """From the first start to the last stop.  Raises Fatal, Transient."""
        rng = Random(self._plan.seed)
        await self._start()
        self._began_s = self._told_s = asyncio.get_running_loop().time()
        await self._arm()
        times = kill_times(rng, self._plan.seconds, self._plan.kills)
        while times:
            await self._live_until(max(times.pop(0), self._passed_s + rng.uniform(*_BREATH_S)))
            await self._kill()
            while times and rng.random() < _DIES_YOUNG:
                times.pop(0)
                await self._start_and_kill(rng.uniform(*_YOUTH_S))
            await self._come_back()
        await self._live_until(self._plan.seconds)
        self.outcome.seconds = self._passed_s
        await self._end()

    # Living

    async def _start(self) -> None:
        self._watch.forget()
        self._daemon = await Child.start(self._arguments, self._plan.root / DAEMON_LOG, self._environ)
        ready = asyncio.create_task(self._daemon.said('"ready"', READY_S), name="ready")
        runs = False
        try:
            while not ready.done():  # what is bare when it is started must not be so for long
                if not runs:  # its modules are being loaded, which takes as long as the machine is busy
                    self._watch.forget()
                    runs = bool(self._daemon.output())
                await self._look()
                await asyncio.wait({ready}, timeout=LOOK_EVERY_S)
            await ready
        finally:
            ready.cancel()

    async def _arm(self) -> None:
        plan = self._plan
        faults = plan.faults if plan.faults is not None else usual_faults(plan.protocol, self._symbols, plan.seconds)
        body = [fault.model_dump(mode="json") for fault in faults]
        async with self._control.post("/_faults", json=body) as answer:
            if answer.status != HTTPStatus.OK:
                raise Fatal(f"the local exchange refuses the faults: {(await answer.json())['error']}")

    async def _live_until(self, at_s: float) -> None:
        while self._passed_s < at_s:
            if self._daemon is not None and self._daemon.code is not None:
                said = f"the daemon ended by itself with {self._daemon.code}; see {DAEMON_LOG}"
                self._verdict.add("I12", [said])
                await self._start()
            await self._look()
            await self._tell_now_and_then()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> Sight | None:
        try:
            sight = await self._witness.look()
        except Transient:
            self._blind_looks += 1
            if self._blind_looks > _BLIND_LOOKS_MAX:
                raise
            return None
        self._blind_looks = 0
        self._peak_equity = max(self._peak_equity, sight.equity)
        self._verdict.add("I3", self._watch.judge(sight, self._symbols))
        self._verdict.add("I5", judge_exposure(sight, self._plan.found.limits, self._peak_equity))
        return sight

    async def _tell_now_and_then(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._told_s >= TELL_EVERY_S:
            self._told_s = now_s
            await self._count()
            outcome = self.outcome
            self._tell(
                f"{self._passed_s:5.0f} s   opened {outcome.opened}, closed {outcome.closed}, "
                f"faults {sum(outcome.faults.values())}, kills {outcome.kills} of {self._plan.kills}"
            )

    async def _count(self) -> tuple[Fact, ...]:
        facts = await asyncio.to_thread(read_facts, self._plan.root / "state" / "ledger.sqlite")
        self.outcome.opened = sum(isinstance(fact, SignalOpened) for fact in facts)
        self.outcome.closed = sum(isinstance(fact, SignalClosed) for fact in facts)
        async with self._control.get("/_faults") as answer:
            told = await answer.json()
        self.outcome.faults, self.outcome.idle_faults = told["struck"], told["idle"]
        return facts

    # Dying

    async def _kill(self) -> None:
        assert self._daemon is not None  # it was started first
        await self._daemon.kill()
        self.outcome.kills += 1
        self._tell(f"{self._passed_s:5.0f} s   killed")
        self._was_halted = read_trading_state(self._plan.root / "state") == "HALTED"
        await self._judge_the_dead(final=False)

    async def _start_and_kill(self, seconds: float) -> None:
        """Killed again while it starts or recovers."""
        self._watch.forget()
        self._daemon = await Child.start(self._arguments, self._plan.root / DAEMON_LOG, self._environ)
        await asyncio.sleep(seconds)
        await self._kill()

    async def _come_back(self) -> None:
        await self._start()
        halted = self._was_halted
        self._verdict.add("I6", judge_halt(was_halted=halted, state_now=await self._state_now()), times=halted)
        await self._agree()
        self._tell(f"{self._passed_s:5.0f} s   it stands again, files and venue were compared")

    async def _judge_the_dead(self, *, final: bool) -> None:
        states, damaged = read_states(self._plan.root / "signals")
        facts = await self._count()
        orders = await self._orders_ever()
        self._verdict.add("I1", [*damaged, *judge_known(orders, states, self._system)])
        self._verdict.add("I2", judge_entries(orders, facts, self._system))
        self._verdict.add("I4", judge_trades(states, await self._witness.every_trade()))
        self._verdict.add("I5", judge_open_signals(states, self._plan.found.limits))
        self._verdict.add("I8", [*judge_facts(facts, states), *judge_ends(facts, orders, self._system)])
        if final:
            self._verdict.add("I8", judge_stopped(facts, states))

    async def _orders_ever(self) -> list[SeenOrder]:
        """All that were ever seen, as they were last: a venue forgets the oldest."""
        found = await self._witness.every_order()
        self._orders |= {order.client_id: order for order in found if order.client_id is not None}
        return [*self._orders.values(), *(order for order in found if order.client_id is None)]

    async def _agree(self) -> None:
        """I4: within a while there has to be a moment, for each symbol, at which files and venue say the same."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + AGREE_S
        waiting: dict[str, list[str]] = {symbol: ["never seen at rest"] for symbol in self._symbols}
        while waiting and loop.time() < deadline:
            before = await self._look()
            states, _ = read_states(self._plan.root / "signals")
            after = await self._look()
            if before is not None and after is not None and before.same_as(after):
                found = {symbol: disagreements(symbol, states, after, self._system) for symbol in waiting}
                waiting = {symbol: said for symbol, said in found.items() if said}
            await self._tell_now_and_then()
            await asyncio.sleep(_POLL_S)
        said = [sentence for sentences in waiting.values() for sentence in sentences]
        self._verdict.add("I4", said, times=len(self._symbols))

    async def _state_now(self) -> str:
        client = ControlClient(self._plan.root / "state" / "control.sock")
        status = await asyncio.to_thread(client.status)
        return str(status["trading_state"])

    async def _end(self) -> None:
        """Agree once more, be halted and killed, come back halted, stop in order."""
        assert self._daemon is not None  # it was started first
        async with self._control.delete("/_faults"):
            pass
        await self._agree()
        client = ControlClient(self._plan.root / "state" / "control.sock")
        await asyncio.to_thread(client.command, "halt", {"reason": "the rehearsal ends"})
        await self._daemon.kill()
        self._tell(f"{self._passed_s:5.0f} s   halted and killed")
        await self._judge_the_dead(final=False)
        await self._start()
        self._verdict.add("I6", judge_halt(was_halted=True, state_now=await self._state_now()))
        await self._agree()
        code = await self._daemon.stop()
        if code != 0:
            self._verdict.add("I12", [f"the daemon stopped with {code} when it was asked to; see {DAEMON_LOG}"])
        await self._judge_the_dead(final=True)

    def judge_texts(self, exchange: Child) -> None:
        """I11 and I12, over everything that was written."""
        hidden = {"secret": self._keys.secret, "key": self._keys.key}
        for path in every_file(self._plan.root):
            content = path.read_bytes()
            known = ("secret",) if path == exchange.log else ("secret", "key")
            self._verdict.add("I11", judge_secret(path.name, content, [hidden[each] for each in known]))
            if path.name == DAEMON_LOG:
                self.outcome.told = read_problems(content)
            if path.suffix == ".log":
                self._verdict.add("I12", judge_output(path.name, content))
