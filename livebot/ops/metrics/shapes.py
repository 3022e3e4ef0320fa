"""Short ways to the families of prometheus-client.

Rules of this file: samples stand in the order in which they are given; no numbers are changed.
"""

from collections.abc import Mapping
from decimal import Decimal

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

from livebot.core.distribution import Distribution

Number = int | float | Decimal
SYSTEM = "system"


def gauge(name: str, text: str, values: Number | Mapping[str, Number], label: str = "") -> Metric:
    """What is so now: one value, or one by each value of a label."""
    return _filled(GaugeMetricFamily(name, text, labels=_labels(label)), values)


def counter(name: str, text: str, values: Number | Mapping[str, Number], label: str = "") -> Metric:
    """What only rises; `_total` is added to the name."""
    return _filled(CounterMetricFamily(name, text, labels=_labels(label)), values)


def histogram(name: str, text: str, distribution: Distribution) -> Metric:
    """How values are spread."""
    bounds = [*map(floatToGoString, distribution.bounds), "+Inf"]
    buckets = list(zip(bounds, map(float, distribution.cumulative), strict=True))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=distribution.total)


def labelled(family: Metric, system: str) -> Metric:
    """The family with the label `system` on every sample."""
    for sample in family.samples:
        sample.labels[SYSTEM] = system  # each has a dictionary of its own
    return family


def _labels(label: str) -> tuple[str, ...]:
    return (label,) if label else ()


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, values: Number | Mapping[str, Number]
) -> GaugeMetricFamily | CounterMetricFamily:
    if isinstance(values, Mapping):
        for word, value in values.items():
            family.add_metric((word,), float(value))
    else:
        family.add_metric((), float(values))
    return family
