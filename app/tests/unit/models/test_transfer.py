"""What becomes of a transfer when the server, the network or the disk does not do what it should."""

import hashlib
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from playing_hub import Answer, Hub, Request, cut, drip, page, playing, right, sends, silent, stall, status, without_ranges
from polling import until

from hailo_whisper.models.catalog import File
from hailo_whisper.models.placement import PlacementFailed
from hailo_whisper.models.progress import Progress, progress
from hailo_whisper.models.sources import Patience, SourceFailed
from hailo_whisper.models.sources.transfer import Item, transfer

BIG = os.urandom(3_000_000)
# A busy machine may take a while for what should take none; what is to stall is not waited for as long.
PATIENCE = Patience(connect=5, stall=5, tries=3, pause=0.01)
HASTE = Patience(connect=1, stall=0.5, tries=3, pause=0.01)


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with playing({"model.bin": BIG}) as hub:
        yield hub


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return _made(tmp_path / "work")


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return _made(tmp_path / "into")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _pinned(data: bytes = BIG) -> File:
    return File(size=len(data), sha256=hashlib.sha256(data).hexdigest())


@pytest.fixture
def bring(hub: Hub, into: Path, work: Path) -> Callable[..., bytes]:
    """Fetch the file from the hub, as it is scripted. Returns what arrived."""

    def call(*answers: Answer, expected: File | None = None, patience: Patience = PATIENCE) -> bytes:
        hub.scripts["model.bin"] = list(answers)
        item = Item("model.bin", f"{hub.address}/small/model.bin", expected or _pinned())
        transfer([item], into, work, progress("small", 1), patience=patience)
        return (into / "model.bin").read_bytes()

    return call


def test_a_file_arrives_and_nothing_is_left_behind(bring: Callable[..., bytes], work: Path, hub: Hub) -> None:
    assert bring() == BIG
    assert not list(work.iterdir())
    assert hub.requests == ["GET /small/model.bin"]
    assert hub.headers[0]["accept-encoding"] == "identity"


