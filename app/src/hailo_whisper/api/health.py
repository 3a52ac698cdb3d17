"""`/health`: the process is alive. `/health/ready`: it has just transcribed a known clip, or why it has not."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from .. import __version__
from ..engines.status import State
from ..scheduling.lineup import Lineup
from . import schema

router = APIRouter(tags=["health"])


@router.head("/health", include_in_schema=False)
@router.get("/health", responses=schema.replies("Health"))
async def health() -> JSONResponse:
    """Answer at once, whatever the engine is doing."""
    return JSONResponse({"status": "ok", "version": __version__})


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", responses=schema.readiness())
async def ready(request: Request) -> JSONResponse:
    """200 when requests are served (an unloaded model counts: it worked, and is loaded again on request), else 503."""
    lineup: Lineup = request.app.state.lineup
    supervisor = lineup.default.supervisor
    keyring = request.app.state.keyring
    await keyring.look(request.app.state.settings.access.keys)
    state: str = supervisor.state
    reason = supervisor.reason
    if request.app.state.draining:
        state, reason = "draining", "The server is shutting down."
    elif keyring.trouble:
        state, reason = "keys_unavailable", keyring.trouble
    good = state in (State.READY, State.UNLOADED)
    found = supervisor.found
    body = {
        "status": state,
        "reason": reason,
        "model": lineup.default.answers,
        "fallback_for": found.fallback_for if found else None,
        "engine": supervisor.engine or None,
        "engine_fallback_for": supervisor.engine_fallback_for,
        "degraded": supervisor.degraded,
        "worker_restarts": supervisor.restarts,
        "failed_starts": supervisor.failed_starts,
        "next_start_seconds": None if supervisor.next_start is None else round(supervisor.next_start),
        # They are for those who ask for them by name: whether the server is ready does not depend on them.
        "offered": [
            {"model": each.name, "status": each.supervisor.state, "reason": each.supervisor.reason} for each in lineup.offered
        ],
    }
    return JSONResponse(body, 200 if good else 503, {} if good else {"Retry-After": "5"})
