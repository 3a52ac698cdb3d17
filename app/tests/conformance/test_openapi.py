"""The document at /openapi.json, against what the server does: schemathesis makes requests of it, and looks at the replies."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import ServerProcess

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# The profile of tests/conftest.py has the rest: no deadline, and the same requests in every run.
FEW = hypothesis.settings(
    max_examples=60,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
RECORDING = b"Example data"
PATHS = {
    "/v1/audio/transcriptions": "post",
    "/v1/audio/translations": "post",
    "/v1/models": "get",
    "/v1/models/{model}": "get",
    "/health": "get",
    "/health/ready": "get",
    "/metrics": "get",
}
AUDIO = [path for path in PATHS if path.startswith("/v1/audio/")]
MODES = list(schemathesis.GenerationMode)


@pytest.fixture(scope="module")
def document(server: ServerProcess) -> Any:
    return schemathesis.openapi.from_url(f"{server.client.base_url}/openapi.json")


def test_every_address_is_described(document: Any) -> None:
    described = {(each.ok().path, each.ok().method) for each in document.get_all_operations()}
    assert described == set(PATHS.items())


# Of an address without fields there is nothing that could be wrong.
@pytest.mark.parametrize(
    ("path", "mode"),
    [(path, mode) for path in PATHS for mode in MODES if path in AUDIO or mode.is_positive],
    ids=lambda value: getattr(value, "value", value),
)
@pytest.mark.rule("openapi", "errors.shape")
def test_whatever_is_sent_the_reply_is_as_described(document: Any, path: str, mode: schemathesis.GenerationMode) -> None:
    operation = document[path][PATHS[path]]

    @FEW
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def look(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    look()


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", AUDIO)
@pytest.mark.rule("openapi", "errors.shape", "unknown_fields")
def test_whatever_the_other_fields_of_a_recording_are(document: Any, path: str, mode: schemathesis.GenerationMode) -> None:
    heard = 0

    @FEW
    @hypothesis.given(document[path]["post"].as_strategy(generation_mode=mode))
    def look(case: Any) -> None:
        nonlocal heard
        if isinstance(case.body, dict):
            # With a recording and a model that there are, the other fields are looked at.
            case.body = case.body | {"file": RECORDING, "model": "whisper-1"}
            heard += case.call_and_validate(checks=CHECKS).status_code == 200

    look()
    assert heard > 5 or mode.is_negative
