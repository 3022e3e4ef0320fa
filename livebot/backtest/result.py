"""What a backtest gives."""

from dataclasses import dataclass
from decimal import Decimal

from livebot.core.facts import Fact
from livebot.ports import Decision
from livebot.reporting.run_record import EquityCurve
from livebot.reporting.signals_report import DecisionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPaid:
    """One payment; `amount` in quote currency, positive when it was paid and negative when received."""

    ts_ms: int
    symbol: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BacktestResult:
    """`facts` in the order of time; per (strategy, symbol) they are those of a live run over the same candles.

    `verdicts` are what became of each entry wanted, with the reasons in words; `wallet` is what the account held in the
    end, positions that are still open not counted; `notes` are sentences for the reader of a report.
    """

    facts: tuple[Fact, ...]
    verdicts: tuple[Decision, ...]
    equity: EquityCurve
    wallet: Decimal
    funding: tuple[FundingPaid, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def decisions(self) -> tuple[DecisionRow, ...]:
        """The verdicts as the journal's rows."""
        return tuple(
            DecisionRow(
                ts_ms=verdict.ts_ms,
                strategy=verdict.strategy,
                symbol=verdict.symbol,
                outcome=verdict.outcome,
                code=verdict.code,
            )
            for verdict in self.verdicts
        )
