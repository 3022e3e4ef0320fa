"""What is measured besides what the operator's status shows.

Rules of this file: values only; the composition root reads them off the parts when somebody scrapes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from livebot.core.distribution import Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """By how much timers of the event loop came late lately."""

    p50_s: float
    p99_s: float
    maximum_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How often something waited for a venue's rate limit, and how long in all."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """What was asked of models, and how far they have moved.

    `answers` by outcome: judged, passed, or the code of a refusal; `sizes` questions a batch, `waits` seconds from a
    question to its answer, `late` those without one in time, `differences` between a model's confidence and those in its
    shadow, `unshadowed` questions that those were not asked because they were behind; `drift` by scope and figure.
    """

    answers: Mapping[str, int]
    sizes: Distribution
    waits: Distribution
    late: int
    differences: Distribution
    drift: Mapping[str, Mapping[str, float]]
    unshadowed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """As of now; what counts, counts from the start of the process, except `realised`.

    `delays`, `calls`: from a candle's close to the question, and from the question to the strategy's answer.
    `decisions`: by outcome and code.  `realised`: net PnL of all signals that ever closed, by strategy, in quote
    currency.  `order_outcomes`: answers to orders and to changes of them, by kind; `orders_unresolved`: orders whose
    fate nobody knows now.  `reservations`: approved orders that no fact tells of yet; `reserved` is their notional.
    `saves`: what a group of files took until it was durable.  `listeners`: by name and event.  `foreign_symbols`: where
    something is that is not ours.  `feed`: what has happened to candles, by event; empty where nobody counts.  `waits`:
    by what waited; empty where the venue has no limits.  `models`: None where none is asked anything.
    """

    delays: Distribution
    calls: Distribution
    decisions: Mapping[tuple[str, str], int]
    realised: Mapping[str, Decimal]
    order_outcomes: Mapping[str, int]
    orders_in_flight: int
    orders_unresolved: int
    reservations: int
    reserved: Decimal
    lag: Lag
    saves: Distribution
    ledger_queue: int
    ledger_queue_limit: int
    decisions_dropped: int
    listeners: Mapping[str, Mapping[str, int]]
    foreign_symbols: int
    feed: Mapping[str, int]
    waits: Mapping[str, Waits]
    models: Models | None = None


Measure = Callable[[], Measurements]
