"""The kinds of values a config holds; each refuses with one sentence that says what was expected.

Rules of this file: a flag is never a number, quoted digits are never a number, and a Decimal has exactly the digits
that stand in the file.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator

from livebot.config.problems import shown

_PATH_LENGTH_MAX = 1000
_MINUTE_SECONDS = 60
_UNREADABLE = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"  # control characters and half characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A validator: a number within bounds.  `what` and `example` make the sentence; `whole` gives an int."""

    what: str = "a number"
    example: str = ""
    at_least: Decimal | int | None = None
    above: Decimal | int | None = None
    at_most: Decimal | int | None = None
    below: Decimal | int | None = None
    whole: bool = False

    def __call__(self, value: object) -> int | Decimal:
        """The number.

        Raises:
            ValueError: not a number, or out of bounds; the text is the whole sentence.

        """
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or not self._fits(value):
            raise ValueError(f"must be {self._expected()}, is {shown(value)}")
        return int(value) if self.whole else Decimal(value)

    def _fits(self, value: int | Decimal) -> bool:
        return (
            not (self.whole and value != int(value))
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def _expected(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            bounds = f"from {self.at_least} to {self.at_most}"
        else:
            named = (
                ("of at least", self.at_least),
                ("above", self.above),
                ("at most", self.at_most),
                ("below", self.below),
            )
            bounds = " and ".join(f"{word} {bound}" for word, bound in named if bound is not None)
        example = f" ({self.example})" if self.example else ""
        return f"{self.what} {bounds}{example}"


@dataclass(frozen=True, slots=True)
class Matching:
    """A validator: a text that matches `pattern` wholly; `what` says so in words."""

    pattern: re.Pattern[str]
    what: str

    def __call__(self, value: object) -> str:
        """The text.

        Raises:
            ValueError: the text is the whole sentence.

        """
        if not isinstance(value, str) or not self.pattern.fullmatch(value):
            raise ValueError(f"must be {self.what}, is {shown(value)}")
        return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, is {shown(value)}")  # noqa: TRY004  pydantic wants ValueError
    return value


def _moment(value: object) -> datetime:
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
            if moment.timestamp() >= 0 and moment.timestamp() % _MINUTE_SECONDS == 0:
                return moment
    except (ValueError, OverflowError):
        pass
    raise ValueError(
        f"must be a date or a whole minute from 1970 on (2026-01-31 or 2026-01-31T12:00Z), is {shown(value)}"
    )


def filled(value: object) -> object:
    """Refuses an empty list; pydantic's own bound would also complain when each item is wrong.

    Raises:
        ValueError: it is empty.

    """
    if value == []:
        raise ValueError("is empty; it must hold at least one")
    return value


_RATIO_EXAMPLE = "0.05 is 5 %"
_TEXT = Matching(re.compile(rf"[^{_UNREADABLE}]{{1,200}}"), "a text of one line")
_SYMBOL = Matching(re.compile(rf"[^{_UNREADABLE}]{{1,100}}"), "a symbol such as BTC/USDT")
_PATH = Matching(
    re.compile(rf"(?!~)[^{_UNREADABLE}]{{1,{_PATH_LENGTH_MAX}}}"),
    "a path, absolute or relative to the root (~ is not known here)",
)
NAME = Matching(
    re.compile(r"[a-z0-9][a-z0-9_-]{0,31}"),
    "a name of at most 32 of a-z, 0-9, _ and -, the first a letter or digit",
)

Flag = Annotated[bool, BeforeValidator(_flag)]
Text = Annotated[str, BeforeValidator(_TEXT)]
SymbolText = Annotated[str, BeforeValidator(_SYMBOL)]
PathText = Annotated[str, BeforeValidator(_PATH)]
Name = Annotated[str, BeforeValidator(NAME)]
Moment = Annotated[datetime, BeforeValidator(_moment)]

Count = Annotated[int, BeforeValidator(Number(what="a whole number", at_least=1, at_most=1_000_000, whole=True))]
CountOrZero = Annotated[int, BeforeValidator(Number(what="a whole number", at_least=0, at_most=1_000_000, whole=True))]
Seed = Annotated[int, BeforeValidator(Number(what="a whole number", at_least=0, at_most=2**63 - 1, whole=True))]
Port = Annotated[int, BeforeValidator(Number(what="a port", at_least=1, at_most=65_535, whole=True))]
Minutes = Annotated[int, BeforeValidator(Number(what="whole minutes", at_least=1, at_most=100_000_000, whole=True))]
MinutesOrZero = Annotated[
    int, BeforeValidator(Number(what="whole minutes", at_least=0, at_most=100_000_000, whole=True))
]
Milliseconds = Annotated[
    int, BeforeValidator(Number(what="whole milliseconds", at_least=0, at_most=600_000, whole=True))
]
Seconds = Annotated[Decimal, BeforeValidator(Number(what="seconds", above=0, at_most=86_400))]
SecondsOrZero = Annotated[Decimal, BeforeValidator(Number(what="seconds", at_least=0, at_most=86_400))]
Hours = Annotated[Decimal, BeforeValidator(Number(what="hours", above=0, at_most=8760))]
Speed = Annotated[
    Decimal,
    BeforeValidator(Number(example="60 is a minute in a second, 0 as fast as possible", at_least=0, at_most=1_000_000)),
]
Quote = Annotated[Decimal, BeforeValidator(Number(what="an amount of quote currency", above=0))]
Ratio = Annotated[Decimal, BeforeValidator(Number(what="a ratio", example=_RATIO_EXAMPLE, above=0, below=1))]
RatioOrZero = Annotated[Decimal, BeforeValidator(Number(what="a ratio", example=_RATIO_EXAMPLE, at_least=0, below=1))]
RatioOrOne = Annotated[Decimal, BeforeValidator(Number(what="a ratio", example="1 is 100 %", above=0, at_most=1))]
Fee = Annotated[
    Decimal,
    BeforeValidator(
        Number(what="a ratio", example="0.0005 is 0.05 %, below 0 a rebate", at_least=Decimal("-0.01"), below=1)
    ),
]
Multiple = Annotated[
    Decimal, BeforeValidator(Number(what="a ratio of equity", example="1.5 is 150 %", above=0, at_most=1000))
]
Scale = Annotated[Decimal, BeforeValidator(Number(above=0, at_most=100))]
NumberOrZero = Annotated[Decimal, BeforeValidator(Number(at_least=0, at_most=1_000_000))]
