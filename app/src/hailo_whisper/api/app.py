"""The application: what hangs together while it runs, and the routes."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI

from .. import __version__
from ..engines.supervisor import Supervisor
from ..settings import Settings
from ..speech.decoder import Decoder
from . import errors, health, models, transcriptions


class RequestId:
    """ASGI middleware: every reply carries `x-request-id`, also that to an exception that nobody expected.

    Starlette renders those outside of every middleware, where they would get no id.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on, and add the header to its reply."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = f"req_{uuid.uuid4().hex}".encode()
        started = False

        async def sending(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message["headers"], (b"x-request-id", identity)]}
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            if started:
                raise
            await errors.response(errors.translate(error))(scope, receive, sending)


def create(settings: Settings, supervisor: Supervisor, decoder: Decoder, created: Callable[[], int]) -> FastAPI:
    """Make the application. `created` gives when the model's files were put in place, in seconds since 1970."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(supervisor.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            decoder.close()

    # The documentation pages load their scripts from elsewhere, which a private service does not.
    app = FastAPI(title="hailo-whisper", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.supervisor = supervisor
    app.state.decoder = decoder
    app.state.created = created
    app.state.draining = False
    app.add_middleware(RequestId)
    errors.install(app)
    for module in (health, models, transcriptions):
        app.include_router(module.router)
    return app