class TestTriedAgain:
    """Faults that may pass."""

    def test_what_stalls_after_a_megabyte_is_taken_up_there(self, bring: Callable[..., bytes], hub: Hub) -> None:
        assert bring(stall(1_000_000, 3), patience=HASTE) == BIG
        first, second = hub.asked_for("model.bin")
        assert first == "GET /small/model.bin"
        assert second == "GET /small/model.bin from 1000000"

    def test_what_ends_early_is_taken_up_there(self, bring: Callable[..., bytes], hub: Hub) -> None:
        assert bring(cut(700_000), cut(500_000)) == BIG
        assert [line.partition(" from ")[2] for line in hub.requests] == ["", "700000", "1200000"]

    @pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
    def test_a_server_that_is_busy_is_asked_again(self, bring: Callable[..., bytes], hub: Hub, code: int) -> None:
        assert bring(status(code), status(code)) == BIG
        assert len(hub.requests) == 3

    @pytest.mark.parametrize("code", [429, 503])
    def test_as_late_as_it_asks(self, bring: Callable[..., bytes], code: int) -> None:
        began = time.monotonic()
        assert bring(status(code, Retry_After="1")) == BIG
        assert 1 <= time.monotonic() - began < 5

    def test_a_date_will_do(self, bring: Callable[..., bytes]) -> None:
        assert bring(status(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")) == BIG

    def test_a_server_that_cannot_send_parts_sends_it_all(self, bring: Callable[..., bytes]) -> None:
        assert bring(cut(700_000), without_ranges) == BIG

    def test_a_server_that_has_no_such_part_is_asked_for_all(self, bring: Callable[..., bytes], hub: Hub) -> None:
        assert bring(cut(700_000), status(416)) == BIG
        assert [line.partition(" from ")[2] for line in hub.requests] == ["", "700000", ""]

    def test_a_part_of_another_place_is_not_taken(self, bring: Callable[..., bytes]) -> None:
        def partial(request: Request) -> None:
            request.begin(206, len(BIG) - 5, Content_Range=f"bytes 5-{len(BIG) - 1}/{len(BIG)}")
            request.write(BIG[5:])

        assert bring(cut(700_000), partial) == BIG

    def test_a_server_that_says_nothing_once(self, bring: Callable[..., bytes]) -> None:
        assert bring(silent(3), patience=Patience(connect=0.3, stall=0.3, tries=3, pause=0.01)) == BIG

    def test_what_brings_something_each_time_is_never_given_up(self, bring: Callable[..., bytes], hub: Hub) -> None:
        assert bring(*[cut(1 << 20)] * 2, patience=Patience(connect=1, stall=1, tries=1, pause=0.01)) == BIG
        assert len(hub.requests) == 3


class TestGivenUp:
    """Faults that do not pass, or not soon."""

    def _fails(self, bring: Callable[..., bytes], *answers: Answer, said: str, **more: Patience) -> None:
        with pytest.raises(SourceFailed, match=said):
            bring(*answers, **more)

    def test_a_server_that_is_always_busy(self, bring: Callable[..., bytes], hub: Hub) -> None:
        self._fails(bring, *[status(503)] * 9, said=r"model\.bin: 127\.0\.0\.1 answers 503, 3 times in a row")
        assert len(hub.requests) == 3

    def test_a_server_that_wants_to_be_left_alone_for_long(self, bring: Callable[..., bytes]) -> None:
        began = time.monotonic()
        self._fails(bring, status(429, Retry_After="86400"), said="answers 429, and asks to come again in 86400 seconds")
        assert time.monotonic() - began < 1

    def test_a_stall_again_and_again(self, bring: Callable[..., bytes], work: Path) -> None:
        self._fails(bring, stall(1_000_000, 3), cut(0), cut(0), said="the connection ended after 1000000", patience=HASTE)
        (part,) = work.iterdir()
        assert part.stat().st_size == 1_000_000
        assert part.name == f"model.bin.{_pinned().sha256}"

    def test_a_byte_now_and_then_is_a_stall(self, bring: Callable[..., bytes]) -> None:
        began = time.monotonic()
        self._fails(bring, *[drip(5)] * 3, said=r"hardly anything arrived for 0\.5 seconds, 3 times", patience=HASTE)
        assert time.monotonic() - began < 5

    def test_nothing_but_silence(self, bring: Callable[..., bytes]) -> None:
        patience = Patience(connect=0.2, stall=0.2, tries=2, pause=0.01)
        self._fails(bring, *[silent(2)] * 2, said=r"(no answer within|nothing arrived for) 0\.[24] seconds", patience=patience)

    def test_a_web_page_instead_of_the_file(self, bring: Callable[..., bytes], hub: Hub) -> None:
        self._fails(bring, page, said=r"a web page came from 127\.0\.0\.1 instead of the file, perhaps the sign-in page")
        assert len(hub.requests) == 1

    def test_another_size(self, bring: Callable[..., bytes], hub: Hub) -> None:
        self._fails(bring, sends(b"x" * 10), said=r"model\.bin has 10 bytes at 127\.0\.0\.1 and must have 3000000")
        assert len(hub.requests) == 1

    def test_a_circle(self, bring: Callable[..., bytes], hub: Hub) -> None:
        self._fails(bring, *[status(302, Location="/small/model.bin")] * 99, said="redirects in a circle")
        assert len(hub.requests) < 12

    @pytest.mark.parametrize("code", [401, 403])
    def test_a_refusal_says_what_to_do(self, bring: Callable[..., bytes], code: int) -> None:
        self._fails(bring, status(code), said=rf"refuses it \({code}\): check the address")

    def test_what_is_not_there(self, bring: Callable[..., bytes], hub: Hub) -> None:
        self._fails(bring, status(404), said=r"model\.bin: 127\.0\.0\.1 answers 404")
        assert len(hub.requests) == 1

    def test_what_is_compressed_all_the_same(self, bring: Callable[..., bytes]) -> None:
        self._fails(bring, sends(BIG, Content_Encoding="gzip"), said="sends it compressed")

    def test_a_redirect_to_what_is_no_web_server(self, bring: Callable[..., bytes]) -> None:
        self._fails(bring, status(302, Location="ftp://host/model.bin"), said=r"model\.bin: .*ftp://")

    def test_a_body_that_is_no_http(self, into: Path, work: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            item = Item("model.bin", f"http://127.0.0.1:{mute.getsockname()[1]}/", _pinned())
            with pytest.raises(SourceFailed, match="1 times in a row"):
                transfer([item], into, work, progress("small", 1), patience=Patience(connect=0.3, stall=0.3, tries=1))

    def test_no_connection(self, into: Path, work: Path) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            item = Item("model.bin", f"http://127.0.0.1:{bound.getsockname()[1]}/", _pinned())
            with pytest.raises(SourceFailed, match="Connection refused, 3 times in a row"):
                transfer([item], into, work, progress("small", 1), patience=PATIENCE)


class TestTakenUpLater:
    """What an earlier pull left."""

    def test_another_pull_goes_on(self, bring: Callable[..., bytes], hub: Hub, work: Path) -> None:
        (work / f"model.bin.{_pinned().sha256}").write_bytes(BIG[:2_000_000])
        assert bring() == BIG
        assert hub.requests == ["GET /small/model.bin from 2000000"]

    def test_what_is_whole_is_not_asked_for(self, bring: Callable[..., bytes], hub: Hub, work: Path) -> None:
        (work / f"model.bin.{_pinned().sha256}").write_bytes(BIG)
        assert bring() == BIG
        assert not hub.requests

    def test_what_is_too_long_is_begun_anew(self, bring: Callable[..., bytes], hub: Hub, work: Path) -> None:
        (work / f"model.bin.{_pinned().sha256}").write_bytes(BIG + b"x")
        assert bring() == BIG
        assert hub.requests == ["GET /small/model.bin"]


class TestUnpinned:
    """A file of which nobody knows the sum."""

    def test_it_arrives(self, bring: Callable[..., bytes], work: Path) -> None:
        assert bring(expected=File()) == BIG
        assert [path.name for path in work.iterdir()] == ["model.bin.tag"]

    def test_it_is_taken_up_when_the_server_has_a_name_for_the_version(self, bring: Callable[..., bytes], hub: Hub) -> None:
        assert bring(cut(700_000), expected=File()) == BIG
        assert [line.partition(" from ")[2] for line in hub.requests] == ["", "700000"]
        assert hub.headers[1]["if-range"] == '"v1"'

    def test_without_such_a_name_it_is_begun_anew(self, bring: Callable[..., bytes], hub: Hub, work: Path) -> None:
        (work / "model.bin.part").write_bytes(b"of another version")
        assert bring(expected=File()) == BIG
        assert hub.requests == ["GET /small/model.bin"]

    def test_the_servers_own_sum_holds(self, bring: Callable[..., bytes], work: Path) -> None:
        said = "has not the sha256 that the server itself gives for it"
        with pytest.raises(SourceFailed, match=said):
            bring(sends(BIG, X_Linked_Etag=f'"{"0" * 64}"'), expected=File())
        assert not (work / "model.bin.part").exists()
        assert bring(sends(BIG, X_Linked_Etag=f'"{_pinned().sha256}"'), expected=File()) == BIG

    def test_a_web_page_is_not_pinned(self, bring: Callable[..., bytes]) -> None:
        with pytest.raises(SourceFailed, match="a web page came"):
            bring(page, expected=File())

    def test_an_empty_file_is_not_pinned(self, bring: Callable[..., bytes]) -> None:
        with pytest.raises(SourceFailed, match="is empty"):
            bring(sends(b""), expected=File())

    def test_what_has_no_length_is_not_taken(self, bring: Callable[..., bytes]) -> None:
        def endless(request: Request) -> None:
            request.begin(200, None)
            request.break_off()

        with pytest.raises(SourceFailed, match="does not say how long it is"):
            bring(endless, expected=File())

    def test_there_must_be_room_for_it(self, bring: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
        with pytest.raises(PlacementFailed, match="19 MB are needed"):
            bring(expected=File())


class TestMany:
    def _items(self, hub: Hub, count: int) -> list[Item]:
        files = {f"file{number}": os.urandom(200_000) for number in range(count)}
        hub.files = files
        return [Item(name, f"{hub.address}/{name}", _pinned(data)) for name, data in files.items()]

    @pytest.mark.parametrize("parallel", [1, 4])
    def test_so_many_come_at_a_time(self, hub: Hub, into: Path, work: Path, parallel: int) -> None:
        def slow(request: Request) -> None:
            # Until as many have come as may, and a moment longer, for one too many.
            until(lambda: hub.most >= parallel)
            time.sleep(0.1)
            right(request)

        hub.otherwise = slow
        items = self._items(hub, 8)
        transfer(items, into, work, progress("small", 1), patience=Patience(parallel=parallel))
        assert hub.most == parallel
        assert all((into / item.name).read_bytes() == hub.files[item.name] for item in items)

    def test_progress_counts_all_of_them(self, hub: Hub, into: Path, work: Path) -> None:
        reached: list[int] = []

        class Shown:
            def reach(self, done: int) -> None:
                reached.append(done)

        shown: Progress = Shown()  # type: ignore[assignment]
        transfer(self._items(hub, 3), into, work, shown, patience=PATIENCE, copied=5)
        assert reached[-1] == 600_005
        assert reached == sorted(reached)

    def test_one_that_fails_ends_the_others_and_keeps_what_they_have(self, hub: Hub, into: Path, work: Path) -> None:
        items = self._items(hub, 3)
        hub.scripts["file0"] = [stall(100_000, 5)]

        def late(request: Request) -> None:
            part = items[0].part(work)
            until(lambda: part.exists() and part.stat().st_size == 100_000)
            status(404)(request)

        hub.scripts["file1"] = [late]
        began = time.monotonic()
        with pytest.raises(SourceFailed, match="file1: 127"):
            transfer(items, into, work, progress("small", 1), patience=Patience(stall=30))
        assert time.monotonic() - began < 4
        assert items[0].part(work).stat().st_size == 100_000
        assert not list(into.iterdir())


class TestSurroundings:
    def test_a_proxy_is_used(self, into: Path, work: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", hub.address)
        item = Item("model.bin", "http://publisher.invalid/model.bin", _pinned())
        transfer([item], into, work, progress("small", 1), patience=PATIENCE)
        assert hub.requests == ["GET http://publisher.invalid/model.bin"]

    @pytest.mark.parametrize(
        ("code", "said"),
        [(407, r"the proxy refuses it \(407 .*check the user and the password in https_proxy"), (502, "502 .* 3 times")],
    )
    def test_a_proxy_that_refuses_is_said(
        self, into: Path, work: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, code: int, said: str
    ) -> None:
        monkeypatch.setenv("https_proxy", hub.address)
        hub.scripts["publisher.invalid:443"] = [status(code)] * 9
        with pytest.raises(SourceFailed, match=said):
            transfer([Item("a", "https://publisher.invalid/a", _pinned())], into, work, progress("small", 1), patience=PATIENCE)

    def test_a_token_does_not_go_on_to_another_host(self, into: Path, work: Path, hub: Hub) -> None:
        with playing({"model.bin": BIG}) as store:
            elsewhere = store.address.replace("127.0.0.1", "localhost")
            hub.scripts["model.bin"] = [status(302, Location=f"{elsewhere}/blob/model.bin")]
            item = Item("model.bin", f"{hub.address}/model.bin", _pinned())
            transfer([item], into, work, progress("small", 1), patience=PATIENCE, headers={"Authorization": "Bearer secret"})
            assert hub.headers[0]["authorization"] == "Bearer secret"
            assert "authorization" not in store.headers[0]

    def test_certificates_that_are_not_there_are_said(
        self, into: Path, work: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
        with pytest.raises(SourceFailed, match="variables for proxies or certificates are wrong"):
            transfer([Item("a", f"{hub.address}/a", _pinned())], into, work, progress("small", 1), patience=PATIENCE)

    def test_a_kind_of_proxy_that_cannot_be_used_is_said(
        self, into: Path, work: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
        with pytest.raises(SourceFailed, match="SOCKS proxy"):
            transfer([Item("a", f"{hub.address}/a", _pinned())], into, work, progress("small", 1), patience=PATIENCE)
