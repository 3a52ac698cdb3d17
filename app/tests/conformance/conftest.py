"""One server with the scripted engine, which takes the bytes that the SDKs' own tests send for a recording."""

from collections.abc import Iterator

import pytest
from lenient_server import lenient_server
from serving import ServerProcess


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with lenient_server(tmp_path_factory.mktemp("server")) as started:
        yield started
        assert started.client.get("/health/ready").status_code == 200, started.log.read_text()
