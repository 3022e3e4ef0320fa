"""The models that a backtest asks: those in use, unless they were trained on what they would be judged by.

scikit-learn comes with this module: only a backtest of a config that has a model imports it.

Rules of this file: a model is read once, before the first candle; what the daemon would report and go on without is refused
here, because figures of it would be of something else; nothing is written, not even who would wait for training.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from livebot.bootstrap.models import served
from livebot.bootstrap.strategies import asked_model
from livebot.config.load import LoadedConfig
from livebot.config.model_terms import own_packages, serving_terms
from livebot.config.root import Paths
from livebot.config.secrets import model_key
from livebot.errors import BadInput
from livebot.learning.judging import ServingTerms, Untrained
from livebot.learning.registry import Registry
from livebot.learning.serving import ModelServing, ScopeStatus
from livebot.model_ports import Judgement, Question


@dataclass(frozen=True, slots=True)
class PastModels:
    """Confidences of a backtest; its text names what it depends on: the `models` (`scope/version`) and how they are used."""

    models: tuple[str, ...]
    terms: ServingTerms
    serving: ModelServing = field(repr=False)

    def asked_for(self, strategy: str) -> bool:
        """Whether entries of this strategy are judged."""
        return self.serving.asked_for(strategy)

    def judge(self, questions: Sequence[Question], now_ms: int) -> tuple[Judgement, ...]:
        """One judgement for each question, in order."""
        return self.serving.judge(questions, now_ms)


def past_models(
    loaded: LoadedConfig, paths: Paths, environ: Mapping[str, str], strategies: Collection[str], start_ms: int
) -> PastModels:
    """The models in use of those `strategies` (ids) of a config that it wants judged, to be judged from `start_ms` on.

    Raises:
        BadInput: a strategy has none, one cannot be used, or one was trained on what comes after `start_ms`.

    """
    section = asked_model(loaded)
    assert section is not None  # nobody asks for them without
    terms = serving_terms(section)
    registry = Registry(paths.models, model_key(environ), own_packages(section))
    asked = tuple(each for each in served(loaded, section) if each.strategy in strategies)
    serving = ModelServing(registry, terms, asked)
    serving.look(start_ms)
    found = defaultdict[str, list[ScopeStatus]](list)
    for status in serving.status(start_ms):
        found[status.strategy].append(status)
    for each in asked:
        _check(each.strategy, found[each.strategy], terms, start_ms)
    in_use = [status for statuses in found.values() for status in statuses if status.version is not None]
    return PastModels(tuple(f"{each.scope}/{each.version}" for each in in_use), terms, serving)


def _check(strategy: str, statuses: Sequence[ScopeStatus], terms: ServingTerms, start_ms: int) -> None:
    in_use = [status for status in statuses if status.version is not None]
    unusable = [text for status in statuses if status.version is None for text in status.problems]
    if unusable:
        raise BadInput(f"strategy {strategy}: {unusable[0]}")
    if not in_use and terms.untrained is not Untrained.PASS:
        raise BadInput(
            f"strategy {strategy}: there is no model in use to judge its entries; make one with `livebot train`, or write "
            "model.enabled: false to see the strategy alone"
        )
    for status in in_use:
        if status.train_end_ms is not None and status.train_end_ms >= start_ms:
            raise BadInput(
                f"strategy {strategy}: model {status.scope}/{status.version} was trained on what happened up to "
                f"{_moment(status.train_end_ms)}, and the backtest begins {_moment(start_ms)}: a model is never judged on "
                "what it was trained on; choose --from after its training, or train one that ends earlier (livebot train --to)"
            )


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
