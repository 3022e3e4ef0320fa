"""The `risk.clusters` section: which symbols count together for `risk.limits.open_signals_per_cluster`.

Rules of this file: a symbol is in one cluster at most; who is in none that is named, or of whom too little is known, is a
cluster of its own; numbers of which nothing could be worked out are refused.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from livebot.config.problems import Mismatch, Place, did_you_mean
from livebot.config.section import Section
from livebot.config.values import NAME, Number, Ratio, SymbolText, filled
from livebot.core.clusters import CorrelationRule
from livebot.core.market import Timeframe

_HOUR_MS = 3_600_000
_MOST_CANDLES = 5_000  # of each symbol they are fetched and held for a moment
_FEWEST_CANDLES = 30  # of fewer returns a correlation is mostly chance (its standard error is 0.18 and more)
_MOST_HOURS = 8_760

_Candles = Annotated[
    int,
    BeforeValidator(Number(what="a whole number", at_least=_FEWEST_CANDLES, at_most=_MOST_CANDLES, whole=True)),
]
_WholeHours = Annotated[int, BeforeValidator(Number(what="whole hours", at_least=1, at_most=_MOST_HOURS, whole=True))]
_Requests = Annotated[Decimal, BeforeValidator(Number(what="requests a second", above=0, at_most=50))]
_Symbols = Annotated[tuple[SymbolText, ...], BeforeValidator(filled)]


class CorrelationConfig(Section):
    """Clusters by the last `candles` returns of `timeframe`, joined while they correlate by `threshold` on average.

    A symbol (or a pair) with fewer than `minimum_candles` returns is not compared.  All of it is worked out anew at each
    UTC multiple of `every_hours`, from candles that are asked for at no more than `requests_per_second`.
    """

    timeframe: Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"] = "1h"
    candles: _Candles = 720
    minimum_candles: _Candles = 200
    threshold: Ratio = Decimal("0.6")
    every_hours: _WholeHours = 24
    requests_per_second: _Requests = Decimal(4)

    @model_validator(mode="after")
    def _can_be_worked_out(self) -> Self:
        found = []
        if self.minimum_candles > self.candles:
            text = f"{self.minimum_candles} is above candles ({self.candles}), so every symbol would be alone; lower it"
            found.append(("minimum_candles", text))
        if self.every_hours * _HOUR_MS % Timeframe(self.timeframe).ms:
            text = f"{self.every_hours} is no multiple of the timeframe ({self.timeframe}); its candles close at others"
            found.append(("every_hours", text))
        if found:
            raise Mismatch(*found)
        return self


class ClustersConfig(Section):
    """Either `named`, a list of symbols under the name of each cluster, or `correlation`."""

    named: dict[str, _Symbols] | None = Field(default=None, min_length=1)
    correlation: CorrelationConfig | None = None

    @model_validator(mode="after")
    def _one_kind_and_each_symbol_once(self) -> Self:
        if (self.named is None) == (self.correlation is None):
            raise ValueError("needs either named (a list of symbols for each cluster) or correlation")
        found, homes = [], dict[str, str]()
        for name, symbols in (self.named or {}).items():
            try:
                NAME(name)
            except ValueError as error:
                found.append((f"named.{name}", f"the name of a cluster {error}"))
            for symbol in symbols:
                if symbol in homes:
                    where = "stands here twice" if homes[symbol] == name else f"is in {homes[symbol]} already"
                    found.append((f"named.{name}", f"{symbol} {where}; keep it in one"))
                homes.setdefault(symbol, name)
        if found:
            raise Mismatch(*found)
        return self


def named_clusters(section: ClustersConfig | None) -> Mapping[str, str]:
    """The cluster of each symbol that the config names."""
    named = {} if section is None or section.named is None else section.named
    return {symbol: name for name, symbols in named.items() for symbol in symbols}


def correlation_rule(section: ClustersConfig | None) -> CorrelationRule | None:
    """How clusters are worked out; None if they are not."""
    if section is None or section.correlation is None:
        return None
    rule = section.correlation
    return CorrelationRule(
        timeframe=Timeframe(rule.timeframe),
        candles=rule.candles,
        minimum_candles=rule.minimum_candles,
        threshold=float(rule.threshold),
        every_ms=rule.every_hours * _HOUR_MS,
    )


def cluster_terms(section: ClustersConfig | None) -> CorrelationRule | Mapping[str, str] | None:
    """How clusters are worked out, or the cluster of each symbol that is named in one; None: there are none."""
    return None if section is None else correlation_rule(section) or named_clusters(section)


def told_of(section: ClustersConfig | None) -> tuple[str, ...]:
    """Which symbols count together, in sentences."""
    if section is None:
        return ()
    if section.named is not None:
        return tuple(f"risk.clusters: {name} is {', '.join(symbols)}" for name, symbols in section.named.items())
    rule = section.correlation
    assert rule is not None  # it is one or the other
    text = (
        f"risk.clusters: symbols whose last {rule.candles} {rule.timeframe} returns correlate by {rule.threshold} on average "
        f"count together; that is worked out every {rule.every_hours} h"
    )
    return (text,)


def unknown_symbols(data: Mapping[str, object], symbols: Sequence[str]) -> list[tuple[Place, str]]:
    """Symbols in named clusters that are not among those of the config, as (place, sentence)."""
    risk = data.get("risk")
    clusters = risk.get("clusters") if isinstance(risk, Mapping) else None
    named = clusters.get("named") if isinstance(clusters, Mapping) else None
    return [
        (
            ("risk", "clusters", "named", name, position),
            f"{symbol} is not among the symbols{did_you_mean(symbol, symbols)}; add it there, or take it out",
        )
        for name, members in (named.items() if isinstance(named, Mapping) else ())
        for position, symbol in enumerate(members if isinstance(members, list) else ())
        if isinstance(symbol, str) and symbol not in symbols
    ]
