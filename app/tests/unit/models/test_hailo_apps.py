"""hailo-apps' downloader as a source: both generations of it, and that its own word for it counts for nothing."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import scripted_hailo_apps
import yaml
from hefs import hef
from playing_hub import playing
from scripted_hailo_apps import Generation, Manner

from hailo_whisper.models import catalog
from hailo_whisper.models.pull import PullFailed, pull
from hailo_whisper.models.sources import HailoAppsSource, NotOffered, Patience, parse
from hailo_whisper.models.sources import hailo_apps as source_module
from hailo_whisper.models.store import Store

Upstream = Callable[..., HailoAppsSource]
GENUINE = hef(weights=bytes(range(256)) * 20)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """The publisher's folder."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "Whisper-Base.hef").write_bytes(GENUINE)
    return folder


@pytest.fixture
def upstream(tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """Have a hailo-apps on the path. Returns the source."""

    def make(generation: Generation = "new", manner: Manner = "well", *, stall: float = 30) -> HailoAppsSource:
        folder = scripted_hailo_apps.write(tmp_path / "hailo-apps", published.as_uri(), generation, manner)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        return HailoAppsSource(Patience(stall=stall))

    return make


@pytest.fixture
def npu(tmp_path: Path) -> Store:
    """A store with the packaged catalog's models for the NPU, without addresses."""
    return Store(tmp_path / "store", _catalog(tmp_path, lambda entry: entry["sources"].clear()))


def _catalog(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> catalog.Catalog:
    family = yaml.safe_load((catalog.PACKAGED / "whisper-hailo.yaml").read_text())
    for entry in family["models"]:
        change(entry)
    folder = tmp_path / "models.d"
    folder.mkdir()
    (folder / "npu.yaml").write_text(yaml.safe_dump(family))
    return catalog.load(folder)


@pytest.mark.parametrize("generation", ["old", "new"])
def test_both_generations_bring_a_hef_that_is_pinned(upstream: Upstream, npu: Store, generation: Generation) -> None:
    lines: list[str] = []
    done = pull("Whisper-Base", npu, [upstream(generation)], notify=lines.append)
    assert (done.change, done.source, done.failed) == ("pulled", "hailo-apps", ())
    assert (npu.root / "Whisper-Base" / "Whisper-Base.hef").read_bytes() == GENUINE
    recorded = json.loads((npu.root / "Whisper-Base" / "manifest.json").read_text())
    assert recorded["files"]["Whisper-Base.hef"]["sha256"] == hashlib.sha256(GENUINE).hexdigest()
    assert lines[0] == "Whisper-Base: fetching 155 MB from hailo-apps"
    assert "nobody knows the sum of Whisper-Base.hef" in lines[1]
    assert not (npu.root / ".partial").exists()
    npu.verify("Whisper-Base")


def test_the_vendored_tree_stays_as_it_was(upstream: Upstream, npu: Store, tmp_path: Path) -> None:
    source = upstream()
    before = sorted(path.relative_to(tmp_path) for path in (tmp_path / "hailo-apps").rglob("*"))
    pull("Whisper-Base", npu, [source])
    assert sorted(path.relative_to(tmp_path) for path in (tmp_path / "hailo-apps").rglob("*")) == before


def test_a_pinned_sum_holds_against_it(upstream: Upstream, npu: Store, published: Path) -> None:
    source = upstream()
    pull("Whisper-Base", npu, [source])
    (published / "Whisper-Base.hef").write_bytes(hef(weights=bytes(5120)))
    with pytest.raises(PullFailed, match=r"hailo-apps: what arrived is not the pinned model: the sha256 of Whisper-Base\.hef"):
        pull("Whisper-Base", npu, [source], force=True)
    npu.verify("Whisper-Base")


FAULTS: dict[str, tuple[Generation, Manner, str]] = {
    "half-a-file": (
        "new",
        "half",
        r"ended as if all were well, and what it has brought was removed: Whisper-Base\.hef is cut short or damaged: it has \d+ bytes, .*"
        r"Run the command again, or use --source https",
    ),
    "nothing": (
        "old",
        "silent",
        r"ended as if all were well and has brought no Whisper-Base\.hef\. Mend that, or use --source https",
    ),
    "a-crash": ("new", "crashing", r"its downloader failed: CRITICAL: no space left\. Run the command again"),
    "a-release-that-does-not-start": (
        "new",
        "broken",
        r"does not start \(it said: RuntimeError: this release is broken\): have the role",
    ),
    "a-release-of-before-2025-12": (
        "ancient",
        "well",
        r"neither --resource-name nor --model.*pin another commit with hailo_whisper_hailo_apps_commit, or use --source https",
    ),
}


@pytest.mark.parametrize(("generation", "manner", "said"), FAULTS.values(), ids=FAULTS)
def test_whatever_it_does_wrong_is_said_and_leaves_nothing(
    upstream: Upstream, npu: Store, generation: Generation, manner: Manner, said: str
) -> None:
    with pytest.raises(PullFailed, match=said):
        pull("Whisper-Base", npu, [upstream(generation, manner)])
    assert [path.name for path in npu.root.iterdir()] == [".lock"]


def test_a_failure_that_ends_with_status_0(upstream: Upstream, npu: Store, published: Path) -> None:
    (published / "Whisper-Base.hef").unlink()
    with pytest.raises(
        PullFailed, match=r"brought no Whisper-Base\.hef; its last words: Whisper-Base: Failed to download after 3 attempts"
    ):
        pull("Whisper-Base", npu, [upstream()])


def test_a_web_page_and_a_hef_for_another_device(upstream: Upstream, npu: Store, published: Path) -> None:
    (published / "Whisper-Base.hef").write_text("<html>Sign in")
    with pytest.raises(PullFailed, match=r"was removed: Whisper-Base\.hef is no HEF"):
        pull("Whisper-Base", npu, [upstream()])
    (published / "Whisper-Base.hef").write_bytes(hef("hailo8"))
    with pytest.raises(PullFailed, match=r"was removed: Whisper-Base\.hef was made for hailo8 and not for hailo10h"):
        pull("Whisper-Base", npu, [upstream()])


def test_one_that_hangs_is_ended(upstream: Upstream, npu: Store) -> None:
    with pytest.raises(PullFailed, match=r"its downloader failed: nothing arrived for 1 seconds"):
        pull("Whisper-Base", npu, [upstream("new", "hanging", stall=0.5)])
    assert not (npu.root / ".partial").exists()


def test_one_that_never_comes_to_an_end_is_ended(upstream: Upstream, npu: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "LEAST_SECONDS", -3100.0)  # and 3100 for the 155 MB at the slowest
    with pytest.raises(PullFailed, match=r"its downloader failed: it was not done after 0 seconds"):
        pull("Whisper-Base", npu, [upstream("new", "hanging")])


def test_one_that_does_not_say_what_it_can_do(upstream: Upstream, npu: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "PROBE_SECONDS", 0.001)
    with pytest.raises(PullFailed, match="did not even say what it can do"):
        pull("Whisper-Base", npu, [upstream()])


def test_without_hailo_apps(npu: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(
        PullFailed, match=r"hailo-apps is not installed here: have the role hailo_apps install it .*or use --source https"
    ):
        pull("Whisper-Base", npu, [HailoAppsSource()])


def test_a_list_that_cannot_be_read(upstream: Upstream, npu: Store, tmp_path: Path) -> None:
    source = upstream()
    listed = tmp_path / "hailo-apps/hailo_apps/config/resources_config.yaml"
    listed.write_text("[")
    with pytest.raises(PullFailed, match=r"its list of models, .*, cannot be read \(ParserError\)"):
        pull("Whisper-Base", npu, [source])
    listed.write_text("- a")
    with pytest.raises(PullFailed, match=r"its list of models, .*, is none"):
        pull("Whisper-Base", npu, [source])


@pytest.mark.parametrize("generation", ["old", "new"])
def test_a_model_that_it_does_not_list_comes_from_the_catalogs_address(
    upstream: Upstream, tmp_path: Path, generation: Generation
) -> None:
    with playing({"Whisper-Small.hef": GENUINE}) as hub:

        def addressed(entry: dict[str, Any]) -> None:
            entry["sources"] = {"https": {name: f"{hub.address}/v5/{name}" for name in entry["files"]}}

        store = Store(tmp_path / "store", _catalog(tmp_path, addressed))
        assert pull("whisper-small-int8", store, [upstream(generation)]).source == "hailo-apps"
        assert hub.requests == ["GET /v5/Whisper-Small.hef"]
    assert (store.root / "Whisper-Small" / "Whisper-Small.hef").read_bytes() == GENUINE


def test_what_it_cannot_have(upstream: Upstream, npu: Store, store: Store) -> None:
    with pytest.raises(PullFailed, match=r"hailo-apps does not list Whisper-Tiny\.hef, and the catalog has no address for it"):
        pull("Whisper-Tiny", npu, [upstream()])
    with pytest.raises(NotOffered, match="fetches HEFs, and small has other files"):
        HailoAppsSource().extra_space(store.catalog.get("small"))


def test_what_is_installed_goes_before_its_stand_in(upstream: Upstream, npu: Store, tmp_path: Path) -> None:
    source = upstream()
    (tmp_path / "hailo-apps" / "dotenv.py").write_text(
        f"def load_dotenv(path):\n    open({str(tmp_path / 'asked')!r}, 'w').write(path)\n"
    )
    pull("Whisper-Base", npu, [source])
    assert (tmp_path / "asked").read_text() == "/nowhere"


def test_its_name() -> None:
    assert parse("hailo-apps").name == "hailo-apps"
