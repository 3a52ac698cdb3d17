"""Every request's id, its line in the log and its place in the metrics."""

import logging
import re
import time
import uuid
from typing import Any

from ..service import log
from ..service.metrics import Metrics
from . import errors

access = logging.getLogger("hailo_whisper.access")

# Asked every few seconds by whoever watches the server; a line for each would bury the others.
QUIET = ("/health", "/health/ready", "/metrics")
# Of the header in which the OpenAI SDKs' users may give a name of their own. Anything else is left out of the log.
CLIENT_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
LONGEST_PATH = 200


def request_id() -> str:
    """An id that no request had before."""
    return f"req_{uuid.uuid4().hex}"


class Access:
    """ASGI middleware: gives a request its id, counts it and logs it when it is over.

    Every reply carries `x-request-id`, also that to an exception that nobody expected: Starlette renders those outside of
    every middleware, where they would get no id.
    """

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = request_id()
        began = time.monotonic()
        status = 0

        async def sending(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", identity.encode())]}
            await send(message)

        with log.request(identity) as record:
            try:
                await self._app(scope, receive, sending)
            except Exception as error:
                answer = errors.response(errors.translate(error))
                if status:
                    raise
                await answer(scope, receive, sending)
            finally:
                self._finished(scope, record, status or errors.GONE, time.monotonic() - began)

    def _finished(self, scope: Any, record: dict[str, Any], status: int, seconds: float) -> None:
        self._metrics.request_finished(_route(scope), status, seconds)
        # The path as it was sent, which is plain ASCII, and without the query.
        path = scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1")[:LONGEST_PATH] or scope["path"][:LONGEST_PATH]
        facts = {"method": scope["method"], "path": path, "status": status, "seconds": round(seconds, 4)}
        if client := _client_id(scope):
            facts["client_request_id"] = client
        level = logging.DEBUG if path in QUIET and status < 400 else logging.INFO
        access.log(level, "request finished", extra=facts | {name: _rounded(value) for name, value in record.items()})


def _route(scope: Any) -> str:
    """The template of the route that took the request: whatever else strangers ask for must not make a time series each."""
    return str(getattr(scope.get("route"), "path", "other"))


def _client_id(scope: Any) -> str | None:
    value = next((value for name, value in scope["headers"] if name == b"x-client-request-id"), b"")
    return value.decode() if CLIENT_ID.fullmatch(value) else None


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value
