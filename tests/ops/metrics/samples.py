"""Measurements with sensible values, and a page read back."""

from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from livebot.core.distribution import Distribution
from livebot.ops.metrics.families import Families
from livebot.ops.metrics.measurements import Lag, Measurements, Models, Waits
from livebot.ops.metrics.page import MetricsPage
from tests.ops.fake_control import FakeControl


def distribution(*values, bounds=(0.01, 0.1, 1.0)):
    made = Distribution(bounds)
    for value in values:
        made.add(value)
    return made


def some_measurements(**changes):
    """Something of everything, with changes."""
    values = {
        "delays": distribution(0.05, 0.2, 5.0),
        "calls": distribution(0.001),
        "decisions": {("denied", "paused"): 3, ("refused", "no_equity"): 2, ("approved", "approved"): 4},
        "realised": {"ema_cross": Decimal("12.5")},
        "order_outcomes": {"accepted": 7, "unknown": 1},
        "orders_in_flight": 2,
        "orders_unresolved": 1,
        "reservations": 1,
        "reserved": Decimal("99.5"),
        "lag": Lag(p50_s=0.0001, p99_s=0.004, maximum_s=0.02),
        "saves": distribution(0.002, 0.02),
        "ledger_queue": 5,
        "ledger_queue_limit": 20_000,
        "decisions_dropped": 0,
        "listeners": {"journal": {"heard": 40, "dropped": 2, "failed": 1}},
        "foreign_symbols": 1,
        "feed": {
            "heard": 1000,
            "asked": 4,
            "renewed": 3,
            "reconnected": 2,
            "refetched": 6,
            "differing": 1,
            "revised": 0,
            "late": 0,
            "unreadable": 0,
            "let_go": 1,
        },
        "models": Models(
            answers={"judged": 7, "model_stale": 2},
            sizes=distribution(3, 7),
            waits=distribution(0.02),
            late=3,
            differences=distribution(0.05),
            drift={},
        ),
        "waits": {"orders": Waits(count=3, seconds=1.5), "requests": Waits(count=8, seconds=20.25)},
    }
    return Measurements(**{**values, **changes})


def page(control=None, measured=None, *, fresh_s=0.0, **bounds):
    control = control or FakeControl()

    async def look():
        return control.status()

    return MetricsPage(look, measured or some_measurements, Families(**bounds), fresh_s=fresh_s)


def read(text):
    """By name and the labels besides `system`: the value.  Fails if a name stands twice, or `system` is missing."""
    found, names = {}, []
    for family in text_string_to_metric_families(text.decode()):
        names.append(family.name)
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("system")
            key = (sample.name, *sorted(labels.items()))
            assert key not in found
            found[key] = sample.value
    assert len(names) == len(set(names))
    return found
