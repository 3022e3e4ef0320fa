"""The simulation can fail: what the daemon must not leave out is missed within a few seeds."""

from dataclasses import replace
from typing import Any

import pytest

from tests.simulation.market import SYMBOLS
from tests.simulation.network import FAIR
from tests.simulation.plan import Command, CrashPlan, plan_of
from tests.simulation.run import run_plan
from tests.simulation.sabotage import SABOTAGES

# What comes of not knowing what became of an order: which of these is seen first depends on the day.
WHAT_FOLLOWS = {"I1", "I2", "I3", "I4", "end", "balance"}
# By sabotage: the seeds that are tried, and the invariants of which one must be found broken.
FOUND = {
    "no_write_ahead": (range(1, 4), {"I1"}),
    "unknown_is_absent": (range(1, 6), WHAT_FOLLOWS),
    "entries_left": (range(1, 12), {"rests"}),
    "no_window": (range(1, 25), WHAT_FOLLOWS),
    "no_folder_sync": (range(1, 4), {"I1"}),
    "no_folder_sync_felt": (range(1, 12), {"disk", *WHAT_FOLLOWS}),
    "no_file_sync": (range(1, 4), {"I1"}),
    "no_stops": (range(1, 4), {"I3"}),
    "no_reservations": (range(1, 12), {"I5"}),
    "halt_in_memory": (range(1, 6), {"I6", "pause"}),
    "no_comparison": (range(1, 12), WHAT_FOLLOWS),
    "positions_believed": (range(1, 12), {"end", "I4", "foreign"}),
    "facts_dropped": (range(1, 20), {"I8"}),
    "late_changes_unseen": (range(1, 40), {"I3", "I4"}),
    "two_exits_of_a_share": (range(70_015, 70_060), {"share"}),
}
# What is rare is made frequent, so that few seeds will do whatever else changes.
LATE = replace(FAIR, late_changes=0.3)
KILL = CrashPlan(at_s=660.0, steps=1, operations=None, power=False, down_s=1.0, again=None)
CHANGES: dict[str, dict[str, Any]] = {
    "entries_left": {
        "weather": FAIR,
        "causes": tuple((at_s, at_s + 240.0) for at_s in range(600, 6600, 400)),
        "crashes": (),
        "disk_full": (),
    },
    "halt_in_memory": {"commands": (Command(at_s=600.0, name="halt"),), "crashes": (KILL,), "disk_full": ()},
    "no_comparison": {
        "weather": replace(FAIR, outage=0.3),
        "crashes": (),
        "commands": (),
        "disk_full": (),
        "settings": {},
    },
    "positions_believed": {"positions_lag_s": 2.0},
    "late_changes_unseen": {
        "weather": LATE,
        "strategies": dict.fromkeys(SYMBOLS, ("averager",)),
        "partial_fills": 0.5,
        "slow_fills": True,
        "rules": {},
        "settings": {},
        "naked_s": 40.0,
        "crashes": (),
        "commands": (),
        "disk_full": (),
    },
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FOUND)
@pytest.mark.untraced
def test_what_is_left_out_is_missed(name):
    """Each sabotage, within so many seeds."""
    seeds, invariants = FOUND[name]
    with SABOTAGES[name]():
        for seed in seeds:
            violation = run_plan(replace(plan_of(seed), **CHANGES.get(name, {}))).violation
            if violation is not None:
                assert violation.name in invariants, (seed, violation)
                return
    pytest.fail(f"{name} was not found with seeds {seeds}")


def test_every_sabotage_is_tried():
    """None is forgotten here."""
    assert FOUND.keys() == SABOTAGES.keys()
