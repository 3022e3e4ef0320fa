"""`livebot evaluate`: a version of a model on candles after its training.

Rules of this file: progress goes to stderr, results to stdout; everything heavy is imported when the command runs.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from livebot.cli.options import DEFAULT_CONFIG, CandlesOption, ConfigOption, JsonOption, ToOption, root_option

if TYPE_CHECKING:
    from livebot.bootstrap.evaluation import Evaluation, Judged
    from livebot.learning.champion import Showing

EXAMPLE = "livebot evaluate ema_cross --from 2026-01-01"


def evaluate(
    *,
    model: Annotated[str, typer.Argument(metavar="SCOPE[/VERSION]", help="Without a version, the one in use.")],
    config: ConfigOption = DEFAULT_CONFIG,
    root: Annotated[Path | None, root_option("models/ and candles/")] = None,
    candles: CandlesOption = None,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="From then on; without it, from the end of its training.", show_default=False
        ),
    ] = None,
    end: ToOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a version would have been worth since its training.

    In the symbols that it covers, against the strategy without a model, at the costs of the config and at twice those.  A range
    that its training reaches into is refused; entries of the window by which it was judged when it was trained are told.
    """
    from livebot.adapters.clock import SystemClock
    from livebot.bootstrap.evaluation import EvaluationRequest
    from livebot.bootstrap.evaluation import evaluate as made_of
    from livebot.cli.data_progress import StepsProgress
    from livebot.cli.since import since_ms

    now_ms = SystemClock().now_ms()
    request = EvaluationRequest(
        now_ms=now_ms,
        model=model,
        candles=candles,
        from_ms=None if begin is None else since_ms(begin, now_ms, "--from"),
        to_ms=None if end is None else since_ms(end, now_ms, "--to"),
    )
    with StepsProgress() as progress:
        found = made_of(config, root, request, progress.tell)
    typer.echo(json.dumps(as_tree(found), indent=2) if as_json else "\n".join(as_lines(found)))


def as_tree(found: "Evaluation") -> dict[str, object]:
    """For --json."""
    return {
        "model": found.model,
        "threshold": found.threshold,
        "from": _moment(found.start_ms),
        "to": _moment(found.end_ms),
        "entries": found.rows,
        "tradable": found.costs[0].without.entries,
        "hit_rate": found.hit_rate,
        "hit_rate_without": found.hit_rate_without,
        "metrics": dict(found.metrics),
        "costs": [
            {"times": each.times, "model": _tree_of(each.model), "without": _tree_of(each.without)}
            for each in found.costs
        ],
        "judged": None if found.judged is None else _tree_of_window(found.judged),
    }


def _tree_of_window(judged: "Judged") -> dict[str, object]:
    return {
        "from": _moment(judged.start_ms),
        "to": _moment(judged.end_ms),
        "entries": judged.rows,
        "exact": judged.exact,
    }


def _tree_of(shown: "Showing") -> dict[str, object]:
    return {
        "trades": shown.trades,
        "gain_per_entry": shown.gain_per_entry,
        "gain_per_trade": shown.gain_per_trade,
        "by_symbol": {
            symbol: {"trades": trades, "gain": gain, "standard_error": error}
            for symbol, (trades, gain, error) in shown.by_symbol.items()
        },
    }


def as_lines(found: "Evaluation") -> list[str]:
    """For people."""
    metrics = found.metrics
    hit_rate = "no trade" if found.hit_rate is None else f"{found.hit_rate:.1%} won"
    said = f"AUC {metrics['auc']:.3f}, log-loss {metrics['log_loss']:.4f}, Brier {metrics['brier']:.4f}"
    by_symbol, tradable = found.costs[0].model.by_symbol, found.costs[0].without.entries
    return [
        f"{found.model} on {found.rows:,} entries from {_moment(found.start_ms)} to {_moment(found.end_ms)}",
        f"  {tradable:,} of them can be traded, one of a symbol at a time, and {found.hit_rate_without:.1%} of those won",
        f"  above {found.threshold:.3f}: {hit_rate}; {said}",
        *(f"  costs x{each.times}: {_told(each.model)}; without a model {_told(each.without)}" for each in found.costs),
        *(
            f"  {symbol}: {trades} trades, {gain:+.4%} each (standard error {error:.4%})"
            for symbol, (trades, gain, error) in by_symbol.items()
        ),
        *_told_window(found),
    ]


def _told_window(found: "Evaluation") -> list[str]:
    """A figure that decided on the use of a version says little of what it is worth afterwards."""
    judged = found.judged
    if judged is None:
        return []
    until = _moment(judged.end_ms) if judged.exact else f"{_moment(judged.end_ms)} at the latest"
    told = (
        f"{judged.rows:,} of these entries lie in the window by which it was judged when it was trained "
        f"({_moment(judged.start_ms)} to {until}); a version that was chosen by them looks better there than it is: "
        "--from the end of that window looks at later ones only"
    )
    return [f"  note: {told}"]


def _told(shown: "Showing") -> str:
    each = "" if shown.gain_per_trade is None else f", {shown.gain_per_trade:+.4%} a trade"
    return f"{shown.trades} trades, {shown.gain_per_entry:+.4%} an entry{each}"


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
