"""`/health`: the process is alive. `/health/ready`: it has just transcribed a known clip, or why it has not."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from .. import __version__
from ..engines.status import State
from ..scheduling.lineup import Lineup
from . import schema

router = APIRouter(tags=["health"])

GOOD = (State.READY, State.UNLOADED)
"""States of a server that takes requests."""


@router.head("/health", include_in_schema=False)
@router.get("/health", responses=schema.replies("Health"))
async def health() -> JSONResponse:
    """Answer at once, whatever the engine is doing."""
    return JSONResponse({"status": "ok", "version": __version__})


@router.head("/health/ready", include_in_schema=False)
@router.get("/health/ready", responses=schema.readiness())
async def ready(
    request: Request,
    full: Annotated[
        Literal["404", "429", "503"] | None,
        Query(description="The status of a server that is ready, and would refuse a short recording now because it is full."),
    ] = None,
) -> JSONResponse:
    """200 when requests are served (an unloaded model counts: it worked, and is loaded again on request), else 503.

    Who spreads requests asks with `full`, so that a server without room gets none that it would refuse.
    """
    lineup: Lineup = request.app.state.lineup
    supervisor = lineup.default.supervisor
    state, reason = await standing(request.app.state)
    good = state in GOOD
    found = supervisor.found
    overloaded = lineup.full
    body = {
        "status": state,
        "reason": reason,
        "full": str(overloaded) if overloaded else None,
        "model": lineup.default.answers,
        "fallback_for": found.fallback_for if found else None,
        "engine": supervisor.engine,
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
    if good and full and overloaded:
        return JSONResponse(body, int(full), {"Retry-After": str(overloaded.retry_after)})
    return JSONResponse(body, 200 if good else 503, {} if good else {"Retry-After": "5"})


async def standing(state: Any) -> tuple[str, str | None]:
    """How the server is, in a word and a sentence; `state` is the application's."""
    supervisor = state.lineup.default.supervisor
    keyring = state.keyring
    await keyring.look(state.settings.access.keys)
    if state.draining:
        return "draining", "The server is shutting down."
    if keyring.trouble:
        return "keys_unavailable", keyring.trouble
    return supervisor.state, supervisor.reason
