"""`/openapi.json`: the document that describes the API."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from . import schema

ABOUT = """\
The audio part of the OpenAI API, answered on this machine. docs/api.md of the program says more: examples, and what is otherwise than with the original.

Every error has the shape of `Error`, also what is refused before it gets to an address: 400 for what is no HTTP, 404 for an
unknown address, 405 for another method, 431 for headers that are too large. Every reply has the header `x-request-id`.
A key is needed when the server is configured with keys (`access.keys`).
"""
OPEN = ("/health", "/health/ready")


def install(app: FastAPI) -> None:
    """Have the application describe itself so."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    # FastAPI's own way of replacing it.
    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes, servers=[{"url": "/"}])
    for path, operations in found["paths"].items():
        for operation in operations.values():
            # FastAPI's own refusal, which it never gives here: errors are rendered by api.errors.
            operation["responses"].pop("422", None)
            # An empty one: without a key, where none is configured.
            operation["security"] = [] if path in OPEN else [{"BearerAuth": []}, {}]
    about = "One of the keys in the file that the setting access.keys names."
    found["components"] = {
        "schemas": schema.components(),
        "securitySchemes": {"BearerAuth": {"type": "http", "scheme": "bearer", "description": about}},
    }
    return found
