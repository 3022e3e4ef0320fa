"""How the models of a config do, from its ledger, and from what they would say of the candles since they were trained.

Rules of this file: nothing is written; a model that cannot be loaded, or candles that cannot be used, are told and leave the
rest as it is.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.bootstrap.loading import load
from livebot.bootstrap.model_rows import plan_until, rows_since
from livebot.bootstrap.training import registry_of
from livebot.config.load import LoadedConfig
from livebot.config.model_terms import drift_terms, judged_strategies
from livebot.config.models import ModelConfig
from livebot.config.root import Paths, resolve
from livebot.core.market import Side
from livebot.errors import BadInput, LivebotError
from livebot.learning.dataset import Dataset
from livebot.learning.drift import DriftTerms
from livebot.learning.drift_watch import DriftWatch, ModelStanding, of_models
from livebot.learning.loaded import LoadedModel
from livebot.learning.manifest import Manifest
from livebot.learning.registry import Registry
from livebot.learning.scopes import by_symbol, pattern_of_scopes, scope_of
from livebot.learning.training_run import Tell
from livebot.model_ports import Judgement, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRequest:
    """`candles` is a folder of candle files or a store (None: the config's); `without_candles`: only the ledger is looked at."""

    now_ms: int
    candles: Path | None = None
    without_candles: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """The standing of each model in use, and sentences on what could not be looked at."""

    terms: DriftTerms
    standings: tuple[ModelStanding, ...]
    notes: tuple[str, ...] = ()


def drift(config_path: Path, root: Path | None, request: DriftRequest, tell: Tell) -> DriftReport:
    """How the models in use do.

    Raises:
        ConfigErrors, BadInput: the config has no model section, or its `drift` is switched off.

    """
    loaded = load(config_path)
    section = loaded.config.model
    if section is None:
        raise BadInput(f"{config_path}: has no model section, so there is no model that could wear out")
    terms = drift_terms(section)
    if terms is None:
        raise BadInput("model.drift.enabled is false, so nobody watches; set it to true")
    paths = resolve(loaded.config, config_path, root, os.environ)
    registry = registry_of(section, paths, os.environ)
    notes: list[str] = []
    models = {each.name: each for each in _models(loaded, section, registry, notes)}
    watch = DriftWatch(terms, lambda name: _manifest(models, name))
    _hear_ledger(watch, models, paths, notes)
    if models and not request.without_candles:
        _see_candles(_Recent(loaded, section, paths, request, tell), watch, tuple(models.values()), notes)
    found = tuple(each for each in watch.standings() if each.model in models)
    quiet = [name for name in models if name not in {each.model for each in found}]
    notes += [f"model {name}: no trade and no candle speaks of it yet" for name in quiet]
    return DriftReport(terms=terms, standings=found, notes=tuple(notes))


@dataclass(frozen=True, slots=True)
class _Recent:
    """What is needed to look at candles."""

    loaded: LoadedConfig
    section: ModelConfig
    paths: Paths
    request: DriftRequest
    tell: Tell


def _manifest(models: dict[str, LoadedModel], name: str) -> Manifest | None:
    model = models.get(name)
    return None if model is None else model.manifest


def _models(loaded: LoadedConfig, section: ModelConfig, registry: Registry, notes: list[str]) -> Iterator[LoadedModel]:
    pattern = section.model_path_pattern
    for strategy in judged_strategies(section, [plan.id for plan in loaded.strategies]):
        for scope in _scopes(registry, pattern, strategy):
            try:
                version = registry.current(scope)
                if version is not None:
                    yield registry.load(scope, version)
            except BadInput as error:
                notes.append(str(error))


def _scopes(registry: Registry, pattern: str, strategy: str) -> tuple[str, ...]:
    if not by_symbol(pattern):
        return (scope_of(pattern, strategy),)
    like = pattern_of_scopes(pattern, strategy)
    return tuple(scope for scope in registry.scopes() if like.fullmatch(scope))


def _hear_ledger(watch: DriftWatch, models: Collection[str], paths: Paths, notes: list[str]) -> None:
    if not paths.ledger.is_file():
        notes.append(f"there is no ledger at {paths.ledger}, so no trade is known")
        return
    with LedgerReader(paths.ledger) as reader:
        watch.hear(of_models(models, reader.outcomes()))


# Candles


def _see_candles(recent: _Recent, watch: DriftWatch, models: Sequence[LoadedModel], notes: list[str]) -> None:
    """What each model would say of the entries since its training ended."""
    try:
        plan = plan_until(recent.loaded, recent.paths, recent.request.candles, recent.request.now_ms)
    except LivebotError as error:
        notes.append(f"candles were not looked at: {error}")
        return
    for model in models:
        try:
            rows = rows_since(plan, model, recent.section.features, None, recent.tell)
            watch.saw(*_as_asked(model, rows))
        except LivebotError as error:
            notes.append(f"model {model.name}, candles: {error}")


def _as_asked(model: LoadedModel, rows: Dataset) -> tuple[tuple[Question, ...], tuple[Judgement, ...]]:
    """The rows as the daemon would have asked about them, and what the model says."""
    names = rows.symbol_names.tolist()
    said = model.probabilities(rows.features, rows.side, names).tolist()
    questions = tuple(
        Question(
            strategy=rows.strategy,
            symbol=symbol,
            side=Side.LONG if side > 0 else Side.SHORT,
            close_ms=close_ms,
            evidence=tuple(evidence),
        )
        for symbol, side, close_ms, evidence in zip(
            names, rows.side.tolist(), rows.close_ms.tolist(), rows.features.tolist(), strict=True
        )
    )
    return questions, tuple(Judgement(confidence=each, model=model.name) for each in said)
