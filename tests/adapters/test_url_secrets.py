"""Which parts of a service's URL are secret, wherever the service wants them."""

from pathlib import Path

import pytest

from livebot.adapters.log.redaction import Redaction, secrets_of
from livebot.adapters.log.url_secrets import secret_parts


@pytest.mark.parametrize(
    ("url", "text", "redacted"),
    [
        ("tgram://123456789:AAE-abc_def/4242", "/bot123456789:AAE-abc_def/send to 4242", "/bot[secret]/send to 4242"),
        ("discord://111122223333/tok_EN-9", "webhooks/111122223333?tok_EN-9", "webhooks/[secret]?[secret]"),
        ("slack://TokenA000/TokenB000/TokenC", "TokenA000 TokenB000", "[secret] [secret]"),
        ("mailto://me:pa55@mail.example", "me at mail.example with pa55", "me at mail.example with [secret]"),
        ("mailto://me:p%4055wd@mail.example", "p@55wd and p%4055wd", "[secret] and [secret]"),
        ("json://127.0.0.1:80/x?token=t0ken-t0ken", "127.0.0.1 t0ken-t0ken", "127.0.0.1 [secret]"),
        ("mailto://a:bcde@m.example?name=perpetual-1", "perpetual-1", "perpetual-1"),
        ("ntfy://longtopicname", "longtopicname", "[secret]"),
        ("json:/127.0.0.1:80/one-slash-token", "one-slash-token", "[secret]"),
        ("json://localhost:8080", "localhost:8080 and localhost", "localhost:8080 and localhost"),
        ("ntfy://alerts", "alerts to phone fail", "alerts to phone fail"),
        ("no url at all", "no url at all", "no url at all"),
    ],
)
def test_what_is_taken_out(url: str, text: str, redacted: str):
    assert Redaction(secret_parts(url))(text) == redacted


def test_each_url_of_a_file_counts():
    found = set(secret_parts("json://h.example/first-token\njson://h.example/second-token"))
    assert {"first-token", "second-token"} <= found


def test_the_log_keeps_out_the_parts_of_every_channels_url(tmp_path: Path):
    """From the environment and from credentials: a library may say a path without the host."""
    (tmp_path / "LIVEBOT_ALERT_MAIL").write_text("mailto://me:sEcret-9@mail.example\n")
    environment = {"LIVEBOT_ALERT_PHONE": "tgram://123456:AAE-abcdef/42", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    redact = Redaction(secrets_of(environment))
    assert redact("POST /bot123456:AAE-abcdef/sendMessage as sEcret-9") == "POST /bot[secret]/sendMessage as [secret]"
