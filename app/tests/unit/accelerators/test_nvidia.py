"""What is found of an NVIDIA GPU, on machines that are folders; and what CUDA's driver library says, by a scripted one."""

import ctypes
import sys
from pathlib import Path
from typing import Any

import pytest
from machines import FakeMachine

from hailo_whisper import installation
from hailo_whisper.accelerators import accounts, cuda_probe, nvidia
from hailo_whisper.accelerators.lack import Lack
from hailo_whisper.accelerators.machine import signs, survey


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path / "root")


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    return folder


def _survey(machine: FakeMachine, packages: Path, **environ: str) -> nvidia.Nvidia:
    return nvidia.survey(machine.root, packages=packages, environ=environ)


def test_a_machine_without(machine: FakeMachine, packages: Path) -> None:
    machine.board("0x8086", "0x1234", "0x030000")
    found = _survey(machine, packages)
    assert found == nvidia.Nvidia()
    assert nvidia.lacking(found) == Lack("there is no NVIDIA GPU")


def test_a_gpu_with_all_that_it_needs(machine: FakeMachine, packages: Path) -> None:
    machine.nvidia("550.54.14")
    found = _survey(machine, packages)
    assert (found.driver, found.gpus, found.boards) == ("550.54.14", (nvidia.Gpu("NVIDIA H200"),), ("0000:00:00.0",))
    assert set(found.libraries) == {"libcuda.so.1", "libcublasLt.so.12", "libcublas.so.12"}
    assert nvidia.lacking(found) is None


def test_a_gpu_of_windows_is_the_drivers_to_tell_of(machine: FakeMachine, packages: Path) -> None:
    before = signs(machine.root)
    machine.wsl()
    assert signs(machine.root) != before
    found = _survey(machine, packages)
    assert [node.path for node in found.nodes] == ["/dev/dxg"]
    assert nvidia.lacking(found) is None
    (machine.root / "usr/local/cuda/lib64/libcublas.so.12").unlink()
    assert "libcublas.so.12 cannot be found" in str(nvidia.lacking(_survey(machine, packages)))
    machine.node("dxg", 0o600)
    assert "may not open /dev/dxg" in str(
        nvidia.lacking(nvidia.survey(machine.root, accounts.User("hailo-whisper", 990, (990,)), packages, {}))
    )
    (machine.root / "usr/lib/wsl/lib/libcuda.so.1").unlink()
    assert nvidia.lacking(_survey(machine, packages)) == Lack("there is no NVIDIA GPU"), (
        "the node is there for those of other makers too"
    )


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024", "550.54.14"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build  (dvs-builder@U16)", "570.133.20"),
        ("NVRM version: something else", None),
    ],
)
def test_the_drivers_version(machine: FakeMachine, packages: Path, text: str, version: str | None) -> None:
    machine.node("nvidiactl")
    machine.write("proc/driver/nvidia/version", text + "\n")
    assert _survey(machine, packages).driver == version
    machine.write("sys/module/nvidia/version", "535.1\n")
    assert _survey(machine, packages).driver == "535.1"


def test_libraries_of_wheels_come_first(machine: FakeMachine, packages: Path) -> None:
    machine.nvidia()
    for part, name in (("cublas", "libcublas.so.12"), ("cublas", "libcublasLt.so.12")):
        (packages / "nvidia" / part / "lib").mkdir(parents=True, exist_ok=True)
        (packages / "nvidia" / part / "lib" / name).touch()
    found = _survey(machine, packages).libraries
    assert found["libcublas.so.12"] == str(packages / "nvidia/cublas/lib/libcublas.so.12")


def test_libraries_where_the_loader_looks(machine: FakeMachine, packages: Path) -> None:
    machine.nvidia(libraries=False)
    missing = str(nvidia.lacking(_survey(machine, packages)))
    assert "libcublasLt.so.12 and libcublas.so.12 cannot be found" in missing
    assert missing.endswith("-m pip install nvidia-cublas-cu12`")
    machine.write("etc/ld.so.conf.d/cuda.conf", "# CUDA\n/opt/cuda/lib\n")
    machine.write("opt/cuda/lib/libcublas.so.12", "")
    machine.write("opt/own/libcublasLt.so.12", "")
    assert nvidia.lacking(_survey(machine, packages, LD_LIBRARY_PATH="/opt/own:relative")) is None


