"""Strategies and symbols held against each other and against the code: what imports, what fits, who needs whom."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from types import NoneType
from typing import Any, get_args, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from livebot.adapters.state_files.signal_names import folder_name
from livebot.config.model import StrategyConfig
from livebot.config.problems import Place, Problem, shown
from livebot.config.wording import Wording
from livebot.errors import LivebotError
from livebot.markets.perpetual import Perpetual
from livebot.markets.spot import Spot
from livebot.strategies import registry
from livebot.strategies.interface import Strategy, check_strategy, looks_at

_CHECK_SYMBOL: Mapping[str, Callable[[str], str | None]] = {
    market.name: market.check_symbol for market in (Spot(), Perpetual())
}
_NUMBERS = {int, float, Decimal}


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyPlan:
    """A strategy that was found to work: its id (the folder under signals/), its class, its params and its symbols.

    `everywhere`: it runs on whatever the universe holds, and `symbols` are only those that are always in it.
    """

    id: str
    strategy_class: type[Strategy[Any]]
    params: object
    symbols: tuple[str, ...]
    everywhere: bool = False

    def runs_on(self, symbol: str) -> bool:
        """Whether it runs there."""
        return self.everywhere or symbol in self.symbols

    def make(self) -> Strategy[Any]:
        """A new instance; every (strategy, symbol) has its own."""
        return self.strategy_class(self.params)


def check_symbols(symbols: Sequence[object], market: object, wording: Wording, where: Place) -> list[Problem]:
    """Symbols at `where` written twice, or of a form that is not the market's; what is no text has been told elsewhere."""
    check = _CHECK_SYMBOL.get(market) if isinstance(market, str) else None
    found = []
    seen = set()
    for position, symbol in enumerate(symbols):
        if not isinstance(symbol, str):
            continue
        place: Place = (*where, position)
        if symbol in seen:
            found.append(wording.at(place, f"{symbol} stands here twice; keep one"))
        elif check is not None and (text := check(symbol)) is not None:
            found.append(wording.at(place, text))
        seen.add(symbol)
    return found


class Planner:
    """Makes a plan of each strategy and collects what is wrong."""

    def __init__(self, symbols: Sequence[str], wording: Wording, universe_of: object = None) -> None:
        """`symbols` are all there are; with `universe_of` (a market), only those that are always in."""
        self._symbols = tuple(symbols)
        self._universe_of = universe_of
        self._wording = wording
        self._ids: dict[str, int] = {}
        self.plans: list[StrategyPlan] = []
        self.problems: list[Problem] = []

    def add(self, position: int, config: StrategyConfig) -> None:
        """Load one strategy, try it, and keep a plan of it if it works."""
        place: Place = ("strategies", position)
        self._check_symbols(place, config)
        try:
            self._plan(place, config)
        except LivebotError as error:
            self._say((*place, "name" if config.name else "class"), str(error))
        except Exception as error:  # noqa: BLE001  a user's strategy may raise anything, here it only stops this config
            self._say(place, f"cannot be used: {type(error).__name__}: {error}")

    def _plan(self, place: Place, config: StrategyConfig) -> None:
        strategy_class = registry.load(config.source)
        identity = folder_name(config.id or strategy_class.name)
        self._check_id(place, identity)
        params = self._params(strategy_class.Params, config.params, (*place, "params"))
        if params is None:
            return
        plan = StrategyPlan(
            id=identity,
            strategy_class=strategy_class,
            params=params,
            symbols=self._symbols if config.symbols is None else config.symbols,
            everywhere=self._universe_of is not None and config.symbols is None,
        )
        self._check_declarations(place, plan)
        self.plans.append(plan)

    def _check_symbols(self, place: Place, config: StrategyConfig) -> None:
        if self._universe_of is not None:
            self.problems += check_symbols(config.symbols or (), self._universe_of, self._wording, (*place, "symbols"))
            return
        seen = set()
        for position, symbol in enumerate(config.symbols or ()):
            here: Place = (*place, "symbols", position)
            if symbol in seen:
                self._say(here, f"{symbol} stands here twice; keep one")
            elif symbol not in self._symbols:
                self._say(here, f"{symbol} is not under symbols{self._mend_of(symbol)}")
            seen.add(symbol)

    def _mend_of(self, symbol: str) -> str:
        base = symbol.partition("/")[0]
        alike = [known for known in self._symbols if known.partition("/")[0] == base]
        return f"; did you mean {alike[0]}?" if alike else "; add it there or take it out here"

    def _check_id(self, place: Place, identity: str) -> None:
        position = int(place[-1])
        first = self._ids.setdefault(identity, position)
        if first != position:
            self._say(place, f"has the id {identity}, as strategies[{first}] has; give one of them an id of its own")

    def _params(self, params_class: type[Any], given: Mapping[str, object], place: Place) -> object | None:
        """The typed params, or None if they do not fit."""
        unfit = self._unfit_numbers(params_class, given, place)
        self.problems += unfit
        # a model around the dataclass, so that it too refuses keys it does not know
        model = create_model("Params", __config__=ConfigDict(extra="forbid"), params=(params_class, ...))
        try:
            checked = model.model_validate({"params": dict(given)})
        except ValidationError as error:
            told = {problem.key for problem in unfit}
            names = [field.name for field in fields(params_class)]
            found = self._wording.problems(error, place[:-1], names)
            self.problems += [problem for problem in found if problem.key not in told]
            return None
        return None if unfit else vars(checked)["params"]

    def _unfit_numbers(self, params_class: type[Any], given: Mapping[str, object], place: Place) -> list[Problem]:
        """Flags and quoted digits where a number belongs; pydantic would take them for numbers."""
        found = []
        for name, hint in get_type_hints(params_class).items():
            kinds = set(get_args(hint) or (hint,)) - {NoneType}
            value = given.get(name)
            if isinstance(value, bool | str) and kinds <= _NUMBERS:
                found.append(self._wording.at((*place, name), f"must be a number, is {shown(value)}"))
        return found

    def _check_declarations(self, place: Place, plan: StrategyPlan) -> None:
        strategy = plan.make()
        complaints = check_strategy(strategy)
        for text in complaints:
            self._say(place, f"{plan.id}: {text}")
        for other in () if complaints else looks_at(strategy):
            if other not in self._symbols:
                where = "symbols" if self._universe_of is None else "universe.always"
                self._say(place, f"{plan.id} looks at {other}, which is not under {where}; add it there")

    def _say(self, place: Place, text: str) -> None:
        self.problems.append(self._wording.at(place, text))
