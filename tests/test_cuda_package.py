"""The package of CUDA's libraries: what is staged for a build, from wheels that are as NVIDIA's are, but small."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

AGREEMENT = "1. Preface\n\nThe Software License Agreement.\n\tAttachment A\n"
CUBLAS = {
    "nvidia/cublas/lib/libcublas.so.12": b"blas",
    "nvidia/cublas/lib/libcublasLt.so.12": b"light",
    "nvidia/cublas/lib/libnvblas.so.12": b"not needed",
    "nvidia/cublas/include/cublas.h": b"not to be handed on",
}
NVRTC = {
    "nvidia/cuda_nvrtc/lib/libnvrtc.so.12": b"compiler",
    "nvidia/cuda_nvrtc/lib/libnvrtc-builtins.so.12.9": b"builtins",
    "nvidia/cuda_nvrtc/lib/libnvrtc.alt.so.12": b"a second time",
}


def wheel(folder: Path, name: str, version: str, files: dict[str, bytes], agreement: str = AGREEMENT) -> None:
    folder.mkdir(exist_ok=True)
    about = f"{name.replace('-', '_')}-{version}.dist-info"
    described = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n".encode()
    with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as archive:
        for path, data in (files | {f"{about}/METADATA": described, f"{about}/licenses/License.txt": agreement.encode()}).items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 10, 29, 0, 14, 0)), data)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    wheel(tmp_path / "house", "nvidia-cublas-cu12", "12.9.3.13", CUBLAS)
    wheel(tmp_path / "house", "nvidia-cuda-nvrtc-cu12", "12.9.86", NVRTC)
    return tmp_path / "house"


def stage(project: Path, house: Path, into: Path) -> "subprocess.CompletedProcess[str]":
    lock = project / "app/requirements/nvidia.lock"
    return subprocess.run(
        [sys.executable, "-m", "cuda", "--wheels", house, "--lock", lock, "--into", into],
        env={"PYTHONPATH": str(project / "packaging"), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_has_what_may_be_handed_on_where_the_role_has_it(project: Path, house: Path, tmp_path: Path) -> None:
    done = stage(project, house, tmp_path / "tree")
    assert done.returncode == 0, done.stderr
    place = tmp_path / "tree/opt/hailo-whisper/cuda"
    there = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    lock = (project / "app/requirements/nvidia.lock").read_bytes()
    # The stamp is the one that roles/accelerator compares.
    assert there.pop("installed") == f"lock {hashlib.sha256(lock).hexdigest()}\n".encode()
    assert there == {
        path: data
        for path, data in (CUBLAS | NVRTC).items()
        if data not in (b"not needed", b"not to be handed on", b"a second time")
    }
    drop_in = (project / "packaging/systemd/hailo-whisper.service.d/10-nvidia.conf").read_text(encoding="utf-8")
    for folder in {path.rsplit("/", 1)[0] for path in there}:
        assert f"/opt/hailo-whisper/cuda/{folder}" in drop_in


def test_it_says_on_which_terms_and_what_it_is(project: Path, house: Path, tmp_path: Path) -> None:
    assert stage(project, house, tmp_path / "tree").returncode == 0
    text = (tmp_path / "tree/debian/copyright").read_text(encoding="utf-8")
    assert "License: NVIDIA-CUDA\n 1. Preface\n .\n The Software License Agreement.\n         Attachment A\n" in text
    assert "may be handed on as a part of an application only" in text
    assert "Section: non-free/libs" in (tmp_path / "tree/debian/control").read_text(encoding="utf-8")
    assert (tmp_path / "tree/debian/changelog").read_text(encoding="utf-8").startswith("hailo-whisper-cuda (12.9.3.13+1) ")
    bill = json.loads((tmp_path / "tree/sbom.cdx.json").read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    files = {part["name"]: part["hashes"][0]["content"] for one in bill["components"] for part in one["components"]}
    assert files["/opt/hailo-whisper/cuda/nvidia/cublas/lib/libcublas.so.12"] == hashlib.sha256(b"blas").hexdigest()
    assert len(files) == 4


def test_the_same_wheels_give_the_same_tree(project: Path, house: Path, tmp_path: Path) -> None:
    for into in ("one", "two"):
        assert stage(project, house, tmp_path / into).returncode == 0
    assert subprocess.run(["diff", "-r", tmp_path / "one", tmp_path / "two"], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "files", "agreement", "sentence"),
    [
        ("nvidia-cudnn-cu12", {"nvidia/cudnn/lib/libcudnn.so.9": b""}, AGREEMENT, "has no library that may be handed on"),
        ("nvidia-cublas-cu12", CUBLAS, "Other terms.\n", "with one agreement for all"),
    ],
)
def test_what_is_not_known_stops_the_build(
    project: Path, house: Path, tmp_path: Path, name: str, files: dict[str, bytes], agreement: str, sentence: str
) -> None:
    wheel(house, name, "12.9.3.13", files, agreement)
    done = stage(project, house, tmp_path / "tree")
    assert done.returncode == 1
    assert sentence in done.stderr


def test_no_wheels_and_a_broken_one_are_told(project: Path, tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    done = stage(project, tmp_path / "house", tmp_path / "tree")
    assert (done.returncode, "there are: none" in done.stderr) == (1, True)
    (tmp_path / "house/cut-1-py3-none-any.whl").write_bytes(b"PK")
    done = stage(project, tmp_path / "house", tmp_path / "again")
    assert (done.returncode, "not a zip file" in done.stderr) == (1, True)
