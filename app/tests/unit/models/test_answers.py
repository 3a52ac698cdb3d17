"""What a server's answer means, one by one."""

import time
from email.utils import formatdate

import httpx2
import pytest

from hailo_whisper.models.catalog import File
from hailo_whisper.models.sources import SourceFailed
from hailo_whisper.models.sources.answers import Again, Part, check

SUM = "ab" * 32
PINNED, UNPINNED = File(size=100, sha256=SUM), File()


def _answer(status: int = 200, *before: httpx2.Response, url: str = "https://host/model.bin", **headers: str) -> httpx2.Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, headers=fields, request=httpx2.Request("GET", url), history=list(before))


def _check(response: httpx2.Response, expected: File = PINNED, have: int = 0) -> Part:
    return check(response, "model.bin", expected, have, "set a token")


def test_a_whole_file_begins_at_0_whatever_was_there() -> None:
    assert _check(_answer(content_length="100", etag='"v1"'), have=40) == Part(0, 100, '"v1"')


def test_a_part_begins_where_it_was_asked_to() -> None:
    assert _check(_answer(206, content_range="bytes 40-99/100"), have=40) == Part(40, 100)
    assert _check(_answer(206, content_range="bytes 40-99/*"), have=40) == Part(40, 100)


@pytest.mark.parametrize("extent", ["bytes 10-99/100", "bytes */100", "40-99/100", ""])
def test_another_part_is_asked_for_anew(extent: str) -> None:
    assert _check(_answer(206, content_range=extent), have=40).restart
    assert _check(_answer(416), have=40).restart


def test_a_length_that_is_not_told_is_the_one_in_the_catalog() -> None:
    assert _check(_answer(transfer_encoding="chunked")).total == 100


@pytest.mark.parametrize("value", ["7", "7.0"])
def test_when_to_come_again_is_seconds(value: str) -> None:
    with pytest.raises(Again, match="host answers 503") as caught:
        _check(_answer(503, retry_after=value))
    assert caught.value.after == 7


def test_when_to_come_again_is_a_date() -> None:
    with pytest.raises(Again) as caught:
        _check(_answer(503, retry_after=formatdate(time.time() + 1000, usegmt=True)))
    assert caught.value.after == pytest.approx(1000, abs=60)


@pytest.mark.parametrize("value", ["soon", "", "nan-ish"])
def test_nonsense_is_no_time(value: str) -> None:
    with pytest.raises(Again) as caught:
        _check(_answer(429, retry_after=value))
    assert caught.value.after is None


def test_a_time_that_has_passed_is_now() -> None:
    with pytest.raises(Again) as caught:
        _check(_answer(429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"))
    assert caught.value.after == 0


def test_a_file_without_a_sum_is_not_taken_from_where_everybody_can_change_it() -> None:
    redirected = _answer(200, _answer(302), url="http://host/model.bin", content_length="100")
    with pytest.raises(SourceFailed, match="host is not encrypted, and there is no sum"):
        _check(redirected, UNPINNED)
    assert _check(redirected, PINNED).total == 100
    assert _check(_answer(url="http://host/model.bin", content_length="100"), UNPINNED).total == 100


def test_the_hubs_sum_comes_with_the_redirect() -> None:
    hub = _answer(302, x_linked_etag=f'"{SUM}"')
    assert _check(_answer(200, hub, content_length="100"), UNPINNED).sha256 == SUM
    assert _check(_answer(200, _answer(302, x_linked_etag='"short"'), content_length="100"), UNPINNED).sha256 is None


def test_a_page_that_is_as_long_as_the_file_is_left_to_the_sum() -> None:
    assert _check(_answer(content_type="text/html", content_length="100")).total == 100
    with pytest.raises(SourceFailed, match="a web page came from host instead"):
        _check(_answer(content_type="Text/HTML; charset=utf-8", content_length="99"))
