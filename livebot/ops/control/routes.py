"""A route of the control API: what is registered with aiohttp, and what OpenAPI is told of it.

Rules of this file: the router and the description are made of the same routes, so that they cannot differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from livebot.ops.control.answers import Handler
from livebot.ops.control.fields import JSON, Field, Schema

MESSAGE: Schema = {
    "type": "object",
    "properties": {"message": {"type": "string", "description": "What was done, in a sentence."}},
    "required": ["message"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path.

    `answer` describes what a 200 holds: a JSON schema, or a type that pydantic can describe.  `refusals` are the
    statuses beyond those that every route has.
    """

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    answer: Schema | type = field(default_factory=lambda: MESSAGE)
    content_type: str = JSON
    query: tuple[Field, ...] = ()
    headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    body: tuple[Field, ...] | None = None
    refusals: tuple[HTTPStatus, ...] = ()
