"""The apt repository: what apt makes of it, what stays in it, and what is refused. Of packages that hold a file each."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Make = Callable[..., "subprocess.CompletedProcess[str]"]
Deb = Callable[..., Path]
PHRASE = "open, sesame"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's folder of configurations: one for all, for a key takes a while to make."""
    return tmp_path_factory.mktemp("config")


@pytest.fixture
def make(project: Path, config: Path, tmp_path: Path) -> Make:
    """Make the repository, or add to it."""

    def run(*arguments: str | Path, output: Path = tmp_path / "repository") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "repository", "make", "--output", output, *arguments],
            env=os.environ
            | {"PYTHONPATH": str(project / "packaging"), "XDG_CONFIG_HOME": str(config), "GNUPGHOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def deb(tmp_path: Path) -> Deb:
    """Make a package in a folder of its own, which is returned."""

    def build(version: str, arch: str = "amd64", name: str = "hailo-whisper", content: str = "one", folder: str = "") -> Path:
        tree = tmp_path / "tree"
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        (tree / "content").write_text(content)
        (tree / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: Nobody <nobody@example.org>\nDescription: none\n"
        )
        to = tmp_path / (folder or f"{name}-{version}-{arch}-{content}")
        to.mkdir(exist_ok=True)
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, to], check=True, capture_output=True)
        return to

    return build


def apt(tmp_path: Path, suite: str, arch: str, *command: str) -> "subprocess.CompletedProcess[str]":
    """What apt says on a machine that has the repository's .sources and nothing else."""
    root = tmp_path / "machine"
    for folder in (
        "etc/apt/sources.list.d",
        "etc/apt/preferences.d",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
        "var/lib/dpkg",
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").touch()
    shutil.copy(tmp_path / f"repository/hailo-whisper-{suite}.sources", root / "etc/apt/sources.list.d/hailo-whisper.sources")
    options = [
        f"-oDir={root}",
        f"-oDir::State::status={root}/var/lib/dpkg/status",
        f"-oAPT::Architecture={arch}",
        f"-oAPT::Architectures={arch}",
    ]
    # Its sandbox's user cannot look into the folder of the test.
    options += ["-oAPT::Sandbox::User=root", "-oDir::Etc::trusted=/dev/null", "-oDir::Etc::trustedparts=/dev/null"]
    return subprocess.run([command[0], *options, *command[1:]], cwd=root, capture_output=True, text=True, check=False)


def offered(tmp_path: Path, suite: str, arch: str, name: str = "hailo-whisper") -> list[str]:
    """The versions that a machine can choose among, the newest first."""
    updated = apt(tmp_path, suite, arch, "apt-get", "update", "--error-on=any")
    assert updated.returncode == 0, updated.stderr
    return [line.split("|")[1].strip() for line in apt(tmp_path, suite, arch, "apt-cache", "madison", name).stdout.splitlines()]


def succeeded(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("build-repo: ")
    return done.stderr


def test_each_release_and_architecture_has_its_own(make: Make, deb: Deb, tmp_path: Path) -> None:
    for version, arch in [("1+deb12u1", "amd64"), ("1+deb12u1", "arm64"), ("1+deb13u1", "amd64"), ("1+deb13u1", "arm64")]:
        deb(version, arch, folder="all")
    deb("7", "all", name="hailo-whisper-model-tiny", folder="all")
    succeeded(make("--add", tmp_path / "all"))
    for suite, version in {"bookworm": "1+deb12u1", "trixie": "1+deb13u1"}.items():
        for arch in ("amd64", "arm64"):
            assert offered(tmp_path, suite, arch) == [version]
            assert offered(tmp_path, suite, arch, "hailo-whisper-model-tiny") == ["7"], "a model is for every release"


def test_what_is_there_stays_and_the_oldest_goes(make: Make, deb: Deb, tmp_path: Path) -> None:
    # By Debian's order, in which ~ comes before nothing and 10 after 9.
    for version in ("0.10.0~rc1+deb12u1", "0.9.0+deb12u1", "0.10.0+deb12u1"):
        succeeded(make("--add", deb(version)))
    assert offered(tmp_path, "bookworm", "amd64") == ["0.10.0+deb12u1", "0.10.0~rc1+deb12u1", "0.9.0+deb12u1"]
    succeeded(make("--add", deb("0.10.1+deb12u1"), "--keep", "2"))
    assert offered(tmp_path, "bookworm", "amd64") == ["0.10.1+deb12u1", "0.10.0+deb12u1"]
    there = {path.name for path in (tmp_path / "repository/pool").rglob("*.deb")}
    assert there == {"hailo-whisper_0.10.1+deb12u1_amd64.deb", "hailo-whisper_0.10.0+deb12u1_amd64.deb"}


def test_a_second_time_changes_nothing(make: Make, deb: Deb, tmp_path: Path) -> None:
    folder = deb("1+deb12u1")
    assert "new: hailo-whisper 1+deb12u1 amd64 (bookworm)" in succeeded(
        make("--add", folder, "--url", "https://packages.example/here")
    )
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "repository/dists").rglob("*")}
    said = succeeded(make("--add", folder))
    assert "has changed in nothing" in said
    assert "new: " not in said
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "repository/dists").rglob("*")} == before
    assert "URIs: https://packages.example/here\n" in (tmp_path / "repository/hailo-whisper-bookworm.sources").read_text()


