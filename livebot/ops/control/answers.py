"""How the control API says no: one exception for every refusal, and one JSON form for every answer.

Rules of this file: an error is {"error": sentence}; what is not ours stays out of it; one request per connection, so
that an idle caller holds no place.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import orjson
from aiohttp import web

from livebot.errors import LivebotError, Rejected

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_BYTES_MAX = 256 * 1024
NOT_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
SHOWN_CHARACTERS_MAX = 100


class Refused(Exception):
    """The request is not carried out, and nothing has changed; the text says why and what would be taken."""

    def __init__(
        self, sentence: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers


@web.middleware
async def answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as JSON with a sentence; an unforeseen one is aiohttp's, without details."""
    try:
        response = await handler(request)
    except Refused as error:
        response = error_answer(error.status, str(error), error.headers)
    except Rejected as error:
        response = error_answer(HTTPStatus.CONFLICT, str(error))
    except LivebotError as error:  # the daemon's own trouble, not a refusal
        response = error_answer(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    except web.HTTPException as error:
        allow = error.headers.get("Allow")
        response = error_answer(
            HTTPStatus(error.status), _sentence(request, error), {"Allow": allow} if allow else None
        )
    if not response.prepared:  # an answer that was a stream has been told all of this
        response.headers.update(NOT_KEPT)
        response.force_close()
    return response


def _sentence(request: web.Request, error: web.HTTPException) -> str:
    match error:
        case web.HTTPNotFound():
            return f"there is no {request.path[:SHOWN_CHARACTERS_MAX]} here; /openapi.json lists what there is"
        case web.HTTPMethodNotAllowed():
            return f"{request.path} takes {' or '.join(sorted(error.allowed_methods))}, not {request.method}"
        case web.HTTPRequestEntityTooLarge():
            return f"the body is larger than {BODY_BYTES_MAX} bytes"
        case _:
            return error.reason


def error_answer(status: HTTPStatus, sentence: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An error and its sentence."""
    return json_answer(status, {"error": sentence}, headers)


def json_answer(
    status: HTTPStatus, data: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> web.Response:
    """A small answer."""
    return web.Response(status=status, body=orjson.dumps(data), content_type="application/json", headers=headers)
