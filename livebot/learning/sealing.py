"""Whether a model is what was saved: a seal over the manifest, which holds the digest of the model's file.

Rules of this file: digests are compared in constant time, and before a single byte of the model is looked at; files are
read whole, at most so many bytes, and only below the registry's folder: a symbolic link in the way is refused.

With a key (LIVEBOT_MODEL_KEY) the seal is HMAC-SHA256 (RFC 2104) and nobody makes one without it.  Without, it is a plain
SHA-256, which tells of accidents only; so with a key a plain seal is refused, and without one a seal that needs it.
"""

import errno
import hmac
import os
import re
import stat
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from livebot.errors import BadInput

KEYED, PLAIN = "hmac-sha256", "sha256"

_END = b"\n}"
_SEAL = re.compile(rb',\n  "seal": "(hmac-sha256|sha256):([0-9a-f]{64})"\n\}\n')
_SEAL_BYTES_MAX = 120
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe would else wait for its writer
_PIECE = 1 << 20
_ESCAPES = (errno.ELOOP, errno.ENOTDIR)


def digest_of(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return sha256(data).hexdigest()


def same_digest(data: bytes, digest: str) -> bool:
    """Whether these bytes have this digest; takes as long for a near miss as for any other."""
    return hmac.compare_digest(digest_of(data), digest)


def seal(body: bytes, key: bytes | None) -> bytes:
    """An indented JSON object with its seal as the last member, over every byte before it."""
    inner = body.removesuffix(_END)
    return inner + b',\n  "seal": "%s:%s"\n}\n' % (_algorithm(key).encode(), _mac(inner, key).encode())


def unseal(data: bytes, key: bytes | None) -> bytes:
    """What `seal` was given.

    Raises:
        BadInput: a byte was changed, or it was sealed otherwise than this key would.

    """
    start = data.rfind(b",\n", 0, len(data) - 1) if len(data) > _SEAL_BYTES_MAX else -1
    found = _SEAL.fullmatch(data[start:]) if start >= 0 else None
    if found is None:
        raise BadInput("it has no seal at its end: it was cut, edited by hand or not written by livebot")
    algorithm, mac = found.group(1).decode(), found.group(2).decode()
    if algorithm != _algorithm(key):
        raise BadInput(_OTHERWISE[algorithm])
    if not hmac.compare_digest(_mac(data[:start], key), mac):
        why = (
            "it was changed after it was saved"
            if key is None
            else "it was changed, or sealed with another LIVEBOT_MODEL_KEY"
        )
        raise BadInput(f"its seal does not fit: {why}")
    return data[:start] + _END


_OTHERWISE = {
    KEYED: "it was sealed with a key, and LIVEBOT_MODEL_KEY is not set: set the key it was trained with",
    PLAIN: "it was sealed without a key, and LIVEBOT_MODEL_KEY is set, so anybody may have written it: train it anew",
}


def _algorithm(key: bytes | None) -> str:
    return PLAIN if key is None else KEYED


def _mac(body: bytes, key: bytes | None) -> str:
    return digest_of(body) if key is None else hmac.new(key, body, sha256).hexdigest()


def read_inside(folder: Path, parts: Sequence[str], bytes_max: int) -> bytes | None:
    """The file at folder/parts[0]/.../parts[-1], None if it is not there; blocking.

    `folder` itself may be reached by links, nothing below it.

    Raises:
        BadInput: it is not a plain file, a link stands in the way, it is too large, or it cannot be read.

    """
    path = folder.joinpath(*parts)
    try:
        descriptor = _opened(folder, parts)
    except FileNotFoundError:
        return None
    except OSError as error:
        why = (
            "a link or a file stands in the way; only plain folders are read"
            if error.errno in _ESCAPES
            else error.strerror
        )
        raise BadInput(f"{path} is not read: {why}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise BadInput(f"{path} is not read: it is not a plain file")
        if found.st_size > bytes_max:
            raise BadInput(f"{path} is not read: {found.st_size} bytes, and at most {bytes_max} are allowed")
        return _whole(descriptor, bytes_max, path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _opened(folder: Path, parts: Sequence[str]) -> int:
    *between, last = parts
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in between:
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=at)
            os.close(at)
            at = inner
        return os.open(last, _FILE_FLAGS, dir_fd=at)
    finally:
        os.close(at)


def _whole(descriptor: int, bytes_max: int, path: Path) -> bytes:
    pieces, size = [], 0
    while piece := os.read(descriptor, _PIECE):
        size += len(piece)
        if size > bytes_max:
            raise BadInput(f"{path} is not read: it grows, and is beyond {bytes_max} bytes")
        pieces.append(piece)
    return b"".join(pieces)
