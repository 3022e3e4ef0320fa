"""Who asks for what under which limits, and what the truth says of the verdict.

Rules of this file: a seed draws the same for ever; a verdict must be the truth's, and a no be for one of its reasons.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal
from random import Random

from livebot.core.candidate import Candidate
from livebot.core.denial import Denied, TradingState
from livebot.core.entry import NO_EXIT_PLAN
from livebot.core.facts import (
    Fact,
)
from livebot.core.limits import Limits, RepeatedExecutions
from livebot.core.market import MINUTE_MS, Side
from livebot.core.order import Leg, OrderKind, OrderRequest
from livebot.core.signal import Signal
from livebot.core.streak import LosingStreak, StreakScope
from livebot.runtime.portfolio.portfolio import Portfolio
from tests.sequences.truth import ZERO, Key, Life, Order, Truth

START_MS = 1_700_000_000_000
WALLET = Decimal(1000)
_SOME = Context(prec=60)  # of the 80 digits that sums have
STRATEGIES = ("trend", "breakout", "drift")
SYMBOLS = ("A/USDT", "A/USDC", "B/USDT", "C/USDT")


class Exceeded(AssertionError):
    """A verdict or a sum is not the truth's."""


def drawn_limits(random: Random) -> Limits:
    """Every limit on, and tight enough to say no."""
    ratio, hour = Decimal("0.01"), 60 * MINUTE_MS
    return Limits(
        open_signals=random.randint(2, 6),
        open_signals_per_strategy=random.randint(1, 4),
        open_signals_per_cluster=random.randint(1, 4),
        gross_exposure=ratio * random.randint(15, 60),
        net_exposure=ratio * random.randint(20, 60),
        symbol_exposure=ratio * random.randint(15, 60),
        base_exposure=ratio * random.randint(15, 70),
        risk_per_trade=ratio * random.randint(1, 5),
        risk_in_all=ratio * random.randint(1, 6),
        order_notional=Decimal(random.choice((90, 170, 400))),
        price_collar=ratio * random.randint(8, 15),
        stale_data_ms=2000,
        minimum_confidence=Decimal("0.3"),
        duplicate_order_ms=random.choice((1000, MINUTE_MS, hour)),
        repeated_executions=RepeatedExecutions(
            maximum=random.randint(2, 3), window_ms=random.choice((MINUTE_MS, 5 * hour))
        ),
        orders_per_second=random.randint(1, 6),
        orders_per_minute=random.randint(2, 8),
        orders_per_day=random.randint(5, 25),
        losing_streak=LosingStreak(
            losses=random.randint(2, 3),
            cooldown_ms=random.choice((MINUTE_MS, hour)),
            scope=random.choice([*StreakScope]),
        ),
        daily_loss=ratio * random.randint(5, 30),
        drawdown=ratio * random.randint(10, 40),
    )


@dataclass
class Outcome:
    """What happened in all."""

    counts: Counter[str] = field(default_factory=Counter)


