"""What an operator is told of the models in use, from what a look at them found: sentences and nothing else.

Rules of this file: a sentence names the scope, the version and the symbols it is about, says what comes of it there and nowhere
else, and what to do; what the config asked for is no problem.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from livebot.config.load import LoadedConfig
from livebot.config.model_terms import serving_terms, training_symbols
from livebot.config.models import ModelConfig
from livebot.config.strategies import StrategyPlan
from livebot.learning.judging import Untrained
from livebot.learning.scopes import by_symbol, scope_of
from livebot.learning.serving import ScopeStatus

NAMED = 5  # symbols in a sentence
TOLD = 3  # problems in a sentence
SAMPLE = "BTC/USDT"  # to show what a scope is called


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyWords:
    """What sentences about one strategy depend on: what its `scopes` are called, and the config's word on them.

    `trained` are the only symbols that training looks at (empty: any); `if_due`: it also trains for those that wait.
    """

    strategy: str
    scopes: str
    by_symbol: bool
    untrained: Untrained
    expiration_hours: str
    trained: tuple[str, ...]
    mode: str
    if_due: bool

    def problems(self, found: Sequence[ScopeStatus]) -> dict[str, str | None]:
        """By source, what is wrong with the models of the strategy; None: nothing."""
        texts = [*self._missing(found), *(text for each in found for text in each.problems)]
        return {
            f"model:{self.strategy}": few(texts, TOLD, "; ") or None,
            f"model-stale:{self.strategy}": self._stale([each for each in found if each.stale]),
            f"model-uncovered:{self.strategy}": self._uncovered(found),
        }

    def _missing(self, found: Sequence[ScopeStatus]) -> Iterator[str]:
        if any(each.version is not None for each in found):
            return
        passes = self.untrained is Untrained.PASS and not any(each.unusable for each in found)
        what = "its entries pass without one" if passes else f"{self.strategy} opens nothing"
        yield f"{self.strategy}: no model is in use in {self.scopes}, so {what}; `livebot train` makes one"

    def _stale(self, found: Sequence[ScopeStatus]) -> str | None:
        if not found:
            return None
        told = few([f"{each.scope}/{each.version} (until {_moment(each.train_end_ms)})" for each in found], TOLD, ", ")
        where = "; ".join(dict.fromkeys(self._where(each, found) for each in found))
        return (
            f"{self.strategy}: what {told} was trained on ended longer ago than model.serving.expiration_hours "
            f"({self.expiration_hours}) allows, so {self.strategy} opens nothing{where}; `livebot train` makes a new version"
        )

    def _where(self, each: ScopeStatus, found: Sequence[ScopeStatus]) -> str:
        if each.symbols_own:
            own = dict.fromkeys(symbol for other in found if other.symbols_own for symbol in other.covered)
            return f" at {few(tuple(own), NAMED, ', ')}"
        if self.by_symbol:
            return " at symbols without a model of their own"
        return " at the symbols it was trained on" if self.untrained is Untrained.PASS else ""

    def _uncovered(self, found: Sequence[ScopeStatus]) -> str | None:
        symbols = sorted({symbol for each in found for symbol in each.blocked})
        if not symbols:
            return None
        lacks = " and no shared one may answer for them" if self.untrained is Untrained.FALLBACK else ""
        return (
            f"{self.strategy}: no model in use was trained on {few(symbols, NAMED, ', ')}{lacks}, so {self.strategy} opens "
            f"nothing there; {self._mend(symbols)}"
        )

    def _mend(self, symbols: Sequence[str]) -> str:
        never = [symbol for symbol in symbols if self.trained and symbol not in self.trained]
        if never:
            return (
                f"training (model.training_mode: {self.mode}) looks at {few(self.trained, NAMED, ', ')} only: have it look at "
                f"{few(never, NAMED, ', ')} too, or choose another model.serving.untrained"
            )
        if self.if_due:
            return "they wait for `livebot train --if-due`, and trade as soon as a version covers them"
        return "`livebot train` covers them (model.retrain.new_symbols is false, so --if-due does not wait for them)"


def words_of(loaded: LoadedConfig, section: ModelConfig, plan: StrategyPlan) -> StrategyWords:
    """What there is to say of a strategy that is judged."""
    pattern, expires = section.model_path_pattern, section.serving.expiration_hours
    symbols = tuple(symbol for symbol in loaded.config.symbols if plan.runs_on(symbol))
    restricted = section.training_mode == "single_symbol" or bool(section.multi_symbol_symbols)
    return StrategyWords(
        strategy=plan.id,
        scopes=f"a scope such as {scope_of(pattern, plan.id, SAMPLE)}"
        if by_symbol(pattern)
        else scope_of(pattern, plan.id),
        by_symbol=by_symbol(pattern),
        untrained=serving_terms(section).untrained,
        expiration_hours=f"{expires}",
        trained=training_symbols(section, symbols) if restricted else (),
        mode=section.training_mode,
        if_due=section.retrain.new_symbols,
    )


def few(texts: Sequence[str], most: int, between: str) -> str:
    """At most so many of them, and how many more there are."""
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return between.join(texts[:most]) + more


def _moment(at_ms: int | None) -> str:
    return "nobody knows when" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
