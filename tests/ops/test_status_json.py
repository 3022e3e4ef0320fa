"""A status survives the way through JSON without a digit lost."""

import dataclasses
from decimal import Decimal
from types import MappingProxyType

import orjson
import pytest

from livebot.errors import Rejected
from livebot.ops.status_json import decode_status, encode_status
from livebot.ports import LimitUse
from tests.ops.fake_control import a_crowd, a_signal, a_status, a_symbol


def test_what_is_encoded_decodes_to_the_same():
    """Decimals keep their digits, tuples stay tuples, None stays None."""
    status = a_status(
        equity=Decimal("10034.510000000000000000000001"),
        unprotected=("ema_cross/BTC/USDT:USDT#1",),
        problems=("BTC/USDT:USDT has no stop",),
        symbols=(
            a_symbol(signals=(a_signal(),), blocks=("paused",), last_error="ValueError: no", last_price=None),
            *a_crowd(3),
        ),
    )
    assert decode_status(orjson.loads(encode_status(status))) == status


def test_the_keys_are_those_of_the_dataclass():
    """Outside tools read `livebot status --json`: its keys are part of the interface."""
    data = orjson.loads(encode_status(a_status()))
    assert list(data) == [field.name for field in dataclasses.fields(a_status())]
    assert data["equity"] == "10034.51"
    assert data["limits"][2].items() >= {"name": "drawdown", "used": "0.004", "allowed": None}.items()


def test_a_floor_stays_a_floor_and_a_daemon_of_before_has_none():
    floor = LimitUse(name="minimum_confidence", used=Decimal("0.6"), allowed=Decimal("0.5"), floor=True)
    data = orjson.loads(encode_status(a_status(limits=(floor,))))
    assert (floor,) == decode_status(data).limits
    del data["limits"][0]["floor"]
    assert not decode_status(data).limits[0].floor


def test_a_read_only_mapping_is_a_mapping():
    """The portfolio may hand out views of its counts."""
    assert orjson.loads(encode_status(a_status(counts=MappingProxyType({"opened": 1}))))["counts"] == {"opened": 1}


def test_a_stranger_in_the_status_is_an_error():
    """What has no JSON form is a mistake of ours, and says so."""
    with pytest.raises(TypeError):
        encode_status(a_status(counts={"opened": object()}))


@pytest.mark.parametrize("change", [{"equity": "much"}, {"limits": None}, {"new_field": 1}, {"symbols": [{}]}])
def test_the_status_of_another_version_is_refused(change):
    """A daemon older or newer than the command gives a sentence, not a traceback."""
    data = {**orjson.loads(encode_status(a_status())), **change}
    with pytest.raises(Rejected, match="another version"):
        decode_status(data)
