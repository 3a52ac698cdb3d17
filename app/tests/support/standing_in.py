"""A server on the emulated NPU, for which the CPU may stand in: that is the scripted engine, which keeps a diary."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from polling import eventually
from serving import Served, serving

NPU = "hailo_whisper.engines.hailo.engine:HailoEngine"
GONE = "No Hailo device was found"


def falling_back(hef: Path | Callable[[], Path], cpu: Path | Callable[[], Any], **more: Any) -> Any:
    """A server on the NPU, for which the CPU may stand in."""
    return serving(hef, engine=NPU, stand_in=cpu, **more)


async def until_on(served: Served, engine: str) -> dict[str, Any]:
    """Wait until that engine answers. Gives what readiness says then."""
    told: dict[str, Any] = {}

    async def there() -> bool:
        status, body = await served.readiness()
        told.update(body)
        return (status, body["engine"]) == (200, engine)

    await eventually(there)
    return told


def heard_by_the_cpu(cpu: Path) -> int:
    """How many batches, warm-ups not counted."""
    diary = cpu / "batches"
    return diary.read_text().count("say") if diary.exists() else 0


async def described(served: Served) -> dict[str, Any]:
    """The one model, as it is listed."""
    (model,) = (await served.client.get("/v1/models")).json()["data"]
    return dict(model)


async def degraded(served: Served) -> bool:
    """What Prometheus is told."""
    return 'hailo_whisper_model_degraded{model="base"} 1.0' in (await served.client.get("/metrics")).text