def test_libraries_where_the_role_puts_them(machine: FakeMachine, packages: Path) -> None:
    machine.nvidia(libraries=False)
    for name in ("libcublas.so.12", "libcublasLt.so.12"):
        machine.write(f"opt/hailo-whisper/cuda/nvidia/cublas/lib/{name}", "")
    assert nvidia.lacking(_survey(machine, packages)) is None


@pytest.mark.parametrize("named", [True, False], ids=["as the loader is told", "by default"])
def test_libraries_of_other_processors_are_passed_over(machine: FakeMachine, packages: Path, named: bool) -> None:
    machine.nvidia()
    if named:
        for triplet in ("i386-linux-gnu", "x86_64-linux-gnu"):
            machine.write(f"etc/ld.so.conf.d/{triplet}.conf", f"/usr/lib/{triplet}\n")
    own = Path("/proc/self/exe").read_bytes()[:64]
    foreign = {"class": own[:4] + bytes([3 - own[4]]) + own[5:], "processor": own[:18] + b"\xfe\xca" + own[20:]}
    right = machine.root / "usr/lib/x86_64-linux-gnu/libcuda.so.1"
    right.write_bytes(own)
    wrong = machine.write("usr/lib/i386-linux-gnu/libcuda.so.1", "")
    for header in foreign.values():
        wrong.write_bytes(header)
        assert _survey(machine, packages).libraries["libcuda.so.1"] == str(right)
    right.unlink()
    assert "libcuda.so.1 is missing: install libcuda1" in str(nvidia.lacking(_survey(machine, packages))), (
        "as if it were not there"
    )


def test_cudnn_is_needed_where_ctranslate2_was_built_with_it(machine: FakeMachine, packages: Path) -> None:
    machine.nvidia()
    (packages / "ctranslate2.libs").mkdir()
    (packages / "ctranslate2.libs" / "libcudnn-1234.so.9").touch()
    assert "pip install nvidia-cudnn-cu12" in str(nvidia.lacking(_survey(machine, packages)))
    wheel = packages / "nvidia" / "cudnn" / "lib"
    wheel.mkdir(parents=True)
    (wheel / "libcudnn.so.9").touch()
    missing = str(nvidia.lacking(_survey(machine, packages)))
    assert missing.startswith("libcudnn_ops.so.9 and libcudnn_cnn.so.9 cannot be found: "), "without them it ends the process"
    for name in ("libcudnn_ops.so.9", "libcudnn_cnn.so.9"):
        (wheel / name).touch()
    assert nvidia.lacking(_survey(machine, packages)) is None


def test_what_is_missing_is_told_one_after_the_other(machine: FakeMachine, packages: Path) -> None:
    machine.board("0x10de", "0x2335", "0x030200")
    assert "without its driver: install nvidia-driver" in str(nvidia.lacking(_survey(machine, packages)))
    machine.nvidia()
    (machine.root / "dev/nvidia-uvm").unlink()
    assert "nvidia-modprobe" in str(nvidia.lacking(_survey(machine, packages)))
    machine.node("nvidia-uvm")
    (machine.root / "usr/lib/x86_64-linux-gnu/libcuda.so.1").unlink()
    assert "install libcuda1" in str(nvidia.lacking(_survey(machine, packages)))


def test_nodes_that_the_service_may_not_open(machine: FakeMachine, packages: Path) -> None:
    machine.nvidia()
    machine.node("nvidiactl", 0o600)
    found = nvidia.survey(machine.root, accounts.User("hailo-whisper", 990, (990,)), packages, {})
    assert "may not open /dev/nvidiactl" in str(nvidia.lacking(found))


def test_the_libraries_of_an_installed_program_are_brought_by_the_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """The venv of a package has no pip, and the role refuses a folder in the place of its link."""
    monkeypatch.setattr(installation, "PREFIX", Path("/opt/hailo-whisper/venv"))
    said = nvidia.bringing("nvidia-cublas-cu12")
    assert "hailo_whisper_accelerator: nvidia" in said
    assert "pip" not in said
    monkeypatch.setattr(installation, "PREFIX", Path("/home/ada/venv"))
    assert "/home/ada/venv/bin/python -m pip install nvidia-cublas-cu12" in nvidia.bringing("nvidia-cublas-cu12")


