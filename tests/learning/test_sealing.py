"""A seal notices every byte; files are read only where they belong."""

import os
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebot.errors import BadInput
from livebot.learning.sealing import digest_of, read_inside, same_digest, seal, unseal

KEY = b"0123456789abcdef0123456789abcdef"
BODY = b'{\n  "schema": 1,\n  "of": "something"\n}'
keys = pytest.mark.parametrize("key", [None, KEY], ids=["plain", "keyed"])


@keys
def test_what_was_sealed_is_unsealed(key):
    assert unseal(seal(BODY, key), key) == BODY


@keys
def test_a_seal_is_a_member_of_the_same_json_object(key):
    """So that people and programs read it as JSON."""
    import json

    tree = json.loads(seal(BODY, key))
    assert list(tree) == ["schema", "of", "seal"]
    assert tree["seal"].startswith("sha256:" if key is None else "hmac-sha256:")


@keys
@settings(max_examples=100)
@given(data=st.data())
def test_every_changed_byte_is_noticed(key, data):
    """In the body, in the seal, and in what lies between."""
    sealed = bytearray(seal(BODY, key))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadInput):
        unseal(bytes(sealed), key)


@keys
def test_every_cut_is_noticed(key):
    sealed = seal(BODY, key)
    for length in range(len(sealed)):
        with pytest.raises(BadInput):
            unseal(sealed[:length], key)
    with pytest.raises(BadInput):
        unseal(sealed + b"\n", key)


def test_another_key_does_not_fit():
    with pytest.raises(BadInput, match="sealed with another LIVEBOT_MODEL_KEY"):
        unseal(seal(BODY, KEY), KEY[::-1])


def test_with_a_key_a_plain_seal_is_refused():
    """Anybody can make one."""
    with pytest.raises(BadInput, match="sealed without a key"):
        unseal(seal(BODY, None), KEY)


def test_without_the_key_a_keyed_seal_is_refused():
    """It cannot be checked."""
    with pytest.raises(BadInput, match="LIVEBOT_MODEL_KEY is not set"):
        unseal(seal(BODY, KEY), None)


def test_no_key_is_in_a_message():
    try:
        unseal(seal(BODY, KEY), b"another key that is long enough to be one")
    except BadInput as error:
        assert "another key that" not in str(error)


def test_digests_are_compared_whole():
    assert same_digest(b"model", digest_of(b"model"))
    assert not same_digest(b"model", digest_of(b"model")[:-1] + "0")


def test_a_file_is_read_below_the_folder(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"content")
    assert read_inside(tmp_path, ("a", "b", "file"), 7) == b"content"
    assert read_inside(tmp_path, ("a", "c", "file"), 7) is None
    assert read_inside(tmp_path / "nowhere", ("file",), 7) is None


def test_the_folder_itself_may_be_a_link(tmp_path):
    """An operator may keep models on another disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "file").write_bytes(b"content")
    (tmp_path / "models").symlink_to(tmp_path / "disk")
    assert read_inside(tmp_path / "models", ("file",), 7) == b"content"


@pytest.mark.parametrize("where", ["folder", "file"])
def test_a_link_below_is_not_followed(tmp_path, where):
    """Whoever can place a link must not have a file of elsewhere loaded."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"content")
    models = tmp_path / "models"
    models.mkdir()
    if where == "folder":
        (models / "a").symlink_to(tmp_path / "outside")
    else:
        (models / "a").mkdir()
        (models / "a" / "file").symlink_to(tmp_path / "outside" / "file")
    with pytest.raises(BadInput, match="a link or a file stands in the way"):
        read_inside(models, ("a", "file"), 7)


def test_a_file_beyond_the_bound_is_not_read(tmp_path):
    (tmp_path / "file").write_bytes(b"12345678")
    with pytest.raises(BadInput, match="8 bytes, and at most 7"):
        read_inside(tmp_path, ("file",), 7)


def test_what_is_no_plain_file_is_not_read(tmp_path):
    """A pipe would hold up its reader for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("pipe", "folder", "socket"):
            with pytest.raises(BadInput, match="is not read"):
                read_inside(tmp_path, (name,), 7)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"1234567")
    pieces = iter([b"12345", b"678"])
    monkeypatch.setattr(os, "read", lambda *_: next(pieces))
    with pytest.raises(BadInput, match="it grows"):
        read_inside(tmp_path, ("file",), 7)


def test_a_failing_disk_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"1")

    def fails(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", fails)
    with pytest.raises(BadInput, match=r"cannot be read: Input/output error"):
        read_inside(tmp_path, ("file",), 7)
