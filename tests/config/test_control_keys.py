"""Where the control API is served, and the token that it wants."""

import pytest

from livebot.config.load import check
from livebot.config.secrets import control_token
from livebot.errors import BadInput
from tests.config.texts import MINIMAL, complaints, of

GOOD = "0123456789abcdefghijklmnopqrstuvwxyz"


def control(text):
    return check(MINIMAL + text, "config.yaml").config.control


def test_by_default_there_is_the_socket_and_no_port():
    found = control("")
    assert (found.http, found.event_clients, found.events_kept, found.keys_kept) == (None, 4, 5000, 256)


def test_a_port_is_of_the_loopback():
    assert control("control: {http: {port: 9470}}\n").http.model_dump() == {"port": 9470, "host": "127.0.0.1"}
    assert control("control: {http: {port: 9470, host: '::1'}}\n").http.host == "::1"


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost", "10.0.0.1", "'::'", "7", "null"])
def test_no_other_address_is_taken(host):
    (sentence,) = of(f"control: {{http: {{port: 9470, host: {host}}}}}\n")
    assert "control.http.host" in sentence
    assert "127.0.0.1" in sentence


def test_a_token_has_no_place_in_it():
    """And is not repeated."""
    sentences = complaints(MINIMAL + f"control: {{http: {{port: 9470, token: {GOOD}}}}}\n")
    assert any("a secret has no place in a config" in each for each in sentences)
    assert GOOD not in str(sentences)


def test_one_port_serves_one_thing():
    (sentence,) = of("control: {http: {port: 9464}, metrics_port: 9464}\n")
    assert "control.http: port 9464 is metrics_port already" in sentence


def test_who_only_listens_leaves_room_for_a_halt():
    (sentence,) = of("control: {connections: 4, event_clients: 4}\n")
    assert "control.event_clients: 4 would leave no connection for a halt" in sentence
    assert control("control: {connections: 4}\n").connections == 4  # what nobody asked for gives way
    assert control("control: {connections: 4, event_clients: 0}\n").event_clients == 0


@pytest.mark.parametrize("key", ["event_clients: -1", "events_kept: 0", "keys_kept: 0"])
def test_a_bound_that_bounds_nothing_is_refused(key):
    (sentence,) = of(f"control: {{{key}}}\n")
    assert f"control.{key.partition(':')[0]}" in sentence


# ------------------------------------------------------------------ the token


def test_the_token_comes_from_the_environment_or_a_credential(tmp_path):
    assert control_token({"LIVEBOT_CONTROL_TOKEN": f" {GOOD}\n"}) == GOOD
    (tmp_path / "LIVEBOT_CONTROL_TOKEN").write_text(GOOD + "\n")
    assert control_token({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == GOOD


def test_without_one_the_start_is_refused():
    with pytest.raises(BadInput, match=r"control\.http needs LIVEBOT_CONTROL_TOKEN: set it in the environment"):
        control_token({})


@pytest.mark.parametrize("wrong", ["Pl4nted", "Pl4nted" * 4, "Pl4nted " * 6, "Pl4nted\u00e9" * 6, "Pl4nted" * 200])
def test_one_that_is_not_sound_is_refused_and_not_shown(wrong):
    with pytest.raises(BadInput, match=r"must have 32 to 1024 of the characters .* `openssl rand -hex 32`") as caught:
        control_token({"LIVEBOT_CONTROL_TOKEN": wrong})
    assert "Pl4nted" not in str(caught.value)
