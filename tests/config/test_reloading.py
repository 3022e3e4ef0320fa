"""What a running daemon can follow: every key of the config is classified, and every difference is seen and told."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from livebot.config.load import LoadedConfig, check
from livebot.config.model import Config
from livebot.config.reloading import KEYS, Takes, changes_of, made_anew, readme_table, rule_of, takes

BASE = """
system: demo
market: perpetual
symbols: [BTC/USDT:USDT, ETH/USDT:USDT, SOL/USDT:USDT]
strategies:
  - {name: ema_cross}
  - {name: breakout, symbols: [BTC/USDT:USDT]}
"""
CHECKOUT = Path(__file__).resolve().parents[2]


@cache
def loaded(text: str = BASE) -> LoadedConfig:
    return check(text, "config.yaml")


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a key holds, if it holds one."""
    options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    found = [each for each in options if isinstance(each, type) and issubclass(each, BaseModel)]
    return found[0] if found and {type(None), found[0]} >= set(options) - {NoneType} else None


def leaves(model: type[BaseModel], key: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        here = f"{key}.{name}" if key else name
        section = section_of(field.annotation)
        if section is None:
            yield here
        else:
            yield from leaves(section, here)


LEAVES = tuple(leaves(Config))


def changed(section: BaseModel, key: str) -> BaseModel:
    """The same section with another value at a key; one that is not there is made for it."""
    name, _, rest = key.partition(".")
    if not rest:
        return section.model_copy(update={name: "another value"})
    below = getattr(section, name)
    if below is None:
        below = section_of(type(section).model_fields[name].annotation)
        below = below.model_construct(**dict.fromkeys(below.model_fields))
    return section.model_copy(update={name: changed(below, rest)})


def test_the_keys_are_walked_to_their_ends():
    """The walk of this test sees what is deep, optional and plain."""
    assert {"risk.limits.drawdown", "risk.loss_limit.ratio", "risk.exits.trailing.distance", "system"} <= set(LEAVES)
    assert {"exchange.loopback.port", "universe.hysteresis.rank", "alerts.events.opened"} <= set(LEAVES)


@pytest.mark.parametrize("key", LEAVES)
def test_every_key_is_classified(key):
    assert rule_of(key) is not None, f"say in config/reloading.py whether a running daemon can follow {key}"


def test_the_readme_shows_the_table():
    assert readme_table() in (CHECKOUT / "README.md").read_text(), "put the present readme_table() there"


@pytest.mark.parametrize("rule", KEYS)
def test_every_row_of_the_table_is_of_a_key(rule):
    assert any(key == rule or key.startswith(f"{rule}.") for key in LEAVES)


@pytest.mark.parametrize("key", [key for key in LEAVES if key != "strategies"])
def test_a_change_of_any_key_is_seen_and_judged_by_its_row(key):
    old = loaded(BASE + "model: {}\n") if key.startswith("model.") else loaded()
    new = replace(old, config=changed(old.config, key))
    found = changes_of(old, new)
    assert len(found) == 1
    (change,) = found
    assert key == change.key or key.startswith(f"{change.key}.")
    assert takes(change.key) is KEYS[rule_of(key)][0]
    assert changes_of(new, old)[0].key == change.key


def test_a_key_that_nobody_classified_takes_a_restart():
    assert takes("risk.something_new") is Takes.RESTART
    assert takes("another.section") is Takes.RESTART


def test_the_same_config_is_no_change_however_it_is_written():
    assert changes_of(loaded(), loaded(f"{BASE}risk: {{limits: {{open_signals: 10}}}}\nmode: paper\n")) == ()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("", "risk: {limits: {open_signals: 5}}", ["risk.limits.open_signals 10 -> 5"]),
        ("", "risk: {limits: {drawdown: null, daily_loss: 0.05}}", None),
        ("", "risk: {loss_limit: null}", ["risk.loss_limit ratio 0.10, action 'stop_opening' -> null"]),
        ("risk: {loss_limit: {ratio: 0.2}}", "risk: {loss_limit: {ratio: 0.3}}", ["risk.loss_limit.ratio 0.2 -> 0.3"]),
        ("risk: {exits: {trailing: {distance: 0.01}}}", "", ["risk.exits.trailing distance 0.01, after 0 -> null"]),
        ("", "runtime: {queue_size: 5}", ["runtime.queue_size 1000 -> 5"]),
    ],
)
def test_a_difference_is_told_as_it_stands_in_the_file(old, new, told):
    found = [str(change) for change in changes_of(loaded(f"{BASE}{old}\n"), loaded(f"{BASE}{new}\n"))]
    assert found == (told or ["risk.limits.daily_loss 0.10 -> 0.05", "risk.limits.drawdown 0.25 -> null"])


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("{name: ema_cross}", "{name: ema_cross, params: {fast: 5}}", "strategies.ema_cross.params.fast 12 -> 5"),
        (
            "{name: ema_cross}",
            "{name: ema_cross, symbols: [BTC/USDT:USDT]}",
            "strategies.ema_cross.symbols +BTC/USDT:USDT -all",
        ),
        (
            "symbols: [BTC/USDT:USDT]}",
            "symbols: [ETH/USDT:USDT]}",
            "strategies.breakout.symbols +ETH/USDT:USDT -BTC/USDT:USDT",
        ),
        ("{name: ema_cross}", "{name: ema_cross}\n  - {name: ema_cross, id: second}", "strategies.second added"),
        ("  - {name: breakout, symbols: [BTC/USDT:USDT]}\n", "", "strategies.breakout taken out"),
        (", SOL/USDT:USDT]", "]", "symbols -SOL/USDT:USDT"),
        ("[BTC/USDT:USDT, ETH/USDT:USDT,", "[ETH/USDT:USDT, BTC/USDT:USDT,", "symbols in another order"),
        ("{name: breakout,", '{class: "tests.process.strategies:Eager", id: breakout,', "strategies.breakout.class"),
    ],
)
def test_a_difference_of_strategies_and_symbols_is_told_by_names(was, becomes, told):
    assert was in BASE
    (change,) = changes_of(loaded(), loaded(BASE.replace(was, becomes, 1)))
    assert str(change).startswith(told)
    assert takes(change.key) is Takes.RELOAD


