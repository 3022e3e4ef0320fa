"""The control API's description in OpenAPI 3.1, made of the routes themselves.

Rules of this file: nothing stands here that a route does not say; it is made when it is first asked for.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from livebot.ops.control.fields import JSON, Field, Schema
from livebot.ops.control.routes import Route

OPENAPI_VERSION = "3.1.0"
BEARER = "token"
_REFERENCE = "#/components/schemas/{model}"
_ERROR: Schema = {
    "type": "object",
    "properties": {"error": {"type": "string", "description": "Why not, and what to do."}},
    "required": ["error"],
    "additionalProperties": False,
}
_REASONS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "Not understood; nothing has changed.",
    HTTPStatus.UNAUTHORIZED: "No token, or a wrong one.",
    HTTPStatus.FORBIDDEN: "A browser's page asks, or the Host is not this machine's loopback.",
    HTTPStatus.NOT_FOUND: "There is no such symbol.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Not with this method.",
    HTTPStatus.REQUEST_TIMEOUT: "The body did not arrive in time.",
    HTTPStatus.CONFLICT: "The daemon refuses; the sentence says why.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not JSON.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The Idempotency-Key was another command's.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many wrong tokens.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The daemon cannot just now, or is too busy; the sentence says why.",
    HTTPStatus.GATEWAY_TIMEOUT: "The command is still under way, and goes on.",
}
_ALWAYS = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.SERVICE_UNAVAILABLE)
_WITH_TOKEN = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
_WITH_BODY = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.GATEWAY_TIMEOUT,
)


class _ExactDecimals(GenerateJsonSchema):
    """A Decimal travels as text with all its digits, and with an exponent where it has one."""

    def decimal_schema(self, schema: Any) -> dict[str, Any]:  # noqa: ANN401 - pydantic's
        return {"type": "string", "description": "An exact decimal."}


def openapi(routes: Iterable[Route], *, token: bool) -> dict[str, Any]:
    """The description of these routes; `token`: they want one."""
    routes = tuple(routes)
    kinds: dict[type, TypeAdapter[Any]] = {}
    for route in routes:
        if isinstance(route.answer, type):
            kinds[route.answer] = TypeAdapter(route.answer)
    found, definitions = TypeAdapter.json_schemas(
        [(kind, "serialization", adapter) for kind, adapter in kinds.items()],
        ref_template=_REFERENCE,
        schema_generator=_ExactDecimals,
    )
    answers = {kind: found[kind, "serialization"] for kind in kinds}
    paths: dict[str, Any] = {}
    for route in routes:
        schema = answers[route.answer] if isinstance(route.answer, type) else route.answer
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema, token=token)
    components: dict[str, Any] = {"schemas": {"Error": _ERROR, **definitions.get("$defs", {})}}
    described: dict[str, Any] = {
        "openapi": OPENAPI_VERSION,
        "info": {"title": "livebot control", "version": version("livebot"), "description": _about(token=token)},
        "paths": paths,
        "components": components,
    }
    if token:
        components["securitySchemes"] = {BEARER: {"type": "http", "scheme": "bearer"}}
        described["security"] = [{BEARER: []}]
    return described


def _about(*, token: bool) -> str:
    where = "a port of the loopback, with a bearer token" if token else "a unix socket that only its owner can open"
    return f"What an operator may ask of the running daemon, served on {where}. Exact decimals travel as strings."


def _operation(route: Route, schema: Any, *, token: bool) -> dict[str, Any]:  # noqa: ANN401 - any JSON schema
    statuses = {*_ALWAYS, *route.refusals}
    statuses.update(_WITH_TOKEN if token else ())
    statuses.update(_WITH_BODY if route.body is not None else ())
    responses: dict[str, Any] = {
        "200": {"description": "As asked.", "content": {route.content_type: {"schema": schema}}},
    }
    error = {JSON: {"schema": {"$ref": _REFERENCE.format(model="Error")}}}
    for status in sorted(statuses):
        responses[str(status.value)] = {"description": _REASONS[status], "content": error}
    described: dict[str, Any] = {"operationId": route.name, "summary": route.summary, "responses": responses}
    if parameters := _parameters(route):
        described["parameters"] = parameters
    if route.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": _object(route.body)}}}
    return described


def _parameters(route: Route) -> list[dict[str, Any]]:
    query = [
        {"name": each.name, "in": "query", "required": each.required, "schema": each.schema} for each in route.query
    ]
    headers = [
        {"name": name, "in": "header", "required": False, "schema": schema} for name, schema in route.headers.items()
    ]
    return query + headers


def _object(fields: tuple[Field, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {each.name: each.schema for each in fields},
        "required": [each.name for each in fields if each.required],
        "additionalProperties": False,
    }