def test_whoever_has_read_the_signed_file_of_before_still_finds_its_indices(make: Make, deb: Deb, tmp_path: Path) -> None:
    def indices() -> set[str]:
        return {path.name for path in (tmp_path / "repository/dists").glob("bookworm/main/*/by-hash/SHA256/*")}

    succeeded(make("--add", deb("1+deb12u1")))
    first = indices()
    succeeded(make("--add", deb("2+deb12u1")))
    second = indices() - first
    assert first < indices()
    succeeded(make("--add", deb("3+deb12u1")))
    assert second < indices()
    assert not first < indices()
    assert not list((tmp_path / "repository").glob(".making-*"))


def test_the_key_is_made_once_for_the_operator_alone(make: Make, deb: Deb, config: Path, tmp_path: Path) -> None:
    succeeded(make("--add", deb("1+deb12u1")))
    key = config / "hailo-whisper/repository.key"
    assert oct(key.stat().st_mode) == oct(0o100600)
    before = key.read_bytes()
    assert b"PRIVATE KEY" in before
    assert "Made a key" not in succeeded(make("--add", deb("2+deb12u1")))
    assert key.read_bytes() == before
    for path in (tmp_path / "repository").rglob("*"):
        assert path.is_dir() or b"PRIVATE" not in path.read_bytes()


@pytest.fixture
def keyring(tmp_path: Path) -> Callable[..., Path]:
    """A file with a secret key, and the key in the keyring of the test's operator."""

    def key(passphrase: str = "") -> Path:
        gpg = ["gpg", "--batch", f"--homedir={tmp_path}", "--pinentry-mode=loopback", f"--passphrase={passphrase}"]
        subprocess.run([*gpg, "--quick-generate-key", "operator", "ed25519", "sign", "never"], check=True, capture_output=True)
        file = tmp_path / "operator.key"
        file.write_bytes(subprocess.run([*gpg, "--export-secret-keys"], check=True, capture_output=True).stdout)
        return file

    return key


@pytest.mark.parametrize("by", ["file", "name"])
def test_a_key_of_the_operators(make: Make, deb: Deb, keyring: Callable[..., Path], tmp_path: Path, by: str) -> None:
    file = keyring()
    succeeded(make("--add", deb("1+deb12u1"), "--key", file if by == "file" else "operator"))
    assert offered(tmp_path, "bookworm", "amd64") == ["1+deb12u1"]
    assert "is signed with the key " in refused(make("--add", deb("2+deb12u1")))
    succeeded(make("--add", deb("2+deb12u1"), "--change-key"))
    assert offered(tmp_path, "bookworm", "amd64") == ["2+deb12u1", "1+deb12u1"]


