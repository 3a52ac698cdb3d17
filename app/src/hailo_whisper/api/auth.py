"""Who may come in: every request but a few needs a key, if keys are asked for, and may come so often in a minute.

Both are decided before the body is read, and for every address that is not named here, also for one that is added later.
"""

import math
from typing import Any

from fastapi import Request

from ..keys.allowance import Allowance, Standing
from ..keys.file import LONGEST
from ..keys.keyring import Keyring
from ..service import log
from ..service.metrics import Metrics
from ..settings import Access
from . import errors
from .client import awaits_consent, drain
from .errors import ApiError

# Who watches the server or wants to know what it can needs no key.
OPEN = ("/health", "/health/ready", "/openapi.json")
METRICS = "/metrics"
LIMIT, REMAINING, RESET = "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"
CHALLENGE = {"WWW-Authenticate": "Bearer"}
# Of whom the requests are counted together where no key is asked for. No key has this name.
EVERYBODY = ""
# So much of a wrong key is told, so that its owner can see which one was sent.
SHOWN = 4


class Auth:
    """ASGI middleware. `state` is the application's, with the settings of the moment and the keyring."""

    def __init__(self, app: Any, state: Any, metrics: Metrics) -> None:
        self._app = app
        self._state = state
        self._metrics = metrics
        self._allowance = Allowance()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on, or say why not."""
        access: Access = self._state.settings.access
        if scope["type"] not in ("http", "websocket") or not _guarded(scope["path"], access):
            await self._app(scope, receive, send)
            return
        headers: dict[str, str] = {}
        try:
            owner = await self._owner(scope, access)
            if access.requests_per_minute and scope["path"] != METRICS:
                headers = self._count(owner, access.requests_per_minute)
        except ApiError as error:
            await _refuse(error, scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
                message = {**message, "headers": [*message["headers"], *encoded]}
            await send(message)

        await self._app(scope, receive, sending if headers else send)

    async def _owner(self, scope: Any, access: Access) -> str:
        """The name of who asks. Raises ApiError."""
        keyring: Keyring = self._state.keyring
        if access.keys is None:
            return EVERYBODY
        await keyring.look(access.keys)
        if keyring.trouble:
            raise ApiError(503, keyring.trouble, code="keys_unavailable", headers={"Retry-After": "5"})
        key = _bearer([value for name, value in scope["headers"] if name == b"authorization"])
        owner = keyring.owner(key) if len(key) <= LONGEST else None
        if owner is None:
            raise ApiError(401, f"Incorrect API key provided: {_masked(key)}.", code="invalid_api_key", headers=CHALLENGE)
        log.note(key=owner)
        return owner

    def _count(self, owner: str, limit: int) -> dict[str, str]:
        """The headers for the reply to a request that is one more. Raises ApiError when it is one too many."""
        standing = self._allowance.take(owner, limit)
        headers = _headers(standing)
        if standing.wait is None:
            return headers
        self._metrics.refused("rate")
        wait = max(math.ceil(standing.wait), 1)
        whose = f"the key {owner}" if owner else "everybody together"
        raise ApiError(
            429,
            f"Rate limit reached: {limit} requests a minute for {whose}. Try again in {wait} s.",
            code="rate_limit_exceeded",
            headers=headers | {"Retry-After": str(wait)},
        )


def _guarded(path: str, access: Access) -> bool:
    return path not in OPEN and not (path == METRICS and access.metrics == "open")


def _bearer(values: list[bytes]) -> bytes:
    """The key of the request's Authorization headers. Raises ApiError when there is none, or more than one."""
    if len(values) > 1:
        raise ApiError(
            401, "Several Authorization headers were sent. Send one, with one API key.", code="invalid_api_key", headers=CHALLENGE
        )
    scheme, _, key = (values[0] if values else b"").strip().partition(b" ")
    if scheme.lower() != b"bearer" or not key.strip():
        raise ApiError(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
            "(i.e. Authorization: Bearer YOUR_KEY).",
            headers=CHALLENGE,
        )
    return key.strip()


def _masked(key: bytes) -> str:
    """The ends of a key that is long enough to have a middle."""
    text = key.decode("ascii", "replace")
    if len(text) < 3 * SHOWN or not text.isprintable():
        return "****"
    return f"{text[:SHOWN]}****{text[-SHOWN:]}"


def _headers(standing: Standing) -> dict[str, str]:
    return {
        LIMIT: str(standing.limit),
        REMAINING: str(standing.remaining),
        RESET: f"{math.ceil(standing.reset)}s",
    }


async def _refuse(error: ApiError, scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        # Before it was accepted, this is a 403 of the server's.
        await send({"type": "websocket.close", "code": 1008, "reason": error.message})
        return
    request = Request(scope, receive)
    await drain(request)
    reply = errors.response(error)
    if awaits_consent(request):
        # Who was not asked for the body may send it or another request: nobody could tell which of the two it is.
        reply.headers["Connection"] = "close"
    await reply(scope, receive, send)
