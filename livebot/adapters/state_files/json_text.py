"""JSON text of plain trees (dicts, lists, texts, numbers) and back."""

import orjson

from livebot.errors import BadInput, Fatal


def json_of(tree: object, *, indent: bool = False) -> bytes:
    """JSON of dicts, lists, texts and numbers; on one line, or indented for people.

    Half characters, which venues' error texts may hold and UTF-8 cannot, become question marks.

    Raises:
        Fatal: something else is in there, or an integer of more than 64 bits.

    """
    option = orjson.OPT_INDENT_2 if indent else None
    try:
        return orjson.dumps(tree, option=option)
    except TypeError:
        pass
    try:
        return orjson.dumps(_with_whole_characters(tree), option=option)
    except TypeError as error:
        message = f"cannot be written as JSON: {error}"
        raise Fatal(message) from error


def tree_of(data: bytes | str) -> object:
    """What a piece of JSON says.

    Raises:
        BadInput: it is not JSON.

    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        message = f"not JSON: {error}"
        raise BadInput(message) from None


def _with_whole_characters(tree: object) -> object:
    match tree:
        case str():
            return tree.encode("utf-8", "replace").decode("utf-8")
        case dict():
            return {_with_whole_characters(key): _with_whole_characters(value) for key, value in tree.items()}
        case list():
            return [_with_whole_characters(value) for value in tree]
        case _:
            return tree
