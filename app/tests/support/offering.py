"""A server of several models, as the tests of the lineup have it."""

from collections.abc import Callable
from typing import Any

from polling import eventually
from serving import Served, serving
from stored import MEMORY_MB

from hailo_whisper.cli.choice import Choice
from hailo_whisper.engines.launch import Found
from hailo_whisper.models.store import Store

NAMES = ("base", "small", "tiny")
ROOMY, FOR_TWO, FOR_ONE = 10 * MEMORY_MB, 2 * MEMORY_MB, MEMORY_MB


def found(store: Store, name: str, most_mb: int | None = None) -> Callable[[], Found]:
    return Choice(store, name, engine="ctranslate2", most_mb=most_mb).find


def offering(store: Store, memory_mb: int = ROOMY, limits: dict[str, Any] | None = None, **more: Any) -> Any:
    """A server of `base`, which offers the others."""
    offered = {name: found(store, name, memory_mb) for name in NAMES[1:]}
    config = {"models": {"memory_mb": memory_mb}, "limits": limits or {}}
    return serving(found(store, "base"), offered=offered, config=config, **more)


async def states(served: Served) -> dict[str, str]:
    """Those of the models, as they are listed."""
    listed = (await served.client.get("/v1/models")).json()["data"]
    return {model["id"]: model["state"] for model in listed}


async def said(served: Served, model: str, word: str) -> str:
    response = await served.transcribe(f"say {word}", model=model)
    assert response.status_code == 200, response.text
    text: str = response.json()["text"]
    return text


async def until_all(served: Served, **wanted: str) -> None:
    async def there() -> bool:
        now = await states(served)
        return all(now[name] == state for name, state in wanted.items())

    await eventually(there)


def worker(served: Served, name: str) -> int | None:
    hosted = served.lineup.get(name)
    assert hosted
    return hosted.supervisor.pid
