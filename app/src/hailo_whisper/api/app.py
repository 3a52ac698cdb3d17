"""The application: what hangs together while it runs, and the routes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI

from .. import __version__
from ..engines.supervisor import Supervisor
from ..service.metrics import Metrics
from ..settings import Settings
from ..speech.decoder import Decoder
from . import errors, health, metrics, models, transcriptions
from .access import Access


def create(settings: Settings, supervisor: Supervisor, decoder: Decoder, created: Callable[[], int], counts: Metrics) -> FastAPI:
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
    app.state.metrics = counts
    app.state.draining = False
    app.add_middleware(Access, metrics=counts)
    errors.install(app)
    for module in (health, metrics, models, transcriptions):
        app.include_router(module.router)
    return app
