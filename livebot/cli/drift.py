"""`livebot drift`: whether models still say what is true.

Rules of this file: progress goes to stderr, results to stdout; everything heavy is imported when the command runs.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from livebot.cli.options import DEFAULT_CONFIG, CandlesOption, ConfigOption, JsonOption, root_option

if TYPE_CHECKING:
    from livebot.bootstrap.drift import DriftReport
    from livebot.learning.drift import DriftTerms, Standing
    from livebot.learning.drift_watch import ModelStanding

EXAMPLE = "livebot drift --config config.yaml"
FEATURES_TOLD = 5


def drift(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    root: Annotated[Path | None, root_option("state/, models/ and candles/")] = None,
    candles: CandlesOption = None,
    without_candles: Annotated[bool, typer.Option("--no-candles", help="Look at the ledger only.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether the models in use wear out.

    From the ledger: whether the trades that each let through win as often as it said (hit rate, calibration error, and the
    CUSUM, which tells a fall of the hit rate sooner), for all symbols together and for each.  From the candles since its
    training: how far its features and its confidences have moved (PSI).
    """
    from livebot.adapters.clock import SystemClock
    from livebot.bootstrap.drift import DriftRequest
    from livebot.bootstrap.drift import drift as look
    from livebot.cli.data_progress import StepsProgress

    request = DriftRequest(now_ms=SystemClock().now_ms(), candles=candles, without_candles=without_candles)
    with StepsProgress() as progress:
        report = look(config, root, request, progress.tell)
    typer.echo(json.dumps(as_tree(report), indent=2) if as_json else "\n".join(as_lines(report)))


def as_tree(report: "DriftReport") -> dict[str, object]:
    """For --json."""
    models = [
        {
            "model": each.model,
            "strategy": each.strategy,
            "worn": list(each.worn),
            "all_symbols": _tree_of(each.all_symbols),
            "symbols": {symbol: _tree_of(standing) for symbol, standing in each.symbols.items()},
            "rows": each.rows,
            "features": dict(each.indexes),
            "moved": dict(each.moved),
            "score_index": each.score_index,
        }
        for each in report.standings
    ]
    return {"models": models, "notes": list(report.notes)}


def _tree_of(standing: "Standing") -> dict[str, object]:
    return {
        "seen": standing.seen,
        "trades": standing.trades,
        "said": standing.said,
        "won": standing.won,
        "calibration_error": standing.error,
        "cusum": standing.cusum,
        "worn": list(standing.worn),
    }


def as_lines(report: "DriftReport") -> list[str]:
    """For people."""
    lines = []
    for each in report.standings:
        lines += [f"{each.model}: {'WORN' if each.worn else 'no sign of wear'}", *(f"  {text}" for text in each.worn)]
        lines += [f"  all symbols: {_line_of(each.all_symbols, report.terms)}"]
        lines += [f"  {symbol}: {_line_of(standing, report.terms)}" for symbol, standing in each.symbols.items()]
        lines += [f"  {_spread_of(each, report.terms)}"]
    return [*lines, *report.notes] or ["no model is in use"]


def _line_of(standing: "Standing", terms: "DriftTerms") -> str:
    if not standing.trades or standing.said is None or standing.won is None:
        return "no trade has ended"
    few = "" if standing.trades >= terms.minimum_trades else f" (too few to judge, {terms.minimum_trades} are needed)"
    return (
        f"{standing.trades} trades{few}, said {standing.said:.1%}, won {standing.won:.1%}, calibration error "
        f"{standing.error:.1%}, CUSUM {standing.cusum:.2f} of {terms.cusum:g}"
    )


def _spread_of(each: "ModelStanding", terms: "DriftTerms") -> str:
    if each.score_index is None:
        return f"features: {each.rows} rows, {terms.minimum_trades} are needed"
    largest = sorted(each.indexes.items(), key=lambda pair: -pair[1])[:FEATURES_TOLD]
    told = ", ".join(f"{name} {value:.2f}" for name, value in largest)
    return f"features: {each.rows} rows, PSI of the confidences {each.score_index:.2f}, largest of features: {told}"
