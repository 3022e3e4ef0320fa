"""The cache of instances: made once, kept, and forgotten when told to."""

import pytest

from livebot.runtime.symbol.instances import Instances
from tests.runtime.samples import BTC, ETH


class Thing:
    """Something with an identity."""

    def __init__(self, symbol: str, strategy: str) -> None:
        self.key = (symbol, strategy)


def test_an_instance_is_made_once():
    instances = Instances(Thing)
    first = instances.get(BTC, "trend")
    assert (BTC, "trend") == first.key
    assert first is instances.get(BTC, "trend") is instances.peek(BTC, "trend")
    assert first is not instances.get(BTC, "breakout")
    assert first is not instances.get(ETH, "trend")
    assert {"created": 3, "evicted": 0, "live": 3} == instances.counts()


def test_peeking_makes_nothing():
    instances = Instances(Thing)
    assert instances.peek(BTC, "trend") is None
    assert 0 == len(instances)


def test_evicting_a_symbol_forgets_all_its_strategies_and_nothing_else():
    instances = Instances(Thing)
    old, kept = instances.get(BTC, "trend"), instances.get(ETH, "trend")
    instances.get(BTC, "breakout")
    assert 2 == len(instances.of(BTC))
    assert (2, 0) == (instances.evict(BTC), instances.evict(BTC))
    assert () == instances.of(BTC)
    assert old is not instances.get(BTC, "trend")
    assert kept is instances.get(ETH, "trend")
    assert {"created": 4, "evicted": 2, "live": 2} == instances.counts()


def test_evicting_one_leaves_the_symbols_other_strategies():
    instances = Instances(Thing)
    instances.get(BTC, "trend")
    kept = instances.get(BTC, "breakout")
    assert instances.evict_one(BTC, "trend")
    assert not instances.evict_one(BTC, "trend")
    assert [kept] == list(instances)
    assert instances.evict_one(BTC, "breakout")
    assert 0 == len(instances)


def test_what_cannot_be_made_is_not_kept():
    def refuse(symbol: str, strategy: str) -> Thing:
        raise ValueError(symbol)

    instances = Instances(refuse)
    with pytest.raises(ValueError, match=BTC):
        instances.get(BTC, "trend")
    assert {"created": 0, "evicted": 0, "live": 0} == instances.counts()


def test_evicting_while_iterating_is_allowed():
    instances = Instances(Thing)
    for symbol in (BTC, ETH):
        instances.get(symbol, "trend")
    for thing in instances:
        instances.evict(thing.key[0])
    assert 0 == len(instances)
