"""One symbol's worker: the path from a candle or an order event to saved state, orders and facts.

Rules of this file: one task runs one worker, and everything that happens to the symbol passes through its inbox in
order; an exception ends that task only, and the next run starts from the files and the venue; an event of an order that
no state knows is not guessed at, the venue is asked.
"""

import structlog

from livebot.core.inputs import EntriesWithdrawn, ExitRequested, OrderAccepted, OrderEvent, OrderFilled
from livebot.core.market import MINUTE_MS
from livebot.core.signal import CloseReason
from livebot.errors import BadInput
from livebot.features.timeframes import check_candle
from livebot.runtime.inbox import (
    Adopt,
    Answered,
    Ask,
    CandleOf,
    ContextCame,
    ContextDeadline,
    Failed,
    GapCame,
    HistoryCame,
    Inbox,
    Item,
    Leave,
    Reload,
    RoundJudged,
    Stop,
    UnprotectedDeadline,
    Withdraw,
)
from livebot.runtime.symbol.adopting import Adopting
from livebot.runtime.symbol.deciding import Deciding
from livebot.runtime.symbol.follow_up import FollowUp
from livebot.runtime.symbol.side_jobs import SideJobs
from livebot.runtime.symbol.surroundings import Surroundings
from livebot.runtime.symbol.symbol_reconcile import SymbolReconcile
from livebot.runtime.symbol.symbol_states import SymbolStates


class SymbolWorker:
    """Runs the strategies of one symbol, once: `run` or `guard`."""

    def __init__(
        self,
        symbol: str,
        strategies: tuple[str, ...],
        inbox: Inbox,
        shared: Surroundings,
        *,
        attended: bool = True,
        compared: bool = False,
    ) -> None:
        """Nothing happens before `run` or `guard`.

        Not `attended`: the config no longer names the symbol.  `compared`: it was just now, and nothing was there.
        """
        self.symbol = symbol
        self._strategies = strategies
        self._attended = attended
        self._compared = compared
        self._inbox = inbox
        self._shared = shared
        self._jobs = SideJobs(symbol, inbox)
        self._follow_up = FollowUp(symbol, inbox, self._jobs, shared)
        self._states = SymbolStates(symbol, self._follow_up, shared)
        self._reconcile = SymbolReconcile(self._states, shared)
        self._adopting = Adopting(self._states, self._reconcile, shared)
        self._deciding: Deciding | None = None
        self._stopping = False

    async def run(self) -> None:
        """Until cancelled, or until the configured number of signals closed (sequential mode)."""
        if self._attended:
            self._deciding = Deciding(self._inbox, self._jobs, self._states, self._shared)
        await self._live()

    async def guard(self) -> None:
        """As `run`, but no strategy is asked anything: open signals are managed by rule until they have closed."""
        await self._live()

    async def _live(self) -> None:
        structlog.contextvars.bind_contextvars(symbol=self.symbol)
        self._inbox.open()
        try:
            with self._inbox.working():
                await self._states.recover(self._strategies)
                if not self._compared:
                    await self._reconcile.run(patient=True)
                if not self._states.idle:  # a change that another process had sent may arrive, and undo a newer one
                    self._states.compare_later()
                if self._deciding is not None:
                    self._deciding.begin()
                else:
                    self._shared.warmed(self.symbol)
            while not self._finished():
                await self._work_off(await self._inbox.take())
                self._inbox.done()
        finally:
            self._inbox.close()
            if self._deciding is not None:
                self._deciding.close()
            self._jobs.close()
            self._follow_up.close()

    async def _work_off(self, items: list[Item]) -> None:
        try:
            for item in items:
                await self._handle(item)
        except Exception:
            # What came before is sound, and a position may wait for its stop.
            await self._states.commit()
            raise
        await self._states.commit()
        if self._inbox.must_ask:
            self._inbox.must_ask = False
            await self._reconcile.run()

    def _finished(self) -> bool:
        if self._stopping:
            return True
        return self._states.idle and (self._deciding is None or self._states.has_had_its_signals)

    # Items

    async def _handle(self, item: Item) -> None:
        match item:
            case CandleOf():
                self._candle(item)
            case UnprotectedDeadline():
                self._unprotected_deadline(item)
            case Leave() | Withdraw():
                self._leave(item)
            case Ask():
                await self._reconcile.run()
            case Adopt():
                await self._adopting.run(item)
            case Stop():
                self._stopping = True
                if self._deciding is not None:
                    self._deciding.stop()
            case Failed():
                raise item.error
            case HistoryCame() | GapCame() | Reload() | ContextDeadline() | ContextCame() | RoundJudged() | Answered():
                self._for_deciding(item)
            case _:
                self._order_event(item)

    def _for_deciding(
        self, item: HistoryCame | GapCame | Reload | ContextDeadline | ContextCame | RoundJudged | Answered
    ) -> None:
        deciding = self._deciding
        if deciding is None:
            return  # from before, when somebody still decided
        match item:
            case HistoryCame():
                deciding.history_came(item)
            case GapCame():
                deciding.gap_came(item)
            case Reload():
                deciding.reload(item)
            case ContextDeadline():
                deciding.context_deadline(item)
            case ContextCame():
                deciding.context_came(item)
            case RoundJudged():
                deciding.round_judged(item)
            case Answered():
                deciding.answered(item)

    def _order_event(self, event: OrderEvent) -> None:
        if self._reconcile.is_outdated(event):
            return
        order_id = event.fill.client_order_id if isinstance(event, OrderFilled) else event.client_order_id
        instance = self._states.owner(order_id)
        if instance is not None:
            self._states.apply(instance, event)
            return
        if not self._states.was_ours(order_id):
            self._shared.observer.event_of_unknown_order(self.symbol, order_id)
        elif self._states.is_old_news(event):
            return
        if isinstance(event, OrderFilled | OrderAccepted):
            self._inbox.put(Ask())  # somebody trades here, or an order that we took for absent

    def _leave(self, item: Leave | Withdraw) -> None:
        now_ms = self._shared.clock.now_ms()
        event = ExitRequested(item.reason, now_ms) if isinstance(item, Leave) else EntriesWithdrawn(now_ms)
        if self._deciding is not None:
            self._deciding.give_way()
        for instance in self._states.instances:
            self._states.apply(instance, event)

    def _unprotected_deadline(self, item: UnprotectedDeadline) -> None:
        self._follow_up.rang(item.strategy)
        now_ms = self._shared.clock.now_ms()
        for instance in self._states.instances:
            if instance.strategy_name == item.strategy and self._follow_up.exposed(instance):
                self._states.apply(instance, ExitRequested(CloseReason.UNPROTECTED, now_ms))

    def _candle(self, item: CandleOf) -> None:
        candle, own = item.candle, item.symbol == self.symbol
        try:
            check_candle(candle)
        except BadInput as error:
            self._shared.observer.refused_candle(item.symbol, str(error))
            return
        if own:
            self._shared.portfolio.mark(self.symbol, candle.close)
        for instance in self._states.instances:
            if own and candle.ts_ms + MINUTE_MS > (instance.last_close_ms or 0):
                instance.last_price, instance.last_close_ms = candle.close, candle.ts_ms + MINUTE_MS
            if self._deciding is None:
                if own:
                    self._states.manage(instance, candle)
            elif item.symbol in instance.watched:
                self._deciding.candle(instance, item.symbol, candle)