class Asking:
    """What wants to enter or to add, and the verdict on it, from an empty account on."""

    def __init__(self, seed: int, outcome: Outcome, make: Callable[[Limits], Portfolio] | None = None) -> None:
        self.random = Random(seed)
        self.seed = seed
        self.counts = outcome.counts
        self.make = make or (lambda limits: Portfolio(limits, loss_limit=None, win_rate=None, report=lambda *_: None))
        self.now_ms = START_MS + self.random.randrange(24) * 60 * MINUTE_MS
        lives = {(strategy, symbol): Life((strategy, symbol)) for strategy in STRATEGIES for symbol in SYMBOLS}
        self.truth = Truth(drawn_limits(self.random), lives, WALLET)
        self.busy = self.random.sample([*lives], 3)  # those that want to enter most often
        self.ledger: list[Fact] = []
        self.unpublished: dict[Key, Fact] = {}  # saved, and not heard of by the portfolio
        self.exact = True  # after a restart averaging may count more often than it should
        self.portfolio = self.make(self.truth.limits)
        self.portfolio.set_wallet(WALLET)
        for symbol in SYMBOLS[self.random.randrange(4) == 0 :]:
            self.mark(symbol)

    # Asking

    def enter(self) -> None:
        """An idle one wants to; sometimes one that has been promised room already asks again."""
        random, busy = self.random, self.busy if self.random.random() < 0.6 else None
        life = self.one(
            lambda life: not life.alive and life.key not in self.unpublished and (busy is None or life.key in busy)
        )
        if life is None:
            return
        side = random.choices((Side.LONG, Side.SHORT), (3, 2))[0]
        price, quantity = Decimal(random.choice((40, 41, 42, 44))) / 4, Decimal(random.choice((1, 2, 4, 8, 16)))
        stop = price - side.sign * Decimal(random.choice((1, 2, 4))) / 4
        number = life.number
        if random.random() < 0.05:  # a fault: a number that was used before
            number = max(1, life.number - 1)
        self.ask(life, self.candidate(life, side, price, quantity, stop, number))

    def average(self) -> None:
        """An open one wants more; sometimes by an order that it has sent before."""
        life = self.one(lambda life: life.alive and life.quantity > 0 and not life.pending)
        if life is None:
            return
        random = self.random
        attempt = life.attempts + 1 if random.random() < 0.9 else max(1, life.attempts)
        price, quantity = Decimal(random.choice((40, 42))) / 4, Decimal(random.choice((1, 2, 4)))
        if (price - life.stop) * life.side.sign <= 0:
            return
        asked = self.candidate(life, life.side, price, quantity, life.stop, life.number)
        order = replace(
            asked.order, client_order_id=f"{life.key}{life.number}a{attempt}", leg=Leg.AVERAGE, attempt=attempt
        )
        self.ask(life, replace(asked, order=order, signal=None))

    def candidate(
        self, life: Life, side: Side, price: Decimal, quantity: Decimal, stop: Decimal, number: int
    ) -> Candidate:
        random, (strategy, symbol) = self.random, life.key
        limit = price if random.random() < 0.3 else None
        signal = Signal(
            number=number,
            side=side,
            quantity=quantity,
            reference_price=price,
            limit_price=limit,
            stop_loss=stop,
            take_profit=price + side.sign,
            lifetime_ms=MINUTE_MS,
            created_ms=self.now_ms,
            schedule_expires_ms=None,
            exits=NO_EXIT_PLAN,
        )
        order = OrderRequest(
            client_order_id=f"{life.key}{number}",
            symbol=symbol,
            leg=Leg.ENTRY,
            attempt=1,
            side=side.entry_order,
            kind=OrderKind.MARKET if limit is None else OrderKind.LIMIT,
            quantity=quantity,
            price=limit,
        )
        return Candidate(
            strategy=strategy,
            symbol=symbol,
            side=side,
            order=order,
            signal=signal,
            price=price,
            notional=quantity * price,
            risk=quantity * abs(price - stop),
            confidence=random.choices((None, 0.2, 0.3, 0.9), (1, 1, 4, 24))[0],
            ts_ms=self.now_ms,
        )

    def ask(self, life: Life, asked: Candidate) -> None:
        """The verdict must be the truth's, and a no be for one of its reasons."""
        age_ms = 2001 if self.random.random() < 0.03 else self.random.randrange(2001)
        against, state = self.truth.against(asked, self.now_ms, age_ms), self.portfolio.trading_state
        memory, equity = self.portfolio.memory(), self.truth.equity
        for code, allowed, start in (
            ("daily_loss", self.truth.limits.daily_loss, memory.day_start_equity),
            ("drawdown", self.truth.limits.drawdown, memory.peak_equity),
        ):
            if allowed is not None and start is not None and start - equity >= allowed * start:
                against.add(code)
        if state is not TradingState.ACTIVE:
            against.add(state.value.lower())
        verdict = self.portfolio.admit(asked, self.now_ms, age_ms=age_ms)
        if not isinstance(verdict, Denied):
            self.counts["approved"] += 1
            if against:
                raise Exceeded(f"seed {self.seed}: {asked} was let through against {sorted(against)}")
            self.promise(life, asked)
            return
        code = verdict.code.value
        self.counts[code] += 1
        if code not in against and (
            self.exact or code not in ("orders_per_second", "orders_per_minute", "orders_per_day")
        ):
            raise Exceeded(
                f"seed {self.seed}: {asked} was denied ({verdict.text}), and {sorted(against)} are against it"
            )

    def promise(self, life: Life, asked: Candidate) -> None:
        self.give_up(life)
        life.promised = asked
        self.truth.orders.append(Order(self.now_ms, life.key, asked))

    def give_up(self, life: Life) -> None:
        """What was promised is not sent."""
        if life.promised is not None:
            self.waiting(life).given_up = True
            life.promised = None

    def waiting(self, life: Life) -> Order:
        return next(order for order in reversed(self.truth.orders) if order.candidate is life.promised)

    # Facts and checks

    def one(self, wanted: Callable[[Life], bool]) -> Life | None:
        found = [life for life in self.truth.lives.values() if wanted(life)]
        return self.random.choice(found) if found else None

    def shared(self, life: Life, exposure: object = None, number: int | None = None) -> dict:
        strategy, symbol = life.key
        return {
            "strategy": strategy,
            "symbol": symbol,
            "sequence": life.sequence,
            "ts_ms": self.now_ms,
            "signal_id": f"{strategy}/{symbol}#{life.number if number is None else number}",
            "side": life.side,
            "exposure": life.exposure if exposure is None else exposure,
        }

    def hear(self, fact: Fact) -> None:
        self.ledger.append(fact)
        self.portfolio.hear([fact])

    def check_sums(self) -> None:
        """The running totals are the sums, and nothing is above what was allowed when it was let through."""
        portfolio, lives = self.portfolio, self.truth.lives.values()
        active = [life for life in lives if life.alive or life.promised is not None]
        gross = sum((amount for life in lives for _, amount in life.stakes), ZERO)
        used = {row.name: row.used for row in portfolio.limit_use()}
        equity = self.truth.equity
        # An average price has no end: its last digits depend on the order in which they were summed up.
        if portfolio.open_signals != len(active) or _SOME.plus(portfolio.equity) != _SOME.plus(equity):
            raise Exceeded(
                f"seed {self.seed}: {portfolio.open_signals} signals, equity {portfolio.equity}; truth {len(active)}, {equity}"
            )
        if equity > 0 and _SOME.plus(used["gross_exposure"]) != _SOME.plus(gross / equity):
            raise Exceeded(f"seed {self.seed}: gross exposure {used['gross_exposure']}; truth {gross / equity}")

    def mark(self, symbol: str) -> None:
        price = self.random.choice((9.75, 10.0, 10.25, 10.5, 11.0))
        self.truth.marks[symbol] = price
        self.portfolio.mark(symbol, price)
