"""A sequence: several strategies and symbols ask, fill in part, fail, cancel, close, crash and restart in any order.

Rules of this file: a seed gives the same sequence for ever; after each step what the portfolio says it counts must be what the
truth adds up to.
"""

from collections.abc import Callable
from dataclasses import replace
from decimal import localcontext

from livebot.core.denial import TradingState
from livebot.core.facts import (
    SignalClosed,
)
from livebot.core.market import MINUTE_MS
from tests.sequences.asking import SYMBOLS, WALLET, drawn_limits
from tests.sequences.orders import Ordering
from tests.sequences.truth import ZERO, Life

CLUSTERS = ({}, {"A/USDT": "one", "B/USDT": "one"}, dict.fromkeys(SYMBOLS, "all"))
STEPS = 60
WAITS_MS = (1, 300, 700, 5_000, 30_000, MINUTE_MS, 20 * MINUTE_MS, 300 * MINUTE_MS)


class Sequence(Ordering):
    """One, with restarts, time and operators."""

    def run(self, steps: int = STEPS) -> None:
        """Raises Exceeded."""
        moves = [*MOVES]
        weights = [MOVES[move] for move in moves]
        with localcontext() as context:
            context.prec = 80
            for move in self.random.choices(moves, weights, k=steps):
                move(self)
                self.check_sums()

    # Restarts, time, operators

    def worker_restarts(self) -> None:
        """What is in the file is published; what is not is gone."""
        life = self.random.choice([*self.truth.lives.values()])
        self.publish_of(life)
        self.recover(life)

    def recover(self, life: Life) -> None:
        if life.promised is not None and life.promised.signal is None and life.pending:
            self.give_up_told(life)
        self.give_up(life)
        self.portfolio.recovered(*life.key, life.exposure, life.sequence)

    def daemon_restarts(self) -> None:
        """Files, memory and ledger are what is left."""
        outbox, truth = dict(self.unpublished), self.truth
        for key, fact in outbox.items():
            self.taken_over(truth.lives[key], fact)
        self.unpublished.clear()
        for life in truth.lives.values():
            self.give_up(life)
        averaged = any(order.candidate.signal is None for order in truth.orders)
        self.exact = self.exact and not averaged
        # what no file holds was never sent, and of averaging nothing is known but its fills and failures
        truth.orders = [
            order for order in truth.orders if order.saved and order.told and order.candidate.signal is not None
        ]
        memory, fresh = self.portfolio.memory(), self.make(truth.limits)
        closes = [fact for fact in self.ledger if isinstance(fact, SignalClosed)]
        entries = [fact for fact in self.ledger if fact.ts_ms > self.now_ms - fresh.looks_back_ms]
        exposures = {key: life.exposure for key, life in truth.lives.items()}
        fresh.restore(memory, exposures, closes, entries=self.random.sample(entries, len(entries)))
        fresh.set_wallet(WALLET + sum((pnl for _, _, pnl in truth.closes), ZERO))
        fresh.set_clusters(truth.clusters)
        self.portfolio = fresh
        for symbol, price in truth.marks.items():
            fresh.mark(symbol, price)
        for key, life in truth.lives.items():
            if key in outbox:
                fresh.hear([outbox[key]])
            fresh.recovered(*key, life.exposure, life.sequence)

    def time_passes(self) -> None:
        self.now_ms += self.random.choice(WAITS_MS)
        self.portfolio.evaluate(self.now_ms)

    def price_moves(self) -> None:
        self.mark(self.random.choice(SYMBOLS))

    def clusters_change(self) -> None:
        self.truth.clusters = self.random.choice(CLUSTERS)
        self.portfolio.set_clusters(self.truth.clusters)

    def limits_change(self) -> None:
        """By a reload; rules that look back stay as they are."""
        old, new = self.truth.limits, drawn_limits(self.random)
        same = {name: getattr(old, name) for name in ("losing_streak", "repeated_executions", "duplicate_order_ms")}
        self.truth.limits = replace(new, **same)
        self.portfolio.replace_limits(self.truth.limits, loss_limit=None, win_rate=None)

    def operator_looks(self) -> None:
        """A human resumes what was paused, and lifts a halt."""
        self.now_ms += 1
        for symbol in sorted(self.truth.paused):
            self.portfolio.blocks.resume(symbol, self.now_ms)
            self.truth.resumed[symbol] = self.now_ms
        self.truth.paused.clear()
        if self.portfolio.trading_state is TradingState.HALTED:
            self.portfolio.unhalt("looked at", self.now_ms)


MOVES: dict[Callable[[Sequence], None], int] = {
    Sequence.enter: 16,
    Sequence.average: 5,
    Sequence.save: 9,
    Sequence.publish: 3,
    Sequence.fill: 9,
    Sequence.averaging_works: 3,
    Sequence.averaging_fails: 1,
    Sequence.stop_moves: 2,
    Sequence.rest_is_cancelled: 3,
    Sequence.close: 6,
    Sequence.release: 2,
    Sequence.worker_restarts: 2,
    Sequence.daemon_restarts: 1,
    Sequence.time_passes: 8,
    Sequence.price_moves: 3,
    Sequence.clusters_change: 1,
    Sequence.limits_change: 1,
    Sequence.operator_looks: 2,
}
