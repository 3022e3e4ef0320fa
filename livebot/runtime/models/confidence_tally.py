"""What is counted of questions to the models, for whoever draws it over time.

Rules of this file: counting is cheap enough for every entry that is wanted; codes come from code, and are bounded all the
same.
"""

from collections import Counter
from collections.abc import Sequence

from livebot.core.distribution import Distribution
from livebot.model_ports import Judgement, Shadow

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
DIFFERENCES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
JUDGED, PASSED, OTHER = "judged", "passed", "other"
OUTCOMES_MAX = 32


class ConfidenceTally:
    """`outcomes`: answers by `judged` (a confidence), `passed` (none asked for) or the code of a refusal.

    `sizes`: questions a batch; `waits`: seconds from question to answer; `differences`: by how much the confidence of a
    shadow differed; `late`: answers that did not come in time; `unshadowed`: questions that versions in shadow were not
    asked, because they were behind.
    """

    def __init__(self) -> None:
        """Nothing was asked."""
        self.outcomes: Counter[str] = Counter()
        self.sizes = Distribution(SIZES)
        self.waits = Distribution(SECONDS)
        self.differences = Distribution(DIFFERENCES)
        self.late = 0
        self.unshadowed = 0

    def asked(self, questions: int) -> None:
        """A batch has come back."""
        self.sizes.add(questions)

    def answered(self, judgement: Judgement, wait_s: float) -> None:
        """A question has its answer."""
        outcome = _outcome(judgement)
        if outcome not in self.outcomes and len(self.outcomes) >= OUTCOMES_MAX:
            outcome = OTHER
        self.outcomes[outcome] += 1
        self.waits.add(wait_s)

    def shadowed(self, judgement: Judgement, shadows: Sequence[Shadow]) -> None:
        """Others have said what they think of a question that was answered."""
        if judgement.confidence is not None:
            for _, confidence in shadows:
                self.differences.add(abs(confidence - judgement.confidence))


def _outcome(judgement: Judgement) -> str:
    if judgement.refused is not None:
        return judgement.refused[0]
    return PASSED if judgement.confidence is None else JUDGED
