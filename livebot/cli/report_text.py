"""A report as text: in the format that was asked for, and in short at the end of a run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from livebot import bootstrap
from livebot.cli.report_format import ReportFormat
from livebot.reporting import formats
from livebot.reporting.signals_report import Report, Selection

SIGNALS_AT_THE_END = 40


def rendered(report: Report, form: ReportFormat) -> str:
    """The whole report."""
    match form:
        case ReportFormat.TEXT:
            return formats.as_text(report)
        case ReportFormat.MD:
            return formats.as_markdown(report)
        case ReportFormat.HTML:
            return formats.as_html(report)
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
    more = len(report.signals) - SIGNALS_AT_THE_END
    if more <= 0:
        return formats.as_text(report)
    text = formats.as_text(replace(report, signals=report.signals[-SIGNALS_AT_THE_END:]))
    return f"{text}(the last {SIGNALS_AT_THE_END} signals; `livebot report` shows {more} more)\n"
