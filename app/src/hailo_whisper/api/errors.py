"""Errors, rendered in one place: always `{"error": {"message", "type", "param", "code"}}`, as the OpenAI SDKs expect."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ..engines.failures import DeadlineExceeded, EngineFailed, Unavailable
from ..scheduling.admission import Overloaded
from ..speech.decoder import MediaRefused, NoMemory

log = logging.getLogger(__name__)

# The status in the log and the metrics of a request whose client went away before there was a reply. It is nginx' number for that.
GONE = 499


class ApiError(Exception):
    """An answer other than 200. `param` names the field of the request that is to blame."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = dict(headers or {})


def body(error: ApiError) -> dict[str, dict[str, str | None]]:
    """The error as the SDKs read it; `type` follows from the status."""
    # "requests" is what the original says when there were too many of them.
    kind = "server_error" if error.status >= 500 else "requests" if error.status == 429 else "invalid_request_error"
    param = None if error.param is None else _whole(error.param)
    return {"error": {"message": _whole(error.message), "type": kind, "param": param, "code": error.code}}


def _whole(text: str) -> str:
    """The text with what is no character replaced: an odd encoding of a request leaves halves of some in its names."""
    return text.encode(errors="replace").decode()


def response(error: ApiError) -> JSONResponse:
    """A reply of the error's status."""
    return JSONResponse(body(error), error.status, error.headers)


def translate(error: Exception) -> ApiError:
    """What an exception of the stations below means to the client."""
    match error:
        case ApiError():
            return error
        case MediaRefused():
            return ApiError(400, str(error), param="file", code=error.code)
        case Overloaded():
            return ApiError(429, str(error), code="rate_limit_exceeded", headers={"Retry-After": str(error.retry_after)})
        case NoMemory():
            return ApiError(503, str(error), code="not_ready", headers={"Retry-After": "10"})
        case Unavailable():
            return ApiError(503, str(error), code="not_ready", headers={"Retry-After": str(error.retry_after)})
        case DeadlineExceeded():
            # The SDKs would send the same recording twice more, to the same end; this header of theirs tells them not to.
            return ApiError(504, str(error), code="deadline_exceeded", headers={"x-should-retry": "false"})
        case EngineFailed():
            return ApiError(500, str(error), code="engine_failed")
        case RequestValidationError():
            return ApiError(400, "; ".join(str(item.get("msg")) for item in error.errors()))
        case ClientDisconnect():
            # Nobody reads this; it is no fault of the server's, and nothing for its journal.
            return ApiError(GONE, "The client went away before it had its answer.")
        case HTTPException(status_code=404):
            return ApiError(404, "Unknown address. See /openapi.json for those that there are.", code="unknown_url")
        case HTTPException(status_code=405):
            allowed = (error.headers or {}).get("Allow", "another")
            return ApiError(405, f"This address does not take that method. Use {allowed}.", headers=error.headers)
        case HTTPException():
            return ApiError(error.status_code, str(error.detail), headers=error.headers)
    log.error("unexpected error", exc_info=error)
    return ApiError(500, "The server had an error while processing your request. Its journal says more.")


def install(app: FastAPI) -> None:
    """Have every exception rendered here; those that nobody expected are caught outside of all (api.app)."""

    async def render(_: Request, error: Exception) -> Any:
        return response(translate(error))

    for kind in (
        ApiError,
        MediaRefused,
        NoMemory,
        Overloaded,
        Unavailable,
        EngineFailed,
        RequestValidationError,
        ClientDisconnect,
        HTTPException,
    ):
        app.add_exception_handler(kind, render)
