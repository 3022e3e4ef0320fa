"""One task per symbol, each with its own budget of failures.

Rules of this file: the restart loop stands inside each child of the task group, so that no symbol's failure
reaches its siblings; a failed symbol is evicted before it runs again; one that fails too often, or fatally, is
quarantined, and then only its guard runs, for ever, because it may watch over an open position; a cancellation is
never swallowed, except the one that `restart` itself made.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

import structlog

from livebot.errors import Fatal, Rejected
from livebot.runtime.settings import RunMode, RuntimeSettings
from livebot.runtime.supervision.children import Child, ChildState, ChildStatus, Outcome

__all__ = ["ChildState", "ChildStatus", "Supervisor"]

_log = structlog.get_logger(__name__)


class Supervisor:
    """Runs `run(symbol)` for each symbol, and `guard(symbol)` instead while the symbol is quarantined.

    `evict(symbol)` must forget every instance of the symbol.  `on_quarantine(symbol, why)` makes it durable and
    known.  `report(symbol, error)` hears each failure.
    """

    def __init__(  # noqa: PLR0913 - the composition root names them all
        self,
        symbols: Sequence[str],
        *,
        run: Callable[[str], Awaitable[None]],
        guard: Callable[[str], Awaitable[None]],
        evict: Callable[[str], None],
        on_quarantine: Callable[[str, str], Awaitable[None]],
        settings: RuntimeSettings,
        rng: random.Random,
        report: Callable[[str, BaseException], None],
        first: Collection[str] = (),
        stays: bool = False,
        quarantined: Mapping[str, str] | None = None,
    ) -> None:
        """`first` (those with an open signal) get the first turns; `quarantined` (symbol: why) start so.

        `stays`: it does not return when all are done, because others may be added.
        """
        ordered = [symbol for symbol in symbols if symbol in first]
        ordered += [symbol for symbol in symbols if symbol not in first]
        reasons = quarantined or {}
        self._children = {symbol: Child(symbol, reasons.get(symbol)) for symbol in ordered}
        self._run = run
        self._guard = guard
        self._evict = evict
        self._on_quarantine = on_quarantine
        self._restarts = settings.restarts
        self._rng = rng
        self._report = report
        self._turns = asyncio.Semaphore(_concurrent(settings, len(ordered)))
        self._bounded = settings.mode is RunMode.SEQUENTIAL or settings.max_concurrent_symbols is not None
        self._stays = stays
        self._ending = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._stopping = False

    async def run(self) -> None:
        """Until every symbol is done or stopped."""
        async with asyncio.TaskGroup() as self._group:
            for child in tuple(self._children.values()):
                self._start(child)
            if self._stays:
                self._group.create_task(self._ending.wait(), name="supervisor:stays")

    def add(self, symbol: str, quarantine: str | None = None) -> None:
        """Run this symbol too, once it has its turn; `quarantine` is why it begins in one."""
        child = self._children[symbol] = Child(symbol, quarantine)
        if not self._bounded:
            self._turns.release()  # a turn for each
        if self._group is not None and not self._stopping:
            self._start(child)

    async def retire(self, symbol: str, ask: Callable[[str], None], timeout_s: float) -> bool:
        """End a symbol's task for good: `ask` it to return if it runs, and cancel it after `timeout_s`.

        Returns:
            Whether it has ended, another `timeout_s` later at most.

        Raises:
            Rejected: the symbol is unknown.

        """
        child = self._find(symbol)
        if not child.ended:
            if child.state is not ChildState.RUNNING or not self._asked(child, ask):
                child.cancel()
            await _wait((child,), timeout_s)
        if not child.ended:
            child.cancel()
            await _wait((child,), timeout_s)
        return child.ended

    def forget(self, symbol: str) -> None:
        """A symbol whose task has ended is not supervised any more.  Raises Rejected if it is unknown."""
        assert self._find(symbol).ended
        del self._children[symbol]

    def ended(self, symbol: str) -> bool:
        """Whether nobody runs the symbol, and nobody will by itself.  Raises Rejected if it is unknown."""
        return self._find(symbol).ended

    def status(self, symbol: str) -> ChildStatus:
        """What the symbol's task is doing.  Raises Rejected for an unknown symbol."""
        child = self._find(symbol)
        return ChildStatus(state=child.state, restarts=child.restarts, last_error=child.last_error)

    def restarts(self) -> int:
        """How often any symbol was restarted since the start of the daemon."""
        return sum(child.restarts for child in self._children.values())

    def restart(self, symbols: Sequence[str]) -> None:
        """By order of the operator: run again from the file, with a fresh budget of failures and no quarantine.

        Raises:
            Rejected: a symbol is not supervised, or this is no time for it; nothing was restarted.

        """
        children = [self._find(symbol) for symbol in symbols]
        if self._stopping or self._group is None or self._is_over():
            raise Rejected("nothing was restarted: the workers are stopping or have not been started")
        for child in children:
            child.failures.clear()
            if child.ended:
                self._forget_instances(child)
                self._start(child)
            elif child.quarantine is not None:
                child.lift()
            elif child.state is not ChildState.WAITING:
                child.interrupt()

    async def renew(self, symbol: str, ask: Callable[[str], None], timeout_s: float) -> None:
        """Run a symbol again, from its file and with fresh instances, once it has finished what is at hand.

        A run that does not return within `timeout_s` is cancelled; who does not run now begins so when its time comes.
        Raises Rejected if the symbol is unknown.
        """
        child = self._find(symbol)
        if child.state is ChildState.WAITING or child.ended:
            self._forget_instances(child)
        if child.state is not ChildState.RUNNING or child.ended:
            return
        child.renewal = renewal = asyncio.Event()
        if not self._asked(child, ask):
            child.interrupt()
        waiting = asyncio.ensure_future(renewal.wait())
        try:
            if not (await asyncio.wait((waiting,), timeout=timeout_s))[0]:
                child.interrupt()
                await asyncio.wait((waiting,), timeout=timeout_s)
        finally:
            waiting.cancel()

    async def stop(self, timeout_s: float, *, ask: Callable[[str], None] | None = None) -> tuple[str, ...]:
        """Stop all, in order: `ask` those that run to return, cancel the others, and after `timeout_s` cancel all.

        Returns:
            Symbols that have not ended another `timeout_s` later; only the end of the process ends those.

        """
        self._stopping = True
        self._ending.set()
        running = _left(self._children.values())
        for child in running:
            if ask is None or child.state is not ChildState.RUNNING or not self._asked(child, ask):
                child.cancel()
        await _wait(running, timeout_s)
        if _left(running):
            self.cancel()
            await _wait(running, timeout_s)
        return tuple(child.symbol for child in _left(running))

    def cancel(self) -> None:
        """Cancel all at once; a `stop` that is waiting for them then returns."""
        self._stopping = True
        self._ending.set()
        for child in _left(self._children.values()):
            child.cancel()

    def _is_over(self) -> bool:
        return not self._stays and all(child.ended for child in self._children.values())

    # One child

    async def _live(self, child: Child) -> None:
        last = ChildState.STOPPED
        try:
            while not self._stopping:
                if child.quarantine is not None:
                    await self._sit_out(child)
                    continue
                await self._take_turn(child)
                outcome = await self._attempt(child)
                if outcome is Outcome.RETURNED:
                    last = self._returned()
                    return
                if outcome is Outcome.FAILED:
                    await self._back_off(child)
        finally:
            self._give_turn(child)
            child.state = last
            child.take_renewal()

    def _returned(self) -> ChildState:
        return ChildState.STOPPED if self._stopping else ChildState.DONE

    async def _attempt(self, child: Child) -> Outcome:
        child.state = ChildState.RUNNING
        try:
            restarted = await self._interruptible(child, self._run(child.symbol))
        except Exception as error:  # noqa: BLE001 - the restart boundary: what a symbol raises ends here
            restarted = self._consume_interruption(child)
            self._pass_cancellation_on(error)
            self._failed(child, error)
            child.take_renewal()
            return Outcome.RESTARTED if restarted else Outcome.FAILED
        renewed = child.take_renewal()
        if not (renewed or restarted):
            return Outcome.RETURNED
        child.restarts += not renewed  # nothing has happened that anybody should look at
        self._forget_instances(child)
        return Outcome.RESTARTED

    def _failed(self, child: Child, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        child.last_error = text
        _log.error("symbol_failed", symbol=child.symbol, exc_info=error)
        self._tell(child, error)
        now, restarts = asyncio.get_running_loop().time(), self._restarts
        child.failures = [at for at in child.failures if at > now - restarts.window_s]
        if isinstance(error, Fatal):
            child.quarantine = text
        elif len(child.failures) >= restarts.maximum:
            child.quarantine = f"failed {len(child.failures) + 1} times within {restarts.window_s:g} s, last: {text}"
        else:
            child.failures.append(now)
            child.restarts += 1
        self._forget_instances(child)

    async def _back_off(self, child: Child) -> None:
        if child.quarantine is not None:
            return
        child.state = ChildState.BACKING_OFF
        await self._interruptible(child, asyncio.sleep(self._delay_s(len(child.failures))))

    async def _sit_out(self, child: Child) -> None:
        """Guard until the operator wants the symbol back and it has its turn."""
        child.state = ChildState.QUARANTINED
        child.release = release = asyncio.Event()
        self._give_turn(child)
        async with asyncio.TaskGroup() as group:
            guard = group.create_task(self._keep_guard(child), name=f"guard:{child.symbol}")
            await release.wait()
            await self._take_turn(child)
            guard.cancel()
        child.quarantine = None
        child.announced = False
        child.restarts += 1
        self._forget_instances(child)

    async def _keep_guard(self, child: Child) -> None:
        if not child.announced and child.quarantine is not None:
            child.announced = True
            try:
                await self._on_quarantine(child.symbol, child.quarantine)
            except Exception as error:  # noqa: BLE001 - it must be guarded all the same
                self._guard_failed(child, error)
        failures = 0
        while True:
            try:
                child.state = ChildState.GUARDED
                await self._guard(child.symbol)
                child.state = ChildState.QUARANTINED
                return
            except Exception as error:  # noqa: BLE001 - the guard comes back for ever
                failures += 1
                self._guard_failed(child, error)
            await asyncio.sleep(self._delay_s(failures))

    def _guard_failed(self, child: Child, error: Exception) -> None:
        child.last_error = f"guard: {type(error).__name__}: {error}"
        _log.error("guard_failed", symbol=child.symbol, exc_info=error)
        self._tell(child, error)

    # Turns, cancellations, callbacks

    async def _take_turn(self, child: Child) -> None:
        if child.has_turn:
            return
        if child.quarantine is None:
            child.state = ChildState.WAITING
        await self._turns.acquire()
        child.has_turn = True

    def _give_turn(self, child: Child) -> None:
        if child.has_turn:
            child.has_turn = False
            self._turns.release()

    async def _interruptible(self, child: Child, work: Awaitable[None]) -> bool:
        """Do the work; says whether `restart` interrupted it."""
        try:
            await work
        except asyncio.CancelledError:
            if not self._consume_interruption(child):
                raise
            return True
        return self._consume_interruption(child)

    def _consume_interruption(self, child: Child) -> bool:
        wanted, child.interrupted = child.interrupted, False
        task = asyncio.current_task()
        assert task is not None
        # more than our own cancellation: somebody else wants the end, and that goes first
        return wanted and task.uncancel() == 0

    def _pass_cancellation_on(self, error: Exception) -> None:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # the worker answered its cancellation with another error; it is cancelled all the same
            _log.error("failed_while_cancelled", task=task.get_name(), exc_info=error)
            raise asyncio.CancelledError from error

    def _forget_instances(self, child: Child) -> None:
        try:
            self._evict(child.symbol)
        except Exception as error:  # noqa: BLE001 - without a fresh instance it must not run again
            child.quarantine = child.last_error = f"cannot be evicted: {type(error).__name__}: {error}"
            self._tell(child, error)

    def _tell(self, child: Child, error: Exception) -> None:
        try:
            self._report(child.symbol, error)
        except Exception as second:  # noqa: BLE001 - a listener
            _log.error("report_failed", symbol=child.symbol, exc_info=second)

    def _asked(self, child: Child, ask: Callable[[str], None]) -> bool:
        try:
            ask(child.symbol)
        except Exception as error:  # noqa: BLE001 - then it is cancelled
            _log.error("ask_to_stop_failed", symbol=child.symbol, exc_info=error)
            return False
        return True

    def _start(self, child: Child) -> None:
        assert self._group is not None
        child.state = ChildState.WAITING
        child.task = self._group.create_task(self._live(child), name=f"symbol:{child.symbol}")
        child.task.add_done_callback(lambda _: self._never_ran(child))

    def _never_ran(self, child: Child) -> None:
        if child.state is ChildState.WAITING:
            child.state = ChildState.STOPPED  # cancelled before its first step

    def _find(self, symbol: str) -> Child:
        child = self._children.get(symbol)
        if child is None:
            raise Rejected(f"{symbol} is not one of this system's symbols")
        return child

    def _delay_s(self, failures: int) -> float:
        longest = self._restarts.backoff_maximum_s
        # the exponent is bounded so that a guard failing for days does not overflow
        delay = min(longest, self._restarts.backoff_s * 2.0 ** min(failures - 1, 30))
        return delay * (0.5 + self._rng.random() / 2)


def _concurrent(settings: RuntimeSettings, symbols: int) -> int:
    if settings.mode is RunMode.SEQUENTIAL:
        return 1
    return settings.max_concurrent_symbols or max(symbols, 1)


def _left(children: Iterable[Child]) -> list[Child]:
    return [child for child in children if not child.ended]


async def _wait(children: Sequence[Child], timeout_s: float) -> None:
    tasks = [child.task for child in children if child.task is not None and not child.task.done()]
    if tasks:
        await asyncio.wait(tasks, timeout=timeout_s)
