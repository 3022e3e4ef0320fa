"""The `model` section: what is trained of which symbols, how the daemon asks it, when it is trained anew.

Rules of this file: without the section there is no model at all; every key says what it is; a key that would mean nothing
beside another one is refused, so that nobody believes in a setting that does nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from livebot.config.model_keeping import DriftConfig, RetrainConfig, ServingConfig
from livebot.config.problems import Mismatch, Place, did_you_mean, shown
from livebot.config.section import Section
from livebot.config.values import NAME, Count, Flag, Number, Ratio, Seed, SymbolText, Text, filled
from livebot.errors import BadInput
from livebot.learning.scopes import DEFAULT_PATTERN, by_symbol, check_pattern

SHIPPED_ESTIMATORS = ("logistic_regression", "hist_gradient_boosting", "lightgbm")

_CLASS_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*")
_MOST_DAYS = 3_650

_Days = Annotated[int, BeforeValidator(Number(what="whole days", at_least=1, at_most=_MOST_DAYS, whole=True))]
_Share = Annotated[
    Decimal,
    BeforeValidator(
        Number(what="a ratio", example="0.2 is the last fifth", at_least=Decimal("0.05"), at_most=Decimal("0.5"))
    ),
]
_Coverage = Annotated[Decimal, BeforeValidator(Number(what="a ratio", example="0.95 is 95 %", above=0, at_most=1))]
_Clusters = Annotated[int, BeforeValidator(Number(what="a whole number", at_least=2, at_most=50, whole=True))]
_Symbols = Annotated[tuple[SymbolText, ...], BeforeValidator(filled)]


def _estimator(value: object) -> str:
    if isinstance(value, str) and (value in SHIPPED_ESTIMATORS or _CLASS_PATH.fullmatch(value)):
        return value
    near = did_you_mean(value, SHIPPED_ESTIMATORS) if isinstance(value, str) else ""
    raise ValueError(
        f"must be {', '.join(SHIPPED_ESTIMATORS)} or package.module:Class of a scikit-learn classifier, is {shown(value)}{near}"
    )


def _pattern(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a folder below models/ such as {{strategy}}, is {shown(value)}")  # noqa: TRY004
    try:
        return check_pattern(value)
    except BadInput as error:
        raise ValueError(str(error).removeprefix(f"model_path_pattern {value!r}: ")) from None


class EstimatorConfig(Section):
    """What is fitted: a shipped one by name, or any scikit-learn classifier with predict_proba by its class path."""

    name: Annotated[str, BeforeValidator(_estimator)] = Field(
        default="logistic_regression",
        description="logistic_regression, hist_gradient_boosting, lightgbm or a class path",
    )
    params: dict[str, Any] = Field(default_factory=dict, description="what its constructor is given")


class HybridConfig(Section):
    """How a symbol differs from what all symbols share, in training_mode: hybrid."""

    form: Literal["partial_pooling", "shrunk_calibration"] = Field(
        default="partial_pooling",
        description="partial_pooling: weights of its own, drawn towards the shared ones; shrunk_calibration: only its "
        "calibration is its own",
    )


class ModelClustersConfig(Section):
    """Which symbols share a model in training_mode: clustered; measured in the training window only."""

    by: Literal["sector", "liquidity", "volatility"] = Field(
        default="volatility", description="what makes symbols alike"
    )
    count: _Clusters = Field(default=3, description="how many clusters, by liquidity or volatility")
    sectors: dict[str, _Symbols] = Field(
        default_factory=dict, description="a list of symbols under the name of each sector, for by: sector"
    )

    @model_validator(mode="after")
    def _goes_by_what_is_there(self) -> Self:
        found = list(_sector_problems(self.sectors))
        if self.by == "sector" and not self.sectors:
            found.append(("sectors", "is empty, and by: sector goes by it; name at least one"))
        if self.by == "sector" and "count" in self.model_fields_set:
            found.append(("count", "means nothing for by: sector; take it out"))
        if self.by != "sector" and self.sectors:
            found.append(("sectors", f"means nothing for by: {self.by}; take it out or write by: sector"))
        if found:
            raise Mismatch(*found)
        return self


def _sector_problems(sectors: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    homes: dict[str, str] = {}
    for name, symbols in sectors.items():
        try:
            NAME(name)
        except ValueError as error:
            yield f"sectors.{name}", f"the name of a sector {error}"
        for symbol in symbols:
            if symbol in homes:
                where = "stands here twice" if homes[symbol] == name else f"is in {homes[symbol]} already"
                yield f"sectors.{name}", f"{symbol} {where}; keep it in one"
            homes.setdefault(symbol, name)


class ModelHistoryConfig(Section):
    """How much of a symbol's past it takes to be trained on, and how far back training looks."""

    minimum_days: _Days = Field(default=90, description="a symbol with fewer days of candles is not trained on")
    target_days: _Days = Field(default=730, description="how many days back training looks")
    coverage: _Coverage = Field(
        default=Decimal("0.95"), description="the share of candles of those days that must be there"
    )

    @model_validator(mode="after")
    def _minimum_is_below_target(self) -> Self:
        if self.minimum_days > self.target_days:
            text = f"{self.minimum_days} is above target_days ({self.target_days}), so no symbol would do; lower it"
            raise Mismatch(("minimum_days", text))
        return self


