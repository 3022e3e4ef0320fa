"""The engine: all symbols of a plan together, in the order of time, as the live daemon on the simulator would.

Rules of this file: nothing but the plan decides what happens; minutes at which provably nothing happens are passed over;
what is looked at is looked at in the order of the live daemon: fills of the minute, losses, then candles and admissions
symbol by symbol, then facts and orders symbol by symbol.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from operator import attrgetter

from livebot.backtest.account import Account
from livebot.backtest.clusters import PastClusters
from livebot.backtest.entering import CloseQuestions, CloseRound, Judges
from livebot.backtest.equity import by_key, courses_of, equity_curve
from livebot.backtest.feature_cache import FeatureCache
from livebot.backtest.frames import Frames
from livebot.backtest.funding import Funding
from livebot.backtest.horizon import NEVER
from livebot.backtest.instance import Instance
from livebot.backtest.losses import Losses
from livebot.backtest.membership import Membership
from livebot.backtest.plan import BacktestPlan
from livebot.backtest.result import BacktestResult
from livebot.backtest.symbol_run import Surroundings, SymbolRun
from livebot.backtest.tape import Tape, check_gaps, moment, tape_of
from livebot.core.clusters import CorrelationRule
from livebot.core.denial import TradingState
from livebot.core.facts import Fact
from livebot.core.market import MINUTE_MS
from livebot.core.rules import FixedNotional
from livebot.core.signal import CloseReason
from livebot.errors import BadInput
from livebot.features.declaration import context_features
from livebot.ports import Decision
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.strategies.interface import looks_at


class TooYoung(BadInput):
    """A strategy can be asked on none of its symbols, for lack of candles."""


Progress = Callable[[int, int], None]
TOLD = 200  # how often progress is told at most


def run_whole(plan: BacktestPlan, progress: Progress) -> BacktestResult:
    """All of the plan, in this process.  `progress` hears of minutes done and minutes in all.

    Raises:
        BadInput: a strategy fails or asks for more candles than there are, or candles are unfit; naming it and the mend.

    """
    tapes = tapes_of(plan)
    backtest = _Backtest(plan, tapes)
    backtest.run(progress)
    facts = in_order(backtest.facts)
    curve = equity_curve(
        courses_of(facts),
        tapes,
        backtest.funding.paid,
        wallet=float(plan.wallet),
        start_ms=plan.start_ms,
        end_ms=plan.end_ms,
    )
    return BacktestResult(
        facts=facts,
        verdicts=tuple(sorted(backtest.verdicts, key=moment_of_verdict)),
        equity=curve,
        wallet=backtest.account.wallet,
        funding=tuple(backtest.funding.paid),
        notes=(*plan.notes, *still_open(facts), *backtest.notes()),
    )


def tapes_of(plan: BacktestPlan) -> dict[str, Tape]:
    """The candles of every symbol that the plan's strategies look at.  Raises BadInput: they are unfit."""
    wanted = needed_symbols(plan)
    tapes = {symbol: _tape(plan, symbol) for symbol in plan.symbols if symbol in wanted}
    for symbol, tape in tapes.items():
        for first_ms, stop_ms in plan.members.get(symbol, ((plan.start_ms, plan.end_ms),)):
            check_gaps(tape, max(first_ms, plan.start_ms) // MINUTE_MS, min(stop_ms, plan.end_ms) // MINUTE_MS)
    return tapes


def _tape(plan: BacktestPlan, symbol: str) -> Tape:
    candles, made = plan.tapes.get(symbol, (None, None))
    if made is not None and candles is plan.candles[symbol]:
        return made
    return tape_of(symbol, plan.candles[symbol], plan.base)


def needed_symbols(plan: BacktestPlan) -> frozenset[str]:
    """Those that strategies run on or look at; all, if one looks at the market as a whole."""
    needed: set[str] = set()
    for run in plan.strategies:
        strategy = run.make()
        if run.symbols and context_features(strategy.features):
            return frozenset(plan.candles)
        needed.update(run.symbols, looks_at(strategy) if run.symbols else ())
    return frozenset(needed)


def in_order(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """By time; what happened at one close by symbol and strategy."""
    groups = sorted(by_key(facts).items(), key=_symbol_first)
    together = [fact for _, group in groups for fact in group]
    together.sort(key=attrgetter("ts_ms"))  # stable
    return tuple(together)


def _symbol_first(item: tuple[tuple[str, str], list[Fact]]) -> tuple[str, str]:
    (strategy, symbol), _ = item
    return symbol, strategy


def still_open(facts: Iterable[Fact]) -> tuple[str, ...]:
    """What is to be said of signals that had not ended."""
    count = sum(each[-1].exposure.side is not None for each in by_key(facts).values())
    if not count:
        return ()
    what = "1 signal was" if count == 1 else f"{count} signals were"
    return (f"{what} still open at the end and not among the closed ones; the equity values what they held",)


def moment_of_verdict(verdict: Decision) -> tuple[int, str, str]:
    """By time; those of one close by symbol and strategy."""
    return verdict.ts_ms, verdict.symbol, verdict.strategy


class _Backtest:
    """One run: the account, the portfolio, the symbols, and what has happened."""

    def __init__(self, plan: BacktestPlan, tapes: Mapping[str, Tape]) -> None:
        self._plan = plan
        self._start, self._end = plan.start_ms // MINUTE_MS, plan.end_ms // MINUTE_MS
        self.facts: list[Fact] = []
        self.verdicts: list[Decision] = []
        self.account = Account(plan, tapes)
        self.account.move(self._start)
        self._portfolio = Portfolio(
            plan.limits, loss_limit=plan.loss_limit, win_rate=plan.win_rate, report=lambda _source, _text: None
        )
        self._portfolio.restore(None, {})
        self._clusters = self._make_clusters(tapes)
        self._portfolio.set_wallet(plan.wallet)
        self._judges = Judges(
            questions=None if plan.confidences is None else CloseQuestions(plan.confidences),
            round=None if plan.round is None else CloseRound(plan.round, self._portfolio),
        )
        self._symbols = self._make_symbols(tapes)
        self._minute = self._start - 1
        self._waiting: set[int] = set()  # the places of those whose turn comes later in the present close
        self._turn = (0, 0)
        self.funding = Funding(plan, self.account, self._portfolio)
        self._losses = Losses(plan, self._portfolio, lambda: plan.wallet - self.funding.total)
        self._values = _uses_equity(plan)
        self._portfolio.evaluate(plan.start_ms)

    def _make_clusters(self, tapes: Mapping[str, Tape]) -> PastClusters | None:
        clusters, portfolio = self._plan.clusters, self._portfolio
        if isinstance(clusters, CorrelationRule):
            return PastClusters(
                clusters, tapes, start=self._start, symbols_at=self._symbols_at, apply=portfolio.set_clusters
            )
        if clusters is not None:
            portfolio.set_clusters(clusters)
        return None

    def _symbols_at(self, minute: int) -> list[str]:
        """Who is traded at the close of this minute, or has something open now."""
        return [each.symbol for each in self._symbols if each.is_member(minute) or not each.idle]

    def _make_symbols(self, tapes: Mapping[str, Tape]) -> list[SymbolRun]:
        plan = self._plan
        frames = Frames(tapes, self._start, self._end, FeatureCache(plan.cache, plan.cache_bytes))
        surroundings = Surroundings(
            account=self.account,
            portfolio=self._portfolio,
            publish=self._publish,
            may_open=self._may_open,
            value_others=self._value_others,
            judges=self._judges,
            end=self._end,
            skip=plan.skip,
        )
        made: list[SymbolRun] = []
        for symbol in plan.symbols:
            instances = tuple(
                Instance(plan, each, symbol, frames) for each in plan.strategies if symbol in each.symbols
            )
            if instances:
                membership = Membership(plan.members, symbol)
                made.append(SymbolRun(len(made), tapes[symbol], instances, membership, surroundings))
        self._young = young(instance for each in made for instance in each.instances)
        return made

    def notes(self) -> Iterator[str]:
        """What a reader should know of how it went."""
        yield from self._young
        if self._clusters is not None:
            yield from self._clusters.notes()
        self._portfolio.blocks.pass_time(self._plan.end_ms)
        memory = self._portfolio.memory()
        if memory.trading_state is not TradingState.ACTIVE:
            yield f"at the end trading was {memory.trading_state.value}: {memory.state_reason}"
        for symbol, since_ms in memory.switched_off:
            yield f"{symbol} was switched off by its win rate from {moment(since_ms // MINUTE_MS)} to the end"

    # Time

    def run(self, progress: Progress) -> None:
        """From the first minute to the last."""
        due = [(each.next_minute(self._start - 1), each.place) for each in self._symbols]
        heapify(due)
        every = max((self._end - self._start) // TOLD, 1)
        told = minute = self._start - 1
        while True:
            minute = self._next(minute, due)
            if minute >= self._end:
                break
            taking = []
            while due and due[0][0] == minute:
                taking.append(self._symbols[heappop(due)[1]])
            for each in self._close(minute, taking):
                if each not in taking:
                    due[:] = [entry for entry in due if entry[1] != each.place]
                    heapify(due)
                heappush(due, (each.next_minute(minute), each.place))
            if minute - told >= every:
                told = minute
                progress(minute - self._start, self._end - self._start)
        progress(self._end - self._start, self._end - self._start)

    def _next(self, minute: int, due: Sequence[tuple[int, int]]) -> int:
        """The next minute at whose close something may happen."""
        nearest = min(due[0][0] if due else NEVER, self._end)
        nearest = self.funding.next_minute(minute, nearest)
        return self._losses.next_minute(minute, nearest, self._symbols)

    # One close

    def _close(self, minute: int, due: list[SymbolRun]) -> list[SymbolRun]:
        """Everything that happens at the close of this minute; the symbols that took part."""
        self._minute = minute
        if self._clusters is not None:
            self._clusters.hold_at(minute)
        self.account.move(minute + 1)
        with_events = [each for each in sorted(due, key=_by_symbol) if self.account.match(each.symbol, minute)]
        self.funding.pay(minute)
        self._evaluate(minute - 1)
        turns = {each.place: (0, place) for place, each in enumerate(with_events)}
        wished, wish = self._wished()
        for each in wished:
            turns.setdefault(each.place, (1, each.place))
        for each in due:
            turns.setdefault(each.place, (2, each.place))
        order = sorted(turns, key=turns.__getitem__)
        self._waiting = set(order)
        for place in order:
            self._waiting.discard(place)
            self._turn = turns[place]
            each = self._symbols[place]
            each.take(minute, wish=wish if each in wished else None)
        taken = [self._symbols[place] for place in order]
        if self._judges.asked:  # a model answers once all that happened at the close has been told
            taken = self._commit(taken)
        self._judge(taken)
        return self._commit(taken)

    def _commit(self, taken: list[SymbolRun]) -> list[SymbolRun]:
        for each in taken:
            each.commit()
        return self._let_wish(taken)

    def _judge(self, taken: Sequence[SymbolRun]) -> None:
        """All have spoken, and their prices are known; who has nothing to save first carries its verdict out at once."""
        if not self._judges.wanted:
            return
        for each in self._symbols if self._values else ():
            if each.holds:
                each.mark(self._minute)
        self._judges.judge((self._minute + 1) * MINUTE_MS, [each.entering for each in taken])
        for each in taken:
            if each.entering.waits and not each.has_news:
                each.entering.carry_out()

    def _let_wish(self, taken: list[SymbolRun]) -> list[SymbolRun]:
        """What was published may have moved the trading state."""
        wished, wish = self._wished()
        for each in wished:
            wish(each)
            each.commit()
            if each not in taken:
                taken.append(each)
        return taken

    def _wished(self) -> tuple[list[SymbolRun], Callable[[SymbolRun], None]]:
        """Of whom the portfolio wants something, and what: to close everything, or to take back what has not filled."""
        if self._portfolio.flatten_wanted:
            return [each for each in self._symbols if each.leaves], _leave
        if self._portfolio.trading_state is not TradingState.ACTIVE:
            return [each for each in self._symbols if each.awaits_entry], SymbolRun.withdraw
        return [], SymbolRun.withdraw

    # What the symbols ask and tell

    def _publish(self, items: Sequence[Fact | Decision]) -> None:
        facts = [item for item in items if isinstance(item, Fact)]
        self.facts.extend(facts)
        self.verdicts.extend(item for item in items if isinstance(item, Decision))
        if facts:
            self._portfolio.hear(facts)
        self._evaluate(self._minute)

    def _may_open(self, symbol: str) -> bool:
        return self._portfolio.trading_state is TradingState.ACTIVE and not self._portfolio.blocks.of(symbol)

    def _evaluate(self, marked: int) -> None:
        """Let losses move the trading state, at the marks of this minute's close."""
        now_ms = (self._minute + 1) * MINUTE_MS
        if not self._losses.active:
            self._portfolio.blocks.pass_time(now_ms)
            return
        for each in self._symbols:
            if each.holds:
                each.mark(marked)
        self._portfolio.evaluate(now_ms)

    def _value_others(self, asking: SymbolRun) -> None:
        """Marks as they are when it is this symbol's turn: who comes earlier in the close has taken its candle already."""
        if not self._values:
            return
        for each in self._symbols:
            if each is asking or not each.holds or each.marked == self._minute:
                continue
            later = each.place in self._waiting or (2, each.place) > self._turn
            each.mark(self._minute - 1 if later else self._minute)


def _uses_equity(plan: BacktestPlan) -> bool:
    """Whether a decision can depend on what the account is worth; if not, other symbols need not be valued for it."""
    limits = plan.limits
    ratios = (
        limits.gross_exposure,
        limits.net_exposure,
        limits.symbol_exposure,
        limits.base_exposure,
        limits.risk_per_trade,
        limits.risk_in_all,
        limits.daily_loss,
        limits.drawdown,
        plan.loss_limit,
    )
    return not isinstance(plan.rules.sizing, FixedNotional) or any(each is not None for each in ratios)


def _leave(each: SymbolRun) -> None:
    each.leave(CloseReason.PORTFOLIO_HALT)


def _by_symbol(each: SymbolRun) -> str:
    return each.symbol


def young(instances: Iterable[Instance]) -> tuple[str, ...]:
    """What is to be said of strategies that can never be asked on some symbols, for lack of candles.

    Raises:
        TooYoung: one of them can be asked on none.

    """
    lacking: dict[str, list[Instance]] = {}
    asked: set[str] = set()
    for instance in instances:
        if instance.first_decision is None:
            lacking.setdefault(instance.name, []).append(instance)
        else:
            asked.add(instance.name)
    for name, each in lacking.items():
        if name not in asked:
            raise TooYoung(f"{_too_young(each[0])}; fetch more candles, or choose shorter periods or a later end")
    return tuple(f"{_too_young(instance)}: it is never asked" for each in lacking.values() for instance in each)


def _too_young(instance: Instance) -> str:
    return (
        f"{instance.symbol}: strategy {instance.name} needs {instance.needed:,} closed candles of {instance.timeframe} "
        f"before its first decision, and the data up to the end of the range holds {instance.held:,}"
    )
