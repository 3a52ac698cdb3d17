"""What a model's name means, by whether a Hailo NPU transcribes on the machine."""

import argparse
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from hefs import hef

from hailo_whisper import settings
from hailo_whisper.accelerators import hailo
from hailo_whisper.cli import models
from hailo_whisper.cli.models import names
from hailo_whisper.cli.models.shared import place

Meant = Callable[..., list[str]]


@pytest.fixture
def meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Meant:
    """Ask, with settings of the configuration, on a machine with a Hailo-10H whose HailoRT has the genai API."""
    monkeypatch.setattr(hailo, "architecture", lambda: "hailo10h")
    monkeypatch.setattr(hailo, "genai", lambda: True)

    def ask(*asked: str, dest: Path | None = None, **configured: object) -> list[str]:
        loaded = settings.parse({"engine": {"kind": "hailo"}} | configured, "here")
        monkeypatch.setattr(settings, "load", lambda **_: loaded)
        return names.meant(asked, place(dest), dest)

    return ask


def test_the_configured_model_is_its_form_for_the_npu(meant: Meant, capsys: pytest.CaptureFixture[str]) -> None:
    assert meant("base") == ["Whisper-Base"]
    assert capsys.readouterr().err == "base on the Hailo NPU is Whisper-Base.\n"
    assert meant("whisper-base", "Whisper-Base") == ["Whisper-Base"]


def test_for_another_device_it_is_another_form(meant: Meant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hailo, "architecture", lambda: "hailo8")
    assert meant("base") == ["whisper-base-hailo8"]
    monkeypatch.setattr(hailo, "architecture", lambda: "hailo10h")
    monkeypatch.setattr(hailo, "genai", lambda: False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert meant("base") == ["Whisper-Base"], "HailoRT is still to come"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert meant("base") == ["whisper-base-hailo10h"]


def test_a_model_that_never_was(meant: Meant, capsys: pytest.CaptureFixture[str]) -> None:
    assert meant("whisper-small-int8") == ["Whisper-Small"]
    assert capsys.readouterr().err == "There is no model whisper-small-int8 for the Hailo NPU: Whisper-Small is taken.\n"


def test_another_model_than_the_configured_one_is_the_cpus(meant: Meant, capsys: pytest.CaptureFixture[str]) -> None:
    assert meant("small") == ["small"]
    assert capsys.readouterr().err == "small is the model for the CPU. For the Hailo NPU it is called Whisper-Small.\n"
    assert meant("small", model={"name": "small"}) == ["Whisper-Small"]
    assert meant("large-v3") == ["large-v3"], "there is no form of it for the NPU"
    assert meant("base", model={"path": "/srv/my.hef"}) == ["base"]


def test_where_the_cpu_serves_too_both_forms_are_meant(meant: Meant) -> None:
    assert meant("base", models={"offered": ["base"]}) == ["Whisper-Base", "base"]
    assert meant("Whisper-Base", "base") == ["Whisper-Base", "base"], "each is named"
    assert meant("base", engine={"kind": "hailo", "fallback": "cpu"}) == ["Whisper-Base", "base"]
    assert meant("whisper-base", engine={"kind": "hailo", "fallback": "cpu"}) == ["Whisper-Base"]


def test_what_is_offered_is_no_other_model(meant: Meant) -> None:
    assert meant("tiny", models={"offered": ["tiny"]}) == ["tiny"]


def test_elsewhere_a_name_is_what_it_says(meant: Meant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert meant("base", dest=tmp_path) == ["base"]
    assert meant("base", engine={"kind": "ctranslate2"}) == ["base"]
    monkeypatch.setattr(hailo, "lacking", lambda found: "there is no Hailo device")
    assert meant("base", engine={"kind": "auto"}) == ["base"]
    monkeypatch.setattr(hailo, "lacking", lambda found: None)
    assert meant("base", engine={"kind": "auto"}) == ["Whisper-Base"]


def test_from_the_command_to_where_hailo_apps_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HAILO_WHISPER_ENGINE_KIND", "hailo")
    monkeypatch.setenv("HAILO_WHISPER_STORAGE_MODELS", str(tmp_path / "store"))
    monkeypatch.setenv("HAILO_WHISPER_HAILO_RESOURCES", str(tmp_path / "resources"))
    shown = tmp_path / "resources/models/hailo10h/Whisper-Base.hef"
    shown.parent.mkdir(parents=True)
    (tmp_path / "Whisper-Base.hef").write_bytes(hef())

    def run(*argv: str) -> str:
        parser = argparse.ArgumentParser()
        models.add_parser(parser.add_subparsers())
        args = parser.parse_args(["models", *argv])
        assert args.run(args) == 0
        return capsys.readouterr().out

    source = ("--source", f"folder:{tmp_path}")
    assert run("pull", "base", "--check", *source) == "would pull Whisper-Base\n"
    assert run("pull", "base", *source) == f"pulled Whisper-Base from folder:{tmp_path}\n"
    assert shown.read_bytes() == hef()
    assert run("pull", "base", *source) == "unchanged Whisper-Base\n"
    shown.unlink()
    assert run("pull", "base", "--check", *source) == "would repair Whisper-Base\n"
    assert run("pull", "base", *source) == "repaired Whisper-Base\n"
    assert run("pull", "base", "--check", *source) == "unchanged Whisper-Base\n"
    assert run("verify", "base") == "ok Whisper-Base\n"
    assert run("remove", "Whisper-Base") == "removed Whisper-Base\n"
    assert not shown.is_symlink()
    # What hailo-apps has fetched itself is taken from there, pinned, and lies in one place then.
    shown.write_bytes(hef())
    assert run("pull", "base", "--check", "--source", "folder:/nowhere") == "would repair Whisper-Base\n"
    assert run("pull", "base", "--check", "--force") == "would pull Whisper-Base\n"
    assert run("pull", "base", "--source", "folder:/nowhere") == f"pulled Whisper-Base from folder:{shown.parent}\n"
    assert shown.is_symlink()
    assert shown.read_bytes() == hef()
