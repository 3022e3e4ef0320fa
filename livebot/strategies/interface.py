"""What a strategy is, and all that it may look at.

Rules of this file: a strategy is a function of its view and its parameters and of nothing else: no clock, no chance, no
memory of its own, so that the same candles give the same decisions wherever they come from.  A view ends at the candle
that has just closed; nothing in it is later.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar, cast

from livebot.core.entry import Adjustment, Entry
from livebot.core.market import Timeframe
from livebot.core.series import CandleSeries, Floats
from livebot.core.signal import Open as OpenSignal
from livebot.errors import BadInput
from livebot.features.declaration import FEATURE_DEPTH, WARMUP_BOUND, Feature, context_features, warmup_of
from livebot.features.feature_set import FeatureSet, make_feature_set

HISTORY_BOUND = 3_000  # candles
WARMUP_MOST = WARMUP_BOUND + FEATURE_DEPTH - 1  # of a whole strategy: of its slowest feature, so many candles back

_NAME = re.compile(r"[a-z0-9_]+")
_NO_OTHERS: Mapping[str, "View"] = MappingProxyType({})
_NO_CONTEXT: Mapping[str, Floats] = MappingProxyType({})


class View:
    """One symbol as of one closed candle: a cursor over arrays that somebody else fills.

    It is made once and moved for each candle.  The arrays it hands out are read only and hold what they say until the
    next move; a strategy keeps none of them.
    """

    __slots__ = (
        "_context",
        "_context_end",
        "_end",
        "_feature_end",
        "_history",
        "_series",
        "_values",
        "others",
        "symbol",
        "timeframe",
    )

    def __init__(
        self,
        symbol: str,
        timeframe: Timeframe,
        series: CandleSeries,
        features: Mapping[str, Floats],
        *,
        history: int,
        others: Mapping[str, "View"] = _NO_OTHERS,
        context: Mapping[str, Floats] = _NO_CONTEXT,
    ) -> None:
        """Look at nothing yet: `move` comes first.

        `history` is how many candles it shows at most, whatever the arrays hold, so that every driver shows the same.
        `context` are feature values that stand at places of their own; who has one row per candle of all features
        gives them all as `features`.
        """
        self.symbol = symbol
        self.timeframe = timeframe
        self.others = others
        self._history = history
        self._series = series
        self._values = {name: column.item for name, column in features.items()}  # the call that is made most often
        self._context = context
        self._end = 0
        self._feature_end = 0
        self._context_end = 0

    def move(self, end: int, feature_end: int, context_end: int = 0) -> None:
        """Show the candle at index `end` - 1 and the feature values at index `feature_end` - 1 as the present ones.

        `context_end` is the same for `context`.
        """
        self._end = end
        self._feature_end = feature_end
        self._context_end = context_end

    @property
    def close_ms(self) -> int:
        """When the present candle closed, UTC milliseconds; 0 before there is one."""
        return self._series.ts_ms.item(self._end - 1) + self.timeframe.ms if self._end else 0

    @property
    def close(self) -> float:
        """Close of the present candle, in quote currency.  Raises LookupError before there is one."""
        if not self._end:
            message = f"{self.symbol} has no closed candle yet"
            raise LookupError(message)
        return self._series.close.item(self._end - 1)

    @property
    def complete(self) -> bool:
        """Whether every other symbol is at the same close; if not, the strategy cannot be asked."""
        return all(view.close_ms == self.close_ms for view in self.others.values())

    def feature(self, name: str, back: int = 0) -> float:
        """Value of a declared feature, `back` candles ago; not a number while its window is not full.

        One that is made of other symbols is not a number either at a past close at which some of them were missing.

        Raises:
            LookupError: not declared, `back` not in 0 to FEATURE_DEPTH - 1, or before the first candle.

        """
        index, value = self._feature_end - 1 - back, self._values.get(name)
        if value is None:
            index, value = self._context_end - 1 - back, self._context_value(name)
        if index < 0 or not 0 <= back < FEATURE_DEPTH:
            message = f"feature {name!r} cannot be seen {back} candles back: 0 to {FEATURE_DEPTH - 1} can, once there"
            raise LookupError(message)
        return value(index)

    def _context_value(self, name: str) -> Callable[..., float]:
        column = self._context.get(name)
        if column is None:
            declared = ", ".join((*self._values, *self._context)) or "none"
            message = f"feature {name!r} is not declared; declared are {declared}"
            raise LookupError(message)
        return column.item

    def opens(self, count: int) -> Floats:
        """The last `count` opens, oldest first.  Raises LookupError beyond the history asked for, as do those below."""
        return self._series.open[self._start(count) : self._end]

    def highs(self, count: int) -> Floats:
        """The last `count` highs, oldest first."""
        return self._series.high[self._start(count) : self._end]

    def lows(self, count: int) -> Floats:
        """The last `count` lows, oldest first."""
        return self._series.low[self._start(count) : self._end]

    def closes(self, count: int) -> Floats:
        """The last `count` closes, oldest first."""
        return self._series.close[self._start(count) : self._end]

    def volumes(self, count: int) -> Floats:
        """The last `count` volumes in base quantity, oldest first."""
        return self._series.volume[self._start(count) : self._end]

    def other(self, symbol: str) -> "View":
        """Candles of another declared symbol, of the same timeframe and up to the same close; no features.

        Raises:
            LookupError: not declared.
            BadInput: its candle of this close has not come.

        """
        view = self.others.get(symbol)
        if view is None:
            message = f"{symbol} is not among the declared other symbols: {', '.join(self.others) or 'none'}"
            raise LookupError(message)
        if view.close_ms != self.close_ms:
            message = f"{symbol} is at close {view.close_ms}, {self.symbol} at {self.close_ms}; wait for both"
            raise BadInput(message)
        return view

    def _start(self, count: int) -> int:
        start = self._end - count
        if not 0 < count <= self._history or start < 0:
            held = min(self._history, self._end)
            message = f"{count} candles cannot be seen: 1 to {held} can; a strategy's `history` says how many it wants"
            raise LookupError(message)
        return start


P = TypeVar("P")


class Strategy(ABC, Generic[P]):
    """Says when to trade one symbol.  Made as `Strategy(params)`; holds nothing else.

    A subclass sets `name` (as in the config and in file names) and `Params`, a frozen dataclass that checks itself in
    `__post_init__` (ValueError), and writes `timeframe` and `decide`; what else it needs it declares in `features`,
    `others` and `history`.  `feature_version` is its author's own count of its feature sets, for people.
    """

    name: ClassVar[str]
    Params: ClassVar[type[Any]]
    feature_version: ClassVar[int] = 1

    def __init__(self, params: P) -> None:
        """Keep the parameters; a subclass has no reason to do more."""
        self.params = params

    @property
    @abstractmethod
    def timeframe(self) -> Timeframe:
        """The candles it decides on."""

    @property
    def features(self) -> tuple[Feature, ...]:
        """What `view.feature` may be asked for."""
        return ()

    @property
    def others(self) -> tuple[str, ...]:
        """Symbols that `view.other` may be asked for."""
        return ()

    @property
    def history(self) -> int:
        """How many candles of its timeframe, the present one included, `view.closes` and the like may be asked for."""
        return 1

    @property
    def warmup(self) -> int:
        """Candles needed before the first decision: for its history, and for all values of its features to settle.

        The one place where this is counted: no driver asks a strategy about an earlier candle.
        """
        return max(self.history, warmup_of(self.features))

    @property
    def manages(self) -> bool:
        """Whether `manage` does anything, so that who runs it may spare the call."""
        return type(self).manage is not Strategy.manage

    @abstractmethod
    def decide(self, view: View) -> Entry | None:
        """The trade it wants as of this close, if any.  Asked only while the symbol has no signal."""

    def manage(self, view: View, signal: OpenSignal) -> Adjustment | None:
        """What it wants of its open signal as of this close, if anything."""
        return None


def feature_set_of(strategy: Strategy[Any]) -> FeatureSet:
    """What its decisions are made with, for whatever records or learns from them; `str()` is the short form.

    Raises:
        ValueError: `feature_version` is not a whole number above 0.

    """
    return make_feature_set(strategy.name, strategy.feature_version, strategy.timeframe, strategy.features)


def looks_at(strategy: Strategy[Any]) -> tuple[str, ...]:
    """The symbols it names itself: its others, and the leaders of its features."""
    leaders = (str(feature.sources[0]) for feature in context_features(strategy.features) if feature.sources)
    return tuple(dict.fromkeys((*strategy.others, *leaders)))


def check_class(strategy: type[Strategy[Any]]) -> list[str]:
    """What is wrong with how the class is written, in plain sentences; nothing if all is well."""
    problems = []
    name: Any = getattr(strategy, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        problems.append(f"`name` is {name!r}; give it small letters, digits and underscores")
    params: Any = getattr(strategy, "Params", None)
    if not (isinstance(params, type) and is_dataclass(params) and cast("Any", params).__dataclass_params__.frozen):
        problems.append("`Params` is not a frozen dataclass; write @dataclass(frozen=True) above it")
    missing = sorted(strategy.__abstractmethods__)
    if missing:
        problems.append(f"`{'` and `'.join(missing)}` must be written")
    return problems


def check_strategy(strategy: Strategy[Any]) -> list[str]:
    """What is wrong with a strategy and its declarations, in plain sentences; nothing if all is well."""
    problems = check_class(type(strategy))
    for attribute, check in _CHECKS.items():
        problems += _read(strategy, attribute, check)
    return problems or _read(strategy, "warmup", _warmup_problems)  # it follows from the others


def _read(strategy: Strategy[Any], attribute: str, check: Callable[[object], list[str]]) -> list[str]:
    try:
        return check(getattr(strategy, attribute))
    except Exception as error:  # noqa: BLE001 - a strategy's own code may raise anything
        return [f"`{attribute}` cannot be read: {error}"]


def _timeframe_problems(timeframe: object) -> list[str]:
    if not isinstance(timeframe, Timeframe):
        return [f"`timeframe` is {timeframe!r}, not a Timeframe such as Timeframe.M5"]
    return []


def _feature_problems(features: object) -> list[str]:
    if not isinstance(features, tuple):
        return [f"`features` is {features!r}, not a tuple of Feature"]
    declared = [feature for feature in features if isinstance(feature, Feature)]
    names = [feature.name for feature in declared]
    problems = [f"`features` holds {item!r}, which is not a Feature" for item in features if item not in declared]
    problems += [f"more than one feature is called {name!r}" for name in sorted(set(names)) if names.count(name) > 1]
    problems += [
        f"feature {feature.name!r} needs {feature.warmup} candles to settle, more than the {WARMUP_BOUND} allowed; "
        "take a shorter period or a longer timeframe"
        for feature in declared
        if feature.warmup > WARMUP_BOUND
    ]
    return problems


def _version_problems(version: object) -> list[str]:
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        return [f"`feature_version` is {version!r}; it must be a whole number above 0"]
    return []


def _warmup_problems(warmup: object) -> list[str]:
    if isinstance(warmup, bool) or not isinstance(warmup, int) or warmup < 1:
        return [f"`warmup` is {warmup!r}, not a number of candles above 0"]
    if warmup > WARMUP_MOST:
        return [
            f"`warmup` is {warmup} candles, more than the {WARMUP_MOST} allowed; ask for less, or a longer timeframe"
        ]
    return []


def _other_problems(others: object) -> list[str]:
    if not isinstance(others, tuple) or not all(isinstance(symbol, str) and symbol for symbol in others):
        return [f"`others` is {others!r}, not a tuple of symbols"]
    if len(set(others)) < len(others):
        return [f"`others` names a symbol twice: {', '.join(others)}"]
    return []


def _history_problems(history: object) -> list[str]:
    if isinstance(history, bool) or not isinstance(history, int):
        return [f"`history` is {history!r}, not a number of candles"]
    if not 0 < history <= HISTORY_BOUND:
        return [f"`history` is {history}; it must be 1 to {HISTORY_BOUND} candles"]
    return []


_CHECKS: Mapping[str, Callable[[object], list[str]]] = {
    "timeframe": _timeframe_problems,
    "features": _feature_problems,
    "feature_version": _version_problems,
    "others": _other_problems,
    "history": _history_problems,
}
