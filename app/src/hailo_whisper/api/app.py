"""The application: what hangs together while it runs, and the routes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI

from .. import __version__
from ..engines.supervisor import Supervisor
from ..keys.keyring import Keyring
from ..scheduling.scheduler import Scheduler
from ..service.metrics import Metrics
from ..settings import Settings
from ..speech.decoder import Decoder
from . import errors, health, metrics, models, openapi, transcriptions, translations
from .access import Access
from .auth import Auth
from .origins import Origins


def create(
    settings: Settings,
    supervisor: Supervisor,
    scheduler: Scheduler,
    decoder: Decoder,
    *,
    created: Callable[[], int],
    counts: Metrics,
) -> FastAPI:
    """Make the application. `created` gives when the model's files were put in place, in seconds since 1970."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        decoder.warm()
        tasks = [asyncio.create_task(supervisor.run()), asyncio.create_task(scheduler.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            decoder.close()

    # The documentation pages load their scripts from elsewhere, which a private service does not.
    # A redirect to the address without a slash would have the recording sent twice.
    app = FastAPI(
        title="hailo-whisper", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.settings = settings
    app.state.supervisor = supervisor
    app.state.scheduler = scheduler
    app.state.decoder = decoder
    app.state.created = created
    app.state.metrics = counts
    app.state.draining = False
    app.state.keyring = Keyring()
    # The last is the first to see a request.
    app.add_middleware(Auth, state=app.state, metrics=counts)
    app.add_middleware(Origins, state=app.state)
    app.add_middleware(Access, metrics=counts)
    errors.install(app)
    for module in (health, metrics, models, transcriptions, translations):
        app.include_router(module.router)
    openapi.install(app)
    return app
