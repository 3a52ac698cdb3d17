"""The container image, built on a base of mmdebstrap and run as compose.yml runs it: no way out, no capability, nothing to write to but /tmp."""

import hashlib
import importlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

MODEL = "tiny.en"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hailo-whisper" / "models"
KEY = "4f1d0c7a9be24f3c8d5e6a7b8c9d0e1f"
COMPOSE = Path(__file__).parent.parent / "packaging/docker"
CLIP = "/opt/hailo-whisper/venv/lib/python3.11/site-packages/hailo_whisper/data/clip.wav"
# Asks the server from inside, as nothing else reaches it: prints the status and the body.
ASK = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 11437, timeout=60)
connection.request("GET", sys.argv[1])
response = connection.getresponse()
print(response.status, response.read().decode())
"""


def run(*command: str | Path, check: bool = True, seconds: float = 120, **environ: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | environ,
        check=False,
        timeout=seconds,
    )
    assert not check or done.returncode == 0, f"{done.args}: {done.stdout}{done.stderr}"
    return done


LISTS = {"tmpfs": "tmpfs", "cap_drop": "cap-drop", "security_opt": "security-opt"}
"""By their names in compose: podman's."""


def hardened() -> list[str]:
    """The options of podman for what compose.yml takes away from the service: nothing may be missing there that is tried here."""
    service = yaml.safe_load((COMPOSE / "compose.yml").read_text())["services"]["hailo-whisper"]
    options = [f"--{key}={str(service[name]).lower()}" for name, key in (("read_only", "read-only"), ("init", "init"))]
    options += [f"--{key}={each}" for name, key in LISTS.items() for each in service[name]]
    # podman would let it write to /run and /var/tmp as well.
    return [*options, "--read-only-tmpfs=false", f"--pids-limit={service['pids_limit']}"]


