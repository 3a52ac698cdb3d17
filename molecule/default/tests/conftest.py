"""What the tests of a deployed machine share. `host` is testinfra's; requests come from outside, as a user's do."""

from collections.abc import Callable, Iterator

import jiwer
import pytest
from testinfra.host import Host

from service import CLIP, Service, words


@pytest.fixture(scope="module")
def name(host: Host) -> str:
    """The name of the machine, in the inventory and in podman."""
    return str(host.backend.name)


@pytest.fixture
def service(name: str) -> Iterator[Service]:
    service = Service(name)
    yield service
    service.client.close()


@pytest.fixture(scope="session")
def wer() -> Callable[[str], float]:
    """The word error rate of a text against the text of the clip, without case, punctuation and hyphens."""
    return lambda text: float(jiwer.wer(words(CLIP), words(text)))
