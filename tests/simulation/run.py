"""One seed: what came of it, and how it is told."""

import gc
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from operator import itemgetter
from typing import Any

import structlog

from tests.simulation.checks import Violation
from tests.simulation.plan import Plan, plan_of
from tests.simulation.world import World

SHOWN = 30


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`events` are the last ones, as text."""

    seed: int
    violation: Violation | None
    at_s: float
    steps: int
    counts: Counter[str] = field(default_factory=Counter)
    events: tuple[str, ...] = ()
    longest_naked_s: float = 0.0
    world: World


def quiet_logs(*, for_good: bool = False) -> None:
    """No line is rendered; `for_good`, in a process of its own: each logger finds that out once."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=for_good)
    if for_good:
        gc.collect()
        gc.freeze()  # the modules need not be looked at again after each run


def run_plan(plan: Plan) -> Outcome:
    """Run it to its end or to the first violation."""
    world = World(plan)
    collects = gc.isenabled()
    gc.disable()  # it takes a fifth of the time, and what a run leaves is collected after it
    try:
        world.run()
    finally:
        if collects:
            gc.enable()
    violation = world.checker.violation
    return Outcome(
        seed=plan.seed,
        violation=violation,
        at_s=world.loop.time(),
        steps=world.loop.steps,
        counts=_counts(world),
        events=tuple(text_of(event) for event in world.events[-SHOWN:]) if violation else (),
        longest_naked_s=world.checker.cover.longest_s,
        world=world,
    )


def run_seed(seed: int) -> Outcome:
    """Run the plan of a seed."""
    return run_plan(plan_of(seed))


def _counts(world: World) -> Counter[str]:
    counts: Counter[str] = Counter(map(itemgetter(1), world.events))
    counts["closed"] = len(world.ledger.closed)
    counts["rests"] = world.rests
    for what, count in world.network.counts.items():
        counts[f"network {what}"] = count
    return counts


def text_of(event: tuple[Any, ...]) -> str:
    """One line."""
    at_s, kind, *rest = event
    return f"{at_s:11.3f} s  {kind:<12} {' '.join(str(each) for each in rest)}"


def hash_of(world: World) -> str:
    """Of everything that happened, in order."""
    digest = blake2b(digest_size=16)
    for event in world.events:
        digest.update(repr(event).encode())
    return digest.hexdigest()
