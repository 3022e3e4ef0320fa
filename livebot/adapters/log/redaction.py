"""Takes secrets out of text.

Rules of this file: what counts is the value, wherever it stands and however it is escaped; a secret's text appears in
no message of this file either.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from livebot.adapters.log.url_secrets import secret_parts

SECRET_PREFIX = "LIVEBOT_API_"  # noqa: S105  the name of a secret is none
TOKEN = "LIVEBOT_CONTROL_TOKEN"  # noqa: S105
MODEL_KEY = "LIVEBOT_MODEL_KEY"
URL_PREFIX = "LIVEBOT_ALERT_"  # holds URLs, of which the parts are secret too
REPLACEMENT = "[secret]"
_PREFIXES = (SECRET_PREFIX, URL_PREFIX, TOKEN, MODEL_KEY)
_WHOLE_WORD_BELOW = 6  # so short a value stands in many words; only by itself is it the secret
_LINE_LENGTH_MIN = 16  # a line of a key file; shorter ones are its frame
_FILE_BYTES_MAX = 64 * 1024


class Redaction:
    """Replaces every known secret in a text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # the longest first, so that no secret survives as the rest of a shorter one
        ordered = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_pattern, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        return text if self._pattern is None else self._pattern.sub(REPLACEMENT, text)


def secrets_of(environment: Mapping[str, str]) -> Iterator[str]:
    """The values of LIVEBOT_API_*, LIVEBOT_ALERT_*, the control token and the models' key: environment and systemd's files.

    Of a URL also each part of it that is a secret by itself.
    """
    for value in _values_of(environment):
        yield value
        yield from secret_parts(value)


def _values_of(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if name.startswith(_PREFIXES):
            yield value
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return
    for path in sorted(path for prefix in _PREFIXES for path in Path(folder).glob(f"{prefix}*")):
        try:
            with path.open("rb") as file:
                yield os.fsdecode(file.read(_FILE_BYTES_MAX))
        except OSError:
            continue  # who cannot read it cannot leak it


def _forms(secret: str) -> Iterator[str]:
    """The secret as it may stand in a log: plain, in JSON, as Python shows it, in an address."""
    secret = secret.strip()
    lines = [line for line in secret.splitlines() if len(line) >= _LINE_LENGTH_MIN]
    for text in {secret, *lines}:
        if text:
            yield from (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
            yield from (repr(text)[1:-1], quote(text, safe=""), quote(text), quote_plus(text))


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    return rf"(?<!\w){escaped}(?!\w)" if len(form) < _WHOLE_WORD_BELOW else escaped
