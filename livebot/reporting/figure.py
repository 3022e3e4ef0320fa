"""A figure of a report: a number, or why there is none.

Rules of this file: what a sample cannot support is never 0 and never left out; its reason is for the reader.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class NotAvailable:
    """Shown as `n/a`; `why` ends a sentence that begins with the figure's name and a colon."""

    why: str


Figure = Decimal | float | NotAvailable

NO_SIGNALS = NotAvailable("no signal has closed")
NO_CAPITAL = NotAvailable("nobody knows the capital at the start")
