"""No limit is ever exceeded (I5), whatever happens in whatever order: some thousand steps with every limit on.

More: `python -m tests.sequences --count 1000000 --jobs 2`, or `LIVEBOT_SEQUENCES=5000` for this test.
"""

import os
from unittest.mock import patch

import pytest

from livebot.core.denial import DenialCode
from livebot.core.limits import Limits
from livebot.runtime.portfolio.exposure_book import ExposureBook
from livebot.runtime.portfolio.order_history import OrderHistory
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.portfolio.repeats import Repeats
from livebot.runtime.portfolio.streaks import Streaks
from tests.sequences.__main__ import main
from tests.sequences.asking import Exceeded, Outcome
from tests.sequences.run import Sequence

COUNT = int(os.environ.get("LIVEBOT_SEQUENCES", "300"))
# no limits, or none of these sequences
OTHERS = {
    DenialCode.STOPPING,
    DenialCode.VENUE,
    DenialCode.PAUSED,
    DenialCode.FLATTENING,
    DenialCode.QUARANTINED,
    DenialCode.SWITCHED_OFF,
    DenialCode.FOREIGN,
    DenialCode.UNIVERSE,
    DenialCode.ROUND,
    DenialCode.CHECK_FAILED,
}
# mostly the trading state says it first
LOSSES = {DenialCode.HALTED, DenialCode.DAILY_LOSS, DenialCode.DRAWDOWN}


@pytest.mark.untraced
def test_no_limit_is_ever_exceeded(quiet):
    """And each says no at least once, or this would say nothing about it."""
    outcome = Outcome()
    for seed in range(1, COUNT + 1):
        Sequence(seed, outcome).run()
    assert {code.value for code in {*DenialCode} - OTHERS - LOSSES} <= outcome.counts.keys()
    assert outcome.counts["approved"] > 3 * COUNT


def test_the_command_runs_a_portion_and_tells_what_happened(capsys):
    assert 0 == main(["--count", "2", "--start", "5"])
    assert "2 sequences, 0 portions failed" in capsys.readouterr().out


SABOTAGES = {
    "a reservation is not counted": patch.object(ExposureBook, "put", lambda self, key, exposure, _: None),
    "what was sent is forgotten": patch.object(OrderHistory, "sent_before", lambda *_: False),
    "orders that look the same are let through": patch.object(OrderHistory, "same_order_ms", lambda *_: None),
    "the day is not counted": patch.object(OrderHistory, "today", lambda *_: 0),
    "a restart forgets orders": patch.object(OrderHistory, "restore", lambda *_: None),
    "a cooldown is not kept": patch.object(Streaks, "cooldown_ms", lambda *_: 0),
    "entries may repeat": patch.object(Repeats, "entered", lambda *_: False),
    "clusters are not heard of": patch.object(ExposureBook, "set_clusters", lambda *_: None),
}


@pytest.mark.untraced
@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_what_is_left_out_is_found(quiet, sabotage):
    """Within few sequences."""
    with SABOTAGES[sabotage], pytest.raises(Exceeded):
        for seed in range(1, 2000):
            Sequence(seed, Outcome()).run()


@pytest.mark.untraced
def test_a_portfolio_without_one_limit_is_found(quiet):
    def without_gross(limits: Limits) -> Portfolio:
        loose = Limits(
            **{name: getattr(limits, name) for name in Limits.__dataclass_fields__ if name != "gross_exposure"}
        )
        return Portfolio(loose, loss_limit=None, win_rate=None, report=lambda *_: None)

    with pytest.raises(Exceeded, match="was let through against"):
        for seed in range(1, 2000):
            Sequence(seed, Outcome(), without_gross).run()
