"""What a meta-model is to everybody who asks it: a question for each entry, a judgement for each question.

Rules of this file: no implementation, no library; a judgement is a value that says all that is recorded of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from livebot.core.market import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """How likely is this entry to win?

    `evidence` are the values of the model's features at the close, in their order (`Entry.evidence`); `close_ms` is the
    close at which the entry was decided, UTC.
    """

    strategy: str
    symbol: str
    side: Side
    close_ms: int
    evidence: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The answer: a confidence, or a refusal (code and sentence), or neither, when the entry may pass without.

    `confidence` is a probability; `model` is what gave it, `scope/version`.
    """

    confidence: float | None = None
    model: str | None = None
    refused: tuple[str, str] | None = None


Shadow = tuple[str, float]  # what a version that decides nothing would have said: `scope/version`, confidence


class Confidences(Protocol):
    """All models in use."""

    def asked_for(self, strategy: str) -> bool:
        """Whether entries of this strategy (id in the config) are judged at all; if not, they pass without."""
        ...

    def judge(self, questions: Sequence[Question], now_ms: int) -> tuple[Judgement, ...]:
        """One judgement for each question, in order: one batch a model.  `now_ms` is the market's time.

        May be called in another thread, by one caller at a time.  Raises nothing for a model's own fault: that is refused.
        """
        ...


class Shadows(Protocol):
    """The versions that answer beside those in use; what they say is recorded and never acted on."""

    def shadowed(self, strategy: str) -> bool:
        """Whether there is one for any entry of this strategy (id in the config)."""
        ...

    def shadows(self, questions: Sequence[Question]) -> tuple[tuple[Shadow, ...], ...]:
        """For each question, in order, what they say of it; nothing where none can.

        May be called in another thread than `Confidences.judge` and beside it, by one caller at a time.  Raises nothing for a
        model's own fault.
        """
        ...
