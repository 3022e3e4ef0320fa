"""Keys come from the environment or from systemd's credentials, and nothing shows them."""

import pytest

from livebot.config.secrets import check_confirmation, read_secrets
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