class ModelConfig(Section):
    """A model that says of each entry how likely it is to win.  Without this section there is none.

    A version of it lies in models/<scope>/<version>/, where the scope is `model_path_pattern` filled in.
    """

    training_mode: Literal["single_symbol", "multi_symbol", "per_symbol", "clustered", "hybrid"] = Field(
        default="single_symbol", description="which symbols share a model"
    )
    symbol_encoding: Literal["none", "one_hot", "index", "embedding"] = Field(
        default="one_hot", description="how a model of many symbols is told which one it is asked about"
    )
    multi_symbol_symbols: tuple[SymbolText, ...] = Field(
        default=(), description="the symbols to train on; empty: all of the system"
    )
    single_symbol: SymbolText | None = Field(
        default=None, description="the symbol that training_mode: single_symbol trains on; null: the first"
    )
    model_path_pattern: Annotated[str, BeforeValidator(_pattern)] = Field(
        default=DEFAULT_PATTERN, description="the folder below models/; {strategy} and {symbol} are filled in"
    )
    fallback_to_shared: Flag = Field(
        default=True, description="per_symbol: a symbol with too few events is answered for by a model of all symbols"
    )
    enabled: Flag = Field(
        default=True, description="whether the daemon asks models; false: only training reads this section"
    )
    strategies: tuple[Text, ...] | None = Field(
        default=None, description="whose entries are judged: all, or a list of the ids of strategies"
    )
    features: Literal["own", "market"] = Field(
        default="own", description="own: of the symbol's own candles; market: those, and what the other symbols do"
    )
    estimator: EstimatorConfig = EstimatorConfig()
    hybrid: HybridConfig = HybridConfig()
    clusters: ModelClustersConfig = ModelClustersConfig()
    symbol_balance: Literal["none", "equal", "square_root"] = Field(
        default="none", description="how much symbols with many events count against those with few"
    )
    history: ModelHistoryConfig = ModelHistoryConfig()
    calibration_share: _Share = Field(
        default=Decimal("0.2"),
        description="the last share of the training time, which calibrates and sets the threshold",
    )
    minimum_events: Count = Field(
        default=50, description="a symbol with fewer events has no model of its own, and below it nothing is trained"
    )
    threshold: Ratio | None = Field(
        default=None, description="the least confidence with which an entry is taken; null: the one training found"
    )
    seed: Seed = Field(default=1, description="the same seed, data and config give the same model")
    format: Literal["joblib", "skops"] = Field(default="joblib", description="how a version is stored: joblib or skops")
    serving: ServingConfig = ServingConfig()
    retrain: RetrainConfig = RetrainConfig()
    drift: DriftConfig = DriftConfig()

    @field_validator("strategies", mode="before")
    @classmethod
    def _all_or_a_list(cls, value: object) -> object:
        if value == "all":
            return None
        if not isinstance(value, list) or not value:
            raise ValueError(
                f"must be all or a list of ids of strategies, is {shown(value) if value != [] else 'empty'}"
            )
        return value

    @model_validator(mode="after")
    def _every_key_means_something(self) -> Self:
        found = [*_unused(self), *_unservable(self)]
        if found:
            raise Mismatch(*found)
        return self


