"""A rehearsal as one HTML page: the use of each limit against its bound over time, what was denied, the verdict.

Rules of this file: it draws and counts, and judges nothing.
"""

from collections.abc import Mapping, Sequence

from livebot.rehearsal.verdict import INVARIANTS, Verdict
from livebot.reporting.document import Block, Sentences, Table
from livebot.reporting.limits_page import UseSample, limits_page

PAGE = "rehearsal.html"


def page_of(
    system: str, facts: Sequence[str], samples: Sequence[UseSample], denied: Mapping[str, int], verdict: Verdict
) -> str:
    """The page; `facts` are what its head says, `denied` is how often by code."""
    return limits_page(f"Rehearsal of {system}", "; ".join(facts), samples, (_denials(denied), *_verdict(verdict)))


def _denials(denied: Mapping[str, int]) -> Table:
    most_first = sorted(denied.items(), key=lambda pair: (-pair[1], pair[0]))
    return Table(
        title="What was denied",
        columns=("code", "times"),
        numbers=frozenset({"times"}),
        rows=tuple((code, f"{times:,}") for code, times in most_first),
        empty="Nothing.",
    )


def _verdict(verdict: Verdict) -> tuple[Block, ...]:
    rows = []
    for name, text in INVARIANTS.items():
        checked, broken = verdict.checked[name], len(verdict.broken[name])
        rows.append(
            (name, text, f"{checked:,}", f"BROKEN ({broken})" if broken else "held" if checked else "not judged")
        )
    table = Table(
        title="Verdict",
        columns=("", "invariant", "checked", "result"),
        numbers=frozenset({"checked"}),
        rows=tuple(rows),
    )
    said = tuple(f"{name}: {sentence}" for name, found in verdict.broken.items() for sentence in found)
    return (table, Sentences("What was broken", said)) if said else (table,)