class Container:
    """A container that runs, or has run. Without a network, unless one is named."""

    def __init__(self, image: str, *options: str, network: str = "none") -> None:
        self.name = f"hailo-whisper-test-{uuid.uuid4().hex[:8]}"
        run("podman", "run", "--detach", f"--name={self.name}", f"--network={network}", *hardened(), *options, image)

    def exec(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return run("podman", "exec", self.name, *command, check=check)

    @property
    def url(self) -> str:
        """Where this machine reaches it, by its network."""
        address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return f"http://{run('podman', 'inspect', f'--format={address}', self.name).stdout.strip()}:11437"

    def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body of a GET, from inside."""
        told = self.exec("python3", "-c", ASK, path, check=False)
        status, _, body = told.stdout.partition(" ")
        return (int(status), json.loads(body)) if status.isdecimal() else (0, {})

    def until(self, *wanted: str) -> dict[str, Any]:
        """Wait for a state of readiness, and give its body."""
        end = time.monotonic() + 180
        while time.monotonic() < end:
            _, body = self.ask("/health/ready")
            if body.get("status") in wanted:
                return body
            time.sleep(0.3)
        raise AssertionError(f"not {wanted}: {self.log()}")

    def healthy(self) -> "subprocess.CompletedProcess[str]":
        """What the image's HEALTHCHECK does."""
        check = run("podman", "inspect", "--format={{json .Config.Healthcheck.Test}}", self.name).stdout
        return self.exec(*json.loads(check)[1:], check=False)

    def transcribe(self, key: str = KEY) -> "subprocess.CompletedProcess[str]":
        """By the program's own client, of the clip that it brings."""
        command = ["hailo-whisper", "transcribe", "--server", "http://127.0.0.1:11437", "--stdout", CLIP]
        return run("podman", "exec", f"--env=OPENAI_API_KEY={key}", self.name, *command, check=False)

    def remove(self) -> None:
        run("podman", "rm", "--force", "--time=0", self.name, check=False)

    def log(self) -> str:
        done = run("podman", "logs", self.name, check=False)
        return done.stdout + done.stderr

    def ended(self) -> int:
        """Wait for its end: the exit status."""
        return int(run("podman", "wait", self.name).stdout)


class Composed(Container):
    """The service as podman-compose starts it by the files of `parts`; `environ` is what people set."""

    def __init__(self, image: str, *parts: str, **environ: str) -> None:
        project = f"hailo-whisper-test-{uuid.uuid4().hex[:8]}"
        files = (f"--file={COMPOSE / '.'.join(('compose', *filter(None, [part]), 'yml'))}" for part in ("", *parts))
        self.command = ("podman-compose", f"--project-name={project}", *files)
        self.environ: dict[str, Any] = {**environ, "HAILO_WHISPER_IMAGE": image}
        self.name = f"{project}_hailo-whisper_1"
        self.up = run(*self.command, "up", "--detach", "--no-build", check=False, seconds=120, **self.environ)

    def remove(self) -> None:
        run(*self.command, "down", "--timeout=0", check=False, seconds=120, **self.environ)


Start = Callable[..., Container]


@pytest.fixture(scope="module")
def image(project: Path) -> Iterator[str]:
    """The image of this tree, or one that was built elsewhere and is named by IMAGE_UNDER_TEST."""
    if given := os.environ.get("IMAGE_UNDER_TEST"):
        yield given
        return
    # The same name in each run of this clone: podman finds again what was built of the same content.
    tag = f"localhost/hailo-whisper-test:{hashlib.sha256(bytes(project)).hexdigest()[:8]}"
    identity = ("podman", "image", "inspect", "--format={{.Id}}", tag)
    before = run(*identity, check=False).stdout.strip()
    bases = ("--base", os.environ["BASE"], "--builder", os.environ["BUILDER"])
    run(project / "script/build-image", *bases, "--tag", tag, "--with", "podman", seconds=600)
    built = run(*identity).stdout.strip()
    # What it was called before is left over, unless somebody has another name for it.
    if before not in ("", built) and run("podman", "image", "inspect", "--format={{.RepoTags}}", before).stdout == "[]\n":
        run("podman", "rmi", before, check=False)
    yield built


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    """As compose.yml has it: who is in it reaches the service, which reaches nobody else."""
    name = f"hailo-whisper-test-{uuid.uuid4().hex[:8]}"
    run("podman", "network", "create", "--internal", name)
    yield name
    run("podman", "network", "rm", "--force", name)


@pytest.fixture(scope="module")
def starting(image: str) -> Iterator[Start]:
    started: list[Container] = []

    def start(*options: str, network: str = "none") -> Container:
        started.append(Container(image, *options, network=network))
        return started[-1]

    yield start
    for each in started:
        each.remove()


@pytest.fixture
def composing(image: str, models: Path, key: Path, tmp_path: Path) -> Iterator[Callable[..., Composed]]:
    started: list[Composed] = []

    def up(*parts: str, **environ: str) -> Composed:
        (tmp_path / "cache").mkdir(exist_ok=True)
        folders = {"MODELS_DIR": models, "MODEL_CACHE_DIR": tmp_path / "cache", "HAILO_WHISPER_KEY_FILE": key}
        started.append(Composed(image, *parts, **{name: str(path) for name, path in folders.items()}, **environ))
        return started[-1]

    yield up
    for each in started:
        each.remove()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models, as an administrator makes it: readable for everybody, and with the lock of whoever wrote there last."""
    command = [sys.executable, "-m", "hailo_whisper", "models", "pull", MODEL, "--source", "wheels", "--dest", str(CACHE)]
    subprocess.run(command, check=True)
    root = tmp_path_factory.mktemp("models")
    run("cp", "--recursive", CACHE / MODEL, root)
    (root / ".lock").write_text("99999\n")
    (root / ".lock").chmod(0o600)
    run("chmod", "--recursive", "a+rX", root / MODEL)
    opened(root)
    return root


def opened(folder: Path) -> Path:
    """A folder that everybody may look into: pytest's are its user's alone."""
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = opened(tmp_path_factory.mktemp("secret")) / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o644)
    return path


@pytest.fixture(scope="module")
def secret(key: Path) -> str:
    return f"--volume={key}:/run/secrets/hailo-whisper-key:ro"


@pytest.fixture(scope="module")
def served(network: str, starting: Start, models: Path, secret: str) -> Container:
    """The container that most tests ask."""
    container = starting(f"--volume={models}:/data/models:ro", secret, f"--env=WHISPER_MODEL={MODEL}", network=network)
    container.until("ready")
    return container


def test_two_builds_at_once_have_a_log_each(image: str, project: Path, tmp_path: Path) -> None:
    assert image
    builder = tmp_path / "builder"
    builder.write_text('#!/bin/sh\nsleep 1\necho "$@"\nsleep 1\nexit 3\n')
    builder.chmod(0o755)
    builds = [
        subprocess.Popen(
            [project / "script/build-image", "--with", builder, "--tag", f"localhost/played:{tag}"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for tag in ("one", "two")
    ]
    logs = set()
    for tag, build in zip(("one", "two"), builds, strict=True):
        _, said = build.communicate(timeout=120)
        assert build.returncode == 1
        (log,) = re.findall(r"are the end of (\S+)\.$", said, re.MULTILINE)
        assert Path(log).read_text().count("--tag") == 1
        assert f"--tag localhost/played:{tag} " in Path(log).read_text()
        logs.add(log)
        Path(log).unlink()
    assert len(logs) == 2


def test_it_keeps_the_contract(served: Container, project: Path) -> None:
    tests = project / "app/tests/contract"
    chosen = (tests / "test_transcriptions.py", f"{tests / 'test_sdk.py'}::test_a_stream")
    command = (sys.executable, "-m", "pytest", "-q", "-c", project / "app/pyproject.toml", "-p", "no:cacheprovider")
    done = run(*command, *chosen, "--url", served.url, check=False, seconds=300, OPENAI_API_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout.splitlines()[-1]
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_only_who_has_the_key_is_answered(served: Container) -> None:
    assert served.transcribe().returncode == 0
    assert served.transcribe("another").returncode == 1
    assert httpx.get(f"{served.url}/v1/models").status_code == 401, "who has none"
    assert httpx.get(f"{served.url}/health").status_code == 200


def test_there_is_no_way_out(served: Container) -> None:
    tried = "import socket; socket.create_connection(('192.0.2.1', 443), timeout=5)"
    assert "Network is unreachable" in served.exec("python3", "-c", tried, check=False).stderr


def test_nothing_can_be_written_and_nobody_is_root(served: Container) -> None:
    assert served.exec("id", "-u").stdout == "11437\n"
    status = served.exec("cat", "/proc/1/status").stdout
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    for place in ("/etc/x", "/opt/hailo-whisper/x", "/data/models/x", "/var/lib/hailo-whisper/x"):
        assert served.exec("touch", place, check=False).returncode != 0
    assert run("podman", "diff", served.name).stdout.count("/opt/hailo-whisper") == 0, "nothing was compiled at run time"


def test_the_health_check_is_readiness(served: Container) -> None:
    done = served.healthy()
    assert (done.returncode, done.stdout) == (0, "ready\n")


def test_it_holds_what_is_locked_and_no_installer(served: Container, image: str, project: Path) -> None:
    listing = "from importlib import metadata as m; print('\\n'.join(f'{d.name}=={d.version}' for d in m.distributions()))"
    inside = served.exec("/opt/hailo-whisper/venv/bin/python", "-c", listing).stdout.lower().replace("_", "-").split()
    lock = (project / "app/requirements/server.lock").read_text().lower().replace("_", "-")
    ours = [name for name in inside if not name.startswith("hailo-whisper==")]
    assert len(ours) > 20
    assert [name for name in ours if f"\n{name} " not in f"\n{lock}"] == []
    assert served.exec("python3", "-m", "pip", check=False).returncode != 0
    assert served.exec("sh", "-c", "command -v curl gcc", check=False).returncode != 0
    bill = json.loads(served.exec("cat", "/opt/hailo-whisper/sbom.cdx.json").stdout)
    assert {f"{each['name'].lower().replace('_', '-')}=={each['version']}" for each in bill["components"]} >= set(ours)
    size = int(run("podman", "image", "inspect", "--format={{.Size}}", image).stdout)
    assert size < 620_000_000, "docs/containers.md says how large it is"


def test_a_request_in_flight_is_answered_when_it_is_stopped(
    network: str, starting: Start, models: Path, project: Path, tmp_path: Path
) -> None:
    insecure = "--env=HAILO_WHISPER_ACCESS_INSECURE=true"
    container = starting(f"--volume={models}:/data/models:ro", insecure, f"--env=WHISPER_MODEL={MODEL}", network=network)
    container.until("ready")
    # It takes a second or more, and less than the 28 there are: a text that repeats itself more often is decoded again and again.
    with (
        wave.open(str(project / "app/src/hailo_whisper/data/clip.wav")) as clip,
        wave.open(str(tmp_path / "long.wav"), "wb") as long,
    ):
        long.setparams(clip.getparams())
        long.writeframes(clip.readframes(clip.getnframes()) * 2)
    url = container.url
    command = [sys.executable, "-m", "hailo_whisper", "transcribe", "--server", url, "--stdout", str(tmp_path / "long.wav")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as asking:
        end = time.monotonic() + 60
        while 'hailo_whisper_queue_requests{model="tiny.en"} 1.0' not in httpx.get(f"{url}/metrics").text:
            assert asking.poll() is None, "it was over before it was seen"
            assert time.monotonic() < end
        run("podman", "kill", "--signal=TERM", container.name)
        heard, _ = asking.communicate(timeout=120)
    assert asking.returncode == 0, heard
    assert container.ended() == 0, container.log()
    assert "draining: 1 connections are open" in container.log()


def test_a_model_folder_that_is_read_only_with_a_lock_and_a_user_that_is_not_ours(starting: Start, models: Path) -> None:
    container = starting(
        *("--user=4321:4321", f"--volume={models}:/data/models:ro", "--env=HAILO_WHISPER_ACCESS_INSECURE=true"),
        f"--env=WHISPER_MODEL_PATH=/data/models/{MODEL}",
    )
    assert container.until("ready")["reason"] is None
    assert container.transcribe("").returncode == 0


def test_a_mounted_cache_is_found_and_a_gpu_that_is_not_there_is_told(starting: Start, models: Path, tmp_path: Path) -> None:
    revision = "7d45e8e0b3fa1c1d2e3f405162738495a6b7c8d9"
    snapshot = tmp_path / "huggingface/hub/models--Systran--faster-whisper-tiny.en/snapshots" / revision
    snapshot.parent.mkdir(parents=True)
    run("cp", "--recursive", models / MODEL, snapshot)
    (snapshot / "manifest.json").unlink()
    opened(tmp_path)
    container = starting(
        *(f"--volume={tmp_path}:/data/cache:ro", "--env=HAILO_WHISPER_ACCESS_INSECURE=true", f"--env=WHISPER_MODEL={MODEL}"),
        *("--env=HAILO_WHISPER_ENGINE_KIND=cuda", "--env=HAILO_WHISPER_ENGINE_FALLBACK=cpu"),
        "--env=HAILO_WHISPER_MODEL_COMPUTE_TYPE=int8_float16",
    )
    body = container.until("ready")
    assert (body["engine"], body["engine_fallback_for"], body["degraded"]) == ("ctranslate2", "cuda", True)
    assert "there is no NVIDIA GPU" in body["reason"]
    assert f"snapshots/{revision}" in container.log()


def test_a_device_that_is_taken_away_while_it_runs(
    network: str, starting: Start, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HailoRT is emulated, and lies where compose.hailo.yml mounts it."""
    emulator, device, folder = project / "app/tests/emulator", opened(tmp_path) / "device", tmp_path / "models"
    for made, mode in ((device, 0o777), (folder, 0o755)):
        made.mkdir()
        made.chmod(mode)
    words = (project / "app/src/hailo_whisper/data/clip.txt").read_text().strip()
    monkeypatch.syspath_prepend(str(emulator))
    importlib.import_module("hailo_platform.emulation.hef").write(folder / "Whisper-Base.hef", "hailo10h", says=words)

    def heard() -> httpx.Response:
        sound = (project / "app/src/hailo_whisper/data/clip.wav").read_bytes()
        return httpx.post(
            f"{container.url}/v1/audio/transcriptions",
            files={"file": ("clip.wav", sound)},
            data={"model": "whisper-1"},
            timeout=60,
        )

    container = starting(
        *(
            f"--volume={folder}:/data/models:ro",
            f"--volume={device}:/device",
            f"--volume={emulator}:/opt/hailo-whisper/hailort:ro",
        ),
        *("--env=PYTHONPATH=/opt/hailo-whisper/hailort", "--env=HAILO_EMULATOR_FOLDER=/device"),
        *("--env=HAILO_WHISPER_ENGINE_KIND=hailo", "--env=WHISPER_MODEL_PATH=/data/models/Whisper-Base.hef"),
        "--env=HAILO_WHISPER_ACCESS_INSECURE=true",
        network=network,
    )
    container.until("ready")
    assert heard().json()["text"] == words
    (device / "control").write_text("absent\n")
    lost = heard()
    assert lost.status_code == 503
    assert "No Hailo device was found" in lost.json()["error"]["message"]
    assert "compose.hailo.yml gives a container both" in container.until("failed")["reason"]
    assert container.ask("/health")[0] == 200
    assert container.healthy().returncode == 1
    (device / "control").write_text("")
    container.until("ready")
    assert heard().json()["text"] == words


@pytest.mark.parametrize(
    ("made", "options", "said"),
    [
        (
            "empty",
            [],
            "The model tiny.en is not in /data/models, nor in the cache /data/cache. Pull it on the host (`hailo-whisper models pull tiny.en --dest FOLDER`) and mount FOLDER at "
            "/data/models.",
        ),
        ("closed", [], "may not be read by this user (number 11437). Run the container as the user whom it belongs to"),
        (
            "empty",
            ["--volume={closed}:/data/cache:ro"],
            "The cache /data/cache may not be read by this user (number 11437). Run the container as",
        ),
        ("wrong", ["--env=WHISPER_MODEL=", "--env=WHISPER_MODEL_PATH=/data/models"], "holds a model for a Hailo accelerator"),
        ("good", ["--env=HAILO_WHISPER_ENGINE_KIND=cuda"], "there is no NVIDIA GPU"),
        (
            "good",
            ["--env=HAILO_WHISPER_ENGINE_KIND=ctranslate2", "--env=HAILO_WHISPER_MODEL_COMPUTE_TYPE=int8_float16"],
            "does not compute in int8_float16 (model.compute_type). It does in ",
        ),
    ],
    ids=["empty", "closed", "a closed cache", "another form", "no GPU", "compute type"],
)
def test_what_cannot_be_served_is_a_503_with_the_reason(
    starting: Start, models: Path, tmp_path: Path, made: str, options: list[str], said: str
) -> None:
    folder = models
    if made != "good":
        folder = opened(tmp_path) / made
        folder.mkdir(mode=0o755)
    if made == "wrong":
        (folder / "Whisper-Base.hef").write_bytes(b"\x01HEF")
    if made == "closed":
        folder.chmod(0o700)
    base = ["--env=HAILO_WHISPER_ACCESS_INSECURE=true", f"--env=WHISPER_MODEL={MODEL}", f"--volume={folder}:/data/models:ro"]
    (opened(tmp_path) / "private").mkdir(mode=0o700)
    container = starting(*base, *(option.format(closed=tmp_path / "private") for option in options))
    reason = container.until("failed")["reason"]
    assert said in reason
    assert container.ask("/health")[0] == 200
    assert container.ask("/health/ready")[0] == 503
    unhealthy = container.healthy()
    assert (unhealthy.returncode, unhealthy.stdout) == (1, f"{reason}\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--env=WHISPER__INFERENCE_DEVICE=cuda"],
            "WHISPER__INFERENCE_DEVICE sets nothing. speaches calls it so; here it is HAILO_WHISPER_ENGINE_KIND",
        ),
        (["--env=WHISPER_MODLE=base"], "WHISPER_MODLE sets nothing. Did you mean WHISPER_MODEL?"),
        ([], "no keys are set. Make a key (`openssl rand -hex 32`) and mount it as the secret /run/secrets/hailo-whisper-key"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_the_start(starting: Start, options: list[str], said: str) -> None:
    container = starting(*options)
    assert container.ended() == 1
    assert said in container.log()


def test_the_files_of_compose_start_it(composing: Callable[..., Composed]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    container = composing("publish", WHISPER_MODEL=MODEL, PUBLISH=f"127.0.0.1:{port}")
    container.until("ready")
    clip = (COMPOSE.parent.parent / "app/src/hailo_whisper/data/clip.wav").read_bytes()
    asked: dict[str, Any] = {"files": {"file": ("clip.wav", clip)}, "data": {"model": "whisper-1"}, "timeout": 60}
    address = f"http://127.0.0.1:{port}/v1/audio/transcriptions"
    assert httpx.post(address, **asked).status_code == 401
    heard = httpx.post(address, headers={"Authorization": f"Bearer {KEY}"}, **asked)
    assert heard.status_code == 200
    assert heard.json()["text"]
    assert container.exec("id", "-u").stdout == "11437\n"
    about = json.loads(run("podman", "inspect", container.name).stdout)[0]["HostConfig"]
    limits = {"ReadonlyRootfs": True, "PidsLimit": 512, "Memory": 4 * 1024**3, "NanoCpus": 0, "Init": True}
    assert {name: about[name] for name in limits} == limits
    assert about["RestartPolicy"]["Name"] == "unless-stopped"


# Hailo's binding asks for the library by its name with the version, as it was linked.
BINDING = """
import ctypes
ctypes.CDLL("libhailort.so.5.2.0")
__version__ = "5.2.0"
"""


@pytest.fixture
def hailort(tmp_path: Path) -> dict[str, str]:
    """What people set on a host with a Hailo; the library is any, and the device none."""
    opened(tmp_path)
    binding = tmp_path / "hailo_platform"
    binding.mkdir()
    (binding / "__init__.py").write_text(BINDING)
    any_library = next(Path("/usr/lib").glob("*-linux-gnu/libutil.so.1"))
    (tmp_path / "libhailort.so.5.2.0").write_bytes(any_library.read_bytes())
    (tmp_path / "resources").mkdir()
    return {
        "WHISPER_MODEL": "Whisper-Base",
        "HAILO_GROUP": "0",
        "HAILO_DEVICE": "/dev/null:/dev/hailo0",
        "HAILORT_VERSION": "5.2.0",
        "HAILO_LIBRARY": str(tmp_path),
        "HAILO_BINDING": str(binding),
        "HAILO_RESOURCES": str(tmp_path / "resources"),
    }


ASK_BINDING = """
from pathlib import Path
from hailo_whisper.accelerators import hailo
found = hailo.survey(Path("/"))
print(hailo.ask_binding(), found, hailo.lacking(found))
"""


@pytest.mark.parametrize("linked", [False, True], ids=["a folder", "a link to it"])
def test_a_hailo_is_used_by_the_binding_and_the_library_of_the_host(
    composing: Callable[..., Composed], hailort: dict[str, str], tmp_path: Path, linked: bool
) -> None:
    if linked:
        (tmp_path / "link").symlink_to(hailort["HAILO_BINDING"])
        hailort["HAILO_BINDING"] = str(tmp_path / "link")
    container = composing("hailo", **hailort)
    assert container.up.returncode == 0, container.up.stderr
    found = container.exec("/opt/hailo-whisper/venv/bin/python", "-c", ASK_BINDING).stdout
    assert "Binding(version='5.2.0', emulated=False, trouble=None)" in found
    assert "/dev/hailo0" in found
    assert "libraries=('5.2.0',), binding=True" in found
    assert found.endswith(" None\n"), "nothing is lacking"


def test_a_folder_that_only_has_a_link_to_the_binding_is_told_of(
    composing: Callable[..., Composed], hailort: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "around").mkdir(mode=0o755)
    (tmp_path / "around/hailo_platform").symlink_to(hailort["HAILO_BINDING"])
    container = composing("hailo", **hailort | {"HAILO_BINDING": str(tmp_path / "around")})
    found = container.exec("/opt/hailo-whisper/venv/bin/python", "-c", ASK_BINDING).stdout
    assert "HailoRT's Python package hailo_platform is not installed" in found


def test_a_library_of_another_version_than_was_said_is_not_made_up(
    composing: Callable[..., Composed], hailort: dict[str, str], tmp_path: Path
) -> None:
    container = composing("hailo", **hailort | {"HAILORT_VERSION": "5.3.0"})
    assert container.up.returncode != 0
    assert f"{tmp_path}/libhailort.so.5.3.0" in container.up.stderr
    assert not (tmp_path / "libhailort.so.5.3.0").exists()
