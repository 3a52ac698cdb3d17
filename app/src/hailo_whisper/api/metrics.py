"""`GET /metrics`: what Prometheus reads."""

from fastapi import APIRouter, Request, Response

from ..service.metrics import Metrics
from . import schema
from .health import GOOD, standing

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=Response, responses=schema.metrics())
async def metrics(request: Request) -> Response:
    """Everything that was counted, as text of Prometheus, or of OpenMetrics for whoever accepts that."""
    known: Metrics = request.app.state.metrics
    status, _ = await standing(request.app.state)
    known.ready(status in GOOD)
    body, content_type = known.exposition(request.headers.get("accept", ""))
    return Response(body, headers={"content-type": content_type})
