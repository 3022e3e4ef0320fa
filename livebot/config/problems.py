"""What is wrong with a config: each problem with its line, its key and a sentence; all of them raised at once."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from livebot.errors import BadInput

Place = tuple[str | int, ...]

PROBLEMS_SHOWN_MAX = 100
_SHOWN_LENGTH_MAX = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong.  `line` counts from 1, None means the file as a whole; `key` is empty for what has none."""

    line: int | None
    key: str
    text: str


class ConfigErrors(BadInput):
    """A config that is refused; `problems` holds all that was found, in the order of the lines."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.key)))
        super().__init__("\n".join(self._rendered()))

    def _rendered(self) -> list[str]:
        lines = []
        for problem in self.problems[:PROBLEMS_SHOWN_MAX]:
            where = self.source if problem.line is None else f"{self.source}:{problem.line}"
            lines.append(_one_line(": ".join(part for part in (where, problem.key, problem.text) if part)))
        more = len(self.problems) - PROBLEMS_SHOWN_MAX
        if more > 0:
            lines.append(f"{self.source}: and {more} more; mend these first")
        return lines


def _one_line(text: str) -> str:
    """Keys and other people's errors may hold anything, also what moves a terminal's cursor."""
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))


class Mismatch(ValueError):
    """Keys of one section that contradict each other: (key within the section, sentence) for each; `a.b` is b within a."""

    def __init__(self, *found: tuple[str, str]) -> None:
        self.found = found
        super().__init__("; ".join(f"{key}: {text}" for key, text in found))


def key_text(place: Place) -> str:
    """A place as an operator reads it: ("strategies", 1, "name") is strategies[1].name."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part[:_SHOWN_LENGTH_MAX]}"
    return text.removeprefix(".")


def shown(value: object) -> str:
    """A value as it stood in the file, short enough for a sentence."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case str() if len(value) <= _SHOWN_LENGTH_MAX:
            return repr(value)
        case str():
            return f"{value[:_SHOWN_LENGTH_MAX]!r}..."
        case dict():
            return "a mapping"
        case _:
            return "a list"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing if nothing is near."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
