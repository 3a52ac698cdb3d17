"""The bundle as an archive: the same parts make the same one, and what is not as it was signed is refused before anything is deployed."""

import ast
import errno
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "packaging"))

from bundle import Refused, archive
from bundle.contents import versioned
from bundle.dependencies import Mirrors, Resolver, installable
from bundles import MOMENT, TOP, members, pack, unpack
from repository import key

Run = Callable[..., "subprocess.CompletedProcess[str]"]
# Instead of Ansible: says how it was called.
ANSIBLE = """\
#!/bin/sh
[ "$1" = --version ] && echo "ansible-playbook [core VERSION]" && exit
echo "playbook: $*"
echo "in: $PWD, $ANSIBLE_CONFIG, $PYTHONDONTWRITEBYTECODE"
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[key.Key, Path, Path]]:
    """The signer's key, with its public part in a file; and a stranger's public key."""
    folder = tmp_path_factory.mktemp("keys")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("stranger", "signer"):
            patch.setattr(key, "OWN", folder / f"{name}.key")
            with key.opened("", None) as opened:
                (folder / f"{name}.asc").write_text(opened.public())
        with key.opened("", None) as signer:
            yield signer, folder / "signer.asc", folder / "stranger.asc"


@pytest.fixture(scope="module")
def packed(keys: tuple[key.Key, Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("packed") / "bundle.tar", keys[0])


@pytest.fixture
def bundle(packed: Path, tmp_path: Path) -> Path:
    return unpack(packed, tmp_path)


@pytest.fixture
def deploy(bundle: Path, tmp_path: Path) -> Run:
    """Run ./deploy as an operator does, with an Ansible that says how it was called."""

    def run(
        *arguments: str | Path, ansible: str = "2.19.1", tools: str = "gpgv", cwd: Path = tmp_path
    ) -> "subprocess.CompletedProcess[str]":
        programs = tmp_path / "programs"
        shutil.rmtree(programs, ignore_errors=True)
        programs.mkdir()
        for tool in tools.split():
            (programs / tool).symlink_to(shutil.which(tool) or "/nowhere")
        if ansible:
            (programs / "ansible-playbook").write_text(ANSIBLE.replace("VERSION", ansible))
            (programs / "ansible-playbook").chmod(0o755)
        (programs / "sh").symlink_to("/bin/sh")
        (programs / "gpg-agent").symlink_to("/usr/bin/gpg-agent")
        environment = {"PATH": str(programs), "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        return subprocess.run(
            [sys.executable, bundle / "deploy", *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def signer(keys: tuple[key.Key, Path, Path]) -> Path:
    return keys[1]


def refused(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "playbook:" not in done.stdout, "nothing was deployed"
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("tools", ["gpgv", "gpg", "sqv"])
def test_a_whole_bundle_is_taken_by_each_program_that_checks_signatures(
    deploy: Run, keys: tuple[key.Key, Path, Path], tools: str
) -> None:
    done = deploy("--verify", "--key", keys[1], tools=tools)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"This bundle is whole, and signed by {keys[0].fingerprint}.\n"
    assert "is not signed by the key" in refused(deploy("--verify", "--key", keys[2], tools=tools))


@pytest.mark.parametrize("python", [[], [sys.executable]])
def test_nothing_of_the_folder_is_run_before_it_is_verified(
    bundle: Path, signer: Path, tmp_path: Path, python: list[str]
) -> None:
    for module in ("argparse", "os", "re", "tempfile", "usercustomize"):
        (bundle / f"{module}.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w').close()\n")
    done = subprocess.run(
        [*python, "./deploy", "--verify", "--key", signer],
        cwd=bundle,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
        | ({} if python else {"PYTHONPATH": str(bundle)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "argparse.py is not from the bundle: move it elsewhere." in refused(done)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("tools", ["gpgv", "gpg", "sqv"])
def test_sums_that_were_changed_are_refused_by_each_of_them(deploy: Run, bundle: Path, signer: Path, tools: str) -> None:
    with (bundle / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  roles/more.yml\n")
    said = refused(deploy("--verify", "--key", signer, tools=tools))
    assert "Nothing was deployed" in said


def test_without_a_program_for_it_nothing_is_believed(deploy: Run, signer: Path) -> None:
    assert "Install one of gpgv, gpg and sqv" in refused(deploy("-i", "fleet", "--key", signer, tools=""))


def change_a_byte(bundle: Path) -> None:
    path = bundle / "models/base/model.bin"
    path.write_bytes(path.read_bytes().replace(b"w", b"v"))


def cut(bundle: Path) -> None:
    path = next(bundle.rglob("hailo-whisper_*.deb"))
    path.write_bytes(path.read_bytes()[:-1])


def replace_by_a_link(bundle: Path) -> None:
    path = bundle / "models/base/model.bin"
    path.rename(bundle.parent / "elsewhere.bin")
    path.symlink_to(bundle.parent / "elsewhere.bin")


def put(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("ansible_ssh_common_args: -o ProxyCommand=theirs\n")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (change_a_byte, "models/base/model.bin was changed, or is cut short."),
        (cut, "hailo-whisper_0.0.1_amd64.deb was changed, or is cut short."),
        (lambda bundle: (bundle / "bundle.json").unlink(), "bundle.json is missing."),
        (
            lambda bundle: put(bundle, "playbooks/group_vars/all.yml"),
            "playbooks/group_vars/all.yml is not from the bundle: move it elsewhere.",
        ),
        (lambda bundle: put(bundle, "inventory/airgap/group_vars/all.yml"), "inventory/airgap/group_vars/all.yml is not from"),
        (lambda bundle: put(bundle, "inventory/group_vars/all.yml"), "inventory/group_vars/all.yml is not from the bundle"),
        (lambda bundle: put(bundle, "inventory/more.yml"), "inventory/more.yml is not from the bundle"),
        (replace_by_a_link, "models/base/model.bin is a link, and the bundle has none."),
        (lambda bundle: (bundle / "SHA256SUMS.asc").unlink(), "this is not the whole bundle. Unpack the archive again."),
        (lambda bundle: (bundle / "SHA256SUMS").unlink(), "this is not the whole bundle. Unpack the archive again."),
        (lambda bundle: (bundle / "SHA256SUMS.asc").write_text("nonsense"), "is not signed by the key"),
    ],
)
def test_what_is_not_as_it_was_signed_is_refused(
    deploy: Run, bundle: Path, signer: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    damage(bundle)
    assert sentence in refused(deploy("-i", "fleet", "--key", signer))


def test_every_fault_is_named_but_no_more_than_can_be_read(deploy: Run, bundle: Path, signer: Path) -> None:
    change_a_byte(bundle)
    for number in range(30):
        (bundle / f"more-{number:02}").touch()
    said = refused(deploy("--verify", "--key", signer))
    assert "more-19 is not from the bundle" in said
    assert "... and 11 more." in said


def test_an_archive_that_was_cut_short_is_found_out(
    packed: Path, deploy: Run, bundle: Path, signer: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short.tar"
    # Amid a file: between two, tar would notice nothing.
    with tarfile.open(packed) as opened:
        largest = max(opened, key=lambda member: member.size)
    short.write_bytes(packed.read_bytes()[: largest.offset_data + largest.size // 2])
    shutil.rmtree(bundle)
    assert subprocess.run(["tar", "-C", tmp_path, "-xf", short], capture_output=True, check=False).returncode != 0
    # Somebody who goes on all the same.
    shutil.copy(Path(archive.__file__).with_name("deploy"), bundle / "deploy")
    assert "is missing." in refused(deploy("-i", "fleet", "--key", signer))


def test_the_operator_s_own_inventory_and_the_playbooks_reports_are_no_fault(deploy: Run, bundle: Path, signer: Path) -> None:
    playbooks = ("report/report.json", "monitoring/rules.yml", "backup/bridge.json", "authority/ca.crt")
    for name in ("inventory/mine/hosts.yml", "inventory/mine/group_vars/all.yml", *playbooks):
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).touch()
    assert deploy("--verify", "--key", signer).returncode == 0


def test_another_bundle_is_verified_by_the_one_that_is_trusted_and_nothing_of_it_is_run(
    packed: Path, deploy: Run, signer: Path, tmp_path: Path
) -> None:
    (tmp_path / "next").mkdir()
    other = unpack(packed, tmp_path / "next")
    assert deploy("--verify", f"next/{TOP}", "--key", signer).returncode == 0
    (other / "deploy").write_text("#!/bin/sh\necho all is well\n")
    (other / "backup").mkdir()
    (other / "backup/bridge.json").touch()
    said = refused(deploy("--verify", f"next/{TOP}"))
    assert "deploy was changed" in said
    assert "backup/bridge.json is not from the bundle" in said, "nobody has worked in it yet"
    assert "are not both in" in refused(deploy("--verify", "nowhere"))


def test_the_key_is_asked_for_once_and_remembered(deploy: Run, keys: tuple[key.Key, Path, Path]) -> None:
    assert "whose signature is to be trusted?" in refused(deploy("--verify"))
    refused(deploy("--verify", "--key", keys[2]))
    assert "whose signature is to be trusted?" in refused(deploy("--verify")), "a key that did not fit is not remembered"
    assert deploy("--verify", "--key", keys[1]).returncode == 0
    assert deploy("--verify").returncode == 0


@pytest.mark.parametrize(("content", "sentence"), [(None, "cannot be read"), ("nonsense", "is not signed by the key")])
def test_a_key_that_is_none_is_refused(deploy: Run, tmp_path: Path, content: str | None, sentence: str) -> None:
    if content:
        (tmp_path / "key").write_text(content)
    assert sentence in refused(deploy("--verify", "--key", "key"))


def test_ansible_is_run_in_the_bundle_with_what_the_operator_says(
    deploy: Run, bundle: Path, signer: Path, tmp_path: Path
) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "secrets.yml").touch()
    done = deploy("--key", signer, "-i", "fleet", "--limit", "kitchen", "--check", "-e", "@secrets.yml")
    assert done.returncode == 0, done.stderr
    assert (
        f"playbook: playbooks/airgap.yml -i {tmp_path}/fleet --limit kitchen --check -e @{tmp_path}/secrets.yml\n" in done.stdout
    )
    assert f"in: {bundle}, {bundle}/ansible.cfg, 1\n" in done.stdout
    assert "Which hosts?" in refused(deploy())


@pytest.mark.parametrize(
    ("given", "handed"),
    [
        (["--private-key=key"], "--private-key={here}/key"),
        (["--private-key", "key"], "--private-key {here}/key"),
        (["--become-password-file", "key"], "--become-password-file {here}/key"),
        (["--connection-password-file=key"], "--connection-password-file={here}/key"),
        (["-e@key"], "-e@{here}/key"),
        (["--extra-vars=@key"], "--extra-vars=@{here}/key"),
        (["--vault-id", "mine@key"], "--vault-id mine@{here}/key"),
        (["--vault-id=key"], "--vault-id={here}/key"),
        (["--vault-id", "mine@prompt"], "--vault-id mine@prompt"),
        # Words that happen to be the name of a file.
        (["-e", "key"], "-e key"),
        (["--limit", "key"], "--limit key"),
        (["--limit=key"], "--limit=key"),
    ],
)
def test_files_are_meant_from_where_the_operator_is(
    deploy: Run, signer: Path, tmp_path: Path, given: list[str], handed: str
) -> None:
    for name in ("fleet", "key"):
        (tmp_path / name).touch()
    done = deploy("--key", signer, "-ifleet", *given)
    assert f"playbook: playbooks/airgap.yml -i {tmp_path}/fleet {handed.format(here=tmp_path)}\n" in done.stdout, done.stderr


def test_a_python_that_is_too_old_is_told(project: Path) -> None:
    program = project / "packaging/bundle/deploy"
    ast.parse(program.read_text(), feature_version=(3, 8))
    old = f"import runpy, sys; sys.version_info = (3, 9, 2); runpy.run_path({str(program)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-I", "-c", old], capture_output=True, text=True, check=False)
    assert "3.11 or newer is needed" in refused(done)


@pytest.mark.parametrize("version", ["", "2.14.18"])
def test_without_an_ansible_that_is_new_enough_one_is_made_of_the_wheels_or_it_says_why_not(
    deploy: Run, signer: Path, version: str
) -> None:
    said = refused(deploy("--key", signer, "-i", "fleet", ansible=version))
    assert "Install ansible-core 2.17 or newer yourself" in said


def test_the_same_parts_make_the_same_bundle(packed: Path, keys: tuple[key.Key, Path, Path], tmp_path: Path) -> None:
    def content(path: Path) -> list[tuple[object, bytes]]:
        # But for the signature, which has its time.
        with tarfile.open(path) as opened:
            found = [(member, opened.extractfile(member)) for member in opened if not member.name.endswith("SHA256SUMS.asc")]
            return [(member.get_info(), file.read()) for member, file in found if file]

    one, two = content(packed), content(pack(tmp_path / "again.tar", keys[0]))
    assert one == two
    assert len(one) == len(members()) + 1
    with tarfile.open(packed) as opened:
        assert opened.getnames()[0] == f"{TOP}/SHA256SUMS", "what tells of the others comes first"


def test_the_operator_s_inventory_is_not_packed(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=me", "-c", "user.email=me@example", *words], check=True)

    for name in ("inventory/airgap/hosts.yml", "roles/server/main.yml", "docs/gone.md", "script/test"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    git("init", "--quiet")
    git("add", ".")
    (tmp_path / "docs/gone.md").unlink()
    for name in ("inventory/mine/hosts.yml", "inventory/airgap/group_vars/all.yml", "roles/server/new.yml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("ansible_password: secret\n")
    assert sorted(versioned(tmp_path)) == ["inventory/airgap/hosts.yml", "roles/server/main.yml", "roles/server/new.yml"]


def commands(path: Path) -> str:
    """How somebody looks at a bundle without ./deploy, as it stands there."""
    found = [line.strip() for line in path.read_text().splitlines() if line.strip().startswith(("gpg --", "diff <"))]
    assert len(found) == 3
    return "\n".join(found)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda bundle: None, ""),
        (change_a_byte, "models/base/model.bin: FAILED"),
        (lambda bundle: (bundle / "argparse.py").touch(), "> argparse.py"),
        (lambda bundle: put(bundle, "inventory/airgap/group_vars/all.yml"), "> inventory/airgap/group_vars/all.yml"),
        (lambda bundle: (bundle / "SHA256SUMS").write_text("nothing\n"), "BAD signature"),
    ],
)
def test_what_the_documents_say_to_do_before_the_first_run_finds_it_out(
    project: Path, bundle: Path, keys: tuple[key.Key, Path, Path], tmp_path: Path, damage: Callable[[Path], object], sentence: str
) -> None:
    script = commands(project / "docs/airgap.md")
    assert script == commands(project / "packaging/bundle/READ-ME-FIRST.txt")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    shutil.copy(keys[1], home / "signer.asc")
    damage(bundle)
    done = subprocess.run(
        ["bash", "-ec", script],
        cwd=bundle,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert sentence in said
    assert (done.returncode == 0) is (not sentence), said
    if not sentence:
        assert done.stdout == ""
        assert keys[0].fingerprint in said.replace(" ", "")


def test_a_disk_without_room_is_told_before_anything_is_written(
    keys: tuple[key.Key, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(Refused, match=r"has 1 MB free. Choose another place with --output"):
        archive.write(members(), tmp_path / "bundle.tar", keys[0], top=TOP, moment=MOMENT)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_is_there_stays_when_another_cannot_be_made(
    packed: Path, keys: tuple[key.Key, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = Path(shutil.copy(packed, tmp_path / "bundle.tar"))
    monkeypatch.setattr(tarfile.TarFile, "addfile", fill_up)
    with pytest.raises(Refused, match=r"cannot be written: No space left on device. Choose another place with --output"):
        archive.write(members(), target, keys[0], top=TOP, moment=MOMENT)
    assert target.read_bytes() == packed.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.tar"]


def test_a_mirror_that_does_not_answer_is_told(tmp_path: Path) -> None:
    resolver = Resolver("bookworm", "amd64", Mirrors(f"file:{tmp_path}/mirror"), tmp_path / "repository", tmp_path / "cache")
    with pytest.raises(Refused, match=r"what bookworm on amd64 lacks. Look whether the mirror .* can be\s+reached"):
        resolver.fetch(tmp_path / "into")


def test_what_needs_a_package_that_was_not_put_in_is_left_out() -> None:
    index = (
        "Package: hailo-whisper\nDepends: python3 (>= 3.11)\n\nPackage: hailo-whisper-accel-hailo\nDepends: hailo-whisper (= 1), udev\n\n"
        "Package: hailo-whisper-accel-nvidia\nDepends: hailo-whisper (= 1), hailo-whisper-cuda (>= 12.4)\n"
    )
    assert installable(index) == ["hailo-whisper", "hailo-whisper-accel-hailo"]
    assert "hailo-whisper-accel-nvidia" in installable(f"{index}\nPackage: hailo-whisper-cuda\n")