def test_another_order_of_strategies_is_a_difference():
    head, _, tail = BASE.partition("strategies:\n")
    first, second, *_ = tail.splitlines()
    (change,) = changes_of(loaded(), loaded(f"{head}strategies:\n{second}\n{first}\n"))
    assert str(change) == "strategies in another order"


def test_what_runs_by_other_params_is_made_anew_and_nothing_else():
    new = loaded(BASE.replace("{name: breakout,", "{name: breakout, params: {channel: 7},"))
    assert made_anew(loaded(), new) == {"breakout"}
    assert made_anew(loaded(), loaded(BASE.replace("{name: ema_cross}", "{name: ema_cross, id: other}"))) == set()
    other = loaded(BASE.replace("{name: breakout,", '{class: "tests.process.strategies:Eager", id: breakout,'))
    assert made_anew(loaded(), other) == {"breakout"}


def test_many_symbols_make_no_long_sentence():
    many = ", ".join(f"A{number}/USDT:USDT" for number in range(500))
    (change,) = changes_of(loaded(), loaded(BASE.replace("SOL/USDT:USDT", f"SOL/USDT:USDT, {many}", 1)))
    assert str(change).endswith("and 490 more")
    assert len(str(change)) < 300


def test_the_text_of_a_param_is_not_repeated():
    """Whatever a user writes there stays in his file."""
    texts = [
        f"  - {{class: 'tests.process.strategies:Brittle', params: {{raises_on: {text}}}}}\n" for text in ("AB", "CD")
    ]
    (change,) = changes_of(*(loaded(BASE + text) for text in texts))
    assert str(change) == "strategies.brittle.params.raises_on changed"


class Odd:
    """Params that no dataclass made; equal to nothing."""

    __hash__ = None

    def __eq__(self, other):
        return False


def test_params_of_any_kind_are_compared():
    old = loaded()
    plans = tuple(replace(plan, params=Odd()) for plan in old.strategies)
    new = replace(old, strategies=plans)
    assert [str(change) for change in changes_of(new, replace(new, strategies=plans[:1] + old.strategies[1:]))] == [
        "strategies.ema_cross.params changed",
        "strategies.breakout.params changed",
    ]
