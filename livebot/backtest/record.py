"""From a result to what a report reads, and both to files.

Rules of this file: everything a reader may want to check is written: the report in three forms and every fact; a file is
replaced whole.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.json_text import json_of
from livebot.backtest.plan import BacktestPlan
from livebot.backtest.result import BacktestResult, FundingPaid
from livebot.core.facts import Fact
from livebot.core.market import Timeframe
from livebot.core.order import ZERO
from livebot.core.wording import number
from livebot.history.whole_file import FileCalls, make_folders, replace_file
from livebot.ports import Decision
from livebot.reporting.performance_formats import as_json, as_markdown
from livebot.reporting.performance_page import as_html
from livebot.reporting.performance_report import PerformanceReport
from livebot.reporting.run_record import RunRecord, trades_of
from livebot.reporting.signals_report import Denial
from livebot.strategies.interface import feature_set_of

REPORTS = ("report.md", "report.json", "report.html")
FACTS = "facts.jsonl"
_FACT: Codec[Fact] = Codec(Fact)


def record_of(plan: BacktestPlan, result: BacktestResult, title: str) -> RunRecord:
    """The record of a run."""
    traded = tuple(symbol for symbol in plan.symbols if any(symbol in run.symbols for run in plan.strategies))
    return RunRecord(
        title=title,
        system=plan.system,
        source="backtest",
        start_ms=plan.start_ms,
        end_ms=plan.end_ms,
        trades=trades_of(result.facts),
        equity=result.equity,
        symbols=traded,
        denials=_denials(result.verdicts),
        candles={symbol: plan.candles[symbol] for symbol in traded},
        feature_sets=tuple(sorted({str(feature_set_of(run.make())) for run in plan.strategies})),
        notes=(*result.notes, *_funding(result.funding), *_assumptions(plan)),
    )


def _denials(verdicts: Iterable[Decision]) -> tuple[Denial, ...]:
    counts = Counter((each.outcome, each.code) for each in verdicts if each.outcome != "approved")
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Denial(outcome=outcome, code=code, count=count) for (outcome, code), count in ordered)


def _funding(paid: Iterable[FundingPaid]) -> Iterator[str]:
    payments = tuple(paid)
    if payments:
        total: Decimal = sum((each.amount for each in payments), ZERO)
        word = "paid" if total >= 0 else "received"
        yield f"funding: {number(abs(total))} {word} in {len(payments)} payments, in the equity and in no trade's PnL"


def _assumptions(plan: BacktestPlan) -> Iterator[str]:
    fills = plan.fills
    late = f", {plan.latency_ms} ms late" if plan.latency_ms else ""
    yield (
        f"orders at the market fill at the next open and {number(fills.slippage)} of the price worse{late}; where a "
        f"candle of {plan.base.value} holds both stop and target, the stop is what happened"
    )
    if plan.base is not Timeframe.M1:
        yield f"the candles are of {plan.base.value}: what happens inside one of them is known with its close only"


def write(folder: Path, record: RunRecord, report: PerformanceReport, result: BacktestResult, calls: FileCalls) -> None:
    """Report and facts into the folder.

    Raises:
        Fatal: a file could not be written; naming it and the mend.

    """
    make_folders(folder, calls)
    contents = (
        as_markdown(report).encode(),
        json_of(as_json(report), indent=True),
        as_html(record, report).encode(),
        b"".join(_FACT.to_json(fact) + b"\n" for fact in result.facts),
    )
    for name, content in zip((*REPORTS, FACTS), contents, strict=True):
        replace_file(folder / name, content, calls)