@pytest.mark.usefixtures("in_image")
def test_in_a_container_it_is_the_host_that_gives_it(machine: FakeMachine, packages: Path) -> None:
    machine.nvidia(libraries=False)
    assert str(nvidia.lacking(_survey(machine, packages))).endswith(
        "take the image that has them (`script/build-image --accelerator nvidia` builds it; `--with docker` where docker runs it)"
    )
    (machine.root / "usr/lib/x86_64-linux-gnu/libcuda.so.1").unlink()
    assert "libcuda.so.1 is missing: `--gpus all`, or compose.nvidia.yml," in str(nvidia.lacking(_survey(machine, packages)))
    (machine.root / "dev/nvidia-uvm").unlink()
    assert "are missing: `--gpus all`, or compose.nvidia.yml," in str(nvidia.lacking(_survey(machine, packages)))


class Driver:
    """CUDA's driver library, as far as it is asked."""

    def __init__(self, *, init: int = 0, version: int = 12040, gpus: int = 1) -> None:
        self._init, self._version, self._gpus = init, version, gpus

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._init

    def cuDriverGetVersion(self, version: Any) -> None:  # noqa: N802
        version._obj.value = self._version

    def cuDeviceGetCount(self, count: Any) -> None:  # noqa: N802
        count._obj.value = self._gpus

    def cuDeviceGet(self, device: Any, number: int) -> None:  # noqa: N802
        device._obj.value = number

    def cuDeviceGetName(self, name: Any, length: int, device: Any) -> None:  # noqa: N802
        name.value = b"NVIDIA H200"

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> None:  # noqa: N802
        memory._obj.value = 150_000_000_000


def test_what_the_driver_says() -> None:
    assert cuda_probe.answer(lambda _: Driver()) == {
        "gpus": [{"name": "NVIDIA H200", "memory_mb": 150_000}],
        "cuda": "12.4",
        "trouble": None,
        "cure": None,
    }


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        (Driver(init=100), "no GPU that CUDA can use"),
        (Driver(init=803), "versions (CUDA error 803): an upgrade waits for it: restart the machine"),
        (Driver(init=12345), "CUDA could not be initialised (CUDA error 12345): `nvidia-smi`"),
        (Driver(version=11080), "serves CUDA 11.8 at most, and 12 is needed"),
        (Driver(gpus=0), "CUDA_VISIBLE_DEVICES"),
    ],
)
def test_why_no_gpu_can_be_used(driver: Driver, said: str) -> None:
    found = cuda_probe.answer(lambda _: driver)
    assert said in f"{found['trouble']}: {found['cure']}"


def test_a_library_that_cannot_be_loaded() -> None:
    def load(name: str) -> Any:
        return ctypes.CDLL(f"/nowhere/{name}")

    assert "cannot be loaded: /nowhere/libcuda.so.1" in str(cuda_probe.answer(load)["trouble"])


def test_the_probe_is_a_child() -> None:
    """This machine's own answer: it has no driver, or it has a GPU."""
    found = nvidia.probe()
    assert bool(found.gpus) != bool(found.trouble)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import time; time.sleep(60)", "did not answer within 1 s"),
        ("import os; os.abort()", "ended with status -6"),
        ("print('{}')", "ended with status 0"),
    ],
)
def test_a_driver_that_hangs_crashes_or_talks_nonsense(program: str, said: str) -> None:
    assert said in str(nvidia.probe(1.0, (sys.executable, "-c", program)).trouble)


def test_the_driver_is_asked_only_where_all_is_there(machine: FakeMachine) -> None:
    asked = []

    def ask() -> nvidia.Probe:
        asked.append(True)
        return nvidia.Probe(trouble=Lack("it has failed"))

    assert survey(machine.root, ask=ask).lacks_cuda == Lack("there is no NVIDIA GPU")
    assert not asked
    machine.nvidia()
    assert survey(machine.root, ask=ask).lacks_cuda == Lack("it has failed")
    assert len(asked) == 1


def test_it_is_asked_for_a_gpu_of_windows(machine: FakeMachine) -> None:
    machine.wsl()
    assert survey(machine.root, ask=lambda: nvidia.Probe(trouble=Lack("it has failed"))).lacks_cuda == Lack("it has failed")
