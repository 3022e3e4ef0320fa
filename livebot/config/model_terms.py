"""From the `model` section to the terms that learning, serving and the daemon work under.

Rules of this file: ratios become floats here, days and hours milliseconds; nothing is decided that the section left open.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from livebot.config.model_keeping import RetrainConfig, ServingConfig
from livebot.config.models import ModelConfig
from livebot.core.market import DAY_MS
from livebot.learning.champion import Floor, Undecided
from livebot.learning.drift import DriftTerms
from livebot.learning.due import RetrainTerms
from livebot.learning.history_needs import HistoryTerms
from livebot.learning.judging import ServingTerms, Untrained
from livebot.learning.spec import (
    ClusterBasis,
    EstimatorSpec,
    HybridForm,
    SymbolEncoding,
    TrainingMode,
    TrainingSpec,
)
from livebot.runtime.settings import ConfidenceSettings, OnDeadline

_HOUR_MS = DAY_MS // 24


def judged_strategies(section: ModelConfig | None, ids: Sequence[str]) -> tuple[str, ...]:
    """The ids of the strategies whose entries are judged, in the order of the config."""
    if section is None:
        return ()
    return tuple(name for name in ids if section.strategies is None or name in section.strategies)


def training_symbols(section: ModelConfig, symbols: Sequence[str]) -> tuple[str, ...]:
    """The symbols to train on, of those that a strategy runs on: chosen ones that it does not run on are trained on too."""
    if section.training_mode == TrainingMode.SINGLE_SYMBOL.value:
        one = section.single_symbol or next(iter(symbols), None)
        return () if one is None else (one,)
    return section.multi_symbol_symbols or tuple(symbols)


def training_spec(
    section: ModelConfig,
    symbols: Sequence[str],
    turnover: Mapping[str, float] | None = None,
    seed: int | None = None,
) -> TrainingSpec:
    """What is trained of a strategy that runs on `symbols`; `turnover` by symbol is for clusters by liquidity."""
    clusters = section.clusters
    return TrainingSpec(
        mode=TrainingMode(section.training_mode),
        encoding=SymbolEncoding(section.symbol_encoding),
        estimator=EstimatorSpec(name=section.estimator.name, params=plain_numbers(section.estimator.params)),
        symbols=training_symbols(section, symbols) or None,
        hybrid=HybridForm(section.hybrid.form),
        cluster_basis=ClusterBasis(clusters.by),
        cluster_count=clusters.count,
        sectors={symbol: name for name, members in clusters.sectors.items() for symbol in members},
        turnover=dict(turnover or {}),
        fallback_to_shared=section.fallback_to_shared,
        minimum_events=section.minimum_events,
        calibration_share=float(section.calibration_share),
        seed=section.seed if seed is None else seed,
    )


def plain_numbers(params: Mapping[str, object]) -> dict[str, object]:
    """What a library is given: floats where the file had decimals, deep in lists and mappings too."""
    return {key: _plain(value) for key, value in params.items()}


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return plain_numbers(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def own_packages(section: ModelConfig) -> tuple[str, ...]:
    """The top packages of an estimator of the operator's own, which a model's file may name."""
    module, colon, _ = section.estimator.name.partition(":")
    return (module.partition(".")[0],) if colon else ()


def history_terms(section: ModelConfig) -> HistoryTerms:
    """How much of a symbol's past it takes."""
    history = section.history
    return HistoryTerms(
        minimum_days=history.minimum_days, target_days=history.target_days, coverage=float(history.coverage)
    )


# Serving


def serving_terms(section: ModelConfig) -> ServingTerms:
    """How models are used."""
    serving = section.serving
    return ServingTerms(
        untrained=Untrained(serving.untrained),
        expiration_ms=_hours(serving.expiration_hours),
        out_of_distribution=_float(serving.out_of_distribution),
        threshold=_float(section.threshold),
    )


def confidence_settings(section: ServingConfig) -> ConfidenceSettings:
    """How models are asked."""
    hang_s = float(section.hang_seconds)
    if "hang_seconds" not in section.model_fields_set:
        hang_s = max(hang_s, 2 * section.deadline_ms / 1000)  # who is late is not given up
    return ConfidenceSettings(
        coalesce_s=section.coalesce_ms / 1000,
        deadline_s=section.deadline_ms / 1000,
        on_deadline=OnDeadline(section.on_deadline),
        hang_s=hang_s,
        shadow_batches=section.shadow_batches,
    )


# Keeping


def retrain_terms(section: RetrainConfig) -> RetrainTerms:
    """When to train."""
    return RetrainTerms(
        every_ms=_hours(section.every_hours),
        new_symbols=section.new_symbols,
        on_drift=section.on_drift,
        pause_ms=int(section.pause_hours * _HOUR_MS),
    )


def floor_of(section: RetrainConfig) -> Floor:
    """What a challenger has to show."""
    return Floor(
        minimum_trades=section.minimum_trades,
        minimum_gain=float(section.minimum_gain),
        certainty=float(section.certainty),
        undecided=Undecided(section.undecided),
        undecided_margin=float(section.undecided_margin),
        maximum_loss_rise=float(section.maximum_loss_rise),
        symbol_floor=_float(section.symbol_floor),
    )


def drift_terms(section: ModelConfig) -> DriftTerms | None:
    """When a model counts as worn out; None: nobody watches."""
    drift = section.drift
    if not drift.enabled:
        return None
    return DriftTerms(
        trades=drift.trades,
        minimum_trades=drift.minimum_trades,
        stability=float(drift.stability),
        cusum=float(drift.cusum),
        hit_rate_fall=float(drift.hit_rate_fall),
        calibration_error=float(drift.calibration_error),
        symbols=drift.symbols,
    )


def _hours(hours: Decimal | None) -> int | None:
    return None if hours is None else int(hours * _HOUR_MS)


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
