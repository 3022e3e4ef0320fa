"""A comparison as one HTML file that opens from disk: the same blocks as the Markdown, and charts.

Rules of this file: nothing is fetched and nothing but our own script runs; without a script every table still stands; the
same bytes for the same results.
"""

import html

from livebot.reporting.document import Block, html_of
from livebot.reporting.script_page import FOOTER, script_page
from livebot.reporting.shown import clean, day
from livebot.research.decision import difference
from livebot.research.experiments import Tree
from livebot.research.report import decision, registered, rule, shown_arm, tables, top_features
from livebot.research.results import ArmResult, Results

_LINES = 6  # arms drawn over time
_CURVES = 4  # reliability curves


def page(title: str, results: Results, registration: Tree, registered_ms: int) -> str:
    """The page."""
    period = (
        f"{day(results.first_ms)} to {day(results.stop_ms)} tested, {results.folds} folds, {results.entries:,} entries"
    )
    body = "\n".join(
        (
            f"<header><h1>{_html(title)}</h1><p>{_html(period)}</p></header>",
            _block(decision(results)),
            _chart(
                "forest",
                "Gain over the baseline, a year, with the interval of all arms at once",
                "Each arm's difference with its interval",
            ),
            _block(rule(registration)),
            html_of(registered(registration, registered_ms)),
            _chart("folds", "What the arms added, fold by fold (sum so far)", "Sums of gains over time, a line an arm"),
            _chart(
                "reliability", "Reliability: what came of each confidence", "Share of wins over the confidence given"
            ),
            _chart("features", "What the model goes by", "Rise of the log loss when a feature is shuffled"),
            *map(_block, tables(results, registration)),
            FOOTER,
        )
    )
    return script_page(
        title, body, data_of(results, str(registration["judging"]["baseline"])), ("charts.js", "comparison.js")
    )


def data_of(results: Results, baseline: str) -> dict[str, object]:
    """What the page's script draws; names come as HTML, for the charts read markup in them."""
    arm = shown_arm(results)
    features = [] if arm is None else top_features(arm)
    return {
        "forest": [
            {"name": _html(each.name), "yearly": found.yearly, "low": found.joint_low, "high": found.joint_high}
            for each in results.arms
            if (found := difference(each.threshold, baseline)) is not None
        ],
        "folds": {
            "names": [line.fold for line in results.arms[0].folds] if results.arms else [],
            "arms": [
                {"name": _html(each.name), "added": [line.added for line in each.folds]}
                for each in _drawn(results, baseline)
            ],
        },
        "reliability": [
            {"name": _html(each.name), "points": list(each.forecast.curve)}
            for each in _drawn(results, baseline)
            if each.forecast is not None
        ][:_CURVES],
        "features": [{"name": _html(name), "value": value} for name, value in features],
    }


def _drawn(results: Results, baseline: str) -> list[ArmResult]:
    """The baseline, the one that is shown, and those that made most."""
    shown = shown_arm(results)
    first = [each for each in results.arms if each.name == baseline or each is shown]
    others = [each for each in results.arms if each not in first]
    return [*first, *sorted(others, key=lambda each: -each.threshold.figures.yearly)][:_LINES]


def _chart(name: str, title: str, said: str) -> str:
    return (
        f'<section class="drawn"><h2>{title}</h2>\n<div class="chart" id="{name}-chart" role="img" aria-label="{said}"></div>'
        "\n</section>"
    )


def _block(block: Block) -> str:
    return html_of(block)


def _html(text: str) -> str:
    return html.escape(clean(text))