def test_a_passphrase(make: Make, deb: Deb, keyring: Callable[..., Path], tmp_path: Path) -> None:
    file, folder = keyring(PHRASE), deb("1+deb12u1")
    phrase = tmp_path / "phrase"
    assert "is protected by a passphrase. Give a file" in refused(make("--add", folder, "--key", file))
    assert f"there is no file {phrase}" in refused(make("--add", folder, "--key", file, "--passphrase-file", phrase))
    phrase.write_text("knock, knock\n")
    assert "is wrong. Mend it" in refused(make("--add", folder, "--key", file, "--passphrase-file", phrase))
    assert not (tmp_path / "repository").exists()
    phrase.write_text(f"{PHRASE}\n")
    succeeded(make("--add", folder, "--key", file, "--passphrase-file", phrase))
    assert offered(tmp_path, "bookworm", "amd64") == ["1+deb12u1"]


def test_keys_that_are_none(make: Make, deb: Deb, tmp_path: Path) -> None:
    folder = deb("1+deb12u1")
    assert "there is no key nobody's: neither a file nor" in refused(make("--add", folder, "--key", "nobody's"))
    (tmp_path / "no.key").write_text("nothing")
    assert "no.key has no secret key of gpg's" in refused(make("--add", folder, "--key", tmp_path / "no.key"))


def test_folders_that_will_not_do(make: Make, deb: Deb, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "there are no packages to put into the repository" in refused(make())
    assert f"there are no packages in {tmp_path}/empty" in refused(make("--add", tmp_path / "empty"))
    assert f"there is no folder {tmp_path}/none" in refused(make("--add", tmp_path / "none"))
    assert "is for riscv64, and the repository has amd64 and arm64" in refused(make("--add", deb("1+deb12u1", "riscv64")))
    folder = deb("1+deb12u1")
    assert "is for bookworm by its version, and you put it into trixie" in refused(make("--add", f"trixie={folder}"))
    (package,) = folder.glob("*.deb")
    package.write_bytes(package.read_bytes()[:-2000])
    assert f"{package} is not a whole package (" in refused(make("--add", folder))
    assert not list((tmp_path / "repository").rglob("*.deb"))


def test_a_package_of_debians_goes_into_the_suite_that_is_named(make: Make, deb: Deb, tmp_path: Path) -> None:
    succeeded(make("--add", f"trixie={deb('14.2.0-19', name='libstdc++6')}", "--add", deb("1+deb12u1")))
    assert offered(tmp_path, "trixie", "amd64", "libstdc++6") == ["14.2.0-19"]
    assert offered(tmp_path, "bookworm", "amd64", "libstdc++6") == []


def test_two_builds_of_one_version(make: Make, deb: Deb, tmp_path: Path) -> None:
    succeeded(make("--add", deb("1+deb12u1")))
    said = refused(make("--add", deb("1+deb12u1", content="two")))
    assert "hailo-whisper 1+deb12u1 amd64 is there twice, with different content: " in said
    assert "a version of its own" in said
    succeeded(make("--add", deb("2+deb12u1")))
    assert offered(tmp_path, "bookworm", "amd64") == ["2+deb12u1", "1+deb12u1"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("pool/main/h/hailo-whisper/hailo-whisper_1+deb12u1_amd64.deb", "is missing, or not what was signed"),
        ("dists/bookworm/InRelease", "is not signed by "),
    ],
)
def test_what_somebody_has_changed_is_not_signed_again(make: Make, deb: Deb, tmp_path: Path, path: str, sentence: str) -> None:
    succeeded(make("--add", deb("1+deb12u1")))
    changed = tmp_path / "repository" / path
    changed.write_bytes(changed.read_bytes().replace(b"hailo-whisper", b"hailo-whimper", 1))
    said = refused(make("--add", deb("2+deb12u1")))
    assert f"{changed} {sentence}" in said


def test_an_index_that_somebody_has_changed_is_made_again_of_what_was_signed_or_refused(
    make: Make, deb: Deb, tmp_path: Path
) -> None:
    succeeded(make("--add", deb("1+deb12u1")))
    dists = tmp_path / "repository/dists/bookworm"
    index = dists / "main/binary-amd64/Packages"
    before = index.read_bytes()
    index.write_bytes(before.replace(b"hailo-whisper", b"hailo-whimper", 1))
    succeeded(make())
    assert index.read_bytes() == before
    for path in (index, *dists.glob("main/binary-amd64/by-hash/SHA256/*")):
        path.write_bytes(path.read_bytes().replace(b"hailo-whisper", b"hailo-whimper", 1))
    assert f"{index} is not what was signed" in refused(make("--add", deb("2+deb12u1")))


