"""How the role `models` brings, verifies and removes models, tried on this machine with small ones and a store of its own."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_run import HERE, ansible_playbook, changed
from hefs import hef

Role = Callable[..., "subprocess.CompletedProcess[str]"]

FILES = {"model.bin": b"the weights", "config.json": b"{}", "tokenizer.json": b"{}"}
NAMES = ("one", "two", "three")


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)
        for file, data in FILES.items():
            (folder / name / file).write_bytes(data)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def controller(tmp_path: Path) -> Path:
    """What the controller has: every model but the last."""
    fill(tmp_path / "controller", *NAMES[:-1])
    return tmp_path / "controller"


@pytest.fixture
def program(tmp_path: Path, store: Path) -> Path:
    """The command, with a catalog of three models. It writes what it was asked into `asked`."""
    files = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in FILES.items()}
    about = {"description": "For tests.", "licence": "MIT", "languages": ["en"], "memory_mb": 1, "files": files, "sources": {}}
    aliases = {"two": {"aliases": ["deux"]}}
    models = [{"name": name} | about | aliases.get(name, {}) for name in NAMES]
    (tmp_path / "models.d").mkdir()
    family = {"schema_version": 1, "family": "fake", "engine": "ctranslate2", "models": models}
    (tmp_path / "models.d/fake.yaml").write_text(json.dumps(family))
    path = tmp_path / "hailo-whisper"
    path.write_text(
        "#!/bin/sh\n"
        f"export HAILO_WHISPER_STORAGE_MODELS={store} HAILO_WHISPER_MODELS_CATALOG={tmp_path}/models.d\n"
        f'echo "$@" >>{tmp_path}/asked\n'
        f'exec {sys.executable} -m hailo_whisper "$@"\n'
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def role(tmp_path: Path, program: Path) -> Role:
    play = {
        "hosts": "all",
        "gather_facts": False,
        "roles": ["models"],
        "handlers": [{"name": "Restart hailo-whisper", "ansible.builtin.debug": {"msg": "it would be restarted"}}],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))

    def run(*arguments: str, **variables: Any) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "asked").write_text("")
        (tmp_path / "variables.json").write_text(json.dumps({"models_program": str(program)} | variables))
        return ansible_playbook(*HERE, tmp_path / "play.yml", *arguments, "--extra-vars", f"@{tmp_path / 'variables.json'}")

    return run


def test_models_are_pushed_once_and_then_nothing_is_read_or_changed(
    role: Role, controller: Path, store: Path, tmp_path: Path
) -> None:
    wanted = {"hailo_whisper_models": ["one", "two"], "hailo_whisper_model_dir": str(controller)}
    assert changed(role("--check", **wanted)) == 1
    assert not store.exists()
    first = role(**wanted)
    assert changed(first) == 1
    assert "it would be restarted" in first.stdout
    assert {path.name for path in store.iterdir() if not path.name.startswith(".")} == {"one", "two"}
    for again in (role(**wanted), role("--check", **wanted)):
        assert changed(again) == 0
        assert (tmp_path / "asked").read_text().splitlines() == ["models pull --check one two"]


def test_what_the_controller_lacks_is_named(role: Role, controller: Path, store: Path) -> None:
    done = role(hailo_whisper_models=["one", "three"], hailo_whisper_model_dir=str(controller))
    assert done.returncode != 0
    assert str(controller / "three") in done.stdout + done.stderr
    assert not (store / "three").exists()


def test_models_are_fetched_on_the_host(role: Role, controller: Path, store: Path) -> None:
    wanted = {"hailo_whisper_models": ["one"], "hailo_whisper_model_sources": [f"folder:{controller}"]}
    assert changed(role(**wanted)) == 1
    assert (store / "one/model.bin").read_bytes() == FILES["model.bin"]
    assert changed(role(**wanted)) == 0


def test_a_bundle_of_the_controller(role: Role, program: Path, controller: Path, store: Path, tmp_path: Path) -> None:
    bundle, elsewhere = tmp_path / "models.tar", tmp_path / "elsewhere"
    for action in (["pull", "--source", f"folder:{controller}"], ["export", "--to", str(bundle)]):
        arguments = [str(program), "models", action[0], "one", "two", *action[1:], "--dest", str(elsewhere)]
        subprocess.run(arguments, check=True, capture_output=True)
    wanted = {"hailo_whisper_models": ["one", "two"], "hailo_whisper_model_bundle": str(bundle)}
    assert changed(role(**wanted)) == 1
    assert (store / "two/model.bin").read_bytes() == FILES["model.bin"]
    assert changed(role(**wanted)) == 0
    both = role(**wanted, hailo_whisper_model_dir=str(controller))
    assert both.returncode != 0
    assert "Take one of them out of the inventory." in " ".join(both.stdout.split())


@pytest.mark.parametrize("way", ["folder", "bundle"])
def test_a_model_for_the_npu(role: Role, program: Path, store: Path, tmp_path: Path, way: str) -> None:
    """By the name that the configuration has, from the controller to the store and to where hailo-apps looks."""
    kept = tmp_path / "resources/models/hailo10h/Whisper-Base.hef"
    kept.parent.mkdir(parents=True)
    line = f"export HAILO_WHISPER_ENGINE_KIND=hailo HAILO_WHISPER_HAILO_RESOURCES={tmp_path}/resources\n"
    program.write_text(program.read_text().replace("exec ", line + "exec "))
    carried = tmp_path / "carried"
    (carried / "Whisper-Base").mkdir(parents=True)
    (carried / "Whisper-Base/Whisper-Base.hef").write_bytes(hef())
    wanted: dict[str, Any] = {"hailo_whisper_models": ["base"], "hailo_whisper_model_prune": True}
    if way == "bundle":
        bundle = tmp_path / "models.tar"
        made = [
            str(program),
            "models",
            "pull",
            "Whisper-Base",
            "--source",
            f"folder:{carried}",
            "--dest",
            str(tmp_path / "elsewhere"),
        ]
        subprocess.run(made, check=True, capture_output=True)
        given = [str(program), "models", "export", "Whisper-Base", "--to", str(bundle), "--dest", str(tmp_path / "elsewhere")]
        subprocess.run(given, check=True, capture_output=True)
        wanted["hailo_whisper_model_bundle"] = str(bundle)
    else:
        wanted["hailo_whisper_model_dir"] = str(carried)
    assert changed(role("--check", **wanted)) == 1
    assert changed(role(**wanted)) == 1
    assert (store / "Whisper-Base/Whisper-Base.hef").read_bytes() == hef()
    assert kept.read_bytes() == hef()
    assert changed(role(**wanted, hailo_whisper_model_verify=True)) == 0
    kept.unlink()
    assert changed(role("--check", **wanted)) == 1
    assert changed(role(**wanted)) == 1
    assert kept.is_symlink()


@pytest.mark.parametrize("place", ["named", "path"])
def test_what_takes_the_place_of_the_npus_model_is_kept(
    role: Role, program: Path, store: Path, tmp_path: Path, place: str
) -> None:
    line = f"export HAILO_WHISPER_HAILO_RESOURCES={tmp_path}/resources\n"
    program.write_text(program.read_text().replace("exec ", line + "exec "))
    (tmp_path / "carried/Whisper-Base").mkdir(parents=True)
    (tmp_path / "carried/Whisper-Base/Whisper-Base.hef").write_bytes(hef())
    fill(store, "base", "tiny")
    model = {"name": "Whisper-Base"} | ({"path": "/srv/Whisper-Base.hef"} if place == "path" else {})
    wanted: dict[str, Any] = {"hailo_whisper_model_dir": str(tmp_path / "carried"), "hailo_whisper_config": {"model": model}}
    assert changed(role(**wanted)) == (place == "named")
    prune = wanted | {"hailo_whisper_model_prune": True}
    prune["hailo_whisper_config"] = {"model": model, "engine": {"fallback": "cpu"}}
    assert changed(role(**prune)) == 1
    assert ((store / "base").is_dir(), (store / "tiny").exists()) == (True, False)
    assert changed(role(**prune)) == 0
    assert (store / "Whisper-Base").exists() == (place == "named")
    prune["hailo_whisper_config"] = {"model": model}
    assert changed(role(**prune, models_kept=["Whisper-Base"])) == 0, "a roll-out may have to go back to where it was needed"
    assert changed(role(**prune)) == 1
    assert not (store / "base").exists(), "without engine.fallback nothing needs it"


def test_an_alias_is_brought_by_its_name(role: Role, controller: Path, store: Path) -> None:
    wanted = {"hailo_whisper_models": ["deux"], "hailo_whisper_model_dir": str(controller), "hailo_whisper_model_prune": True}
    assert changed(role(**wanted)) == 1
    assert (store / "two/model.bin").read_bytes() == FILES["model.bin"]
    assert changed(role(**wanted)) == 0


def test_a_changed_byte_that_kept_its_time_is_found_when_asked(role: Role, controller: Path, store: Path) -> None:
    wanted = {"hailo_whisper_models": ["one"], "hailo_whisper_model_dir": str(controller)}
    assert changed(role(**wanted)) == 1
    weights = store / "one/model.bin"
    before = weights.stat().st_mtime_ns
    weights.write_bytes(b"the we1ghts")
    os.utime(weights, ns=(before, before))
    assert changed(role(**wanted)) == 0, "gigabytes are not read at every run"
    found = role(**wanted, hailo_whisper_model_verify=True)
    assert found.returncode != 0
    assert "is damaged" in found.stdout + found.stderr


def test_a_changed_byte_is_mended(role: Role, controller: Path, store: Path) -> None:
    wanted = {"hailo_whisper_models": ["one"], "hailo_whisper_model_dir": str(controller), "hailo_whisper_model_verify": True}
    assert changed(role(**wanted)) == 1
    (store / "one/model.bin").write_bytes(b"the we1ghts")
    assert changed(role(**wanted)) == 1
    assert (store / "one/model.bin").read_bytes() == FILES["model.bin"]
    assert changed(role(**wanted)) == 0


def test_what_is_not_wanted_any_more_is_removed_when_asked(role: Role, controller: Path, store: Path) -> None:
    both = {"hailo_whisper_models": ["one", "two"], "hailo_whisper_model_dir": str(controller)}
    assert changed(role(**both)) == 1
    fill(store, "mine")
    one = both | {"hailo_whisper_models": ["one"]}
    assert changed(role(**one)) == 0, "nothing is removed unless that is said"
    prune = one | {"hailo_whisper_model_prune": True}
    for kept in ({"hailo_whisper_config": {"model": {"fallback": ["two"]}}}, {"hailo_whisper_models": ["one", "deux"]}):
        assert changed(role(**prune | kept)) == 0
    assert changed(role(**prune, models_kept=["deux"])) == 0, "a roll-out may have to go back to it"
    assert changed(role("--check", **prune)) == 1
    assert (store / "two").exists()
    assert changed(role(**prune)) == 1
    assert not (store / "two").exists()
    assert (store / "one").is_dir()
    assert (store / "mine").is_dir(), "the catalog does not know it"
    assert changed(role(**prune)) == 0


@pytest.mark.parametrize(
    ("inventory", "names"),
    [
        ({}, ["base"]),
        ({"hailo_whisper_model": "small"}, ["small"]),
        ({"hailo_whisper_config": {"model": {"name": "tiny"}}, "hailo_whisper_model": "small"}, ["tiny"]),
        ({"hailo_whisper_config": {"model": None, "models": {"offered": ["small"]}}}, ["base", "small"]),
        ({"hailo_whisper_config": {"model": {"path": "/srv/mine"}, "models": {"offered": ["small"]}}}, ["small"]),
        ({"hailo_whisper_config": {"model": {"path": "/srv/mine"}}}, []),
        ({"hailo_whisper_config": {"model": {"fallback": ["tiny"]}}}, ["base"]),
        ({"hailo_whisper_models": ["medium"], "hailo_whisper_model": "small"}, ["medium"]),
    ],
)
def test_which_models(project: Path, tmp_path: Path, inventory: dict[str, Any], names: list[str]) -> None:
    """Those that the configuration needs, unless the inventory has a list of its own."""
    files = [str(project / f"roles/models/{part}/main.yml") for part in ("defaults", "vars")]
    show = {"ansible.builtin.copy": {"content": "{{ models_names | to_json }}", "dest": str(tmp_path / "said"), "mode": "0600"}}
    play = {"hosts": "all", "gather_facts": False, "vars_files": files, "tasks": [show]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    command = ["ansible-playbook", "--inventory=this-machine,", "--connection=local", str(tmp_path / "play.yml")]
    subprocess.run([*command, "--extra-vars", json.dumps(inventory)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert json.loads((tmp_path / "said").read_text()) == names
