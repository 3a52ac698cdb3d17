"""Web pages that may use the service from a browser (CORS): none, unless the settings name them."""

from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from . import auth, errors
from .errors import ApiError

EXPOSED = ("x-request-id", "retry-after", auth.LIMIT, auth.REMAINING, auth.RESET)


class Origins:
    """ASGI middleware. A browser asks without a key whether it may send one, so this stands before `auth`."""

    def __init__(self, app: Any, state: Any) -> None:
        self._app = app
        self._state = state
        self._cors: _Cors | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on; the reply says to a browser which page may read it."""
        origins = self._state.settings.access.cors_origins
        if not origins:
            await self._app(scope, receive, send)
            return
        if self._cors is None or self._cors.allow_origins != origins:
            self._cors = _Cors(
                self._app,
                allow_origins=origins,
                allow_methods=("GET", "POST"),
                # The SDKs send a dozen of their own.
                allow_headers=("*",),
                # A page from elsewhere asks a machine in the house.
                allow_private_network=True,
                expose_headers=EXPOSED,
            )
        await self._cors(scope, receive, send)


class _Cors(CORSMiddleware):
    def preflight_response(self, request_headers: Headers) -> Response:
        """Starlette's answer; a refusal has the form of all errors."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        refusal = errors.response(
            ApiError(
                400,
                "This page may not use the service in that way. The setting access.cors_origins names the pages that may, with GET and POST.",
                code="cors_refused",
            )
        )
        kept = [(name, value) for name, value in answer.raw_headers if name not in (b"content-length", b"content-type")]
        refusal.raw_headers.extend(kept)
        return refusal
