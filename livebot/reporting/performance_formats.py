"""A performance report as text, Markdown and JSON.

Rules of this file: only the names under which the forms are known; the page has a module of its own, for its files are large.
"""

from livebot.reporting import document
from livebot.reporting.performance_blocks import blocks
from livebot.reporting.performance_json import as_json
from livebot.reporting.performance_report import PerformanceReport

__all__ = ["as_json", "as_markdown", "as_text"]


def as_text(report: PerformanceReport) -> str:
    """Aligned columns for a terminal, at most `document.TEXT_COLUMNS` broad."""
    return document.as_text(document.Document(report.title, tuple(blocks(report))))


def as_markdown(report: PerformanceReport) -> str:
    """GitHub's Markdown."""
    return document.as_markdown(document.Document(report.title, tuple(blocks(report))))
