"""What comes from the environment or systemd's credentials only: the keys of a venue account, the token of control.http,
the key of the models, and the word that real orders need.

Rules of this file: a secret's value is in no message and in no repr; what is missing is told by its name, all at once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from livebot.errors import BadInput

API_KEY, API_SECRET, API_PASSWORD = "LIVEBOT_API_KEY", "LIVEBOT_API_SECRET", "LIVEBOT_API_PASSWORD"
CONFIRMATION = "LIVEBOT_CONFIRM_LIVE"
CONTROL_TOKEN = "LIVEBOT_CONTROL_TOKEN"  # noqa: S105  the name of a secret is none
MODEL_KEY = "LIVEBOT_MODEL_KEY"
MODEL_KEY_CHARACTERS_MIN = 32
WITHOUT_MODEL_KEY = (
    f"{MODEL_KEY} is not set: the digests of models tell of accidents, and not of somebody who can write where they lie; "
    "`openssl rand -hex 32` makes a key"
)
TOKEN_CHARACTERS_MIN = 32
TOKEN_CHARACTERS_MAX = 1024
CREDENTIALS = "CREDENTIALS_DIRECTORY"
_BYTES_MAX = 64 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")  # of RFC 6750


@dataclass(frozen=True, slots=True)
class Secrets:
    """What signs requests; `password` is empty where a venue wants none."""

    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    password: str = field(default="", repr=False)


def read_secrets(environ: Mapping[str, str]) -> Secrets:
    """The keys.

    Raises:
        BadInput: one is missing or empty, or a credential file cannot be read.

    """
    found = {name: read_secret(name, environ) for name in (API_KEY, API_SECRET, API_PASSWORD)}
    lacking = [name for name in (API_KEY, API_SECRET) if not found[name]]
    if lacking:
        raise BadInput(
            f"live trading needs {' and '.join(lacking)}: set it in the environment, or as a credential of the service "
            "(systemd LoadCredential=); never write it into the config"
        )
    return Secrets(found[API_KEY], found[API_SECRET], found[API_PASSWORD])


def control_token(environ: Mapping[str, str]) -> str:
    """What who asks at control.http has to show.

    Raises:
        BadInput: there is none, or it is too short or holds what no header can.

    """
    token = read_secret(CONTROL_TOKEN, environ)
    make = "`openssl rand -hex 32` makes one"
    if not token:
        raise BadInput(
            f"control.http needs {CONTROL_TOKEN}: set it in the environment, or as a credential of the service, and "
            f"never in the config; {make}"
        )
    if not TOKEN_CHARACTERS_MIN <= len(token) <= TOKEN_CHARACTERS_MAX or not _TOKEN.fullmatch(token):
        raise BadInput(
            f"{CONTROL_TOKEN} must have {TOKEN_CHARACTERS_MIN} to {TOKEN_CHARACTERS_MAX} of the characters a-z, A-Z, 0-9 "
            f"and . _ ~ + / = -, and has {len(token)}; {make}"
        )
    return token


def model_key(environ: Mapping[str, str]) -> bytes | None:
    """What models are sealed with, None if there is none.

    Raises:
        BadInput: it is too short.

    """
    key = read_secret(MODEL_KEY, environ)
    if key and len(key) < MODEL_KEY_CHARACTERS_MIN:
        raise BadInput(
            f"{MODEL_KEY} must have at least {MODEL_KEY_CHARACTERS_MIN} characters, and has {len(key)}; `openssl rand -hex 32` "
            "makes one"
        )
    return key.encode() or None


def check_confirmation(system: str, environ: Mapping[str, str]) -> None:
    """Real orders with real money are sent only if the environment says so by the system's name.

    Raises:
        BadInput: it does not.

    """
    if environ.get(CONFIRMATION, "").strip() != system:
        raise BadInput(
            f"mode: live sends real orders with real money; to confirm that for this system, set {CONFIRMATION}={system} "
            "in the environment (a sandbox or a local exchange needs no confirmation)"
        )


def read_secret(name: str, environ: Mapping[str, str]) -> str:
    """What the environment, else the credential of this name holds, without spaces around; empty if there is none.

    Raises:
        BadInput: the credential cannot be read.

    """
    if environ.get(name, "").strip():
        return environ[name].strip()
    folder = environ.get(CREDENTIALS)
    path = Path(folder) / name if folder else None
    if path is None or not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            return file.read(_BYTES_MAX).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the credential {path} cannot be read: {type(error).__name__}") from None
