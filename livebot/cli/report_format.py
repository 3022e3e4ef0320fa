"""How a report may be written."""

from enum import Enum


class ReportFormat(Enum):
    """What `--format` takes."""

    TEXT = "text"
    MD = "md"
    JSON = "json"
    HTML = "html"
