"""Rounds: what the strategies want at one close is collected, ranked and admitted in one go.

A round is a close.  Those who decide at it are expected to speak, whether they want something or not; it ends when all
have, or `deadline_s` after the first wish.  Who comes later is judged alone.

Rules of this file: a round is judged without an await, after everybody who was given the close together has looked at it;
a verdict goes to the worker that asked, which has to take it, and whatever it reserved is given back as soon as nobody
will: no reservation waits for anyone who is gone; who is gone or silent holds the others up until the deadline at most.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import structlog

from livebot.core.candidate import Candidate, Refused
from livebot.core.denial import STATE_CODES, DenialCode, Denied, TradingState, blocked
from livebot.core.inputs import SymbolState
from livebot.core.ranking import (
    SILENT_NAMED,
    Judged,
    Round,
    RoundPlace,
    Wish,
    judge_round,
    outdated,
    place_of,
    place_of_withdrawn,
)
from livebot.core.risk import Approved
from livebot.ports import Clock
from livebot.runtime.inbox import Activity
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.settings import RoundSettings

OPEN_ROUNDS = 8  # at most; the oldest is judged when another close comes

_log = structlog.get_logger(__name__)

Key = tuple[str, str]  # strategy, symbol


class Ending(Enum):
    """Why a round was judged."""

    ALL_SPOKEN = "all_spoken"
    DEADLINE = "deadline"
    LATE = "late"


@dataclass(slots=True, eq=False)
class Asked:
    """A wish on its way: `deliver` is told once its `verdict` is there; then `Rounds.take` has to follow."""

    wish: Wish
    deliver: Callable[[], None]
    round: "_Open | None" = None  # as long as it waits for a verdict
    verdict: Approved | Denied | Refused | None = None


@dataclass(slots=True, eq=False)
class _Open:
    """The round of a close: who has not spoken, who wants something, and what was taken back."""

    close_ms: int
    silent: set[Key]
    asked: dict[Key, Asked] = field(default_factory=dict)
    withdrawn: list[RoundPlace] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    ending: bool = False  # it will be judged within this turn of the loop or the next


class Rounds:
    """One for the whole system; everything happens on its event loop."""

    def __init__(
        self,
        settings: RoundSettings,
        portfolio: Portfolio,
        clock: Clock,
        activity: Activity,
        tell: Callable[[Round], None],
    ) -> None:
        """Nobody is expected.  `tell` hears of each round in which somebody wanted something."""
        self._settings = settings
        self._portfolio = portfolio
        self._clock = clock
        self._activity = activity
        self._tell = tell
        self._speakers: dict[int, set[Key]] = {}  # by the length of their candles
        self._lengths: dict[Key, int] = {}
        self._open: dict[int, _Open] = {}  # by close, the oldest first
        self._waiting: dict[Key, Asked] = {}  # asked and not taken or given up
        self._ended_ms = 0

    @property
    def open(self) -> int:
        """How many closes somebody may still speak at."""
        return len(self._open)

    @property
    def waiting(self) -> int:
        """How many wishes wait for their verdict, or to be taken or given up."""
        return len(self._waiting)

    # Who is expected

    def expect(self, key: Key, timeframe_ms: int) -> None:
        """It decides at each close of its candles from now on, until `forget`."""
        self._leave(key)
        self._lengths[key] = timeframe_ms
        self._speakers.setdefault(timeframe_ms, set()).add(key)

    def forget(self, key: Key) -> None:
        """Nobody waits for it any more; what it wanted has to be withdrawn apart."""
        self._leave(key)
        for each in tuple(self._open.values()):
            self._heard(each, key)

    def spoke(self, key: Key, close_ms: int) -> None:
        """It is done with a close, and with all before it: it has asked, wants nothing or could not be asked."""
        self.foresee(close_ms)
        for each in tuple(self._open.values()):
            if each.close_ms <= close_ms:
                self._heard(each, key)

    def _leave(self, key: Key) -> None:
        length = self._lengths.pop(key, None)
        if length is not None:
            self._speakers[length].discard(key)

    def _heard(self, round_: _Open, key: Key) -> None:
        round_.silent.discard(key)
        if round_.silent or round_.ending:
            return
        if round_.timer is None:
            self._pass(round_)
        else:
            self._end(round_, Ending.ALL_SPOKEN)

    # What is wanted

    def foresee(self, close_ms: int) -> None:
        """Somebody may want something at this close, and says so later: those who are expected now are waited for."""
        if close_ms > self._ended_ms and close_ms not in self._open:
            self._begin(close_ms)

    def ask(self, wish: Wish, deliver: Callable[[], None]) -> Asked:
        """Enter a wish into the round of its close; `deliver` is called, later, when it was judged."""
        assert wish.key not in self._waiting  # the one before was taken or withdrawn
        asked = self._waiting[wish.key] = Asked(wish, deliver)
        close_ms = wish.now.ts_ms
        round_ = self._open.get(close_ms)
        if round_ is None and close_ms > self._ended_ms:
            round_ = self._begin(close_ms)
        if round_ is None:
            round_ = _Open(close_ms, set())
            self._activity.hold()
            self._end(round_, Ending.LATE)
        elif round_.timer is None:
            self._activity.hold()  # a simulated market waits for the verdict
            loop = asyncio.get_running_loop()
            round_.timer = loop.call_later(self._settings.deadline_s, self._judge, round_, Ending.DEADLINE)
        asked.round = round_
        round_.asked[wish.key] = asked
        return asked

    def withdraw(self, asked: Asked, why: Denied) -> bool:
        """Nobody wants it any more, or can: what it has reserved is given back.  False: it was withdrawn before."""
        key = asked.wish.key
        if self._waiting.get(key) is not asked:
            return False
        del self._waiting[key]
        if asked.round is not None:
            del asked.round.asked[key]
            asked.round.withdrawn.append(place_of_withdrawn(asked.wish, why))
            asked.round = None
        if isinstance(asked.verdict, Approved):
            self._portfolio.release(*key)
        return True

    def take(self, asked: Asked) -> Approved | Denied | Refused | None:
        """The verdict, for who asked and carries it out now; None if it was withdrawn."""
        if self._waiting.get(asked.wish.key) is not asked or asked.verdict is None:
            return None
        del self._waiting[asked.wish.key]
        return asked.verdict

    # A round's life

    def _begin(self, close_ms: int) -> _Open:
        for each in tuple(self._open.values()):
            if each.timer is None and each.close_ms < close_ms:
                self._pass(each)  # nobody wanted anything until the next close
        if len(self._open) >= OPEN_ROUNDS:
            self._judge(next(iter(self._open.values())), Ending.DEADLINE)
        silent = set[Key]()
        for length, keys in self._speakers.items():
            if close_ms % length == 0:
                silent |= keys
        round_ = self._open[close_ms] = _Open(close_ms, silent)
        return round_

    def _pass(self, round_: _Open) -> None:
        """Nobody wanted anything."""
        del self._open[round_.close_ms]
        self._ended_ms = max(self._ended_ms, round_.close_ms)

    def _end(self, round_: _Open, why: Ending) -> None:
        """Judge it once those who were woken together with the last one have had their turn."""
        round_.ending = True
        asyncio.get_running_loop().call_soon(self._judge, round_, why)

    def _judge(self, round_: _Open, why: Ending) -> None:
        if why is not Ending.LATE:
            if self._open.get(round_.close_ms) is not round_:
                return  # it was judged before its turn had come
            self._pass(round_)
        if round_.timer is not None:
            round_.timer.cancel()
        judged = judge_round(
            [asked.wish for asked in round_.asked.values()],
            self._portfolio.equity,
            self._settings.scorer,
            self._admit,
        )
        for each in judged:
            asked = round_.asked[each.wish.key]
            asked.verdict, asked.round = each.verdict, None
            asked.deliver()
        self._report(round_, why, judged)
        self._activity.release()

    def _admit(self, candidate: Candidate) -> Approved | Denied:
        age_ms = self._clock.now_ms() - candidate.ts_ms
        return self._portfolio.admit(candidate, candidate.ts_ms, age_ms=age_ms)

    def _report(self, round_: _Open, why: Ending, judged: tuple[Judged, ...]) -> None:
        silent = sorted(round_.silent)
        report = Round(
            close_ms=round_.close_ms,
            ended=why.value,
            silent=len(silent),
            awaited=tuple("/".join(key) for key in silent[:SILENT_NAMED]),
            places=(*map(place_of, judged), *round_.withdrawn),
        )
        try:
            self._tell(report)
        except Exception as error:  # noqa: BLE001 - a listener harms itself only
            _log.error("round_not_told", close_ms=round_.close_ms, exc_info=error)


def meanwhile(portfolio: Portfolio, state: SymbolState, wish: Wish) -> Denied | None:
    """Why an approved wish may not be carried out after all, given what has happened since; None: it may."""
    symbol = state.symbol
    blocks = portfolio.blocks.of(symbol)
    if blocks:
        return blocked(blocks[0], symbol)
    if portfolio.trading_state is not TradingState.ACTIVE:
        return blocked(STATE_CODES[portfolio.trading_state], symbol)
    return outdated(state, wish)


def ended(portfolio: Portfolio, symbol: str) -> Denied:
    """What is to be said of wishes of a symbol whose worker ends."""
    blocks = portfolio.blocks.of(symbol)
    return blocked(blocks[0], symbol) if blocks else Denied(DenialCode.ROUND, f"{symbol} is not run any more")
