"""Web pages from elsewhere: none unless the settings name them."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from hailo_whisper.api import errors
from hailo_whisper.api.access import Access
from hailo_whisper.api.auth import Auth
from hailo_whisper.api.origins import Origins
from hailo_whisper.keys.keyring import Keyring
from hailo_whisper.service.metrics import Metrics
from hailo_whisper.settings import parse

PAGE = "https://app.example"
KEY = "sk-abcdefghijklmnop"
ASKING = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,x-stainless-lang",
}


class Application:
    """A small application behind the middlewares, in the order of the real one."""

    def __init__(self, keys: Path) -> None:
        self.keys = keys
        self.app = FastAPI()
        self.configure()
        self.app.state.keyring = Keyring()
        metrics = Metrics()
        self.app.add_middleware(Auth, state=self.app.state, metrics=metrics)
        self.app.add_middleware(Origins, state=self.app.state)
        self.app.add_middleware(Access, metrics=metrics)
        errors.install(self.app)

        @self.app.get("/v1/models")
        async def models() -> str:
            return "ok"

    def configure(self, **access: Any) -> None:
        self.app.state.settings = parse({"access": {"keys": str(self.keys)} | access}, "test")

    async def ask(self, method: str, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(
                method, "/v1/models", headers={name.replace("_", "-"): value for name, value in headers.items()}
            )


@pytest.fixture
def application(tmp_path: Path) -> Application:
    path = tmp_path / "some.keys"
    path.touch(0o640)
    path.write_text(f"kitchen:{KEY}\n")
    return Application(path)


def allowed(response: httpx.Response) -> str | None:
    value: str | None = response.headers.get("access-control-allow-origin")
    return value


async def test_off_unless_set(application: Application) -> None:
    asked = await application.ask("OPTIONS", **ASKING)
    assert (asked.status_code, allowed(asked)) == (401, None)
    response = await application.ask("GET", origin=PAGE, authorization=f"Bearer {KEY}")
    assert (response.status_code, allowed(response)) == (200, None)


@pytest.mark.parametrize(("origins", "told"), [([PAGE], PAGE), (["http://localhost:3000", PAGE], PAGE), (["*"], "*")])
async def test_a_page_that_is_named(application: Application, origins: list[str], told: str) -> None:
    application.configure(cors_origins=origins, requests_per_minute=5)
    asked = await application.ask("OPTIONS", **ASKING, access_control_request_private_network="true")
    assert (asked.status_code, allowed(asked)) == (200, told), "a browser asks without a key"
    assert asked.headers["access-control-allow-headers"] == "authorization,x-stainless-lang"
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert asked.headers["access-control-allow-private-network"] == "true"
    assert asked.headers["x-request-id"]
    response = await application.ask("GET", origin=PAGE, authorization=f"Bearer {KEY}")
    assert (response.status_code, allowed(response)) == (200, told)
    assert response.headers["access-control-expose-headers"].split(", ") == [
        "x-request-id",
        "retry-after",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ]
    assert response.headers["x-ratelimit-remaining-requests"] == "4", "to ask did not count"


async def test_a_page_may_read_why_it_was_refused(application: Application) -> None:
    application.configure(cors_origins=[PAGE])
    response = await application.ask("GET", origin=PAGE)
    assert (response.status_code, allowed(response)) == (401, PAGE)


@pytest.mark.parametrize(
    "change", [{"origin": "https://other.example"}, {"origin": "null"}, {"access-control-request-method": "DELETE"}]
)
async def test_a_page_or_a_method_that_is_not(application: Application, change: dict[str, str]) -> None:
    application.configure(cors_origins=[PAGE])
    asked = await application.ask("OPTIONS", **(ASKING | change))
    assert asked.status_code == 400
    error = asked.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == "cors_refused"
    assert "access.cors_origins" in error["message"]
    assert (allowed(asked) == PAGE) == ("origin" not in change)
    assert len(asked.content) == int(asked.headers["content-length"])


async def test_a_change_of_the_settings_holds_at_once(application: Application) -> None:
    application.configure(cors_origins=[PAGE])
    assert (await application.ask("OPTIONS", **ASKING)).status_code == 200
    application.configure(cors_origins=["https://other.example"])
    assert (await application.ask("OPTIONS", **ASKING)).status_code == 400
    application.configure()
    assert (await application.ask("OPTIONS", **ASKING)).status_code == 401
