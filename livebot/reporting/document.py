"""A report as a list of blocks, and how blocks look as text, as Markdown and as HTML.

Rules of this file: the three have the same titles, columns and cells; text fits TEXT_COLUMNS wherever its numbers allow it;
whatever a cell holds cannot break out of it.
"""

import html
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never
from unicodedata import east_asian_width

from livebot.reporting.shown import clean

TEXT_COLUMNS = 110  # a terminal beside something else, and what a mail shows without folding
_NARROWEST = 9  # a shortened cell still tells its begin and its end
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Table:
    """`numbers` are the columns that stand to the right; `empty` is said when there is no row."""

    title: str
    columns: tuple[str, ...]
    numbers: frozenset[str]
    rows: tuple[tuple[str, ...], ...]
    empty: str = "None."
    total: bool = False  # the last row sums up the others


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names with their values."""

    title: str
    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sentences:
    """Notes, one below the other."""

    title: str
    items: tuple[str, ...]


Block = Table | Pairs | Sentences


@dataclass(frozen=True, slots=True)
class Document:
    """A title and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


# ------------------------------------------------------------------ text


def as_text(document: Document) -> str:
    """Aligned columns for a terminal, without colours."""
    return "\n\n".join([clean(document.title), *(_text(block) for block in document.blocks)]) + "\n"


def _text(block: Block) -> str:
    match block:
        case Table():
            lines = _text_table(block) if block.rows else [block.empty]
        case Pairs():
            width = max((len(name) for name, _ in block.items), default=0)
            lines = [line for name, value in block.items for line in _folded(f"{name:<{width}}", value)]
        case Sentences():
            lines = [line for sentence in block.items for line in _folded("-", sentence, gap=" ")]
        case _:
            assert_never(block)
    return "\n".join([block.title, *lines])


def _folded(name: str, value: str, gap: str = _GAP) -> list[str]:
    room = max(TEXT_COLUMNS - len(name) - len(gap), _NARROWEST)
    first, *others = textwrap.wrap(clean(value), room) or [""]
    return [f"{name}{gap}{first}".rstrip(), *(f"{' ' * len(name)}{gap}{line}" for line in others)]


def _text_table(block: Table) -> list[str]:
    widths = _widths(block)
    return [_text_row(block, line, widths) for line in (block.columns, *block.rows)]


def _widths(block: Table) -> list[int]:
    """As broad as the broadest cell; if that is too much in all, the broadest columns of words give way."""
    lines = (block.columns, *block.rows)
    widths = [max(breadth(clean(line[place])) for line in lines) for place in range(len(block.columns))]
    words = [place for place, column in enumerate(block.columns) if column not in block.numbers]
    while sum(widths) + len(_GAP) * (len(widths) - 1) > TEXT_COLUMNS:
        broadest = max(words, key=lambda place: widths[place], default=None)
        if broadest is None or widths[broadest] <= _NARROWEST:
            break
        widths[broadest] -= 1
    return widths


def _text_row(block: Table, cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = []
    for column, cell, width in zip(block.columns, cells, widths, strict=True):
        number = column in block.numbers
        shown = clean(cell) if number else shortened(clean(cell), width)
        room = " " * (width - breadth(shown))
        padded.append(room + shown if number else shown + room)
    return _GAP.join(padded).rstrip()


def breadth(text: str) -> int:
    """How many columns of a terminal it takes: ideographs, of which some symbols' names are made, take two."""
    return len(text) if text.isascii() else sum(2 if east_asian_width(each) in "WF" else 1 for each in text)


def shortened(text: str, width: int) -> str:
    """At most `width` columns: what is missing is missing in the middle, for the end often tells more."""
    shown, kept = text, width
    while breadth(shown) > width:
        tail = (kept - 1) // 2
        shown = f"{text[: kept - 1 - tail]}\u2026{text[len(text) - tail :]}"
        kept -= 1
    return shown


# ------------------------------------------------------------------ Markdown


def as_markdown(document: Document) -> str:
    """GitHub's Markdown."""
    blocks = [f"# {_markdown(document.title)}"]
    for block in document.blocks:
        blocks += (f"## {_markdown(block.title)}", _markdown_block(block))
    return "\n\n".join(blocks) + "\n"


def _markdown_block(block: Block) -> str:
    match block:
        case Table():
            return _markdown_table(block) if block.rows else block.empty
        case Pairs():
            return "\n".join(f"{name}: {_markdown(value)}  " for name, value in block.items)
        case Sentences():
            return "\n".join(f"- {_QUOTATION.sub('&gt;', _markdown(sentence))}" for sentence in block.items)
        case _:
            assert_never(block)


_OF_HTML = re.compile(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)")  # what begins a tag, a comment or an entity in a Markdown reader
_QUOTATION = re.compile(r"^>")


def _markdown(text: str) -> str:
    # an HTML entity shows the character in every Markdown reader, also inside a table; who reads the bytes wants `p <= 0.05`
    escaped = _OF_HTML.sub(lambda found: html.escape(found[0], quote=False), clean(text)).replace("|", "&#124;")
    return "".join(f"\\{character}" if character in "\\`*[]" else character for character in escaped)


def _markdown_table(block: Table) -> str:
    rules = ["---:" if column in block.numbers else "---" for column in block.columns]
    rows = [[_markdown(cell) for cell in row] for row in block.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (block.columns, rules, *rows))


# ------------------------------------------------------------------ HTML


def html_of(block: Block) -> str:
    """One section of a page, without its style."""
    match block:
        case Table():
            body = html_table(block) if block.rows else f"<p>{_html(block.empty)}</p>"
        case Pairs():
            pairs = "".join(f"<div><dt>{_html(name)}</dt><dd>{_html(value)}</dd></div>" for name, value in block.items)
            body = f"<dl>{pairs}</dl>"
        case Sentences():
            body = f"<ul>{''.join(f'<li>{_html(sentence)}</li>' for sentence in block.items)}</ul>"
        case _:
            assert_never(block)
    return f"<section>\n<h2>{_html(block.title)}</h2>\n{body}\n</section>"


def html_table(block: Table) -> str:
    """The table alone; a number below 0 has the class `loss`."""
    head = "".join(f"<th{_style(block, column, '')}>{_html(column)}</th>" for column in block.columns)
    rows = []
    for place, row in enumerate(block.rows):
        style = ' class="total"' if block.total and place == len(block.rows) - 1 else ""
        cells = zip(block.columns, row, strict=True)
        rows.append(
            f"<tr{style}>{''.join(f'<td{_style(block, name, cell)}>{_html(cell)}</td>' for name, cell in cells)}</tr>"
        )
    body = "\n".join(rows)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _style(block: Table, column: str, cell: str) -> str:
    if column not in block.numbers:
        return ""
    if cell.startswith(("-", ">-")):
        return ' class="number loss"'
    return ' class="number gain"' if cell.startswith(("+", "<+")) else ' class="number"'


def _html(text: str) -> str:
    return html.escape(clean(text))
