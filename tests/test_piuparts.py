"""Debian's own test of packages: what piuparts says of the package installed, removed and purged, and upgraded from the version before."""

import subprocess
from pathlib import Path

import pytest

# The host's image has what the package needs, so that apt needs no network: all that it knows of is the folder with the version before.
BEFORE = "/before"


def run(command: "list[str | Path]", folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(project: Path) -> dict[str, list[Path]]:
    """The files of this version and of the version before."""
    build: list[str | Path] = [project / "script/build-deb", "--suite", "bookworm", "--arch", "amd64", "--quick"]
    made = {}
    for version, options in {"after": [], "before": ["--as", "0.0.9"]}.items():
        folder = Path(run([*build, *options], project).splitlines()[-1])
        # That for NVIDIA needs a gigabyte of CUDA's libraries, and is a drop-in and a link.
        made[version] = sorted(path for path in folder.glob("*.deb") if "accel-nvidia" not in path.name)
    return made


@pytest.fixture(scope="module")
def chroot(project: Path, built: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Debian 12 as the disposable machines have it, whose apt knows the version before."""
    folder = tmp_path_factory.mktemp("piuparts") / "debian"
    folder.mkdir()
    image = '. script/bootstrap && bootstrap_hosts bookworm >&2 && made=$(podman create "$IMAGE" /bin/true) && '
    run(
        ["bash", "-c", f'{image} podman export "$made" | tar --extract --directory "$1" && podman rm "$made"', "-", folder],
        project,
    )
    (folder / "before").mkdir()
    for package in built["before"]:
        run(["cp", package, folder / "before"], project)
    index = run(["dpkg-scanpackages", "--multiversion", "."], folder / "before")
    packages = index[index.index("Package: ") : index.rindex("\n\n") + 1]
    (folder / "before/Packages").write_text(packages, encoding="utf-8")
    for source in (folder / "etc/apt/sources.list.d").iterdir():
        source.unlink()
    (folder / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:{BEFORE} ./\n", encoding="utf-8")
    return folder


@pytest.mark.timeout(900)
def test_it_comes_goes_and_is_upgraded_without_a_trace(built: dict[str, list[Path]], chroot: Path, tmp_path: Path) -> None:
    options = ["--keep-sources-list", "--skip-minimize", "--no-eatmydata", "--distribution", "bookworm"]
    said = run(["piuparts", *options, "--existing-chroot", chroot, *built["after"]], tmp_path)
    for passed in ("Installation and purging test.", "Installation, upgrade and purging tests.", "All tests."):
        assert f"PASS: {passed}" in said
