"""A model that passed every check and may be asked.

Rules of this file: OpenMP and BLAS work on one thread while it answers (a row on all threads was measured to stall for seconds
beside other work); what comes back is checked before anybody acts on it; a version answers one caller at a time, and who asks
while it has not come back from another is refused at once, so that nobody queues before a model that hangs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from threadpoolctl import ThreadpoolController

from livebot.core.series import Floats
from livebot.errors import Rejected
from livebot.learning.dataset import Signs
from livebot.learning.manifest import Manifest
from livebot.learning.predictor import Predictor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModel:
    """One version in memory.  `low` and `high` (k,) are the usual values of each feature; `covered` its symbols."""

    manifest: Manifest
    predictor: Predictor
    covered: frozenset[str]
    low: Floats
    high: Floats
    threads: ThreadpoolController
    _turn: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def asking(self) -> bool:
        """Whether somebody waits for its answer right now."""
        return self._turn.locked()

    @property
    def name(self) -> str:
        """`scope/version`."""
        return self.manifest.name

    def probabilities(self, features: Floats, side: Signs, symbols: Sequence[str]) -> Floats:
        """How likely each row is to win, (n,), as Predictor.probabilities; each between 0 and 1.

        Raises:
            Rejected: the predictor failed, what it gave is not n probabilities, or it has not come back from another caller.

        """
        if not self._turn.acquire(blocking=False):
            raise Rejected(
                f"model {self.name} has not come back from what it was asked before; it is asked again when it has, or when "
                f"another version takes its place (livebot models rollback {self.manifest.scope})"
            )
        try:
            return self._checked(features, side, symbols)
        finally:
            self._turn.release()

    def _checked(self, features: Floats, side: Signs, symbols: Sequence[str]) -> Floats:
        try:
            with self.threads.limit(limits=1):
                given = np.asarray(self.predictor.probabilities(features, side, symbols), dtype=np.float64)
        except Exception as error:
            raise Rejected(f"model {self.name} failed: {type(error).__name__}: {error}") from error
        if given.shape != (len(features),):
            raise Rejected(f"model {self.name} gave an array {given.shape} for {len(features)} rows")
        # not (low <= x <= high): a NaN is outside of everything
        if not ((given >= 0) & (given <= 1)).all():
            raise Rejected(f"model {self.name} gave something that is no probability")
        return given


def loaded_model(manifest: Manifest, predictor: Predictor) -> LoadedModel:
    """A model in memory, unchecked.  Make it after the predictor's libraries are loaded: their thread pools are found now."""
    bounds = np.asarray(manifest.bounds, dtype=np.float64)
    return LoadedModel(
        manifest=manifest,
        predictor=predictor,
        covered=frozenset(manifest.symbols),
        low=bounds[:, 0],
        high=bounds[:, 1],
        threads=ThreadpoolController(),
    )
