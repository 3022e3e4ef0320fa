"""Five hundred symbols close a 1m candle at once, and the strategy wants in in each: with and without a model to be asked.

The whole way of a close in the daemon: candles in, the strategy's features and the model's, the decision, the question,
one batch of answers, the ranking of all candidates and the gate, which has no room for any of them (so that no order is
counted here).  Three daemons, as `closes` runs them: without a model, with one that looks at the symbol's `own` candles, and
with one that looks at the `market` too.  CPU time is of the whole process, all threads; `core_share` of it is what a
minute of such candles takes of one core, if they all ask at every close, which no strategy of use does.

    python -m tests.benchmarks.model_closes FOLDER KIND CLOSES        one daemon, whose models lie in FOLDER/models
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from livebot.core.market import Timeframe
from livebot.learning.dataset import Dataset
from livebot.learning.serving import ModelServing
from livebot.learning.spec import EstimatorSpec, SymbolEncoding, TrainingMode, TrainingSpec
from livebot.model_ports import Judgement, Question
from tests import trained_models
from tests.benchmarks.closes import SYMBOLS, WARM_CLOSES, watch
from tests.benchmarks.configs import symbols_of, write_config
from tests.benchmarks.frame import Benchmark, Measured, Numbers, ask_child, over_runs, quantile, scratch_folder

Judge = Callable[[ModelServing, Sequence[Question], int], tuple[Judgement, ...]]

RUNS = 3
CLOSES = 20
ROWS_EACH = 60
MINUTE_CPU_MS = 60_000
NONE, OWN, MARKET = KINDS = ("none", "own", "market")
STRATEGY: dict[str, Any] = {"class": "tests.benchmarks.strategies:Wants", "params": {"timeframe": "1m"}}
BOOSTING = TrainingSpec(
    mode=TrainingMode.MULTI_SYMBOL,
    encoding=SymbolEncoding.EMBEDDING,  # an index takes up to 255 symbols
    estimator=EstimatorSpec(name="hist_gradient_boosting", params={"max_iter": 200, "early_stopping": False}),
)


def measure() -> Measured:
    """Each kind in a daemon of its own, several times."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in (OWN, MARKET):
            trained_models.save(Path(folder, kind), _rows(kind), spec=BOOSTING)
        return over_runs([_run(Path(folder)) for _ in range(RUNS)])


def _rows(kind: str) -> Dataset:
    """What a model of these features and of all symbols is trained on: chance."""
    names = tuple(feature.name for feature in trained_models.model_features(kind))
    dataset = trained_models.rows(
        tuple(symbols_of(SYMBOLS)),
        strategy="wants",
        count=SYMBOLS * ROWS_EACH,
        width=len(names),
        feature_set=trained_models.evidence_of(Timeframe.M1, kind),
    )
    return replace(dataset, names=names)


def _run(models: Path) -> Numbers:
    found = {kind: _one(models, kind) for kind in KINDS}
    cpu = {f"{kind}_cpu_ms": quantile([row["all_cpu"] for row in each["rows"]], 0.5) for kind, each in found.items()}
    worst = {
        f"{kind}_cpu_p99_ms": quantile([row["all_cpu"] for row in each["rows"]], 0.99) for kind, each in found.items()
    }
    return {
        **cpu,
        **worst,
        **{f"{kind}_lag_p99_ms": each["lag_p99"] for kind, each in found.items()},
        **{
            f"{kind}_done_p99_ms": quantile([row["all_done"] for row in each["rows"]], 0.99)
            for kind, each in found.items()
        },
        **{f"{kind}_core_share": cpu[f"{kind}_cpu_ms"] / MINUTE_CPU_MS for kind in KINDS},
        **{f"{kind}_answers_cpu_ms": found[kind]["answers_cpu_ms"] for kind in (OWN, MARKET)},
        **{f"{kind}_batches": found[kind]["batches"] for kind in (OWN, MARKET)},
    }


def _one(models: Path, kind: str) -> dict[str, Any]:
    with scratch_folder() as folder:
        if kind != NONE:
            shutil.copytree(models / kind, folder / "models")
        answer = ask_child("tests.benchmarks.model_closes", folder, kind, str(CLOSES))
    if len(answer["rows"]) < CLOSES:
        raise RuntimeError(f"the daemon was stopped after {len(answer['rows'])} of {CLOSES} closes")
    if kind != NONE and answer["questions"] < SYMBOLS - 2:
        raise RuntimeError(f"{answer['questions']} of {SYMBOLS} symbols were asked about")
    return answer


# ---------------------------------------------------------------- in the child


class _Asked:
    """How much `ModelServing.judge` was asked, and what it took."""

    def __init__(self) -> None:
        self.questions: list[int] = []
        self.cpu_ms: list[float] = []

    def noted(self, judge: Judge) -> Judge:
        """The same, counted; it runs on a thread of its own."""

        def noted(serving: ModelServing, questions: Sequence[Question], now_ms: int) -> tuple[Judgement, ...]:
            began = time.thread_time()
            answers = judge(serving, questions, now_ms)
            self.cpu_ms.append((time.thread_time() - began) * 1000)
            self.questions.append(len(questions))
            return answers

        return noted


def in_child(folder: Path, kind: str, closes: int) -> dict[str, Any]:
    """The rows of `closes`, and per close how much was asked."""
    asked = _Asked()
    setattr(ModelServing, "judge", asked.noted(ModelServing.judge))  # noqa: B010 - mypy forbids the plain way
    answer = watch(_config(folder, kind), folder, closes, Timeframe.M1)
    passed = closes + WARM_CLOSES
    return answer | {
        "questions": sum(asked.questions) / passed,
        "batches": len(asked.questions) / passed,
        "answers_cpu_ms": sum(asked.cpu_ms) / passed,
    }


def _config(folder: Path, kind: str) -> Path:
    path = write_config(folder, SYMBOLS, STRATEGY, speed=0, latency_ms=0)
    config = yaml.safe_load(path.read_text())
    config["risk"]["limits"] |= {"open_signals": 1, "open_signals_per_strategy": 1}
    if kind != NONE:
        config["model"] = {"training_mode": "multi_symbol", "features": kind, "threshold": 0.0001}
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def main(arguments: list[str]) -> None:
    """See above."""
    folder = Path(arguments[0])
    answer = in_child(folder, arguments[1], int(arguments[2]))
    (folder / "result.json").write_text(json.dumps(answer))


BENCHMARK = Benchmark(
    name="model_closes",
    unit="ms",
    target={"own_cpu_ms": 600, "market_cpu_ms": 600},  # a hundredth of a core, of 1m candles
    measure=measure,
)


if __name__ == "__main__":
    main(sys.argv[1:])
