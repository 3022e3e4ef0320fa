"""Models for backtests in tests: what they say is a function of the evidence and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import blake2s
from typing import Any

import numpy as np

from livebot.backtest.plan import BacktestPlan
from livebot.core.entry import Entry
from livebot.features.catalogue import change, ratio
from livebot.model_ports import Judgement, Question
from livebot.strategies.evidence import with_evidence
from livebot.strategies.interface import Strategy, View
from tests.backtest.whims import Whim

FEATURES = (change("model_step", 1), ratio("model_close_of_high", "close", "high"))
MODEL = "whim/20260101T000000Z-0123abcd"


@dataclass(frozen=True, eq=False)
class Whimsical:
    """Judges `strategies` (all, if there are none); refuses one entry in four and lets one in eight pass without a confidence.

    `batches` are what it was asked, each with the time it was told.
    """

    strategies: tuple[str, ...] = ()
    batches: list[tuple[int, tuple[Question, ...]]] = field(default_factory=list)

    def asked_for(self, strategy: str) -> bool:
        return not self.strategies or strategy in self.strategies

    def judge(self, questions: Sequence[Question], now_ms: int) -> tuple[Judgement, ...]:
        self.batches.append((now_ms, tuple(questions)))
        return tuple(said_of(question) for question in questions)


def said_of(question: Question) -> Judgement:
    """The judgement of evidence and side."""
    dice = blake2s(repr((question.evidence, question.side)).encode(), digest_size=2).digest()
    confidence = dice[0] / 255
    if dice[1] % 8 == 0:
        return Judgement()
    if dice[1] % 4 == 1:
        return Judgement(
            confidence=confidence, model=MODEL, refused=("model_threshold", f"{confidence:.3f} is too little")
        )
    return Judgement(confidence=confidence, model=MODEL)


@cache
def telling(kind: type[Strategy[Any]]) -> type[Strategy[Any]]:
    """The strategy with the last closes as evidence, for which no feature has to settle."""

    def decide(strategy: Strategy[Any], view: View) -> Entry | None:
        entry = kind.decide(strategy, view)
        return None if entry is None else replace(entry, evidence=tuple(view.closes(2).tolist()))

    return type(kind.__name__, (kind,), {"decide": decide})


def telling_all(plan: BacktestPlan) -> BacktestPlan:
    """The plan with such evidence in all that is wanted, and a model that judges it."""
    runs = tuple(replace(each, strategy_class=telling(each.strategy_class)) for each in plan.strategies)
    return replace(plan, strategies=runs, confidences=Whimsical())


def judged(plan: BacktestPlan, confidences: Whimsical | None = None) -> BacktestPlan:
    """The plan with evidence in what its whims want, and a model that judges it."""
    runs = tuple(
        replace(each, strategy_class=with_evidence(each.strategy_class, FEATURES))
        if issubclass(each.strategy_class, Whim)
        else each
        for each in plan.strategies
    )
    return replace(plan, strategies=runs, confidences=confidences or Whimsical())


@dataclass
class NotInPairs:
    """A model that fails whenever it is asked about two rows at once; else the first feature decides."""

    def probabilities(self, features: Any, side: Any, symbols: Sequence[str]) -> Any:
        if len(features) == 2:
            raise ArithmeticError("two are too many")
        return 1 / (1 + np.exp(-features[:, 0]))
