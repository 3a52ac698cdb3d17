"""The container image, built on a base of mmdebstrap and run as compose.yml runs it: without a network, without a capability, nothing to write to but /tmp."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MODEL = "tiny.en"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hailo-whisper" / "models"
KEY = "4f1d0c7a9be24f3c8d5e6a7b8c9d0e1f"
HARDENED = [
    "--read-only",
    "--read-only-tmpfs=false",
    "--tmpfs=/tmp:mode=1777",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
]
CLIP = "/opt/hailo-whisper/venv/lib/python3.11/site-packages/hailo_whisper/data/clip.wav"
# Makes minutes of sound of a clip.
REPEAT = """
import sys, wave
with wave.open(sys.argv[1]) as clip, wave.open(sys.argv[2], "wb") as long:
    long.setparams(clip.getparams())
    long.writeframes(clip.readframes(clip.getnframes()) * 40)
"""
# Asks the server from inside, as nothing else reaches it: prints the status and the body.
ASK = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 11437, timeout=60)
connection.request("GET", sys.argv[1])
response = connection.getresponse()
print(response.status, response.read().decode())
"""


def run(*command: str | Path, check: bool = True, seconds: float = 120) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=check, timeout=seconds
    )


class Container:
    """A container that runs, or has run."""

    def __init__(self, image: str, *options: str) -> None:
        self.name = f"hailo-whisper-test-{uuid.uuid4().hex[:8]}"
        run("podman", "run", "--detach", f"--name={self.name}", "--network=none", *HARDENED, *options, image)

    def exec(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return run("podman", "exec", self.name, *command, check=check)

    def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body of a GET."""
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

    def transcribe(self, key: str = KEY) -> "subprocess.CompletedProcess[str]":
        """By the program's own client, of the clip that it brings."""
        command = ["hailo-whisper", "transcribe", "--server", "http://127.0.0.1:11437", "--stdout", CLIP]
        return run("podman", "exec", f"--env=OPENAI_API_KEY={key}", self.name, *command, check=False)

    def log(self) -> str:
        done = run("podman", "logs", self.name, check=False)
        return done.stdout + done.stderr

    def ended(self) -> int:
        """Wait for its end: the exit status."""
        return int(run("podman", "wait", self.name).stdout)


Start = Callable[..., Container]


@pytest.fixture(scope="module")
def image(project: Path) -> Iterator[str]:
    """The image of this tree, or one that was built elsewhere and is named by IMAGE_UNDER_TEST."""
    if given := os.environ.get("IMAGE_UNDER_TEST"):
        yield given
        return
    tag = f"localhost/hailo-whisper-test:{uuid.uuid4().hex[:8]}"
    built = run(
        *(project / "script/build-image", "--base", os.environ["BASE"], "--builder", os.environ["BUILDER"]),
        *("--tag", tag, "--with", "podman"),
        check=False,
        seconds=600,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    yield tag
    run("podman", "rmi", "--force", tag)


@pytest.fixture(scope="module")
def starting(image: str) -> Iterator[Start]:
    started: list[Container] = []

    def start(*options: str) -> Container:
        started.append(Container(image, *options))
        return started[-1]

    yield start
    for each in started:
        run("podman", "rm", "--force", "--time=0", each.name, check=False)


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
def secret(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = opened(tmp_path_factory.mktemp("secret")) / "key"
    path.write_text(f"{KEY}\n")
    path.chmod(0o644)
    return f"--volume={path}:/run/secrets/hailo-whisper-key:ro"


@pytest.fixture(scope="module")
def served(starting: Start, models: Path, secret: str) -> Container:
    """The container that most tests ask."""
    container = starting(f"--volume={models}:/data/models:ro", secret, f"--env=WHISPER_MODEL={MODEL}")
    container.until("ready")
    return container


def test_it_transcribes_without_a_network_for_who_has_the_key(served: Container, project: Path) -> None:
    expected = (project / "app/src/hailo_whisper/data/clip.txt").read_text().split()
    heard = served.transcribe()
    assert heard.returncode == 0, heard.stderr
    assert len(set(expected) & set(heard.stdout.split())) > len(set(expected)) / 2, heard.stdout
    assert served.transcribe("another").returncode == 1
    assert served.ask("/v1/models")[0] == 401, "who has none"
    assert served.ask("/health")[0] == 200
    assert served.exec("cat", "/proc/net/route").stdout.count("\n") == 1, "the heading, and no route"


def test_nothing_can_be_written_and_nobody_is_root(served: Container) -> None:
    assert served.exec("id", "-u").stdout == "11437\n"
    status = served.exec("cat", "/proc/1/status").stdout
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    for place in ("/etc/x", "/opt/hailo-whisper/x", "/data/models/x", "/var/lib/hailo-whisper/x"):
        assert served.exec("touch", place, check=False).returncode != 0
    assert run("podman", "diff", served.name).stdout.count("/opt/hailo-whisper") == 0, "nothing was compiled at run time"


def test_the_health_check_is_readiness(served: Container, image: str) -> None:
    config = json.loads(run("podman", "inspect", image).stdout)[0]
    check = config["HealthCheck"]["Test"][1:] if "HealthCheck" in config else config["Healthcheck"]["Test"][1:]
    done = served.exec(*check)
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
    assert size < 700_000_000, "docs/containers.md says how large it is"


def test_a_request_in_flight_is_answered_when_it_is_stopped(starting: Start, models: Path, secret: str) -> None:
    container = starting(f"--volume={models}:/data/models:ro", secret, f"--env=WHISPER_MODEL={MODEL}")
    container.until("ready")
    container.exec("python3", "-c", REPEAT, CLIP, "/tmp/long.wav")
    command = ["podman", "exec", f"--env=OPENAI_API_KEY={KEY}", container.name, "hailo-whisper", "transcribe", "--force"]
    command += ["--server", "http://127.0.0.1:11437", "--stdout", "/tmp/long.wav"]
    asking = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    end = time.monotonic() + 30
    metrics = ""
    while 'hailo_whisper_queue_requests{model="tiny.en"} 1.0' not in metrics:
        assert asking.poll() is None, "it was over before it was seen"
        assert time.monotonic() < end, metrics
        metrics = container.exec("python3", "-c", ASK, "/metrics", check=False).stdout
    assert asking.poll() is None, "it is still under way"
    run("podman", "kill", "--signal=TERM", container.name)
    heard, _ = asking.communicate(timeout=120)
    assert container.ended() == 0, container.log()
    assert asking.returncode == 0, heard


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


@pytest.mark.parametrize(
    ("made", "options", "said"),
    [
        ("empty", [], "The model tiny.en is not in /data/models. Run `hailo-whisper models pull tiny.en`."),
        ("closed", [], "may not be read by this user (number 11437)"),
        ("wrong", ["--env=WHISPER_MODEL=", "--env=WHISPER_MODEL_PATH=/data/models"], "holds a model for a Hailo accelerator"),
        ("empty", ["--env=HAILO_WHISPER_ENGINE_KIND=cuda"], "tiny.en is not in /data/models"),
    ],
)
def test_a_folder_that_cannot_be_used_is_a_503_with_the_reason(
    starting: Start, tmp_path: Path, made: str, options: list[str], said: str
) -> None:
    folder = opened(tmp_path) / made
    folder.mkdir(mode=0o755)
    if made == "wrong":
        (folder / "Whisper-Base.hef").write_bytes(b"\x01HEF")
    if made == "closed":
        folder.chmod(0o700)
    base = ["--env=HAILO_WHISPER_ACCESS_INSECURE=true", f"--env=WHISPER_MODEL={MODEL}", f"--volume={folder}:/data/models:ro"]
    container = starting(*base, *options)
    assert said in container.until("failed")["reason"]
    assert container.ask("/health")[0] == 200
    assert container.ask("/health/ready")[0] == 503


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--env=WHISPER__INFERENCE_DEVICE=cuda"],
            "WHISPER__INFERENCE_DEVICE sets nothing. speaches calls it so; here it is HAILO_WHISPER_ENGINE_KIND",
        ),
        (["--env=WHISPER_MODLE=base"], "WHISPER_MODLE sets nothing. Did you mean WHISPER_MODEL?"),
        ([], "Everybody who reaches this machine could use the service"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_the_start(starting: Start, options: list[str], said: str) -> None:
    container = starting(*options)
    assert container.ended() == 1
    assert said in container.log()
