"""The application: what hangs together while it runs, and the routes."""

import contextlib
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI

from .. import __version__
from ..engines.launch import Found
from ..keys.keyring import Keyring
from ..scheduling.lineup import Lineup
from ..service.metrics import Metrics
from ..settings import Settings
from ..speech.decoder import Decoder
from . import errors, health, metrics, models, openapi, transcriptions, translations
from .access import Access
from .auth import Auth
from .origins import Origins


def create(
    settings: Settings,
    lineup: Lineup,
    decoder: Decoder,
    *,
    created: Callable[[Found], int],
    counts: Metrics,
) -> FastAPI:
    """Make the application. `created` gives when a model's files were put in place, in seconds since 1970."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        decoder.warm()
        lineup.start()
        try:
            yield
        finally:
            await lineup.close()
            decoder.close()

    # The documentation pages load their scripts from elsewhere, which a private service does not.
    # A redirect to the address without a slash would have the recording sent twice.
    app = FastAPI(
        title="hailo-whisper", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.settings = settings
    app.state.lineup = lineup
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
