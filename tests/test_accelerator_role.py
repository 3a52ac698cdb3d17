"""What the role accelerator finds on a host, what it takes, and what it says is missing. The hosts are made up, in a folder."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
WHEEL = f"hailort-5.2.0-cp{PYTHON.replace('.', '')}-cp{PYTHON.replace('.', '')}-linux_{platform.machine()}.whl"
NVRM = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  Tue Jan  1 00:00:00 UTC 2026"
ON_X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="CUDA is for x86_64")


class Host:
    """A host in a folder. Its Python answers as it is told to."""

    def __init__(self, root: Path, survey: Path) -> None:
        self.root = root
        self._survey = survey
        self._python = root / "python"
        self.binding()

    def write(self, path: str, text: str = "") -> "Host":
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)
        return self

    def card(self, vendor: str, device: str, kind: str = "0x120000") -> "Host":
        """Put a card into the first slot."""
        folder = "sys/bus/pci/devices/0001:01:00.0"
        self.write(f"{folder}/vendor", vendor + "\n").write(f"{folder}/device", device + "\n")
        return self.write(f"{folder}/class", kind + "\n")

    def binding(self, **found: str) -> "Host":
        """Have HailoRT's binding: `path`, `version` and `error`; without any of these, none."""
        self._python.write_text(f"#!/bin/sh\necho '{json.dumps(found)}'\n")
        self._python.chmod(0o755)
        return self

    def survey(self, accelerator: str = "auto", wheel: str = "") -> dict[str, Any]:
        question = {"accelerator": accelerator, "wheel": wheel, "python": str(self._python), "root": str(self.root)}
        placed = {"hailo": ["/opt/hailo-whisper/hailort", "/opt/venv/python3*/x.pth"], "nvidia": ["/opt/hailo-whisper/cuda"]}
        done = subprocess.run(
            [sys.executable, self._survey, json.dumps(question | {"placed": placed})], capture_output=True, text=True, check=True
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


@pytest.fixture
def host(project: Path, tmp_path: Path) -> Host:
    (tmp_path / "opt").mkdir()
    return Host(tmp_path, project / "roles/accelerator/files/survey.py")


@pytest.fixture
def npu(host: Host) -> Host:
    """A host with all that a Hailo-10H needs."""
    host.card("0x1e60", "0x45c4").write("dev/hailo0").write("sys/module/hailo1x_pci/version", "5.1.1\n")
    return host.binding(path="/usr/lib/python3/dist-packages/hailo_platform", version="5.1.1", error="")


@pytest.fixture
def gpu(host: Host) -> Host:
    """A host with all that an NVIDIA GPU needs."""
    host.card("0x10de", "0x2335", "0x030200").write("dev/nvidia0").write("dev/nvidiactl")
    return host.write("proc/driver/nvidia/version", NVRM.format("550.163.01")).write("usr/lib/x86_64-linux-gnu/libcuda.so.1")


def test_a_host_without_any_takes_its_cpu(host: Host) -> None:
    found = host.survey()
    assert (found["taken"], found["why"]) == ("cpu", "There is neither a Hailo NPU nor an NVIDIA GPU.")
    assert (found["lacks"], found["python"], found["machine"]) == ([], PYTHON, platform.machine())


@pytest.mark.parametrize("node", ["dev/hailo0", "dev/h1x-0", "dev/hailo3"])
def test_an_npu_is_taken_by_either_name_of_its_node(npu: Host, node: str) -> None:
    (npu.root / "dev/hailo0").unlink()
    found = npu.write(node).survey()
    assert (found["taken"], found["lacks"]) == ("hailo", [])
    assert found["binding"] == "/usr/lib/python3/dist-packages/hailo_platform"


@ON_X86
def test_a_gpu_is_taken_after_an_npu(gpu: Host) -> None:
    assert (gpu.survey()["taken"], gpu.survey()["lacks"]) == ("nvidia", [])
    gpu.write("dev/hailo0").binding(path="/p/hailo_platform", version="5.2.0", error="")
    assert gpu.survey()["taken"] == "hailo"


def test_what_the_inventory_says_is_taken(npu: Host) -> None:
    assert npu.survey("cpu")["taken"] == "cpu"
    assert npu.survey("hailo")["why"] == "The inventory says so."


def spoil_driver(host: Host) -> None:
    (host.root / "dev/hailo0").unlink()


def spoil_card(host: Host) -> None:
    spoil_driver(host)
    for file in (host.root / "sys/bus/pci/devices/0001:01:00.0").iterdir():
        file.unlink()


def spoil_version(host: Host) -> None:
    host.write("sys/module/hailo1x_pci/version", "5.2.0\n")


def spoil_binding(host: Host) -> None:
    host.binding()


def break_binding(host: Host) -> None:
    host.binding(path="/usr/lib/python3/dist-packages/hailo_platform", version="", error="ImportError: libhailort.so.5.1.1")


HAILO = {
    "card": (spoil_card, ["There is no Hailo device", "`lspci -d 1e60:`", "/dev/h1x-0"]),
    "driver": (spoil_driver, ["The Hailo-10H has no driver", "`apt install dkms hailo-h10-all`", "hailort-pcie-driver"]),
    "version": (spoil_version, ["The driver is 5.2.0 and HailoRT's Python package 5.1.1", "Install both of one version"]),
    "binding": (spoil_binding, ["is not installed", "`apt install python3-h10-hailort`", "hailo_whisper_hailort_wheel"]),
    "broken": (break_binding, ["cannot be loaded (ImportError: libhailort.so.5.1.1)", "--reinstall python3-h10-hailort"]),
}


@pytest.mark.parametrize("case", HAILO)
def test_what_an_npu_lacks_is_said_and_how_to_get_it(npu: Host, case: str) -> None:
    spoil, sentences = HAILO[case]
    spoil(npu)
    (lack,) = npu.survey("hailo")["lacks"]
    for sentence in sentences:
        assert sentence in lack
    found = npu.survey()
    assert (found["taken"], found["lacks"]) == ("cpu", [])
    # Where there is a sign of one, `auto` says too why it is not taken.
    assert (lack in found["why"]) == (case != "card")


def test_a_hailo_8_has_packages_of_its_own(host: Host) -> None:
    lacks = " ".join(host.card("0x1e60", "0x2864").survey("hailo")["lacks"])
    assert "The Hailo-8 has no driver" in lacks
    assert "`apt install dkms hailo-all`" in lacks
    assert "`apt install python3-hailort`" in lacks


def test_a_wheel_stands_for_the_binding(npu: Host) -> None:
    spoil_binding(npu)
    spoil_version(npu)
    assert npu.survey("hailo", wheel=WHEEL)["lacks"] == []
    (lack,) = npu.survey("hailo", wheel=WHEEL.replace("5.2.0", "5.3.0"))["lacks"]
    assert "The driver is 5.2.0 and HailoRT's Python package 5.3.0" in lack


def test_a_python_that_does_not_answer_has_no_binding(npu: Host) -> None:
    (npu.root / "python").write_text("#!/bin/sh\nexit 1\n")
    (lack,) = npu.survey("hailo")["lacks"]
    assert "is not installed" in lack


NVIDIA: dict[str, tuple[Callable[[Host], Any], list[str]]] = {
    "driver": (
        lambda host: (host.root / "proc/driver/nvidia/version").unlink(),
        ["is not loaded", "`apt install nvidia-driver`"],
    ),
    "old": (
        lambda host: host.write("proc/driver/nvidia/version", NVRM.format("470.256.02")),
        ["driver is 470.256", "525.60 or newer"],
    ),
    "node": (lambda host: (host.root / "dev/nvidia0").unlink(), ["/dev/nvidia0 or /dev/nvidiactl is not there", "nvidia-smi"]),
    "library": (
        lambda host: (host.root / "usr/lib/x86_64-linux-gnu/libcuda.so.1").unlink(),
        ["libcuda.so.1 is not installed", "`apt install libcuda1`"],
    ),
}


@ON_X86
@pytest.mark.parametrize("case", NVIDIA)
def test_what_a_gpu_lacks_is_said_and_how_to_get_it(gpu: Host, case: str) -> None:
    spoil, sentences = NVIDIA[case]
    spoil(gpu)
    (lack,) = gpu.survey("nvidia")["lacks"]
    for sentence in sentences:
        assert sentence in lack
    assert lack in gpu.survey()["why"]


def test_a_host_without_a_gpu_says_so(host: Host) -> None:
    assert "There is no NVIDIA GPU on the PCI bus" in " ".join(host.survey("nvidia")["lacks"])


def test_what_is_to_be_removed_is_found(host: Host) -> None:
    host.write("opt/hailo-whisper/hailort/hailo_platform").write("opt/venv/python3.13/x.pth")
    assert host.survey()["placed"] == {"hailo": ["/opt/hailo-whisper/hailort", "/opt/venv/python3.13/x.pth"], "nvidia": []}


Check = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def check(project: Path, tmp_path: Path) -> Check:
    """Run the part of the role that looks and judges, on this machine, with another's answers."""
    role = {"ansible.builtin.import_role": {"name": "accelerator", "tasks_from": "check"}}
    show = {"ansible.builtin.debug": {"msg": "settings: {{ accelerator_settings | to_json }}"}}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [role, show]}]))

    def run(found: dict[str, Any], **variables: Any) -> "subprocess.CompletedProcess[str]":
        answer = {
            "taken": "cpu",
            "why": "",
            "lacks": [],
            "binding": "",
            "cli": "",
            "machine": "aarch64",
            "python": "3.13",
        } | found
        command = ["ansible-playbook", "--inventory=this-machine,", "--connection=local", "--check", str(tmp_path / "play.yml")]
        return subprocess.run(
            [*command, "--extra-vars", json.dumps({"accelerator_found": answer, **variables})],
            cwd=project,
            env=os.environ
            | {"ANSIBLE_ROLES_PATH": str(project / "roles"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


LACKING = {"taken": "hailo", "why": "The inventory says so.", "lacks": ["The Hailo-10H has no driver."]}


def test_a_host_that_lacks_something_is_refused(check: Check) -> None:
    done = check(LACKING, hailo_whisper_accelerator="hailo")
    assert done.returncode != 0, done.stdout
    assert "this-machine is to transcribe on its Hailo NPU (hailo_whisper_accelerator), and cannot yet." in done.stdout
    assert "The Hailo-10H has no driver. Or set hailo_whisper_accelerator to auto or cpu" in done.stdout


def test_it_is_prepared_for_what_is_to_come_when_the_inventory_says_so(check: Check) -> None:
    done = check(LACKING, hailo_whisper_accelerator="hailo", hailo_whisper_accelerator_later=True)
    assert done.returncode == 0, done.stdout
    assert "Not yet. The Hailo-10H has no driver." in done.stdout


def test_an_accelerator_that_there_is_not(check: Check) -> None:
    done = check({}, hailo_whisper_accelerator="tpu")
    assert done.returncode != 0
    assert "hailo_whisper_accelerator of this-machine is tpu. Set it to auto, hailo, nvidia or cpu." in done.stdout


@pytest.mark.parametrize(
    "variables",
    [
        {"hailo_whisper_hailort_wheel": "/srv/hailort-5.2.0-cp311-cp311-linux_aarch64.whl"},
        {"hailo_whisper_hailort_wheel": "/srv/hailort-5.2.0-cp313-cp313-linux_x86_64.whl"},
        {"hailo_whisper_hailort_wheel": "/srv/other-5.2.0-cp313-cp313-linux_aarch64.whl"},
        {"hailo_whisper_hailort_wheel": "https://mirror.example/hailort-5.2.0-cp313-cp313-linux_aarch64.whl"},
    ],
    ids=["python", "machine", "name", "no-sum"],
)
def test_a_wheel_that_does_not_fit_is_refused(check: Check, variables: dict[str, str]) -> None:
    done = check({"taken": "hailo"}, **variables)
    assert done.returncode != 0, done.stdout
    assert "hailort-*.whl for Python 3.13 (cp313) and aarch64" in done.stdout
    assert "hailo_whisper_hailort_wheel_sha256" in done.stdout


def test_a_wheel_that_fits_is_taken(check: Check) -> None:
    wheel = "https://mirror.example/hailort-5.2.0-cp313-cp313-linux_aarch64.whl?token=1"
    done = check({"taken": "hailo"}, hailo_whisper_hailort_wheel=wheel, hailo_whisper_hailort_wheel_sha256="a" * 64)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("taken", "variables", "settings"),
    [
        ("cpu", {}, {}),
        ("hailo", {}, {}),
        ("nvidia", {}, {"model": {"compute_type": "int8_float16", "workers": 2}}),
        ("cpu", {"hailo_whisper_accelerator": "cpu"}, {"engine": {"kind": "ctranslate2"}}),
        ("hailo", {"hailo_whisper_accelerator": "hailo"}, {"engine": {"kind": "hailo"}}),
        ("hailo", {"hailo_whisper_accelerator": "hailo", "hailo_whisper_accelerator_later": True}, {}),
        (
            "nvidia",
            {"hailo_whisper_accelerator": "nvidia"},
            {"engine": {"kind": "cuda"}, "model": {"compute_type": "int8_float16", "workers": 2}},
        ),
    ],
    ids=str,
)
def test_what_is_insisted_on_is_what_the_service_transcribes_by(
    check: Check, taken: str, variables: dict[str, Any], settings: dict[str, Any]
) -> None:
    done = check({"taken": taken}, **variables)
    assert f'"msg": {json.dumps("settings: " + json.dumps(settings))}' in done.stdout
