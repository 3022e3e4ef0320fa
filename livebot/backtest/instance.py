"""One strategy on one symbol: its state, what it sees, and the next close at which it wants to enter.

Rules of this file: a strategy depends on its view alone, so it may be asked about later closes before their time has
come; its answers are used in their time, and only if it would have been asked then.
"""

from dataclasses import dataclass
from typing import Any

from livebot.backtest.frames import Frame, Frames
from livebot.backtest.horizon import NEVER
from livebot.backtest.plan import BacktestPlan, StrategyRun
from livebot.backtest.tape import moment
from livebot.core.entry import Adjustment, Entry
from livebot.core.inputs import SymbolState
from livebot.core.market import MINUTE_MS
from livebot.core.rules import Rules, VolatilityParity
from livebot.core.signal import Idle, Open
from livebot.errors import BadInput
from livebot.features.true_range import average_true_range, candles_for
from livebot.ports import Decision
from livebot.strategies.interface import Strategy, View, feature_set_of


@dataclass(frozen=True, slots=True)
class Wish:
    """What a strategy said about a close; `skipped`: it could not be asked, and why (a code and a sentence).

    Neither of both: it wants nothing before this minute, and it is not known what it wants from then on.
    """

    minute: int
    entry: Entry | None
    skipped: tuple[str, str] | None = None

    @property
    def open(self) -> bool:
        """Whether the strategy has still to be asked about this minute."""
        return self.entry is None and self.skipped is None and self.minute < NEVER


_NOTHING = Wish(NEVER, None)


