"""The drop-ins and the rule of packaging/: how far each opens the unit, and that their parts agree. The role and the packages ship the very same files."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

# What systemd-analyze of the oldest system (252) says of files is 0.2 more than of a unit that it has loaded: it does not see that ProtectSystem=
# implies PrivateMounts=. The limits hold all the same.
LIMITS = {"10-hailo.conf": 0.8, "10-nvidia.conf": 1.6}


@pytest.mark.parametrize("name", LIMITS)
def test_exposure(project: Path, tmp_path: Path, name: str) -> None:
    units = tmp_path / "usr/lib/systemd/system"
    (units / "hailo-whisper.service.d").mkdir(parents=True)
    shutil.copy(project / "packaging/systemd/hailo-whisper.service", units)
    shutil.copy(project / "packaging/systemd/hailo-whisper.service.d" / name, units / "hailo-whisper.service.d")
    command = ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--root={tmp_path}", "hailo-whisper.service"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    match = re.search(r"Overall exposure level for hailo-whisper.service: ([0-9.]+)", said.stdout)
    assert match, said.stdout + said.stderr
    assert float(match[1]) <= LIMITS[name]
    # It was the drop-in that was measured.
    assert "hardware devices" in said.stdout


def test_there_is_a_limit_for_each(project: Path) -> None:
    assert {path.name for path in (project / "packaging/systemd/hailo-whisper.service.d").iterdir()} == LIMITS.keys()


def test_the_devices_of_the_hailo_are_both_generations(project: Path) -> None:
    drop_in = (project / "packaging/systemd/hailo-whisper.service.d/10-hailo.conf").read_text(encoding="utf-8")
    assert re.findall(r"^DeviceAllow=(\S+) rw$", drop_in, re.MULTILINE) == ["char-hailo1x", "char-hailo"]
    rules = (project / "packaging/udev/70-hailo-whisper.rules").read_text(encoding="utf-8")
    assert re.findall(r'^SUBSYSTEM=="(\w+)", GROUP="hailo", MODE="0660"$', rules, re.MULTILINE) == ["hailo_chardev", "hailo1x"]
    assert re.findall(r"^SupplementaryGroups=(.*)$", drop_in, re.MULTILINE) == ["hailo"]
    triggered = yaml.safe_load((project / "roles/accelerator/tasks/udev.yml").read_text(encoding="utf-8"))
    (trigger,) = [argv for task in triggered for argv in task.get("loop", []) if "trigger" in argv]
    assert {"--subsystem-match=hailo_chardev", "--subsystem-match=hailo1x"} <= {*trigger}


def test_the_libraries_of_cuda_are_where_the_role_puts_them(project: Path) -> None:
    drop_in = (project / "packaging/systemd/hailo-whisper.service.d/10-nvidia.conf").read_text(encoding="utf-8")
    match = re.search(r"^Environment=LD_LIBRARY_PATH=(.*)$", drop_in, re.MULTILINE)
    assert match
    folders = yaml.safe_load((project / "roles/accelerator/vars/main.yml").read_text(encoding="utf-8"))
    cuda = folders["accelerator_cuda"].replace("{{ accelerator_folder }}", folders["accelerator_folder"])
    assert match[1].split(":") == [f"{cuda}/nvidia/cublas/lib", f"{cuda}/nvidia/cuda_nvrtc/lib"]


def test_the_lock_has_what_the_engine_looks_for(project: Path) -> None:
    """CTranslate2's own library, of the version that the server is locked to, names the libraries of CUDA that it opens."""
    ctranslate2 = pytest.importorskip("ctranslate2")
    libraries = [*Path(ctranslate2.__file__).parent.parent.glob("ctranslate2.libs/libctranslate2-*")]
    named = {name.decode() for path in libraries for name in re.findall(rb"lib(cu[a-z]+)\.so\.[0-9]+", path.read_bytes())}
    # The driver brings libcuda.
    assert named == {"cublas", "cuda"}
    lock = (project / "app/requirements/nvidia.lock").read_text(encoding="utf-8")
    assert "nvidia-cublas-cu12==12." in lock
