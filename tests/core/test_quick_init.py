"""The quicker `__init__` of frozen classes makes what `dataclasses` makes."""

import inspect
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from livebot.core.quick_init import changed, quick_init


@dataclass(frozen=True, slots=True)
class Base:
    """Positional, and checked."""

    first: int
    second: str = "two"

    def __post_init__(self) -> None:
        if self.first < 0:
            raise ValueError("below 0")


@dataclass(frozen=True, slots=True)
class PlainThing(Base):
    """With a field by name only."""

    third: float = field(default=3.0, kw_only=True)


@quick_init
@dataclass(frozen=True, slots=True)
class QuickThing(Base):
    """The same."""

    third: float = field(default=3.0, kw_only=True)


@pytest.mark.parametrize(
    ("values", "named"), [((1,), {}), ((1, "b"), {}), ((1,), {"third": 0.5}), ((), {"second": "c", "first": 7})]
)
def test_it_takes_and_keeps_what_the_plain_one_does(values, named):
    """By place, by name and by default; and it is as frozen, equal to its like, and replaced as ever."""
    plain, quick = PlainThing(*values, **named), QuickThing(*values, **named)
    assert (plain.first, plain.second, plain.third) == (quick.first, quick.second, quick.third)
    assert repr(quick).replace("Quick", "Plain") == repr(plain)
    assert quick == QuickThing(*values, **named)
    assert replace(quick, first=9) == QuickThing(9, quick.second, third=quick.third)
    with pytest.raises(FrozenInstanceError):
        quick.first = 2  # type: ignore[misc]


def test_its_parameters_are_those_of_the_plain_one():
    """Names, kinds, and which may be left out."""
    plain, quick = (inspect.signature(kind.__init__).parameters for kind in (PlainThing, QuickThing))
    assert [(each.name, each.kind, each.default) for each in plain.values()] == [
        (each.name, each.kind, each.default) for each in quick.values()
    ]


def test_the_class_checks_what_it_is_given():
    """And what does not fit the parameters is a TypeError."""
    with pytest.raises(ValueError, match="below 0"):
        QuickThing(-1)
    with pytest.raises(TypeError, match="first"):
        QuickThing()
    with pytest.raises(TypeError, match="positional"):
        QuickThing(1, "b", 2.0)


def test_what_it_does_not_know_is_refused_when_the_class_is_made():
    """A field that the caller does not give."""

    @dataclass(frozen=True, slots=True)
    class Made:
        rows: list[int] = field(default_factory=list)

    with pytest.raises(TypeError, match=r"Made\.rows"):
        quick_init(Made)


@pytest.mark.parametrize("kind", [PlainThing, QuickThing])
def test_a_changed_copy_is_what_replace_makes_of_it(kind):
    """Of each field, and of none; what it is a copy of stays, and the class checks the copy."""
    thing = kind(1, "b", third=0.5)
    for changes in ({}, {"first": 9}, {"second": None}, {"third": 2.0, "first": 3}):
        assert changed(thing, **changes) == replace(thing, **changes)
    assert changed(thing) is not thing
    assert thing == kind(1, "b", third=0.5)
    with pytest.raises(ValueError, match="below 0"):
        changed(thing, first=-1)
    with pytest.raises(TypeError, match="fourth"):
        changed(thing, fourth=4)
