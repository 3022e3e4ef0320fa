"""Which parameters a sweep tries: `fast=8,12,16`, `fast=8:32:4`, `ema_cross.fast=8,12` with several strategies.

Rules of this file: only declared parameters, typed as the strategy's Params are; a range includes its end; what cannot be
read is refused with the text and the mend.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from itertools import product
from math import prod
from types import NoneType
from typing import Any, cast, get_args, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from livebot.backtest.plan import BacktestPlan, StrategyRun
from livebot.errors import BadInput
from livebot.strategies.interface import check_strategy

MOST_TRIALS = 20_000  # of one sweep; more is a search, not a grid: --trials N
MOST_VALUES = 10_000  # of one parameter
_RANGE_PARTS = (2, 3)
_NUMBERS = {int, float, Decimal}
_PLAIN = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "it is a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "decimal_type", "decimal_parsing"), "it is a number"),
}

Choice = tuple[tuple[str, str, Any], ...]  # (strategy id, parameter, value) of each axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One parameter of one strategy: `values`, or (None) any number from `low` to `high`."""

    strategy: str
    name: str
    values: tuple[Any, ...] | None
    low: float = 0.0
    high: float = 0.0

    @property
    def label(self) -> str:
        """As it is shown and as it can be written."""
        return f"{self.strategy}.{self.name}"


def axes_of(plan: BacktestPlan, texts: Sequence[str], *, continuous: bool) -> tuple[Axis, ...]:
    """What `--param` says.  `continuous`: a range of floats may do without a step.

    Raises:
        BadInput: a text that cannot be read, a parameter that is not declared or is named twice.

    """
    axes = tuple(_axis(plan, text, continuous=continuous) for text in texts)
    labels = [axis.label for axis in axes]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise BadInput(f"--param names {', '.join(twice)} more than once; put all its values into one")
    return axes


def grid(axes: Sequence[Axis]) -> Iterator[Choice]:
    """Every combination, the last parameter changing fastest.

    Raises:
        BadInput: there are more than MOST_TRIALS.

    """
    count = prod(len(axis.values or ()) for axis in axes)
    if count > MOST_TRIALS:
        raise BadInput(
            f"--param makes {count:,} combinations, more than the {MOST_TRIALS:,} allowed; give fewer values, or let "
            "--trials N search among them"
        )
    for values in product(*(axis.values or () for axis in axes)):
        yield tuple((axis.strategy, axis.name, value) for axis, value in zip(axes, values, strict=True))


def with_choice(plan: BacktestPlan, choice: Choice) -> BacktestPlan:
    """The plan with these parameters.

    Raises:
        BadInput: the strategy does not take them; in its own words.

    """
    for strategy in dict.fromkeys(part[0] for part in choice):
        run = _run_of(plan, strategy)
        values = {name: value for owner, name, value in choice if owner == strategy}
        try:
            params: object = replace(cast("Any", run.params), **values)  # a dataclass: the registry sees to it
            problems = check_strategy(run.strategy_class(params))
        except (ValueError, TypeError) as error:
            raise BadInput(str(error)) from error
        if problems:
            raise BadInput("; ".join(problems))
        plan = plan.with_params(strategy, params)
    return plan


def _run_of(plan: BacktestPlan, strategy: str) -> StrategyRun:
    return next(run for run in plan.strategies if run.id == strategy)


# Reading


def _axis(plan: BacktestPlan, text: str, *, continuous: bool) -> Axis:
    path, equals, said = text.partition("=")
    if not equals or not said.strip() or not path.strip():
        raise BadInput(f"--param {text!r}: write a parameter and its values, such as fast=8,12,16 or fast=8:32:4")
    strategy, name = _owner(plan, path.strip())
    hint = get_type_hints(_run_of(plan, strategy).strategy_class.Params)[name]
    if ":" in said:
        return _range(Axis(strategy=strategy, name=name, values=None), hint, said, continuous=continuous)
    parts = said.split(",")
    if len(parts) > MOST_VALUES:
        raise BadInput(f"--param {path}: {len(parts):,} values, more than the {MOST_VALUES:,} allowed")
    values = tuple(dict.fromkeys(_value(path, hint, part) for part in parts))
    return Axis(strategy=strategy, name=name, values=values)


def _owner(plan: BacktestPlan, path: str) -> tuple[str, str]:
    """The strategy id and the parameter that are meant."""
    owner, _, name = path.rpartition(".")
    declared = {run.id: [each.name for each in fields(run.strategy_class.Params)] for run in plan.strategies}
    having = [each for each, names in declared.items() if name in names and owner in ("", each)]
    if len(having) > 1:
        raise BadInput(f"--param {path}: {', '.join(having)} have one; write {having[0]}.{name} or the like")
    if not having:
        known = "; ".join(f"{each} has {', '.join(names)}" for each, names in declared.items() if owner in ("", each))
        strategies = f"the strategies are {', '.join(declared)}"
        raise BadInput(f"--param {path}: no such parameter is declared; {known or strategies}")
    return having[0], name


def _value(path: str, hint: Any, text: str) -> Any:  # noqa: ANN401 - whatever the parameter is
    kinds = set(get_args(hint) or (hint,)) - {NoneType}
    try:
        said = yaml.safe_load(text)
        if isinstance(said, bool) and kinds <= _NUMBERS:
            raise BadInput(f"--param {path}: {text.strip()} is no number")
        return TypeAdapter(hint).validate_python(said)
    except ValidationError as error:
        told = _PLAIN.get(error.errors()[0]["type"]) or error.errors()[0]["msg"]
        raise BadInput(f"--param {path}: {text.strip() or 'an empty value'} does not fit: {told}") from error
    except yaml.YAMLError as error:
        raise BadInput(f"--param {path}: {text.strip()} cannot be read; write plain values, such as 8,12,16") from error


def _range(axis: Axis, hint: object, said: str, *, continuous: bool) -> Axis:
    kinds = set(get_args(hint) or (hint,)) - {NoneType}
    parts = said.split(":")
    if len(parts) not in _RANGE_PARTS or not kinds <= _NUMBERS:
        raise BadInput(f"--param {axis.name}={said}: write from:to:step of numbers, such as 8:32:4")
    try:
        numbers = [Decimal(part.strip()) for part in parts]
    except InvalidOperation:
        raise BadInput(
            f"--param {axis.name}={said}: these are not numbers; write from:to:step, such as 8:32:4"
        ) from None
    if not all(number.is_finite() for number in numbers) or numbers[1] < numbers[0]:
        raise BadInput(f"--param {axis.name}={said}: a range goes from the smaller number to the larger one")
    low, high = numbers[:2]
    if len(numbers) == len(_RANGE_PARTS) and int not in kinds:
        if not continuous:
            raise BadInput(f"--param {axis.name}={said}: say a step, such as {low}:{high}:{(high - low) / 10 or 1}")
        return replace(axis, low=float(low), high=float(high))
    step = numbers[2] if len(numbers) > len(_RANGE_PARTS) else Decimal(1)
    if step <= 0 or (high - low) / step >= MOST_VALUES:
        raise BadInput(f"--param {axis.name}={said}: a step is above 0 and makes at most {MOST_VALUES:,} values")
    count = int((high - low) / step) + 1
    texts = (format(low + place * step, "f") for place in range(count))
    return replace(axis, values=tuple(_value(axis.name, hint, text) for text in texts))
