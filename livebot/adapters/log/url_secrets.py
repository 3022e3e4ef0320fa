"""The parts of a URL that nobody but its owner may see: tokens and passwords, wherever the service wants them.

Rules of this file: rather too much is secret than too little; a host's name is none, for it stands in too much else.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

_PASSWORD_LENGTH_MIN = 4
_TOKEN_LENGTH_MIN = 8
_LOCAL = "localhost"
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:/+(?P<rest>\S+)")
_BETWEEN = re.compile(r"[/,#]+")
# Arguments of services' URLs that are no secret and may stand in every sentence.
_PLAIN = frozenset({"bcc", "cc", "footer", "format", "from", "image", "mode", "name", "smtp", "title", "to", "verify"})


def secret_parts(text: str) -> Iterator[str]:
    """The secrets in each URL of a text, as they stand there and decoded."""
    for match in _URL.finditer(text):
        for part in _parts(match["rest"]):
            yield part
            yield unquote(part)


def _parts(rest: str) -> Iterator[str]:
    whole = rest
    rest, _, query = rest.partition("?")
    where, _, behind = rest.partition("/")
    login, _, host = where.rpartition("@")
    user, _, password = login.partition(":")
    if len(password) >= _PASSWORD_LENGTH_MIN:
        yield password
    tokens = [user, *_BETWEEN.split(behind)]
    if behind or query:
        tokens.append(whole)
    if "." not in host and not host.startswith(
        _LOCAL
    ):  # of many services the first token stands where others have a host
        tokens += [host, *host.split(":")]
    for argument in query.split("&"):
        key, _, value = argument.partition("=")
        tokens += [] if key.lower() in _PLAIN else [value]
    yield from (token for token in tokens if len(token) >= _TOKEN_LENGTH_MIN)
