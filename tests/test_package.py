"""The Debian package as it is built: what it holds, what it says of itself, and that a second build gives the same bytes."""

import gzip
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

VENV = "opt/hailo-whisper/venv"
SITE = f"{VENV}/lib/python3.11/site-packages"


@pytest.fixture(scope="module")
def packages(project: Path) -> Path:
    """Built twice, in two folders, if the same source has not been before; the build fails when the bytes differ."""
    done = subprocess.run(
        [project / "script/build-deb", "--suite", "bookworm", "--arch", "amd64", "--quick", "--check"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def package(packages: Path) -> Path:
    (built,) = packages.glob("hailo-whisper_*.deb")
    return built


@pytest.fixture(scope="module")
def tree(package: Path) -> dict[str, tarfile.TarInfo]:
    """Every file and folder of the package by its path, without the dot and the slash in front."""
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name.removeprefix("./").rstrip("/"): member for member in archive}


@pytest.fixture(scope="module")
def extracted(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def read(extracted: Path) -> Callable[[str], bytes]:
    def content(path: str) -> bytes:
        data = (extracted / path).read_bytes()
        return gzip.decompress(data) if path.endswith(".gz") else data

    return content


def control(package: Path, field: str) -> str:
    return subprocess.run(["dpkg-deb", "--field", package, field], capture_output=True, text=True, check=True).stdout.strip()


def script(package: Path, name: str) -> str:
    return subprocess.run(["dpkg-deb", "--info", package, name], capture_output=True, text=True, check=True).stdout


def test_it_needs_the_python_that_it_is_built_for(package: Path) -> None:
    depends = control(package, "Depends").split(", ")
    assert "python3 (>= 3.11)" in depends
    assert "python3 (<< 3.12)" in depends
    assert control(package, "Version").endswith("+deb12u1")


def test_the_version_is_the_program_s(project: Path, package: Path) -> None:
    source = (project / "app/src/hailo_whisper/__init__.py").read_text(encoding="utf-8")
    match = re.search(r'__version__ = "(.+)"', source)
    assert match
    assert control(package, "Version") == f"{match[1]}+deb12u1"


def test_the_configuration_is_the_only_conffile(package: Path) -> None:
    assert script(package, "conffiles").split() == ["/etc/hailo/hailo-whisper.yaml"]


def test_all_is_root_s_and_nobody_else_can_write_it(tree: dict[str, tarfile.TarInfo]) -> None:
    assert {(member.uname, member.gname) for member in tree.values()} == {("root", "root")}
    assert [path for path, member in tree.items() if not member.issym() and member.mode & 0o7022] == []


def test_every_module_is_compiled_and_none_will_be_again(tree: dict[str, tarfile.TarInfo], read: Callable[[str], bytes]) -> None:
    sources = {path for path in tree if path.startswith(SITE) and path.endswith(".py")}
    compiled = {re.sub(r"__pycache__/(.+)\.cpython-311\.pyc$", r"\1.py", path) for path in tree if path.endswith(".pyc")}
    assert len(sources) > 1000
    assert compiled == sources
    # Marked by PEP 552 as to be taken without a look at its source.
    assert read(f"{SITE}/hailo_whisper/__pycache__/__init__.cpython-311.pyc")[4:8] == (1).to_bytes(4, "little")


def test_neither_tests_nor_the_emulator_are_in_it(tree: dict[str, tarfile.TarInfo]) -> None:
    ours = [path for path in tree if f"{SITE}/hailo_whisper/" in path]
    assert f"{SITE}/hailo_whisper/data/clip.wav" in ours
    assert [path for path in ours if "/tests" in path or "/test_" in path or "emulator" in path] == []
    assert not any(path.startswith(f"{SITE}/pip") for path in tree)
    assert not any("hailo_platform" in path for path in tree)


def test_nothing_names_the_place_where_it_was_built(extracted: Path) -> None:
    found = subprocess.run(["grep", "-rlE", r"/\.deb-[A-Za-z0-9]{6}/", extracted], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, "")
    # uv's notes of a wheel's file, with its time.
    assert list(extracted.rglob("uv_cache.json")) == []
    assert list(extracted.rglob("direct_url.json")) == []


def test_the_command_and_the_units_are_those_of_every_way_in(
    project: Path, tree: dict[str, tarfile.TarInfo], read: Callable[[str], bytes]
) -> None:
    assert tree["usr/bin/hailo-whisper"].linkname == "/opt/hailo-whisper/venv/bin/hailo-whisper"
    units = [path for path in (project / "packaging/systemd").iterdir() if path.is_file()]
    assert len(units) == 3
    for unit in units:
        assert read(f"lib/systemd/system/{unit.name}") == unit.read_bytes()
    assert read("etc/hailo/hailo-whisper.yaml") == (project / "app/config/hailo-whisper.yaml").read_bytes()


def test_the_manual_and_the_completion_are_in_it(project: Path, read: Callable[[str], bytes]) -> None:
    for name in ("hailo-whisper.1", "hailo-whisper.yaml.5"):
        assert read(f"usr/share/man/man{name[-1]}/{name}.gz") == (project / "packaging/man" / name).read_bytes()
    assert b"complete -F" in read("usr/share/bash-completion/completions/hailo-whisper")


def test_the_copyright_and_the_sbom_name_every_project_of_the_lock(project: Path, read: Callable[[str], bytes]) -> None:
    lock = (project / "app/requirements/server.lock").read_text(encoding="utf-8")
    # Those for other systems and for other Pythons are not installed.
    other = r"sys_platform == |python_full_version >= '3.12'"
    pinned = {
        (name, version)
        for name, version, rest in re.findall(r"^([a-z0-9-]+)==(\S+)(.*)", lock, re.MULTILINE)
        if not re.search(other, rest)
    }
    assert len(pinned) > 30
    bill = json.loads(read("usr/share/doc/hailo-whisper/sbom.cdx.json.gz"))
    assert bill["bomFormat"] == "CycloneDX"
    assert {(component["name"], component["version"]) for component in bill["components"]} == pinned
    copyrights = read("usr/share/doc/hailo-whisper/copyright").decode()
    for name, version in pinned:
        assert f"\nComment: {name} {version}, https://" in copyrights
    (av,) = (component for component in bill["components"] if component["name"] == "av")
    assert {"FFmpeg", "x264", "x265"} <= {part["name"] for part in av["components"]}
    assert "License: GPL-2.0-or-later\n" in copyrights


@pytest.mark.parametrize("name", ["preinst", "postinst", "prerm", "postrm"])
def test_maintainer_scripts_ask_nobody_and_no_network(package: Path, name: str) -> None:
    text = script(package, name)
    assert text.startswith("#!/bin/sh\n")
    assert "set -e" in text
    assert (
        re.findall(
            r"debconf|db_input|curl|wget|models pull|\bpip\b",
            "\n".join(line for line in text.splitlines() if not line.startswith("#")),
        )
        == []
    )


def test_purge_keeps_models_unless_asked(package: Path) -> None:
    text = script(package, "postrm")
    assert re.search(r"if \[ -e /etc/hailo/purge-models \]; then\n\s+rm -rf /var/lib/hailo-whisper/models\n", text)
    assert text.count("rm -rf /var/lib/hailo-whisper/models") == 1


def test_the_package_for_a_hailo_npu_has_the_role_s_files(project: Path, packages: Path, package: Path, tmp_path: Path) -> None:
    (accelerator,) = packages.glob("hailo-whisper-accel-hailo_*.deb")
    assert f"hailo-whisper (= {control(package, 'Version')})" in control(accelerator, "Depends")
    subprocess.run(["dpkg-deb", "--extract", accelerator, tmp_path], check=True)
    for made, of in {
        "usr/lib/systemd/system/hailo-whisper.service.d/10-hailo.conf": "systemd/hailo-whisper.service.d/10-hailo.conf",
        "usr/lib/udev/rules.d/70-hailo-whisper.rules": "udev/70-hailo-whisper.rules",
    }.items():
        assert (tmp_path / made).read_bytes() == (project / "packaging" / of).read_bytes()
    assert (tmp_path / SITE / "hailo-whisper-hailort.pth").read_text(encoding="utf-8") == "/opt/hailo-whisper/hailort\n"
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir() or path.is_symlink()}
    assert "opt/hailo-whisper/hailort/hailo_platform" in there
    # Nothing that the service's package has.
    listed = subprocess.run(["dpkg-deb", "--contents", package], capture_output=True, text=True, check=True).stdout
    assert not {line.split()[5].removeprefix("./") for line in listed.splitlines()} & there


def test_the_package_for_an_nvidia_gpu_has_the_role_s_files(project: Path, packages: Path, package: Path, tmp_path: Path) -> None:
    (accelerator,) = packages.glob("hailo-whisper-accel-nvidia_*.deb")
    depends = control(accelerator, "Depends")
    assert f"hailo-whisper (= {control(package, 'Version')})" in depends
    assert "hailo-whisper-cuda (>= 12.4)" in depends
    assert control(accelerator, "Section") == "contrib/sound"
    subprocess.run(["dpkg-deb", "--extract", accelerator, tmp_path], check=True)
    made = tmp_path / "usr/lib/systemd/system/hailo-whisper.service.d/10-nvidia.conf"
    assert made.read_bytes() == (project / "packaging/systemd/hailo-whisper.service.d/10-nvidia.conf").read_bytes()
    link = tmp_path / SITE / "nvidia"
    # Where the role puts the libraries, and hailo-whisper-cuda.
    assert link.is_symlink()
    assert (link.parent / link.readlink()).resolve() == (tmp_path / "opt/hailo-whisper/cuda/nvidia").resolve()


def test_ansible_s_fact_is_in_it(project: Path, tree: dict[str, tarfile.TarInfo], read: Callable[[str], bytes]) -> None:
    assert read("usr/lib/hailo-whisper/hailo_whisper.fact") == (project / "packaging/facts/hailo_whisper.fact").read_bytes()
    assert tree["usr/lib/hailo-whisper/hailo_whisper.fact"].mode & 0o111 == 0o111
