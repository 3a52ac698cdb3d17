"""Pulls that are killed, that meet each other, and that have no room or no right: against a hub that is slow, by the command itself."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playing_hub import Hub, Request, playing, right

from hailo_whisper.models import placement
from hailo_whisper.models.catalog import Model
from hailo_whisper.models.placement import PlacementFailed
from hailo_whisper.models.progress import Progress
from hailo_whisper.models.pull import PullFailed, pull
from hailo_whisper.models.sources import FolderSource, SourceFailed
from hailo_whisper.models.store import Store

BIG = os.urandom(4_000_000)
SENT = 1_500_000

COMMAND = """
import sys
from hailo_whisper.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def files(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"model.bin": BIG}


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    with playing(files) as hub:
        yield hub


def _hesitant(request: Request) -> None:
    """Some of the file, and then nothing for longer than a test takes."""
    request.begin(200, len(request.data))
    request.write(request.data[:SENT])
    time.sleep(60)
    request.break_off()


@pytest.fixture
def start(family: dict[str, Any], tmp_path: Path, hub: Hub, store: Store) -> Callable[[], "subprocess.Popen[str]"]:
    """Start `hailo-whisper models pull small` with the hub that is played."""
    catalog = tmp_path / "models.d"
    catalog.mkdir()
    (catalog / "fake.yaml").write_text(yaml.safe_dump(family))
    config = tmp_path / "hailo-whisper.json"
    environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environ |= {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "HF_ENDPOINT": hub.address,
        "HF_HUB_CACHE": str(tmp_path / "hub-cache"),
        "XDG_CONFIG_HOME": str(config.parent),
        "XDG_CONFIG_DIRS": str(config.parent),
        "HAILO_WHISPER_STORAGE_MODELS": str(store.root),
        "HAILO_WHISPER_MODELS_CATALOG": str(catalog),
        "HAILO_WHISPER_MODELS_SOURCES": "[hub]",
    }

    def run() -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", COMMAND, "models", "pull", "small"]
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return run


def _arrived(root: Path) -> int:
    return max((path.stat().st_size for path in root.glob(".partial/small/work/model.bin.*")), default=0)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130), (signal.SIGINT, 130)],
    ids=["KILL", "TERM", "INT"],
)
def test_a_pull_that_is_stopped_is_gone_on_with(
    start: Callable[[], "subprocess.Popen[str]"], hub: Hub, store: Store, number: int, status: int
) -> None:
    hub.scripts["model.bin"] = [_hesitant]
    with start() as first:
        _wait_for(lambda: _arrived(store.root) == SENT)
        assert not (store.root / "small").exists()
        first.send_signal(number)
        _, said = first.communicate(timeout=20)
    assert first.returncode == status
    assert "Traceback" not in said
    assert _arrived(store.root) == SENT
    assert store.installed() == []
    with start() as second:
        out, _ = second.communicate(timeout=60)
    assert (second.returncode, out) == (0, "pulled small from hub\n")
    assert hub.asked_for("model.bin")[-1].endswith(f"/model.bin from {SENT}")
    assert not (store.root / ".partial").exists()
    store.verify("small")


def test_two_pulls_at_once_fetch_once(start: Callable[[], "subprocess.Popen[str]"], hub: Hub, store: Store) -> None:
    def slow(request: Request) -> None:
        # Until the other has come as far as the lock.
        time.sleep(5)
        right(request)

    hub.otherwise = slow
    with start() as one, start() as two:
        results = [child.communicate(timeout=60) for child in (one, two)]
    assert sorted(out for out, _ in results) == ["pulled small from hub\n", "unchanged small\n"]
    assert (one.returncode, two.returncode) == (0, 0)
    assert any("another pull (process" in said for _, said in results)
    assert len(hub.asked_for("model.bin")) == 1
    store.verify("small")


class Breaking:
    """A source that leaves something for later, and then fails."""

    name = "breaking"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def extra_space(self, model: Model) -> int:
        return 0

    def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
        (work / "model.bin.half").write_bytes(b"half")
        raise self._error


def test_a_source_that_fails_leaves_what_it_has_for_the_next_try(store: Store) -> None:
    with pytest.raises(PullFailed, match="breaking: no answer"):
        pull("small", store, [Breaking(SourceFailed("no answer"))])
    assert (store.root / ".partial" / "small" / "work" / "model.bin.half").read_bytes() == b"half"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_not_kept_full(store: Store, number: int) -> None:
    with pytest.raises(PullFailed, match="breaking: the disk is full; what had arrived was removed again"):
        pull("small", store, [Breaking(OSError(number, os.strerror(number)))])
    assert not (store.root / ".partial").exists()


def test_what_is_kept_counts_as_there_already(store: Store, stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("hailo_whisper.models.pull.require_space", lambda root, needed: asked.append(needed))
    work = store.root / ".partial" / "small" / "work"
    work.mkdir(parents=True)
    (work / "model.bin.half").write_bytes(bytes(1000))
    pull("small", store, [FolderSource(stick)])
    assert asked == [store.catalog.get("small").size - 1000] * 2


def test_a_pull_without_the_right_to_write_is_a_sentence(
    store: Store, stick: Path, as_nobody: Callable[[Callable[[], object], type[Exception]], str]
) -> None:
    store.root.mkdir(mode=0o555)
    said = as_nobody(lambda: pull("small", store, [FolderSource(stick)]), PlacementFailed)
    assert "cannot be written by the user" in said
    assert "Run the command as root (sudo), or choose another folder with --dest." in said


class TestSweep:
    def _keep(self, root: Path, days: float) -> Path:
        part = root / ".partial" / "small" / "work" / "model.bin.half"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"half")
        (root / ".partial" / "small" / "files").mkdir()
        os.utime(part, (time.time() - days * 86400,) * 2)
        return part

    def test_what_is_young_is_kept_without_the_files(self, tmp_path: Path) -> None:
        part = self._keep(tmp_path, 6.9)
        placement.sweep(tmp_path)
        assert part.exists()
        assert [path.name for path in (tmp_path / ".partial" / "small").iterdir()] == ["work"]

    def test_what_is_old_goes(self, tmp_path: Path) -> None:
        self._keep(tmp_path, 7.1)
        placement.sweep(tmp_path)
        assert not (tmp_path / ".partial").exists()

    def test_what_does_not_belong_there_goes(self, tmp_path: Path) -> None:
        part = self._keep(tmp_path, 0)
        (tmp_path / ".partial" / "stray").write_text("")
        (tmp_path / ".partial" / "link").symlink_to(part.parent)
        placement.sweep(tmp_path)
        assert part.exists()
        assert [path.name for path in (tmp_path / ".partial").iterdir()] == ["small"]

    def test_a_link_is_not_filled(self, tmp_path: Path) -> None:
        precious = tmp_path / "precious"
        precious.mkdir()
        (tmp_path / ".partial").mkdir()
        (tmp_path / ".partial" / "small").symlink_to(precious)
        with placement.Staging(tmp_path, "small") as staging:
            (staging.files / "model.bin").write_bytes(b"x")
            staging.place()
        assert not list(precious.iterdir())
