"""Keys come from the environment or from systemd's credentials, and nothing shows them."""

import pytest

from livebot.adapters.log.redaction import Redaction, secrets_of
from livebot.config.secrets import check_confirmation, model_key, read_secrets
from livebot.errors import BadInput


def test_the_environment_comes_before_the_credentials(tmp_path):
    (tmp_path / "LIVEBOT_API_KEY").write_text("from-file\n")
    (tmp_path / "LIVEBOT_API_SECRET").write_text("hidden\n")
    (tmp_path / "LIVEBOT_API_PASSWORD").write_text("word")
    environ = {"LIVEBOT_API_KEY": " direct ", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    found = read_secrets(environ)
    assert (found.api_key, found.secret, found.password) == ("direct", "hidden", "word")
    assert "hidden" not in repr(found) + str(found)
    assert "direct" not in repr(found)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "LIVEBOT_API_KEY and LIVEBOT_API_SECRET"),
        ({"LIVEBOT_API_KEY": "k", "LIVEBOT_API_SECRET": "  "}, "needs LIVEBOT_API_SECRET"),
        ({"LIVEBOT_API_SECRET": "s", "CREDENTIALS_DIRECTORY": "/nowhere"}, "needs LIVEBOT_API_KEY:"),
    ],
)
def test_a_missing_key_is_named(environ, named):
    with pytest.raises(BadInput, match=named):
        read_secrets(environ)


def test_a_credential_that_is_no_text_is_named_and_not_shown(tmp_path):
    (tmp_path / "LIVEBOT_API_KEY").write_bytes(b"\xff\xfehunter2")
    with pytest.raises(BadInput, match=r"LIVEBOT_API_KEY cannot be read: UnicodeDecodeError") as caught:
        read_secrets({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_real_money_needs_the_name_of_the_system():
    check_confirmation("perp-1", {"LIVEBOT_CONFIRM_LIVE": "perp-1"})
    for word in ("", "yes", "perp-2"):
        with pytest.raises(BadInput, match=r"set LIVEBOT_CONFIRM_LIVE=perp-1"):
            check_confirmation("perp-1", {"LIVEBOT_CONFIRM_LIVE": word})


def test_the_key_of_the_models_comes_from_there_too(tmp_path):
    (tmp_path / "LIVEBOT_MODEL_KEY").write_text("0123456789abcdef0123456789abcdef\n")
    assert model_key({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == b"0123456789abcdef0123456789abcdef"
    assert model_key({}) is None
    with pytest.raises(BadInput, match="at least 32 characters, and has 31") as caught:
        model_key({"LIVEBOT_MODEL_KEY": "a" * 31})
    assert "aaa" not in str(caught.value)


def test_the_key_of_the_models_is_in_no_text():
    environ = {"LIVEBOT_MODEL_KEY": "0123456789abcdef0123456789abcdef"}
    text = Redaction(secrets_of(environ))("sealed with 0123456789abcdef0123456789abcdef")
    assert text == "sealed with [secret]"
