"""Whether symbols could be looked at one by one: nothing but the account's margin is common to them, and that suffices.

Rules of this file: pure; in doubt the answer is no, and the plan is run with all symbols together.
"""

from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from livebot.backtest.equity import Courses
from livebot.backtest.plan import BacktestPlan
from livebot.backtest.tape import Tape
from livebot.core.market import MINUTE_MS
from livebot.core.rules import FixedNotional

RESERVE = 0.2  # of equity must be left as free margin at all times


def independent(plan: BacktestPlan) -> bool:
    """Whether nothing that is decided for a symbol depends on what happens to another one."""
    limited = any(getattr(plan.limits, field.name) is not None for field in fields(plan.limits))
    return not limited and plan.loss_limit is None and isinstance(plan.rules.sizing, FixedNotional)


def margin_suffices(plan: BacktestPlan, courses: Courses, tapes: Mapping[str, Tape]) -> bool:
    """Whether all together would have had margin for each order that opened something, with a reserve."""
    moments = np.unique(np.concatenate([course.ts_ms for course in courses.values()] or [np.empty(0, np.int64)]))
    equity, used = np.full(len(moments), float(plan.wallet)), np.zeros(len(moments))
    for (_, symbol), course in courses.items():
        tape = tapes[symbol]
        places = np.clip(moments // MINUTE_MS - 1, tape.first, tape.stop - 1) - tape.first
        closes, leverage = tape.close[places], plan.fills.leverage if plan.instruments[symbol].can_short else 1
        now, before = course.at(moments), course.at(moments - 1)
        equity += now.worth(closes)
        # Who leaves at a close may do so only after another one has entered at it.
        bound = np.maximum(now.bound(closes), before.bound(closes))
        used += bound / float(leverage)
    return bool((used <= (1 - RESERVE) * equity).all())
