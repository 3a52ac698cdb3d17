"""The middleware around a small application: who gets in, who does not, and what both are told."""

import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from hailo_whisper.api import errors
from hailo_whisper.api.access import Access
from hailo_whisper.api.auth import Auth
from hailo_whisper.keys import file
from hailo_whisper.keys.keyring import Keyring
from hailo_whisper.service.metrics import Metrics
from hailo_whisper.settings import parse

KEY = "sk-abcdefghijklmnop"
NONE_GIVEN = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY)."
)


class Application:
    """What the middleware stands around; `reached` counts who got through."""

    def __init__(self, keys: Path, **access: Any) -> None:
        self.reached = 0
        self.metrics = Metrics()
        self.app = FastAPI()
        self.configure(keys=str(keys), **access)
        self.app.state.keyring = Keyring()
        self.app.add_middleware(Auth, state=self.app.state, metrics=self.metrics)
        self.app.add_middleware(Access, metrics=self.metrics)
        errors.install(self.app)

        @self.app.post("/v1/things")
        async def things(request: Request) -> int:
            self.reached += 1
            return len(await request.body())

        @self.app.get("/later/added")
        @self.app.get("/v1/models")
        @self.app.get("/health")
        @self.app.get("/health/ready")
        @self.app.get("/metrics")
        async def get() -> str:
            self.reached += 1
            return "ok"

    def configure(self, **access: Any) -> None:
        self.app.state.settings = parse({"access": access}, "test")

    async def ask(self, path: str = "/v1/models", method: str = "GET", **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **more)

    async def with_key(self, key: str = KEY, path: str = "/v1/models") -> httpx.Response:
        return await self.ask(path, headers={"authorization": f"Bearer {key}"})


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "some.keys"
    path.touch(0o640)
    path.write_text(f"kitchen:{KEY}\noffice:sha256:{file.digest('sk-office').hex()}\n")
    return path


@pytest.fixture
def application(keys: Path) -> Application:
    return Application(keys)


def refused(response: httpx.Response, message: str, code: str | None) -> None:
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["x-request-id"].startswith("req_")
    body = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    assert response.json() == {"error": body}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "beARer", "Bearer  "])
async def test_a_right_key(application: Application, scheme: str) -> None:
    response = await application.ask(headers={"authorization": f"{scheme} {KEY}"})
    assert (response.status_code, application.reached) == (200, 1)
    assert "x-ratelimit-limit-requests" not in response.headers


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer ", KEY, f"Basic {KEY}", f"Token {KEY}", f"Bearer\t{KEY}"])
async def test_no_key(application: Application, given: str | None) -> None:
    headers = {} if given is None else {"authorization": given}
    refused(await application.ask(headers=headers), NONE_GIVEN, None)
    assert application.reached == 0


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("sk-abcdefghijklmnoq", "sk-a****mnoq"),
        ("sk-abcdefghijklmno", "sk-a****lmno"),
        (f"{KEY} {KEY}", "sk-a****mnop"),
        (f"{KEY},", "sk-a****nop,"),
        ("none", "****"),
        ("elevenlette", "****"),
        ("kitchen", "****"),
        (file.digest("sk-office").hex(), "37b2****"),
        (f"sha256:{file.digest('sk-office').hex()}", "sha2****"),
        ("x" * 1024 * 1024, "xxxx****xxxx"),
    ],
)
async def test_a_wrong_key_is_shown_by_its_ends(application: Application, given: str, shown: str) -> None:
    response = await application.with_key(given)
    said = response.json()["error"]["message"]
    if shown.endswith("****") and shown != "****":
        assert "****" in said
        assert given not in said
    else:
        refused(response, f"Incorrect API key provided: {shown}.", "invalid_api_key")
    assert response.status_code == 401
    assert application.reached == 0


async def test_a_key_of_other_bytes(application: Application) -> None:
    response = await application.ask(headers={b"authorization": b"Bearer sk-\xfc\xff\x01\x02-abcdefghijkl"})
    refused(response, "Incorrect API key provided: ****.", "invalid_api_key")


async def test_several_headers_are_one_too_many(application: Application) -> None:
    headers = [("authorization", f"Bearer {KEY}"), ("authorization", f"Bearer {KEY}")]
    response = await application.ask(headers=headers)
    refused(response, "Several Authorization headers were sent. Send one, with one API key.", "invalid_api_key")


async def test_who_watches_needs_no_key(application: Application) -> None:
    for path in ("/health", "/health/ready", "/metrics", "/openapi.json"):
        assert (await application.ask(path)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/models/", "/v1/nothing", "/later/added", "/", "//health", "/%76%31/models", "/health/"]
)
async def test_everything_else_does(application: Application, path: str) -> None:
    refused(await application.ask(path), NONE_GIVEN, None)
    assert application.reached == 0


async def test_metrics_with_a_key(application: Application, keys: Path) -> None:
    application.configure(keys=str(keys), metrics="keyed", requests_per_minute=1)
    refused(await application.ask("/metrics"), NONE_GIVEN, None)
    for _ in range(3):
        assert (await application.with_key(path="/metrics")).status_code == 200, "who watches is not counted"
    assert (await application.ask("/health")).status_code == 200


async def test_without_a_key_file_nobody_is_asked(application: Application) -> None:
    application.configure()
    assert (await application.ask()).status_code == 200
    assert (await application.with_key("whatever")).status_code == 200


