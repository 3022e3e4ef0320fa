"""Metric families of models: how old they are, whom they cover, what they answer, and how far they have moved.

Rules of this file: of many scopes (one a symbol) the first by name have series of their own and the others are counted only; a
label's values are words of this code, scopes up to that bound, and the one version in use of each.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from livebot.ops.metrics.measurements import Models
from livebot.ops.metrics.shapes import counter, gauge, histogram
from livebot.ops.metrics.tables import ANSWERS, DRIFT
from livebot.ports import ModelStatus, SystemStatus

_SECOND_MS = 1000


def model_families(status: SystemStatus, models: Models, scopes_max: int) -> Iterator[Metric]:
    """All of them; each name comes once."""
    scopes = sorted(status.models or (), key=lambda each: each.scope)
    kept = scopes[:scopes_max]
    yield gauge("livebot_model_scopes", "Scopes of models that are looked at.", len(scopes))
    unused = sum(each.version is None for each in scopes)
    yield gauge("livebot_model_scopes_without_model", "Scopes in which no model is in use.", unused)
    yield gauge(
        "livebot_model_scopes_stale", "Scopes whose model is refused for its age.", sum(each.stale for each in scopes)
    )
    waiting = len({(each.strategy, symbol) for each in scopes for symbol in each.uncovered})
    yield gauge("livebot_model_symbols_uncovered", "Symbols that want to trade and that no model covers.", waiting)
    yield _versions(kept)
    ages = {
        each.scope: max(status.now_ms - each.train_end_ms, 0) / _SECOND_MS
        for each in kept
        if each.train_end_ms is not None
    }
    yield gauge("livebot_model_age_seconds", "Since the end of what the model was trained on.", ages, "scope")
    yield from _drift({each.scope for each in kept}, models)
    known = dict.fromkeys(ANSWERS, 0)
    text = "Entries by what the models answered: judged, passed, or the code of the refusal."
    yield counter("livebot_model_answers", text, {**known, **models.answers}, "outcome")
    yield counter("livebot_model_late", "Entries without an answer in time.", models.late)
    yield histogram("livebot_model_batch_entries", "Entries that were asked about together.", models.sizes)
    yield histogram("livebot_model_answer_seconds", "From the question to the answer.", models.waits)
    text = "By how much the confidence of a version in shadow differs."
    yield histogram("livebot_model_shadow_difference", text, models.differences)
    text = "Entries that versions in shadow were not asked about, because they were behind."
    yield counter("livebot_model_unshadowed", text, models.unshadowed)


def _versions(scopes: list[ModelStatus]) -> Metric:
    text = "Which version is in use; always 1."
    family = GaugeMetricFamily("livebot_model_info", text, labels=("scope", "version"))
    for each in scopes:
        if each.version is not None:
            family.add_metric((each.scope, each.version), 1)
    return family


def _drift(kept: set[str], models: Models) -> Iterator[Metric]:
    for figure, (name, text) in DRIFT.items():
        values: Mapping[str, float] = {
            scope: figures[figure]
            for scope, figures in sorted(models.drift.items())
            if scope in kept and figure in figures
        }
        yield gauge(name, text, values, "scope")
