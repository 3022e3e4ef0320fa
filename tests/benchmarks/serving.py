"""Five hundred entries of one close judged in one batch: by a shared gradient boosting (told the symbols by an embedding, or
as categories of which 250 were trained on), by a model a symbol, and over a swap.

CPU time of the whole process, from the first question at the desk to the last answer.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from livebot.adapters.state_files.file_workers import ThreadWorkers
from livebot.core.market import MINUTE_MS, Side, Timeframe
from livebot.learning.judging import ServingTerms, Untrained
from livebot.learning.registry import Registry
from livebot.learning.serving import ModelServing, ServedStrategy
from livebot.learning.spec import EstimatorSpec, SymbolEncoding, TrainingMode, TrainingSpec
from livebot.model_ports import Judgement, Question
from livebot.runtime.inbox import Activity
from livebot.runtime.models.confidence import ConfidenceDesk, ConfidenceParts
from livebot.runtime.settings import ConfidenceSettings
from tests import trained_models
from tests.benchmarks.configs import symbols_of
from tests.benchmarks.frame import Benchmark, Measured, Numbers, over_runs, quantile

SYMBOLS = 500
ROWS_EACH = 60
RUNS = 5
ROUNDS = 12
DEADLINE_S = 5.0  # of a machine that does much else meanwhile
STRATEGY = "trend"
BOOSTING = TrainingSpec(
    mode=TrainingMode.MULTI_SYMBOL,
    encoding=SymbolEncoding.EMBEDDING,
    estimator=EstimatorSpec(name="hist_gradient_boosting", params={"max_iter": 200, "early_stopping": False}),
)
NATIVE = replace(BOOSTING, encoding=SymbolEncoding.INDEX)
KNOWN = 250  # of the symbols; an index takes up to 255
LOGISTIC = TrainingSpec(mode=TrainingMode.PER_SYMBOL, minimum_events=20)


class _Clock:
    def now_ms(self) -> int:
        return trained_models.END_MS


@dataclass
class _Scene:
    """A desk over the models in a folder."""

    models: Path
    symbols: list[str]

    def __post_init__(self) -> None:
        served = ServedStrategy(strategy=STRATEGY, feature_set=trained_models.evidence_of(Timeframe.M1))
        self.serving = ModelServing(
            Registry(self.models), ServingTerms(threshold=0.0, untrained=Untrained.FALLBACK), (served,)
        )
        self.serving.look(trained_models.END_MS)
        self.workers = ThreadWorkers(1, "models")
        parts = ConfidenceParts(
            confidences=self.serving,
            aside=self.workers.submit,
            settings=ConfidenceSettings(deadline_s=DEADLINE_S),
            note=lambda *_: None,
        )
        self.desk = ConfidenceDesk(parts, _Clock(), Activity(), lambda *_: None)
        self.random = np.random.default_rng(1)
        for symbol in self.symbols:
            self.desk.expect((STRATEGY, symbol), MINUTE_MS)

    def questions(self, number: int) -> list[Question]:
        width = len(trained_models.model_features("own"))
        rows = self.random.normal(size=(len(self.symbols), width)).tolist()
        return [
            Question(
                strategy=STRATEGY,
                symbol=symbol,
                side=Side.LONG if place % 2 else Side.SHORT,
                close_ms=number * MINUTE_MS,
                evidence=tuple(rows[place]),
            )
            for place, symbol in enumerate(self.symbols)
        ]

    async def round(self, number: int) -> tuple[float, list[Judgement]]:
        """Milliseconds of CPU, and the answers."""
        done, left = asyncio.Event(), len(self.symbols)
        questions = self.questions(number)

        def answered() -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set()

        began = time.process_time()
        asked = []
        for question in questions:
            asked.append(self.desk.ask(question, answered))
            self.desk.spoke((STRATEGY, question.symbol), question.close_ms)
        await done.wait()
        took = (time.process_time() - began) * 1000
        return took, [each.judgement for each in asked if each.judgement is not None]


def measure() -> Measured:
    """A round of each kind of model, one question alone, and rounds without a pause while versions are swapped."""
    symbols = symbols_of(SYMBOLS)
    with tempfile.TemporaryDirectory() as folder:
        shared, native, alone = (Path(folder, name) for name in ("shared", "native", "alone"))
        dataset = trained_models.rows(tuple(symbols), strategy=STRATEGY, count=SYMBOLS * ROWS_EACH)
        first = trained_models.save(shared, dataset, spec=BOOSTING)
        second = trained_models.save(shared, dataset, spec=BOOSTING, number=2, promote=False)
        trained_models.save(native, dataset.rows(dataset.symbol < KNOWN), spec=NATIVE)
        trained_models.save(alone, dataset, spec=LOGISTIC)
        return over_runs([_run(shared, native, alone, symbols, (first, second)) for _ in range(RUNS)])


def _run(shared: Path, native: Path, alone: Path, symbols: list[str], versions: tuple[str, str]) -> Numbers:
    boosting, categories, logistic = (
        asyncio.run(_rounds(_Scene(folder, symbols))) for folder in (shared, native, alone)
    )
    return {
        "boosting_cpu_ms": boosting,
        "native_cpu_ms": categories,
        "logistic_cpu_ms": logistic,
        "one_cpu_ms": _one_ms(_Scene(shared, symbols)),
        "native_one_cpu_ms": _one_ms(_Scene(native, symbols)),
        **asyncio.run(_swapping(_Scene(shared, symbols), Registry(shared), versions)),
    }


async def _rounds(scene: _Scene) -> float:
    await scene.round(1)  # what is made at the first use is there then
    took = [await scene.round(number) for number in range(2, 2 + ROUNDS)]
    assert all(judgement.confidence is not None for _, answers in took for judgement in answers)
    scene.workers.close()
    return quantile([cpu for cpu, _ in took], 0.5)


def _one_ms(scene: _Scene) -> float:
    """One symbol's features to its probability."""
    took = []
    for number in range(ROUNDS * 4):
        (question, *_) = scene.questions(number)
        began = time.process_time()
        (judgement,) = scene.serving.judge((question,), trained_models.END_MS)
        took.append((time.process_time() - began) * 1000)
        assert judgement.confidence is not None
    scene.workers.close()
    return quantile(took, 0.5)


async def _swapping(scene: _Scene, registry: Registry, versions: tuple[str, str]) -> Numbers:
    """Rounds one after another, in which versions are promoted and taken up beside them: how many answers were none."""
    looking = ThreadWorkers(1, "look")
    missed, seen, number = 0, set[str | None](), 1
    for name in (*versions[::-1], *versions[::-1]):
        swap: Callable[[], object] = lambda name=name: (  # noqa: E731
            registry.promote(*name.split("/")),
            scene.serving.look(trained_models.END_MS),
        )
        swapped = looking.submit(swap)
        while not swapped.done():
            _, answers = await scene.round(number)
            number += 1
            missed += sum(each.confidence is None for each in answers) + SYMBOLS - len(answers)
            assert len({each.model for each in answers}) == 1
            seen |= {each.model for each in answers}
        await swapped
    _, answers = await scene.round(number)
    seen |= {each.model for each in answers}
    assert seen == set(versions)
    looking.close()
    scene.workers.close()
    return {"missed": float(missed), "rounds": float(number)}


BENCHMARK = Benchmark(
    name="serving",
    unit="ms",
    target={
        "boosting_cpu_ms": 12,
        "native_cpu_ms": 12,
        "logistic_cpu_ms": 5,
        "one_cpu_ms": 3,
        "native_one_cpu_ms": 3,
        "missed": 0,
    },
    measure=measure,
)
