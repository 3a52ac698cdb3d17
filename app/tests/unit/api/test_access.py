"""The middleware around a small application, without a server."""

import logging
import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from hailo_whisper.api import errors
from hailo_whisper.api.access import Access
from hailo_whisper.service import log
from hailo_whisper.service.metrics import Metrics


class Application:
    """What the middleware stands around."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.app = FastAPI()
        self.app.add_middleware(Access, metrics=self.metrics)
        errors.install(self.app)

        @self.app.get("/things/{name}")
        async def things(name: str) -> str:
            log.note(audio_seconds=1.23456, engine_seconds=0.5)
            logging.getLogger("hailo_whisper.things").info("found")
            return name

        @self.app.get("/health")
        async def health() -> str:
            return "ok"

        @self.app.get("/broken")
        async def broken() -> str:
            raise RuntimeError("no luck")

    async def get(self, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, **more)

    def counted(self) -> dict[tuple[str, str], float]:
        """Requests by route and status."""
        families = text_string_to_metric_families(self.metrics.exposition()[0].decode())
        samples = [sample for family in families for sample in family.samples if sample.name == "hailo_whisper_requests_total"]
        return {(sample.labels["route"], sample.labels["code"]): sample.value for sample in samples}


@pytest.fixture
def application(caplog: pytest.LogCaptureFixture) -> Application:
    caplog.set_level(logging.INFO)
    return Application()


def finished(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The facts of the access records."""
    return [record.__dict__ for record in caplog.records if record.name == "hailo_whisper.access"]


async def test_a_request_has_one_line_with_what_was_noted(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    response = await application.get("/things/a%0Ab?secret=yes")
    (line,) = finished(caplog)
    assert (line["method"], line["path"], line["status"]) == ("GET", "/things/a%0Ab", 200)
    assert (line["audio_seconds"], line["engine_seconds"]) == (1.2346, 0.5)
    assert line["seconds"] >= 0
    assert line["request_id"] == response.headers["x-request-id"]
    assert re.fullmatch(r"req_[0-9a-f]{32}", line["request_id"])


async def test_an_endless_path_is_cut(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    await application.get("/" + "a" * 5000)
    assert len(finished(caplog)[0]["path"]) == 200


async def test_requests_are_counted_by_the_template_of_the_route(application: Application) -> None:
    for path in ("/things/one", "/things/two", "/nothing", "/nothing/else", "/wp-login.php"):
        await application.get(path)
    assert application.counted() == {("/things/{name}", "200"): 2, ("other", "404"): 3}


async def test_a_wrong_method_counts_for_its_route(application: Application) -> None:
    transport = httpx.ASGITransport(application.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await client.post("/health")
    assert application.counted() == {("/health", "405"): 1}


async def test_watching_leaves_no_line(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    assert (await application.get("/health")).headers["x-request-id"]
    assert not finished(caplog)
    assert application.counted() == {("/health", "200"): 1}


async def test_an_unexpected_error_is_answered_logged_and_counted(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    response = await application.get("/broken")
    assert response.status_code == 500
    assert response.headers["x-request-id"]
    (line,) = finished(caplog)
    assert (line["status"], line["request_id"]) == (500, response.headers["x-request-id"])
    assert application.counted() == {("/broken", "500"): 1}


async def test_a_client_that_went_away_is_counted_as_such(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    async def gone(scope: Any, receive: Any, send: Any) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "headers": []}
    await Access(gone, application.metrics)(scope, None, None)
    assert finished(caplog)[0]["status"] == 499
    assert application.counted() == {("other", "499"): 1}


async def test_an_error_after_the_reply_began_is_logged_and_passed_on(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaking(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("no luck")

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "headers": []}
    with pytest.raises(RuntimeError):
        await Access(breaking, application.metrics)(scope, None, send)
    assert any(record.exc_info for record in caplog.records)
    assert finished(caplog)[0]["status"] == 200


@pytest.mark.parametrize(
    ("given", "logged"),
    [("order-17/a:b", "order-17/a:b"), ("two words", None), ('"}{"', None), ("ü".encode(), None), ("a" * 129, None), ("", None)],
)
async def test_a_clients_own_id_is_logged_if_it_is_harmless(
    given: str | bytes, logged: str | None, application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    response = await application.get("/things/one", headers={"X-Client-Request-Id": given})
    (line,) = finished(caplog)
    assert line.get("client_request_id") == logged
    assert line["request_id"] == response.headers["x-request-id"]