async def test_the_name_is_in_the_log_and_the_key_is_not(application: Application, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await application.with_key()
    await application.with_key("sk-office")
    await application.with_key("sk-abcdefghijkl-wrong")
    finished = [record.__dict__ for record in caplog.records if record.name == "hailo_whisper.access"]
    assert [(line["status"], line.get("key")) for line in finished] == [(200, "kitchen"), (200, "office"), (401, None)]
    for secret in (KEY, "sk-office", "sk-abcdefghijkl-wrong"):
        assert secret not in caplog.text


@pytest.fixture
def opened(keys: Path) -> Path:
    """The key file, which everybody can read."""
    keys.chmod(0o644)
    return keys


async def test_a_key_file_that_cannot_be_used(application: Application, opened: Path) -> None:
    for response in (await application.with_key(), await application.ask()):
        assert response.status_code == 503
        assert response.headers["retry-after"] == "5"
        error = response.json()["error"]
        assert (error["type"], error["code"]) == ("server_error", "keys_unavailable")
        assert f"Run `chmod o= {opened}`" in error["message"]
    assert (await application.ask("/health")).status_code == 200


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers without looking at the body."""
    await send({"type": "http.response.start", "status": 200, "headers": []})


class TestBeforeTheBody:
    """The decision is made by the head of a request; a client that is still sending gets to see it."""

    async def call(self, auth: Auth, headers: list[tuple[bytes, bytes]], chunks: int) -> tuple[int, int]:
        """The status, and how many chunks of 64 KiB of the endless body were read."""
        read, sent = 0, []

        async def receive() -> dict[str, Any]:
            nonlocal read
            read += 1
            return {"type": "http.request", "body": b"x" * 65536, "more_body": read < chunks}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await auth({"type": "http", "method": "POST", "path": "/v1/things", "headers": headers}, receive, send)
        return int(sent[0]["status"]), read

    async def test_no_more_than_a_little_is_read(self, application: Application) -> None:
        auth = Auth(answering, application.app.state, application.metrics)
        assert await self.call(auth, [], 1000) == (401, 17)

    async def test_who_waits_to_be_asked_for_the_body_is_not_asked(self, application: Application) -> None:
        auth = Auth(answering, application.app.state, application.metrics)
        assert await self.call(auth, [(b"expect", b"100-continue")], 1000) == (401, 0)

    async def test_one_too_many(self, application: Application, keys: Path) -> None:
        application.configure(keys=str(keys), requests_per_minute=1)
        auth = Auth(answering, application.app.state, application.metrics)
        headers = [(b"authorization", f"Bearer {KEY}".encode())]
        assert await self.call(auth, headers, 1000) == (200, 0)
        assert await self.call(auth, headers, 1000) == (429, 17)


class TestRateLimit:
    async def test_the_headers_count_down_and_then_it_is_429(self, keys: Path) -> None:
        application = Application(keys, requests_per_minute=2)
        for remaining in ("1", "0"):
            response = await application.with_key()
            assert response.status_code == 200
            assert response.headers["x-ratelimit-limit-requests"] == "2"
            assert response.headers["x-ratelimit-remaining-requests"] == remaining
            assert response.headers["x-ratelimit-reset-requests"] == "60s"
        response = await application.with_key()
        assert response.status_code == 429
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert response.headers["x-ratelimit-remaining-requests"] == "0"
        wait = response.headers["retry-after"]
        assert response.json()["error"] == {
            "message": f"Rate limit reached: 2 requests a minute for the key kitchen. Try again in {wait} s.",
            "type": "requests",
            "param": None,
            "code": "rate_limit_exceeded",
        }
        assert application.reached == 2
        assert b'hailo_whisper_requests_refused_total{reason="rate"} 1.0' in application.metrics.exposition()[0]
        assert (await application.with_key("sk-office")).status_code == 200, "each key has its own"
        assert (await application.ask("/health")).status_code == 200

    async def test_errors_have_the_headers_too(self, keys: Path) -> None:
        application = Application(keys, requests_per_minute=5)
        response = await application.with_key(path="/v1/nothing")
        assert (response.status_code, response.headers["x-ratelimit-remaining-requests"]) == (404, "4")

    async def test_a_wrong_key_does_not_count(self, keys: Path) -> None:
        application = Application(keys, requests_per_minute=1)
        for _ in range(3):
            assert (await application.with_key("wrong")).status_code == 401
        assert (await application.with_key()).status_code == 200

    async def test_without_keys_all_are_counted_together(self, application: Application) -> None:
        application.configure(requests_per_minute=1)
        assert (await application.with_key("one")).status_code == 200
        response = await application.with_key("two")
        assert response.status_code == 429
        assert "1 requests a minute for everybody together." in response.json()["error"]["message"]

    async def test_a_limit_that_is_taken_away_holds_no_longer(self, keys: Path) -> None:
        application = Application(keys, requests_per_minute=1)
        await application.with_key()
        assert (await application.with_key()).status_code == 429
        application.configure(keys=str(keys))
        assert (await application.with_key()).status_code == 200


async def test_a_websocket_needs_a_key_too(application: Application) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def accept(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    auth = Auth(accept, application.app.state, application.metrics)
    await auth({"type": "websocket", "path": "/v1/realtime", "headers": []}, None, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
    headers = [(b"authorization", f"Bearer {KEY}".encode())]
    await auth({"type": "websocket", "path": "/v1/realtime", "headers": headers}, None, send)
    assert sent[-1]["type"] == "websocket.accept"
