"""Every arm on every fold: what is in the cache is taken from there, the rest is computed, by as many workers as are allowed.

Rules of this file: a result is on disk before it counts as done; the order in which results come changes nothing; a worker gets
one piece of work and gives one result, so that where it runs does not matter.
"""

import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from joblib import Parallel, delayed

from livebot.research.backends import LOKY
from livebot.research.fold_cache import FoldCache, key_of
from livebot.research.fold_run import FoldScores, FoldWork, code_digest, data_digest, run_fold
from livebot.research.progress import Clock, Standing, WorkLeft
from livebot.research.study import Kind, Piece, Plan, Study, cost_of, key_parts, pieces_of, work_of

Told = Callable[[Standing], None]
Scores = Mapping[tuple[Kind, int, str], FoldScores]  # by kind, fold and the arm's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """All results; `cached` of them were there already.  `seconds` is the CPU time by arm of the others."""

    scores: Scores
    cached: int
    seconds: Mapping[str, float]


def compute(
    study: Study, plan: Plan, cache: FoldCache, tell: Told, clock: Clock, *, jobs: int = 1, backend: str = LOKY
) -> Computed:
    """Compute what is not in the cache.

    Raises:
        Fatal: a result could not be written; what was written before stands, and counts when it is run again.

    """
    data = data_digest(study.dataset)
    code = {name: code_digest(study.fit, (name,)) for name in {arm.estimator for arm in study.trained_arms}}
    pieces = pieces_of(study, plan)
    keys = {piece: key_of(key_parts(study, plan, piece, (data, code[piece.arm.estimator]))) for piece in pieces}
    scores: dict[tuple[Kind, int, str], FoldScores] = {}
    missing = []
    for piece in pieces:
        found = cache.find(keys[piece])
        if found is None:
            missing.append(piece)
        else:
            scores[_place(piece)] = FoldScores.of(found)
    cached = len(scores)
    work = WorkLeft(_costs(plan, missing), clock)
    seconds: Counter[str] = Counter()
    tell(work.standing())
    waiting = (delayed(_done)(place, work_of(study, plan, piece)) for place, piece in enumerate(missing))
    for place, result, took_s in Parallel(n_jobs=jobs, backend=backend, return_as="generator_unordered")(waiting):
        piece, before_s = missing[place], clock()
        cache.keep(keys[piece], result.arrays())
        scores[_place(piece)] = FoldScores.of(result.arrays())  # as it would come from the cache
        seconds[piece.arm.name] += result.seconds
        # a disk may take longer than a quick model, and meanwhile no worker gets new work
        work.done(_kind(piece), took_s + jobs * (clock() - before_s))
        tell(work.standing())
    return Computed(scores=scores, cached=cached, seconds=dict(seconds))


def _done(place: int, work: FoldWork) -> tuple[int, FoldScores, float]:
    """With how long it took on the wall."""
    began_s = time.perf_counter()
    scores = run_fold(work)
    return place, scores, time.perf_counter() - began_s


def _place(piece: Piece) -> tuple[Kind, int, str]:
    return piece.kind, piece.place, piece.arm.name


def _kind(piece: Piece) -> Hashable:
    return piece.kind, piece.arm.name


def _costs(plan: Plan, pieces: list[Piece]) -> dict[Hashable, tuple[int, float]]:
    counts = Counter(_kind(piece) for piece in pieces)
    return {_kind(piece): (counts[_kind(piece)], cost_of(plan, piece)) for piece in pieces}
