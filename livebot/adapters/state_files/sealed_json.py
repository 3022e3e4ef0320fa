"""A state file: indented JSON that names its schema first and ends with a checksum over every byte before it.

So a file that was cut, torn, zeroed or edited by hand is told from a whole one, whatever byte is wrong.  What an earlier
version wrote is brought up to date schema by schema, by the functions that whoever reads it hands in.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from types import MappingProxyType

from livebot.adapters.state_files.json_text import json_of, tree_of
from livebot.errors import BadInput, Fatal

SCHEMA = 5
CHECKSUM_BYTES = 8

Tree = dict[str, object]
Upgrades = Mapping[int, Callable[[Tree], Tree]]
"""By schema: the same tree as the next schema has it.  They raise BadInput for what that schema never looked like."""

_END = b"\n}"
# Of a longer piece hashlib lets go of the interpreter, and with many files at once it takes the event loop twenty times
# as long to get it back as the checksum itself takes.
_PIECE = 2047
_NO_UPGRADES: Upgrades = MappingProxyType({})


def seal(tree: Mapping[str, object]) -> bytes:
    """The bytes of a state file.  Raises Fatal if the tree cannot be JSON."""
    body = json_of({"schema": SCHEMA, **tree}, indent=True).removesuffix(_END)
    return body + _seal_of(body)


def unseal(data: bytes, upgrades: Upgrades = _NO_UPGRADES) -> Tree:
    """What `seal` was given, brought up to the present schema.

    Raises:
        BadInput: not one byte-exact sealed file.
        Fatal: whole, but of a schema that is neither the present one nor among `upgrades`.

    """
    if not data.strip(b"\0 \r\n\t"):
        raise BadInput("the file is empty")
    body = data[: -len(_seal_of(b""))]
    if body + _seal_of(body) != data:
        raise BadInput("the checksum does not fit: the file was cut, torn or edited by hand")
    tree = tree_of(body + _END)
    assert isinstance(tree, dict)  # nothing else ends like that
    schema: object = tree.pop("schema", None)
    while isinstance(schema, int) and schema < SCHEMA and schema in upgrades:
        tree = upgrades[schema](tree)
        schema += 1
    if schema != SCHEMA:
        message = (
            f"written with schema {schema}, and this version of livebot reads {SCHEMA}; nothing was changed: "
            "start the version that wrote it"
        )
        raise Fatal(message)
    return tree


def _seal_of(body: bytes) -> bytes:
    digest = blake2b(digest_size=CHECKSUM_BYTES)
    for start in range(0, len(body), _PIECE):
        digest.update(body[start : start + _PIECE])
    return b',\n  "checksum": "%s"\n}\n' % digest.hexdigest().encode()