def _unused(section: ModelConfig) -> Iterator[tuple[str, str]]:
    """Keys that were written and that the training mode does not look at, as (key, sentence)."""
    mode, given = section.training_mode, section.model_fields_set
    uses = {
        "single_symbol": mode == "single_symbol",
        "hybrid": mode == "hybrid",
        "clusters": mode == "clustered",
    }
    for key, used in uses.items():
        if key in given and not used and getattr(section, key) is not None:
            yield key, f"means nothing for training_mode: {mode}; take it out or choose another mode"
    symbols = section.multi_symbol_symbols
    for position, symbol in enumerate(symbols):
        if symbol in symbols[:position]:
            yield "multi_symbol_symbols", f"{symbol} stands here twice; keep one"


def _unservable(section: ModelConfig) -> Iterator[tuple[str, str]]:
    """What no daemon could be served with."""
    if by_symbol(section.model_path_pattern) and section.training_mode not in ("per_symbol", "single_symbol"):
        text = f"{{symbol}} gives each symbol a model of its own, and training_mode is {section.training_mode}; take it out"
        yield "model_path_pattern", text
    if (
        section.serving.untrained == "fallback"
        and section.training_mode == "per_symbol"
        and not section.fallback_to_shared
    ):
        yield "serving.untrained", "fallback asks a shared model, and fallback_to_shared is false; set that to true"


def model_problems(
    data: Mapping[str, object], ids: Sequence[str], symbols: Sequence[str] | None
) -> list[tuple[Place, str]]:
    """What of `model` does not fit the strategies and the symbols (None: a universe finds them), as (place, sentence)."""
    section = data.get("model")
    if not isinstance(section, Mapping):
        return []
    found = list(_unknown_strategies(section, ids))
    if symbols is not None:
        found += _unknown_symbols(section, symbols)
    found += _lonely(data, section, symbols)
    return found


def _lonely(
    data: Mapping[str, object], section: Mapping[str, object], symbols: Sequence[str] | None
) -> Iterator[tuple[Place, str]]:
    """What the other symbols do cannot be seen where there is one: every entry would lack those features."""
    universe = data.get("universe")
    top = universe.get("top") if isinstance(universe, Mapping) else None
    alone = (symbols is not None and len(set(symbols)) == 1) or (symbols is None and isinstance(top, int) and top == 1)
    if section.get("features") == "market" and alone:
        more = "list more under symbols" if symbols is not None else "raise universe.top"
        yield (
            ("model", "features"),
            f"market looks at what the other symbols do, and there is only one: write own, or {more}",
        )


def _unknown_strategies(section: Mapping[str, object], ids: Sequence[str]) -> Iterator[tuple[Place, str]]:
    chosen = section.get("strategies")
    for position, name in enumerate(chosen if isinstance(chosen, list) else ()):
        if isinstance(name, str) and name not in ids:
            yield ("model", "strategies", position), f"no strategy has the id {name}{did_you_mean(name, ids)}"


def _unknown_symbols(section: Mapping[str, object], symbols: Sequence[str]) -> Iterator[tuple[Place, str]]:
    clusters = section.get("clusters")
    sectors = clusters.get("sectors") if isinstance(clusters, Mapping) else None
    places: list[tuple[Place, object]] = [(("model", "single_symbol"), section.get("single_symbol"))]
    lists: list[tuple[Place, object]] = [(("model", "multi_symbol_symbols"), section.get("multi_symbol_symbols"))]
    if isinstance(sectors, Mapping):
        lists += [(("model", "clusters", "sectors", str(name)), members) for name, members in sectors.items()]
    for place, members in lists:
        places += [
            ((*place, position), each) for position, each in enumerate(members if isinstance(members, list) else ())
        ]
    for place, symbol in places:
        if isinstance(symbol, str) and symbol not in symbols:
            yield (
                place,
                f"{symbol} is not among the symbols{did_you_mean(symbol, symbols)}; add it there, or take it out",
            )
