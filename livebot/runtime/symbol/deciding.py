"""From candles to decisions: what the strategies of one symbol see, when they are asked, what becomes of their wishes.

Rules of this file: between a closed candle that is complete and the portfolio's verdict there is no await; a strategy is
asked about the newest close only, and whoever could have been asked and was not leaves a decision that says why; what
has to be fetched is fetched on the side, and meanwhile the rules go on with the candles that come.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

import structlog

from livebot.core.candidate import Refused
from livebot.core.denial import Denied
from livebot.core.entry import Adjustment, Entry
from livebot.core.inputs import Adjusted, Admitted
from livebot.core.market import MINUTE_MS, Candle, Timeframe, decimal_of
from livebot.core.propose import Circumstances, propose
from livebot.core.quick_init import changed
from livebot.core.series import CandleSeries
from livebot.core.signal import Idle, Open
from livebot.errors import BadInput, Transient
from livebot.features.timeframes import Gap
from livebot.runtime.inbox import (
    Answered,
    ContextCame,
    ContextDeadline,
    GapCame,
    HistoryCame,
    Inbox,
    Item,
    Reload,
    RoundJudged,
)
from livebot.runtime.symbol.asking import Asking
from livebot.runtime.symbol.round_wishes import RoundWishes, decision
from livebot.runtime.symbol.side_jobs import SideJobs
from livebot.runtime.symbol.strategy_instance import LONGEST_GAP_MINUTES, StrategyInstance, Taken
from livebot.runtime.symbol.surroundings import Surroundings
from livebot.runtime.symbol.symbol_states import SymbolStates

HISTORY_S = 60.0  # for one attempt to fetch a history; a venue may be asked for hundreds at once

T = TypeVar("T", Entry, Adjustment)


class Deciding:
    """One for each run of a worker that decides."""

    def __init__(self, inbox: Inbox, jobs: SideJobs, states: SymbolStates, shared: Surroundings) -> None:
        """Nothing is warm: `begin` comes first."""
        self._symbol = states.symbol
        self._inbox = inbox
        self._jobs = jobs
        self._states = states
        self._shared = shared
        self._waiting: dict[str, int] = {}  # by strategy: the close whose context has been waited for
        rounds, desk = shared.rounds, shared.confidences
        self._wishes = None if rounds is None else RoundWishes(rounds, inbox, states, shared.portfolio)
        self._asking = None if desk is None else Asking(desk, inbox, states, shared.portfolio, self._spoke_late)

    # Histories

    def begin(self) -> None:
        """Have all strategies warmed up."""
        for instance in self._states.instances:
            self._warm_up(instance)

    def reload(self, item: Reload) -> None:
        """What these strategies have taken of a symbol was not final."""
        for instance in self._states.instances:
            if item.symbol in instance.watched and instance.warm:  # one that loads already gets the final ones
                self._warm_up(instance)

    def _warm_up(self, instance: StrategyInstance) -> None:
        async def load() -> tuple[Item, ...]:
            async with self._shared.loading.take():
                return (HistoryCame(instance.strategy_name, await instance.load(self._fetch)),)

        instance.cool()
        if self._asking is not None:
            self._asking.forget(instance)
        if self._wishes is not None:
            self._wishes.forget(instance)
        self._jobs.start(f"warm-up:{instance.strategy_name}", load)

    async def _fetch(self, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
        feed = self._shared.feed
        return await self._shared.execution.answered(
            lambda: feed.history(symbol, timeframe, count), timeout_s=HISTORY_S
        )

    def history_came(self, item: HistoryCame) -> None:
        """A strategy can begin."""
        instance = self._instance(item.strategy)
        for symbol, taken in instance.warm_up(item.histories).items():
            self._follow(instance, symbol, taken)
        if instance.warm:
            self._expect(instance)
        self._decide_if_due(instance)
        if all(each.warm for each in self._states.instances):
            self._shared.warmed(self._symbol)

    def gap_came(self, item: GapCame) -> None:
        """What was missing has been fetched."""
        instance, symbol = self._instance(item.strategy), item.symbol
        if not instance.warm:
            return  # it is being warmed up anew, which fills every gap
        stood_aside = instance.standing_aside(symbol)
        missing, taken = instance.fill(symbol, item.minutes)
        self._shared.observer.gap(symbol, item.strategy, len(missing))
        if symbol == self._symbol:
            for candle in (*missing, *stood_aside):
                self._states.manage(instance, candle)
        self._follow(instance, symbol, taken)
        self._decide_if_due(instance)

    def _follow(self, instance: StrategyInstance, symbol: str, taken: Taken) -> None:
        for text in taken.refused:
            self._shared.observer.refused_candle(symbol, text)
        if taken.gap is not None:
            self._fetch_gap(instance, symbol, taken.gap)

    def _fetch_gap(self, instance: StrategyInstance, symbol: str, gap: Gap) -> None:
        if gap.to_ms - gap.from_ms > LONGEST_GAP_MINUTES * MINUTE_MS:
            self._warm_up(instance)
            return

        async def once() -> CandleSeries | None:
            count = instance.around(symbol, self._shared.clock.now_ms())
            if not count:
                return None  # warmed up anew meanwhile
            minutes = await self._shared.feed.history(symbol, Timeframe.M1, count)
            if not instance.shows_gap(symbol, minutes, count):
                raise Transient(f"the history of {symbol} does not show what is missing yet")
            return minutes

        async def fetch() -> tuple[Item, ...]:
            minutes = await self._shared.execution.answered(once, timeout_s=HISTORY_S)
            return () if minutes is None else (GapCame(instance.strategy_name, symbol, minutes),)

        self._jobs.start(f"gap:{instance.strategy_name}:{symbol}", fetch)

    # Candles

    def candle(self, instance: StrategyInstance, symbol: str, candle: Candle) -> None:
        """A closed base candle of a symbol that the strategy watches."""
        own = symbol == self._symbol
        if own:
            self._pass_over(instance, candle.ts_ms + MINUTE_MS)
        taken = instance.push(symbol, candle)
        if own:
            self._manage(instance, candle)
        self._follow(instance, symbol, taken)
        self._decide_if_due(instance)

    def _manage(self, instance: StrategyInstance, candle: Candle) -> None:
        """Rules first, in the order of time: a candle behind a gap waits for what is missing, but not past the next."""
        aside = instance.standing_aside(self._symbol)
        if not aside:
            self._states.manage(instance, candle)
        elif len(aside) > 1 or not instance.warm:
            for each in aside:
                self._states.manage(instance, each)

    def _pass_over(self, instance: StrategyInstance, close_ms: int) -> None:
        due = instance.due
        if due is not None and due < close_ms:
            self._skip(instance, due)

    def context_deadline(self, item: ContextDeadline) -> None:
        """The time to wait is over."""
        for instance in self._present(item.strategy):
            if instance.due == item.close_ms:
                self._skip(instance, item.close_ms)

    def context_came(self, item: ContextCame) -> None:
        """The symbols that the strategy's features are made of are in; others may still be waited for."""
        for instance in self._present(item.strategy):
            if instance.due == item.close_ms:
                self._decide_if_due(instance)

    # Deciding

    def _decide_if_due(self, instance: StrategyInstance) -> None:
        due = instance.due
        if due is None:
            return
        if due < (instance.last_close_ms or 0):
            self._skip(instance, due)
        elif not instance.missing_context(due):
            instance.due = None
            if self._asking is not None:
                self._asking.give_up(instance, "another candle has closed before the model answered")
            if self._wishes is not None:
                self._wishes.give_up(instance, "another candle has closed before its round was judged")
            self._decide(instance, due)
            self._spoke(instance, due)
        elif self._waiting.get(instance.strategy_name) != due:
            self._waiting[instance.strategy_name] = due
            came = ContextCame(instance.strategy_name, due)
            instance.when_context_is_complete(due, lambda: self._inbox.put(came))
            asyncio.get_running_loop().call_later(
                self._shared.settings.context_deadline_s,
                self._inbox.put,
                ContextDeadline(instance.strategy_name, due),
            )

    def _skip(self, instance: StrategyInstance, close_ms: int) -> None:
        """Not asked about a close, because what it looks at was not complete in time."""
        instance.due = None
        if instance.ready and _would_be_asked(instance):
            late = ", ".join(instance.missing_context(close_ms)) or self._symbol
            text = f"the candles of {late} up to this close did not come in time"
            self._tell(instance, close_ms, None, None, "skipped", ("context_missing", text))
        self._spoke(instance, close_ms)

    def _expect(self, instance: StrategyInstance) -> None:
        if self._asking is not None:
            self._asking.expect(instance)
        if self._wishes is not None:
            self._wishes.expect(instance)

    def _spoke(self, instance: StrategyInstance, close_ms: int) -> None:
        """It is done with a close: at the model's desk, and in the round too unless it waits for an answer."""
        asking = self._asking
        if asking is not None:
            asking.spoke(instance, close_ms)
        if asking is None or not asking.waits(instance):
            self._spoke_late(instance, close_ms)

    def _spoke_late(self, instance: StrategyInstance, close_ms: int) -> None:
        if self._wishes is not None:
            self._wishes.spoke(instance, close_ms)

    def _decide(self, instance: StrategyInstance, close_ms: int) -> None:
        if not instance.ready or close_ms <= instance.state.decided_ms:
            return
        signal = instance.state.signal
        without_value = instance.without_value
        if without_value:
            if _would_be_asked(instance):
                text = f"{', '.join(without_value)}: too few of the other symbols have candles enough up to this close"
                self._tell(instance, close_ms, None, None, "skipped", ("context_incomplete", text))
            return
        if isinstance(signal, Idle):
            if self._states.has_had_its_signals:
                return
            entry = self._asked(instance, "decide", Entry, instance.decide, close_ms)
            if entry is not None:
                self._enter(instance, entry, close_ms)
        elif isinstance(signal, Open) and instance.manages:
            adjustment = self._asked(instance, "manage", Adjustment, lambda: instance.manage(signal), close_ms)
            if adjustment is not None:
                price = decimal_of(instance.last_price or 0.0)
                self._states.apply(instance, Adjusted(adjustment, price, close_ms))

    def _asked(
        self, instance: StrategyInstance, name: str, kind: type[T], call: Callable[[], T | None], close_ms: int
    ) -> T | None:
        """What the strategy answers.  Raises what it raises, with its name, and BadInput for an answer of another kind."""
        strategy = instance.strategy_name
        delay_s = (self._shared.clock.now_ms() - close_ms) / 1000
        started = perf_counter()
        bound = structlog.contextvars.bind_contextvars(strategy=strategy)
        try:
            answer = call()
        except Exception as error:
            error.add_note(f"raised by {name} of strategy {strategy} on {self._symbol}")
            raise
        finally:
            took_ms = (perf_counter() - started) * 1000
            self._shared.observer.asked(took_ms / 1000, delay_s)
            if took_ms > self._shared.settings.slow_call_ms:
                self._shared.observer.slow_call(strategy, self._symbol, name, took_ms)
            structlog.contextvars.reset_contextvars(**bound)
        if answer is not None and not isinstance(answer, kind):
            raise BadInput(f"{name} of strategy {strategy} answered {answer!r}: it must be {kind.__name__} or None")
        return answer

    def _enter(self, instance: StrategyInstance, entry: Entry, close_ms: int) -> None:
        portfolio = self._shared.portfolio
        now = Circumstances(
            price=decimal_of(instance.last_price or 0.0),
            equity=portfolio.equity,
            ts_ms=close_ms,
            confidence=None,
            atr=instance.atr,
        )
        if self._asking is not None and self._asking.judges(instance):
            if self._wishes is not None:
                self._wishes.foresee(close_ms)
            self._asking.ask(instance, entry, now)
        else:
            self._weigh(instance, entry, now)

    def answered(self, item: Answered) -> None:
        """What the model says of what a strategy wants is there."""
        if self._asking is None:
            return
        for instance in self._present(item.strategy):
            answer = self._asking.answered(instance)
            if answer is None:
                continue  # about something that was given up
            entry, now, refused = answer
            if refused is not None:
                self._tell(instance, now.ts_ms, entry, now, "refused", refused)
            else:
                self._weigh(instance, entry, now)
            self._spoke_late(instance, now.ts_ms)

    def _weigh(self, instance: StrategyInstance, entry: Entry, now: Circumstances) -> None:
        if self._wishes is not None:
            self._wishes.ask(instance, entry, now)
            return
        portfolio, close_ms = self._shared.portfolio, now.ts_ms
        candidate = propose(instance.state, entry, now, instance.rules)
        if isinstance(candidate, Refused):
            self._tell(instance, close_ms, entry, now, "refused", (candidate.code, candidate.text))
            return
        age_ms = self._shared.clock.now_ms() - close_ms
        verdict = portfolio.admit(candidate, close_ms, age_ms=age_ms)
        if isinstance(verdict, Denied):
            self._tell(instance, close_ms, entry, now, "denied", (verdict.code.value, verdict.text))
            return
        self._tell(instance, close_ms, entry, now, "approved", ("approved", ""))
        instance.state = changed(instance.state, decided_ms=close_ms)
        self._states.apply(instance, Admitted(verdict, close_ms))

    def round_judged(self, item: RoundJudged) -> None:
        """What a strategy wanted has got its verdict."""
        if self._wishes is not None:
            for instance in self._present(item.strategy):
                self._wishes.judged(instance)

    # Giving up

    def give_way(self) -> None:
        """The symbol's signals are wanted ended, or entries taken back because trading is not ACTIVE any more."""
        if self._asking is not None:
            self._asking.give_way()
        if self._wishes is not None:
            self._wishes.give_way()

    def stop(self) -> None:
        """The worker ends in order, with what is at hand: nothing its strategies want comes to anything any more."""
        if self._asking is not None:
            self._asking.stop()
        if self._wishes is not None:
            self._wishes.stop()

    def close(self) -> None:
        """The worker has ended; nobody waits for it, and it takes no answer and no verdict any more."""
        told = () if self._asking is None else self._asking.close()
        if self._wishes is not None:
            self._wishes.close()
        if told:
            self._shared.publish(told)

    # Telling

    def _tell(
        self,
        instance: StrategyInstance,
        close_ms: int,
        entry: Entry | None,
        now: Circumstances | None,
        outcome: str,
        why: tuple[str, str],
    ) -> None:
        self._states.tell(decision(instance, close_ms, entry, now, outcome, why))

    def _instance(self, strategy: str) -> StrategyInstance:
        return self._present(strategy)[0]

    def _present(self, strategy: str) -> tuple[StrategyInstance, ...]:
        """It, or nobody: what was waited for in an earlier run may come when others run here."""
        return tuple(each for each in self._states.instances if each.strategy_name == strategy)


def _would_be_asked(instance: StrategyInstance) -> bool:
    signal = instance.state.signal
    return isinstance(signal, Idle) or (isinstance(signal, Open) and instance.manages)
