"""The files of the container image: what compose makes of its own, what the docs have of the names, and what hadolint says. Needs no image."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CONTAINERS = {"WHISPER_MODEL", "MODEL_CACHE_DIR"}
"""What only containers know: `hailo-whisper container` makes settings of them."""


def run(*command: str | Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        list(map(str, command)),
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
        timeout=60,
    )


def told(program: str) -> list[str]:
    """The words that a program of Python prints."""
    done = run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("added", [[], ["publish"], ["nvidia"], ["hailo"], ["nvidia", "publish"]], ids=" ".join)
def test_the_compose_files(project: Path, tmp_path: Path, added: list[str]) -> None:
    # It is asked for its version and nothing else, and who runs the tests may not have it.
    (tmp_path / "podman").write_text("#!/bin/sh\necho podman version 4.3.1\n")
    (tmp_path / "podman").chmod(0o755)
    folder = project / "packaging/docker"
    files = [f"--file={folder / f'compose{part}.yml'}" for part in ["", *(f".{name}" for name in added)]]
    environ = {
        "HAILO_GROUP": "111",
        "HAILORT_VERSION": "5.2.0",
        "MODEL_CACHE_DIR": "/srv/cache",
        "WHISPER_MODEL": "large-v3",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }
    done = run("podman-compose", *files, "config", **environ)
    assert done.returncode == 0, done.stderr
    service = yaml.safe_load(done.stdout)["services"]["hailo-whisper"]
    assert "/srv/cache:/data/cache:ro" in service["volumes"]
    assert service["read_only"] is True
    assert service["environment"]["WHISPER_MODEL"] == "large-v3"
    assert ("published" in service["networks"]) == ("publish" in added)
    # What compose sets must mean something.
    names = told("from hailo_whisper.settings import names; print(' '.join(names()))")
    assert len(names) > 20
    assert set(service["environment"]) - {"PYTHONPATH"} <= {*names} | CONTAINERS
    # Every card computes in that; int8_float16 keeps one of before 2017 from ever being ready.
    assert service["environment"].get("HAILO_WHISPER_MODEL_COMPUTE_TYPE") == ("auto" if "nvidia" in added else None)


@pytest.mark.parametrize("gpu", ["", "1", "MIG-3f1d0c7a-9be2-5f3c-8d5e-6a7b8c9d0e1f"])
def test_the_gpu_is_the_one_that_was_named(project: Path, tmp_path: Path, gpu: str) -> None:
    (tmp_path / "podman").write_text("#!/bin/sh\necho podman version 4.3.1\n")
    (tmp_path / "podman").chmod(0o755)
    files = [f"--file={project / f'packaging/docker/compose{part}.yml'}" for part in ("", ".nvidia")]
    done = run("podman-compose", *files, "config", GPU=gpu, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    (device,) = yaml.safe_load(done.stdout)["services"]["hailo-whisper"]["deploy"]["resources"]["reservations"]["devices"]
    # Docker refuses a count beside it.
    assert device == {"driver": "nvidia", "device_ids": [gpu or "0"], "capabilities": ["gpu"]}


def test_a_hailo_needs_to_be_told_of_its_group_and_its_version(project: Path) -> None:
    text = (project / "packaging/docker/compose.hailo.yml").read_text()
    assert set(re.findall(r"\$\{([A-Z_]+):\?", text)) == {"HAILO_GROUP", "HAILORT_VERSION"}
    about = (project / "docs/containers.md").read_text().partition("\n### On a Hailo NPU\n")[2].partition("\n## ")[0]
    defaults = dict(re.findall(r"\$\{([A-Z_]+):-(.*?)\}", text)) | {"HAILO_GROUP": "", "HAILORT_VERSION": ""}
    del defaults["ENGINE_FALLBACK"]
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| .* \|(?: `([^`]*)`.*)? \|$", about, re.MULTILINE))
    assert rows == defaults


def test_the_names_that_compose_reads_itself_are_known_to_the_program(project: Path) -> None:
    text = "".join(path.read_text() for path in (project / "packaging/docker").glob("compose*.yml"))
    own = told("from hailo_whisper.settings.strangers import COMPOSE; print(' '.join(COMPOSE))")
    assert set(re.findall(r"\$\{(HAILO_WHISPER_\w+)", text)) == set(own)


def test_the_language_model_is_started_only_when_it_is_asked_for(project: Path) -> None:
    services = yaml.safe_load((project / "packaging/docker/compose.yml").read_text())["services"]
    assert {name: service.get("profiles") for name, service in services.items()} == {"hailo-whisper": None, "llm": ["llm"]}


def test_the_first_commands_of_the_docs_name_what_is_there(project: Path) -> None:
    lines = (project / "docs/containers.md").read_text().partition("\n```\n")[2].partition("\n```\n")[0].splitlines()
    assert [line.rpartition("# ")[2][0] for line in lines if "# " in line] == ["1", "2", "3"]
    folder = project / "packaging/docker"
    named = [folder / path for path in re.findall(r"-f (\S+)|file=@(\S+)", lines[-1] + lines[-2]) for path in path if path]
    assert len(named) == 3
    assert [path for path in named if not path.is_file()] == []
    model = re.findall(r"--whisper-model (\S+)", lines[1])[0]
    assert run(*lines[1].partition(" #")[0].split(), "--dry-run").returncode == 0
    default = told("from hailo_whisper.settings import Settings; print(Settings().model.name)")
    assert [model] == default, "no variable says which it is"
    text = (folder / "compose.yml").read_text()
    made = re.findall(r"\$\{MODELS_DIR:-\./(\w+)\}", text)
    assert f"mkdir -p {' '.join(made)} " in lines[2], "docker would make it root's"
    # What docker and podman wait by themselves is less than a request may take.
    waited = re.findall(r"stop_grace_period: (\d+)s", text)
    assert re.findall(r"`run --stop-timeout (\d+)`", (project / "docs/containers.md").read_text()) == waited


def test_the_table_of_the_docs_has_every_name_that_is_refused(project: Path) -> None:
    text = (project / "docs/containers.md").read_text()
    names = told("from hailo_whisper.settings.strangers import STRANGERS; print(' '.join(STRANGERS))")
    assert names
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_docs_say_what_to_do_about_what_the_program_says(project: Path, code: str) -> None:
    table = (
        (project / "docs/containers.md").read_text().partition("\n## When it does not become ready\n")[2].partition("\n## ")[0]
    )
    rows = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) > 8
    for said in re.findall(r"`(.+?)`", ", ".join(rows)):
        for part in filter(None, map(str.strip, said.split("..."))):
            assert part in code, f"nothing says {part!r} any more"


def test_what_is_installed_beside_the_venv_is_in_the_sbom(project: Path) -> None:
    text = (project / "packaging/docker/Dockerfile").read_text()
    beside = re.findall(r"--target /opt/hailo-whisper/(\S+)", text)
    assert beside == ["cuda"]
    given = re.findall(
        r'if \[ -d (\S+) \]; then set -- "\$site" (\S+); else set -- "\$site"; fi; \\\n.* -m contents "\$@" sbom', text
    )
    assert given == [(beside[0], beside[0])]


def test_the_pod_of_the_docs_has_what_the_container_needs(project: Path) -> None:
    text = (project / "docs/containers.md").read_text()
    pod = yaml.safe_load(re.findall(r"```yaml\n(apiVersion.+?)```", text, re.DOTALL)[0])["spec"]
    (container,) = pod["containers"]
    service = yaml.safe_load((project / "packaging/docker/compose.yml").read_text())["services"]["hailo-whisper"]
    assert pod["terminationGracePeriodSeconds"] == int(service["stop_grace_period"].removesuffix("s"))
    assert container["image"] in service["image"]
    mounted = {each["mountPath"]: each for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert {each["name"] for each in mounted.values()} == volumes.keys()
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert "emptyDir" in volumes[mounted["/tmp"]["name"]]
    secret, models = told(
        "from hailo_whisper.cli.container import SECRET; from hailo_whisper.models.cure import MOUNTED; print(SECRET, MOUNTED)"
    )
    assert mounted.keys() == {"/tmp", secret, models}
    assert mounted[secret]["subPath"] in text.partition("create secret generic ")[2].partition("`")[0]
    routes = told("from hailo_whisper.api import health; print(*(route.path for route in health.router.routes))")
    assert (
        {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")}
        == {"/health", "/health/ready"}
        <= set(routes)
    )


def test_nothing_of_the_checkout_comes_into_the_image_with_the_mode_that_it_has_there(project: Path) -> None:
    last = (project / "packaging/docker/Dockerfile").read_text().rpartition("\nFROM ")[2]
    copied = re.findall(r"^(?:COPY|ADD) (.*)", last, re.MULTILINE)
    assert len(copied) > 2
    assert [line for line in copied if not line.startswith("--from=")] == [], "who has a umask of 077 builds it too"


def test_the_dockerfile_pleases_hadolint(project: Path) -> None:
    done = run("hadolint", project / "packaging/docker/Dockerfile")
    assert done.returncode == 0, done.stdout + done.stderr
