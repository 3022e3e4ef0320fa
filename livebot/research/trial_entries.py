"""The arms of a comparison in the ledger of trials: each is one more thing that was tried on the same data.

Rules of this file: an arm that was entered is not entered again by the same comparison; the ledger's count is what luck is
measured by.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from livebot.backtest.sweep.figures import daily_moments
from livebot.backtest.trials import Trial, TrialFigures, TrialKey, TrialLedger
from livebot.core.series import Floats
from livebot.reporting.figure import NotAvailable
from livebot.research.results import ArmResult
from livebot.research.significance import daily_sharpe, deflated


def enter(
    ledger: TrialLedger,
    key: TrialKey,
    arms: Sequence[ArmResult],
    returns: Floats,
    how: Callable[[str], Mapping[str, object]],
    now_ms: Callable[[], int],
) -> tuple[tuple[ArmResult, ...], int]:
    """Enter the arms and say how much of each is luck: the arms with `deflated`, and how many trials there are.

    `key` is that of the strategy and its data, `returns` (days, arms) are daily ones; `how` says of an arm everything that its
    trades depend on: who has the same is the same trial, entered before, and who differs in anything is another one.

    Raises:
        BadInput, Fatal: the ledger cannot be used.

    """
    for place, arm in enumerate(arms):
        named = replace(key, params=json.dumps({"experiment": how(arm.name), "params": key.params}, sort_keys=True))
        if ledger.find(named) is None:
            figures = _figures(arm, returns[:, place])
            ledger.add(Trial(key=named, made_ms=now_ms(), seconds=0.0, figures=figures))
    made = ledger.made_on(key)
    others = [each.figures.daily_sharpe for each in made if each.figures.daily_sharpe is not None]
    return tuple(
        replace(arm, deflated=_deflated(returns[:, place], others, len(made))) for place, arm in enumerate(arms)
    ), len(made)


def _deflated(returns: Floats, others: Sequence[float], trials: int) -> float | None:
    found = deflated(returns, others, trials)
    return None if isinstance(found, NotAvailable) else float(found)


def _figures(arm: ArmResult, returns: Floats) -> TrialFigures:
    """As the ledger holds them; money is that of an account of 1."""
    found, daily = arm.threshold.figures, daily_sharpe(returns)
    moments = (None, None, None) if daily is None else daily_moments(returns)
    return TrialFigures(
        signals=found.trades,
        win_rate=found.win_rate,
        pnl=found.total_return,
        expectancy=found.mean_gain,
        profit_factor=found.profit_factor,
        total_return=found.total_return,
        sharpe=found.sharpe,
        sortino=found.sortino,
        drawdown=found.max_drawdown,
        days=len(returns),
        daily_sharpe=daily,
        skewness=moments[1],
        kurtosis=moments[2],
    )