# Kills the run that is to put a file of that name at its place.
KILLED = """
import os, sys
from pathlib import Path
from repository.__main__ import main
name, replace = sys.argv.pop(1), Path.replace
def killed(self, target):
    if Path(target).name == name:
        os._exit(137)
    return replace(self, target)
Path.replace = killed
sys.exit(main())
"""


@pytest.fixture
def cut_off(project: Path, config: Path, tmp_path: Path) -> Callable[..., None]:
    def run(name: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, name, "make", "--output", tmp_path / "repository", *arguments],
            env=os.environ
            | {"PYTHONPATH": str(project / "packaging"), "XDG_CONFIG_HOME": str(config), "GNUPGHOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 137, done.stdout + done.stderr

    return run


@pytest.mark.parametrize(
    "name",
    ["hailo-whisper_2+deb12u1_amd64.deb", "Packages", "Release", "Release.gpg", "InRelease", "hailo-whisper.asc"],
)
def test_a_run_that_is_cut_off_is_made_good_by_the_next(
    make: Make, deb: Deb, tmp_path: Path, cut_off: Callable[..., None], name: str
) -> None:
    first, second = deb("1+deb12u1"), deb("2+deb12u1")
    succeeded(make("--add", first))
    cut_off(name, "--add", second)
    # For machines too, which is what the sums in the names are for.
    signed = ["2+deb12u1", "1+deb12u1"] if name == "hailo-whisper.asc" else ["1+deb12u1"]
    assert offered(tmp_path, "bookworm", "amd64") == signed
    if name == "InRelease":
        assert "has changed in nothing" not in succeeded(make())
        assert offered(tmp_path, "bookworm", "amd64") == signed
    # Whoever builds it again does not always get the same, and nobody has got the one of before.
    again = second if name == "hailo-whisper.asc" else deb("2+deb12u1", content="two")
    succeeded(make("--add", again))
    assert offered(tmp_path, "bookworm", "amd64") == ["2+deb12u1", "1+deb12u1"]
    assert "has changed in nothing" in succeeded(make("--add", again))
    assert not list((tmp_path / "repository").glob(".making-*"))


@pytest.mark.parametrize("name", ["InRelease", "hailo-whisper.asc"])
def test_the_first_run_and_a_change_of_the_key_that_are_cut_off(
    make: Make, deb: Deb, keyring: Callable[..., Path], tmp_path: Path, cut_off: Callable[..., None], name: str
) -> None:
    # A model is for both releases, and in one of them the change has come to its end.
    folder, key = deb("1", "all", name="hailo-whisper-model-tiny"), keyring()
    cut_off(name, "--add", folder)
    succeeded(make("--add", folder))
    cut_off(name, "--key", key, "--change-key")
    if name == "hailo-whisper.asc":
        assert "run it again with the new key and --change-key" in refused(make())
    succeeded(make("--key", key, "--change-key"))
    for suite in ("bookworm", "trixie"):
        assert offered(tmp_path, suite, "amd64", "hailo-whisper-model-tiny") == ["1"]
    assert "has changed in nothing" in succeeded(make("--key", key))


def test_apt_refuses_what_another_has_signed(make: Make, deb: Deb, keyring: Callable[..., Path], tmp_path: Path) -> None:
    succeeded(make("--add", deb("1+deb12u1")))
    trusted = (tmp_path / "repository/hailo-whisper-bookworm.sources").read_text()
    succeeded(make("--add", deb("2+deb12u1"), "--key", keyring(), "--change-key"))
    (tmp_path / "repository/hailo-whisper-bookworm.sources").write_text(trusted)
    done = apt(tmp_path, "bookworm", "amd64", "apt-get", "update", "--error-on=any")
    assert done.returncode != 0
    assert "public key is not available" in done.stderr
