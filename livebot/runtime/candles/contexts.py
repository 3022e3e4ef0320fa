"""All features that are made of other symbols: which strategy reads which of them where.

Rules of this file: strategies that need the same symbols on the same timeframe share a board, and within it what they
ask for in common; a system without such features has no board, and its candles pass by here at no cost.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import structlog

from livebot.core.market import Timeframe
from livebot.core.series import Floats
from livebot.features.context import members_of
from livebot.features.declaration import Feature, context_features
from livebot.runtime.candles.context_board import ContextBoard, Outside
from livebot.runtime.symbol.context_reader import ContextReader
from livebot.runtime.system_parts import SystemParts
from livebot.runtime.turns import Turns
from livebot.runtime.venue.execution import Execution

HISTORIES_AT_ONCE = 8
HISTORIES_PATIENCE_S = 2.0

_log = structlog.get_logger(__name__)

_EVERYBODY = ("",)  # stands for the universe where it does not matter which symbols it holds

Names = Mapping[str, str]  # from a strategy's name of a feature to the board's


@dataclass(frozen=True, slots=True)
class _Reader:
    """A strategy's names of a board's features, for one symbol."""

    board: ContextBoard
    columns: Mapping[str, Floats]

    def lacking(self, close_ms: int) -> tuple[str, ...]:
        return self.board.lacking(close_ms)

    def settle(self, close_ms: int) -> int:
        return self.board.settle(close_ms)

    def when_complete(self, close_ms: int, call: Callable[[], None]) -> None:
        self.board.when_complete(close_ms, call)


class Contexts:
    """One for the whole system."""

    def __init__(self, parts: SystemParts, execution: Execution) -> None:
        """Make the boards of all strategies of the config; nothing is fetched before `run`."""
        self._always = parts.context_symbols
        groups: dict[tuple[Timeframe, bool], dict[Feature, str]] = {}
        asked: dict[str, tuple[tuple[Timeframe, bool], tuple[Feature, ...]]] = {}
        for name in sorted({name for names in parts.strategies.values() for name in names}):
            timeframe, features = _declared(parts, name)
            if not features:
                continue
            key = (timeframe, _EVERYBODY[0] in members_of(features, _EVERYBODY))
            asked[name] = key, features
            for feature in features:
                known = groups.setdefault(key, {})
                known.setdefault(_unnamed(feature), f"context_{len(known)}")
        turns = Turns(HISTORIES_AT_ONCE, HISTORIES_PATIENCE_S)
        outside = Outside(parts.feed, execution, parts.clock, parts.activity, turns)
        universe = self._universe(parts.strategies)
        boards = {
            key: ContextBoard(
                [replace(feature, name=name) for feature, name in known.items()],
                key[0],
                universe,
                outside,
            )
            for key, known in groups.items()
        }
        self.boards = tuple(boards.values())
        self._read: dict[str, tuple[ContextBoard, Names]] = {
            name: (boards[key], {feature.name: groups[key][_unnamed(feature)] for feature in features})
            for name, (key, features) in asked.items()
        }

    @property
    def symbols(self) -> tuple[str, ...]:
        """Whose candles are wanted here."""
        return tuple(dict.fromkeys(symbol for board in self.boards for symbol in board.symbols))

    def boards_of(self, symbol: str) -> tuple[ContextBoard, ...]:
        """The boards that want a symbol's candles."""
        return tuple(board for board in self.boards if symbol in board.symbols)

    def reader(self, strategy: str, symbol: str) -> ContextReader | None:
        """What a strategy sees there of the other symbols; None if it has no such features."""
        if strategy not in self._read:
            return None
        board, names = self._read[strategy]
        columns = board.columns(symbol)
        return _Reader(board, MappingProxyType({name: columns[of_board] for name, of_board in names.items()}))

    def reads(self, strategy: str) -> bool:
        """Whether a strategy has features that are made of other symbols, and a board for them."""
        return strategy in self._read

    def belong(self, symbols: Iterable[str]) -> None:
        """These belong to the universe whether or not they are run: `follow` comes next."""
        self._always = tuple(symbols)

    def follow(self, symbols: Iterable[str]) -> None:
        """The symbols that are run are these now."""
        universe = self._universe(symbols)
        for board in self.boards:
            board.follow(universe)

    async def until_begun(self) -> None:
        """Return when every symbol of the start has its history."""
        for board in self.boards:
            await board.until_begun()

    async def run(self) -> None:
        """Fetch what the boards ask for, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for board in self.boards:
                tasks.create_task(board.run(), name="context-board")

    def _universe(self, symbols: Iterable[str]) -> Sequence[str]:
        return sorted({*self._always, *symbols})


def _declared(parts: SystemParts, name: str) -> tuple[Timeframe, tuple[Feature, ...]]:
    """On which candles, and which of its features are made of other symbols."""
    try:
        strategy = parts.make_strategy(name)
        if strategy is not None:
            return strategy.timeframe, context_features(strategy.features)
    except Exception as error:  # noqa: BLE001 - a strategy's own code; its workers meet it too, and they alone end
        _log.error("strategy_unreadable", strategy=name, exc_info=error)
    return Timeframe.M1, ()


def _unnamed(feature: Feature) -> Feature:
    return replace(feature, name="context")