class Instance:
    """`state` is that of the kernel; `rules` its terms; `needed` closed candles come before its first decision."""

    __slots__ = (
        "_decide",
        "_end",
        "_first",
        "_frame",
        "_kept",
        "_others",
        "_strategy",
        "_view",
        "_wish",
        "feature_set",
        "manages",
        "name",
        "needed",
        "rules",
        "state",
        "symbol",
        "timeframe",
    )

    def __init__(self, plan: BacktestPlan, run: StrategyRun, symbol: str, frames: Frames) -> None:
        """Idle.  Raises BadInput: its features cannot be computed."""
        strategy = run.make()
        self.name = run.id
        self.symbol = symbol
        self.rules: Rules = plan.rules_of(run.id, symbol)
        self.state = SymbolState(system=plan.system, strategy=run.id, symbol=symbol, signal=Idle())
        self.manages = strategy.manages
        self.feature_set = str(feature_set_of(strategy))
        self._strategy: Strategy[Any] = strategy
        self._decide = strategy.decide
        wanted, history = max(plan.history, strategy.warmup), strategy.history
        self._kept = max(plan.history, history)  # as many candles as a live daemon holds
        self._frame = frames.frame(symbol, strategy.timeframe, wanted, strategy.features)
        self._others = {other: frames.frame(other, strategy.timeframe, wanted) for other in strategy.others}
        self._view = _view(symbol, strategy, self._frame, history, self._others)
        start = plan.start_ms // MINUTE_MS
        self.timeframe = strategy.timeframe.value
        self.needed = max(strategy.warmup, history)
        self._first = max(self._frame.index_from(start), self.needed - 1)
        self._end = len(self._frame.series)
        self._wish = Wish(-1, None)

    @property
    def first_decision(self) -> int | None:
        """The first minute at whose close it can be asked, None if there is none."""
        return self._frame.close_minute(self._first) if self._first < self._end else None

    @property
    def held(self) -> int:
        """How many candles of its timeframe there are."""
        return self._end

    def next_wish(self, minute: int, stop: int = NEVER) -> int:
        """The first minute, this one or later, at whose close it would enter (or could not be asked).

        It is not asked about the minutes from `stop` on: that or a later one is the answer if there is none before.
        """
        wish = self._wish
        if wish.minute < minute or (wish.open and wish.minute < stop):
            self._wish = self._look_for(max(minute, wish.minute), stop)
        return self._wish.minute

    def wish_at(self, minute: int) -> Wish | None:
        """What it says about the close of this minute, None if nothing."""
        return self._wish if self.next_wish(minute, minute + 1) == minute else None

    def next_managed(self, minute: int) -> int:
        """The first minute, this one or later, at whose close `manage` is asked."""
        index = max(self._frame.index_from(minute), self._first)
        return self._frame.close_minute(index) if index < self._end else NEVER

    def closes_with(self, minute: int) -> bool:
        """Whether a candle of its timeframe closes with this minute, and it has seen enough of them."""
        index = self._frame.index_at(minute)
        return index is not None and index >= self._first

    def skipped_at(self, minute: int) -> tuple[str, str] | None:
        """Why it cannot be asked about this close: symbols or values that it looks at are not there."""
        frames = {self.symbol: self._frame, **self._others}
        lacking = tuple(name for name, frame in frames.items() if not frame.shows(minute)) or self._frame.late(minute)
        if lacking:
            return "context_missing", f"the candles of {', '.join(lacking)} up to this close did not come in time"
        unknown = self._frame.without_value(minute)
        if unknown:
            text = f"{', '.join(unknown)}: too few of the other symbols have candles enough up to this close"
            return "context_incomplete", text
        return None

    def manage(self, minute: int, signal: Open) -> Adjustment | None:
        """Ask it about its open signal.  Raises BadInput: it raised, or answered what is no adjustment."""
        index = self._frame.index_at(minute)
        assert index is not None  # `closes_with` has said so
        self._show(index, minute)
        try:
            answer = self._strategy.manage(self._view, signal)
        except Exception as error:
            raise self._failed("manage", minute, error) from error
        if answer is not None and not isinstance(answer, Adjustment):
            raise self._wrong("manage", minute, answer)
        return answer

    def atr(self, minute: int) -> float | None:
        """The average true range of its own candles at a close, if its sizes follow from that and it is known."""
        sizing, index = self.rules.sizing, self._frame.index_at(minute)
        if not isinstance(sizing, VolatilityParity) or index is None:
            return None
        count = min(candles_for(sizing.period), self._kept)
        return average_true_range(self._frame.series.part(max(index + 1 - count, 0), index + 1), sizing.period)

    def verdict(
        self,
        close_ms: int,
        entry: Entry | None,
        outcome: str,
        why: tuple[str, str],
        *,
        confidence: float | None = None,
        model: str | None = None,
    ) -> Decision:
        """What became of what it wanted at a close; `why` is a code and a sentence."""
        return Decision(
            strategy=self.name,
            symbol=self.symbol,
            close_ms=close_ms,
            ts_ms=close_ms,
            outcome=outcome,
            code=why[0],
            text=why[1],
            side=entry.side.value if entry is not None else None,
            confidence=confidence,
            feature_set=self.feature_set,
            model=model,
        )

    # Looking ahead for it, so that the others need not wait

    def _look_for(self, minute: int, stop: int) -> Wish:
        begin = max(self._frame.index_from(minute), self._first)
        end = self._end if stop >= NEVER else min(self._frame.index_from(stop), self._end)
        alone = not (self._others or self._frame.broken or self._frame.context)
        found = self._look_alone(begin, end) if alone else self._look_carefully(begin, end)
        return Wish(stop, None) if found is None and end < self._end else found or _NOTHING

    def _look_alone(self, begin: int, stop: int) -> Wish | None:
        move, decide, view, end = self._view.move, self._decide, self._view, begin
        try:
            for end in range(begin + 1, stop + 1):
                move(end, end)
                entry = decide(view)
                if entry is not None:
                    return self._wish_of(end - 1, entry)
        except Exception as error:
            raise self._failed("decide", self._frame.close_minute(end - 1), error) from error
        return None

    def _look_carefully(self, begin: int, stop: int) -> Wish | None:
        for index in range(begin, stop):
            minute = self._frame.close_minute(index)
            skipped = self.skipped_at(minute)
            if skipped is not None:
                return Wish(minute, None, skipped)
            self._show(index, minute)
            if not self._seen_enough(minute):
                continue
            try:
                entry = self._decide(self._view)
            except Exception as error:
                raise self._failed("decide", minute, error) from error
            if entry is not None:
                return self._wish_of(index, entry)
        return None

    def _wish_of(self, index: int, entry: Entry) -> Wish:
        minute = self._frame.close_minute(index)
        if not isinstance(entry, Entry):
            raise self._wrong("decide", minute, entry)
        return Wish(minute, entry)

    def _show(self, index: int, minute: int) -> None:
        self._view.move(index + 1, index + 1)
        for name, frame in self._others.items():
            other = frame.index_at(minute)
            self._view.others[name].move(0 if other is None else other + 1, 0)

    def _seen_enough(self, minute: int) -> bool:
        history = self._strategy.history
        return all((frame.index_at(minute) or 0) + 1 >= history for frame in self._others.values())

    def _failed(self, method: str, minute: int, error: Exception) -> BadInput:
        if isinstance(error, BadInput):
            return error
        return BadInput(
            f"{method} of strategy {self.name} on {self.symbol} fails at the close of {moment(minute + 1)}: "
            f"{type(error).__name__}: {error}; mend the strategy"
        )

    def _wrong(self, method: str, minute: int, answer: object) -> BadInput:
        wanted = "Entry" if method == "decide" else "Adjustment"
        return BadInput(
            f"{method} of strategy {self.name} on {self.symbol} answers {answer!r} at the close of {moment(minute + 1)}: "
            f"it must be {wanted} or None"
        )


def _view(symbol: str, strategy: Strategy[Any], frame: Frame, history: int, others: dict[str, Frame]) -> View:
    views = {
        name: View(name, strategy.timeframe, other.series, {}, history=max(2, history))
        for name, other in others.items()
    }
    return View(symbol, strategy.timeframe, frame.series, frame.features, history=history, others=views)
