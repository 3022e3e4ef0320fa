"""A state file that is not whole, byte for byte, is told from one that is."""

import json

import pytest

from livebot.adapters.state_files import sealed_json
from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.sealed_json import seal, unseal
from livebot.core.inputs import SymbolState
from livebot.errors import BadInput, Fatal
from tests.adapters.states import open_state

STATE: Codec[SymbolState] = Codec(SymbolState)


@pytest.fixture(scope="module")
def file() -> bytes:
    """The file of an open position."""
    return seal(STATE.to_tree(open_state()))


def test_a_whole_file_reads_back(file):
    """What went in comes out."""
    assert open_state() == STATE.from_tree(unseal(file))


def test_a_file_is_plain_indented_json_with_the_schema_first_and_the_checksum_last(file):
    """People read it, and so does any other program."""
    tree = json.loads(file)
    assert ("schema", 5) == next(iter(tree.items()))
    assert ["system", "strategy", "symbol", "sequence"] == list(tree)[1:5]
    assert "checksum" == list(tree)[-1]
    assert b'\n  "symbol": "BTC/USDT:USDT",\n' in file


def test_a_file_cut_at_any_byte_is_damaged(file):
    """Also one byte before its end, where only the last line break is missing."""
    for length in range(len(file)):
        with pytest.raises(BadInput):
            unseal(file[:length])


def test_a_file_with_any_byte_changed_is_damaged(file):
    """In a value, in a key, in the white space, in the checksum: every byte, one bit and all bits of it."""
    for offset in range(len(file)):
        for flip in (0x01, 0x20, 0xFF):
            altered = bytearray(file)
            altered[offset] ^= flip
            with pytest.raises(BadInput):
                unseal(bytes(altered))


def test_a_file_of_zeros_and_an_empty_one_are_damaged(file):
    """What filesystems leave behind after a power cut."""
    for data in (b"", bytes(len(file)), file[:100] + bytes(len(file) - 100), b"\n"):
        with pytest.raises(BadInput):
            unseal(data)


def test_a_file_with_something_behind_it_is_damaged(file):
    """Two files' worth of bytes are no file."""
    for more in (b"\n", b"{}", file):
        with pytest.raises(BadInput):
            unseal(file + more)


def test_an_edit_by_hand_is_damage_even_if_it_is_good_json(file):
    """Otherwise a typing error could become a position."""
    with pytest.raises(BadInput, match="edited by hand"):
        unseal(file.replace(b'"sequence": 41', b'"sequence": 42'))


def test_a_file_of_another_schema_is_whole_but_not_ours_to_read():
    """It is not damage: the other version of livebot reads it, and nothing may be set aside."""
    with pytest.raises(Fatal, match="schema 6, and this version of livebot reads 5"):
        unseal(seal({"schema": 6, "system": "spot"}))


def test_a_sealed_piece_of_something_else_is_refused():
    """The checksum fits, and still it is no JSON object."""
    for body in (b'["a"', b"nonsense", b'{"a": 1, "a": '):
        with pytest.raises(BadInput):
            unseal(body + sealed_json._seal_of(body))
