"""A report as text: in the format that was asked for, and in short at the end of a run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from livebot import bootstrap
from livebot.cli.report_format import ReportFormat
from livebot.reporting import formats
from livebot.reporting.live_report import LiveReport
from livebot.reporting.signals_report import Selection

SIGNALS_AT_THE_END = 40


def rendered(report: LiveReport, form: ReportFormat) -> str:
    """The whole report."""
    match form:
        case ReportFormat.TEXT:
            return formats.as_text(report)
        case ReportFormat.MD:
            return formats.as_markdown(report)
        case ReportFormat.HTML:
            # its script and style are read when a page is wanted, not at the end of every run
            from livebot.reporting.performance_page import live_page

            return live_page(report)
        case ReportFormat.JSON:
            return json.dumps(formats.as_json(report), indent=2) + "\n"
        case _:
            assert_never(form)


def last_report(config: Path, root: Path | None) -> str:
    """What a run on a terminal ends with: all figures, and the last signals.

    Raises:
        BadInput, Transient: there is no ledger, or it cannot be read now.

    """
    report = bootstrap.report(config, root, Selection())
    more = len(report.ledger.signals) - SIGNALS_AT_THE_END
    if more <= 0:
        return formats.as_text(report)
    ledger = replace(report.ledger, signals=report.ledger.signals[-SIGNALS_AT_THE_END:])
    text = formats.as_text(replace(report, ledger=ledger))
    return f"{text}(the last {SIGNALS_AT_THE_END} signals; `livebot report` shows {more} more)\n"
