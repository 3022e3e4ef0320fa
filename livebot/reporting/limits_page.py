"""How much of each limit was used over time, as one HTML file that opens from disk.

Rules of this file: pure; nothing is fetched and no script runs: the charts are inline SVG; the bound is drawn at the same
height in each chart, whatever its unit; while nothing is known there is no line; the same bytes for the same samples.
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from livebot.reporting.document import Block, Table, html_of
from livebot.reporting.shown import clean

_STYLE = Path(__file__).with_name("page") / "page.css"
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BELOW = 560, 150, 4, 4, 24
_TOP = 1.25  # of the bound; what is above is drawn at the edge
_HINT = "The broken line is what is allowed; beside each name the most that was used. There is no line while the daemon was dead."
_OWN_STYLE = """
.limits { display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1rem; }
.limits figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 0.6rem 0.8rem; }
.limits figcaption { display: flex; justify-content: space-between; gap: 1rem; }
.limits svg { width: 100%; height: auto; display: block; margin-top: 0.4rem; }
.limits .bound { stroke: var(--loss); stroke-dasharray: 5 4; }
.limits .use { fill: none; stroke: var(--accent); stroke-width: 1.6; }
.limits .floor { stroke: var(--line); }
.limits text { fill: var(--soft); font: 15px system-ui, sans-serif; }
"""


@dataclass(frozen=True, slots=True)
class Used:
    """Of one limit at one moment, in its own unit; `allowed` is above 0."""

    used: Decimal
    allowed: Decimal

    @property
    def share(self) -> float:
        """1.0 is all of it."""
        return float(self.used / self.allowed)


@dataclass(frozen=True, slots=True)
class UseSample:
    """Every limit that is set, by name, `at_s` seconds after the first look; None: nobody answered."""

    at_s: float
    uses: Mapping[str, Used] | None


def limit_names(samples: Sequence[UseSample]) -> list[str]:
    """In the order in which they were told first."""
    return list(dict.fromkeys(name for sample in samples for name in sample.uses or ()))


def most_used(samples: Sequence[UseSample], name: str) -> Used:
    """The moment at which most of a limit was used.  Raises ValueError: it was never told."""
    return max((sample.uses[name] for sample in samples if sample.uses and name in sample.uses), key=_share)


def _share(used: Used) -> float:
    return used.share


def limits_table(samples: Sequence[UseSample]) -> Table:
    """The most that was used of each."""
    rows = []
    for name in limit_names(samples):
        most = most_used(samples, name)
        rows.append((name, _number(most.allowed), _number(most.used), f"{most.share:.0%}"))
    return Table(
        title="The most that was used",
        columns=("limit", "allowed", "most used", "share"),
        numbers=frozenset({"allowed", "most used", "share"}),
        rows=tuple(rows),
        empty="No limit was told.",
    )


def limits_page(title: str, subtitle: str, samples: Sequence[UseSample], blocks: Sequence[Block]) -> str:
    """The page; `blocks` stand below the charts."""
    charts = "\n".join(_figure(name, samples) for name in limit_names(samples))
    below = "\n".join(map(html_of, (limits_table(samples), *blocks)))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f'<title>{_html(title)}</title>\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<style>{_STYLE.read_text("utf-8")}{_OWN_STYLE}</style>\n</head>\n'
        f"<body>\n<header><h1>{_html(title)}</h1><p>{_html(subtitle)}</p></header>\n"
        f"<section>\n<h2>Use against the bound</h2>\n"
        f'<p class="hint">{_HINT}</p>\n'
        f'<div class="limits">\n{charts}\n</div>\n</section>\n{below}\n</body>\n</html>\n'
    )


def _figure(name: str, samples: Sequence[UseSample]) -> str:
    most, end_s = most_used(samples, name), samples[-1].at_s
    bound, floor = _y(1.0), _y(0.0)
    lines = "".join(f'<polyline class="use" points="{points}"/>' for points in _lines(name, samples, end_s))
    return (
        f"<figure><figcaption><b>{_html(name)}</b>"
        f"<span>{_number(most.used)} of {_number(most.allowed)}</span></figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{_html(name)}: use over time against what is allowed">'
        f'<line class="floor" x1="0" x2="{_WIDTH}" y1="{floor}" y2="{floor}"/>'
        f'<line class="bound" x1="0" x2="{_WIDTH}" y1="{bound}" y2="{bound}"/>{lines}'
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}">0 s</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">{end_s:.0f} s</text></svg></figure>'
    )


def _lines(name: str, samples: Sequence[UseSample], end_s: float) -> Iterator[str]:
    """One line for each stretch in which it was told: a value stands until the next look."""
    points: list[str] = []
    before: str | None = None
    for sample in samples:
        used = None if sample.uses is None else sample.uses.get(name)
        if used is None:
            if points:
                yield " ".join(points)
            points, before = [], None
            continue
        x, y = f"{_LEFT + (_WIDTH - _LEFT - _RIGHT) * sample.at_s / max(end_s, 1e-9):.1f}", _y(used.share)
        if before is not None:
            points.append(f"{x},{before}")
        points.append(f"{x},{y}")
        before = y
    if points:
        yield " ".join(points)


def _y(share: float) -> str:
    room = _HEIGHT - _BELOW
    return f"{room - room * min(share, _TOP) / _TOP:.1f}"


def _number(value: Decimal) -> str:
    return f"{value.quantize(Decimal('0.0001')).normalize():f}" if value else "0"


def _html(text: str) -> str:
    return html.escape(clean(text))
