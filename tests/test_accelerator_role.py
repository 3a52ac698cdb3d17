"""What the role accelerator finds on a host, what it takes, and what it says is missing. The hosts are made up, in a folder."""

import json
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

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


@pytest.mark.parametrize(
    ("device", "version", "floor"),
    [
        ("0x45c4", "5.1.0", "Hailo-10H needs 5.1.1"),
        ("0x45c4", "5.1.1", None),
        ("0x2864", "4.19.0", "Hailo-8 needs 4.20.0"),
        ("0x2864", "4.20.0", None),
    ],
)
def test_a_hailort_that_is_too_old_is_refused(npu: Host, device: str, version: str, floor: str | None) -> None:
    npu.card("0x1e60", device).write("sys/module/hailo1x_pci/version", version + "\n")
    npu.binding(path="/p/hailo_platform", version=version, error="")
    lacks = " ".join(npu.survey("hailo")["lacks"])
    assert lacks == "" if floor is None else f"HailoRT is {version}, and the {floor} or newer here. Upgrade" in lacks


def test_a_device_that_cannot_be_used_now_is_a_sign_all_the_same(npu: Host, host: Host) -> None:
    assert npu.survey()["signs"] == ["hailo"]
    spoil_version(npu)
    found = npu.survey()
    assert (found["taken"], found["signs"]) == ("cpu", ["hailo"]), "it awaits a restart"
    spoil_driver(npu)
    assert npu.survey()["signs"] == ["hailo"], "its node is away"
    spoil_card(npu.write("dev/hailo0"))
    assert npu.survey()["signs"] == []


def test_what_is_to_be_removed_is_found(host: Host) -> None:
    host.write("opt/hailo-whisper/hailort/hailo_platform").write("opt/venv/python3.13/x.pth")
    assert host.survey()["placed"] == {"hailo": ["/opt/hailo-whisper/hailort", "/opt/venv/python3.13/x.pth"], "nvidia": []}


Check = Callable[..., "subprocess.CompletedProcess[str]"]
# The programs that the role runs on the host are this one's.
MINE = {"ansible_python_interpreter": sys.executable, "accelerator_python": sys.executable}


@pytest.fixture
def check(project: Path, tmp_path: Path) -> Check:
    """Run the part of the role that looks and judges, on this machine, with another's answers."""
    return playing(project, tmp_path, "check")


def playing(project: Path, tmp_path: Path, part: str, *arguments: str) -> Check:
    """What runs a part of the role on this machine, where something else may be found than there is. Nothing is changed, unless `arguments` say so."""
    restart = {"name": "Restart hailo-whisper", "ansible.builtin.debug": {"msg": "It would be restarted."}}
    role = {"ansible.builtin.import_role": {"name": "accelerator", "tasks_from": part}}
    show = {"ansible.builtin.debug": {"msg": "settings: {{ accelerator_settings | default({}) | to_json }}"}}
    (tmp_path / "play.yml").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [role, show], "handlers": [restart]}])
    )

    def run(found: dict[str, Any], **variables: Any) -> "subprocess.CompletedProcess[str]":
        answer = {
            "taken": "cpu",
            "why": "",
            "lacks": [],
            "binding": "",
            "cli": "",
            "machine": "aarch64",
            "python": "3.13",
            "signs": [],
            "placed": {"hailo": [], "nvidia": []},
        } | found
        command = ["ansible-playbook", "--inventory=this-machine,", "--connection=local", str(tmp_path / "play.yml")]
        command += arguments or ["--check"]
        return subprocess.run(
            [*command, "--extra-vars", json.dumps({"accelerator_found": answer, **MINE, **variables})],
            cwd=project,
            env=os.environ
            | {
                "ANSIBLE_ROLES_PATH": str(project / "roles"),
                "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
                "ANSIBLE_NOCOLOR": "1",
                "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            },
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
        ("nvidia", {}, {"model": {"compute_type": "auto"}}),
        ("cpu", {"hailo_whisper_accelerator": "cpu"}, {"engine": {"kind": "ctranslate2"}}),
        ("hailo", {"hailo_whisper_accelerator": "hailo"}, {"engine": {"kind": "hailo"}}),
        ("hailo", {"hailo_whisper_accelerator": "hailo", "hailo_whisper_accelerator_later": True}, {}),
        (
            "nvidia",
            {"hailo_whisper_accelerator": "nvidia"},
            {"engine": {"kind": "cuda"}, "model": {"compute_type": "auto"}},
        ),
    ],
    ids=str,
)
def test_what_is_insisted_on_is_what_the_service_transcribes_by(
    check: Check, taken: str, variables: dict[str, Any], settings: dict[str, Any]
) -> None:
    done = check({"taken": taken}, **variables)
    assert f'"msg": {json.dumps("settings: " + json.dumps(settings))}' in done.stdout


def said(done: "subprocess.CompletedProcess[str]") -> str:
    """All that it said, on one line."""
    return " ".join((done.stdout + done.stderr).split())


class Placed:
    """What the role has put on a host, in a folder, with the programs of the host that note what is asked of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drop_in, self.rule, self.binding = folder / "10-hailo.conf", folder / "70.rules", folder / "hailort"
        self.binding.mkdir()
        self.drop_in.touch()
        self.rule.touch()
        (folder / "udev").touch()
        (folder / "bin").mkdir()
        self.program("udevadm", "[ $1 != settle ]")
        self.program("gpasswd", "true")

    def program(self, name: str, text: str) -> None:
        (self.folder / "bin" / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{self.folder}/asked\n{text}\n')
        (self.folder / "bin" / name).chmod(0o755)

    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def there(self) -> list[str]:
        return [path.name for path in (self.drop_in, self.rule, self.binding) if path.exists()]

    def found(self, *signs: str) -> dict[str, Any]:
        """What the survey would say."""
        paths = [str(path) for path in (self.drop_in, self.rule, self.binding)]
        return {"signs": signs, "why": "The driver is 5.2.0.", "placed": {"hailo": paths, "nvidia": []}}

    def variables(self) -> dict[str, str]:
        return {
            "accelerator_taken": "cpu",
            "accelerator_hailort": str(self.binding),
            "accelerator_udev": str(self.folder / "udev"),
            # Everybody's host has this one, with nobody in it.
            "accelerator_group": "nogroup",
        }


@pytest.fixture
def placed(tmp_path: Path) -> Placed:
    return Placed(tmp_path)


@pytest.mark.parametrize("kind", ["auto", "cpu"])
@pytest.mark.parametrize("sign", [False, True])
def test_only_a_device_that_is_gone_or_not_wanted_is_taken_back(
    project: Path, tmp_path: Path, placed: Placed, kind: str, sign: bool
) -> None:
    role = playing(project, tmp_path, "main", "--diff")
    done = role(placed.found(*["hailo"] * sign), hailo_whisper_accelerator=kind, **placed.variables())
    assert done.returncode == 0, said(done)
    kept = kind == "auto" and sign
    assert placed.there() == (["10-hailo.conf", "70.rules", "hailort"] if kept else [])
    warning = "WARNING: this-machine does not transcribe on its Hailo NPU now, but the device is there, so what opens it to the service stays."
    assert (f"{warning} The driver is 5.2.0. Mend that" in said(done)) == kept


def test_the_way_back_leaves_a_unit_that_starts_wherever_it_is_cut_off(project: Path, tmp_path: Path, placed: Placed) -> None:
    role = playing(project, tmp_path, "main", "--diff")
    insisted = {"hailo_whisper_accelerator": "cpu", **placed.variables()}
    placed.program("udevadm", "exit 1")
    done = role(placed.found(), **insisted)
    assert done.returncode != 0, "it is cut off here"
    assert placed.there() == ["hailort"], "the drop-in goes first, and what the next run sees stays"
    placed.program("udevadm", "true")
    left = placed.found() | {"placed": {"hailo": [str(placed.binding)], "nvidia": []}}
    assert role(left, **insisted).returncode == 0
    assert placed.there() == []
    (again,) = [task["ansible.builtin.group"] for task in tasks(project, "hailo") if "ansible.builtin.group" in task]
    assert again["name"] == "{{ accelerator_group }}"
    assert not [task for task in tasks(project, "without_hailo") if "ansible.builtin.group" in task], "the group stays"
    order = [
        next(iter(task.keys() & {"ansible.builtin.file", "ansible.builtin.command"}), "")
        for task in tasks(project, "without_hailo")
    ]
    assert [module for module in order if module] == ["ansible.builtin.file", "ansible.builtin.command", "ansible.builtin.file"]


def tasks(project: Path, part: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = yaml.safe_load((project / f"roles/accelerator/tasks/{part}.yml").read_text(encoding="utf-8"))
    return loaded


def test_a_udev_that_does_not_settle_is_no_failure(project: Path, tmp_path: Path, placed: Placed) -> None:
    done = playing(project, tmp_path, "without_hailo", "--diff")(placed.found(), **placed.variables())
    assert done.returncode == 0, said(done)
    assert [line.split()[1] for line in placed.asked()] == ["control", "trigger", "settle"]


@pytest.mark.parametrize(
    ("users", "strangers"),
    [
        (["root", "daemon"], None),
        (["root", "alcie"], "alcie, and the host has no such user."),
        (["bbo", "alcie"], "bbo, alcie, and the host has no such users."),
    ],
    ids=["known", "one", "two"],
)
def test_a_user_that_there_is_not_is_refused_and_not_made(check: Check, users: list[str], strangers: str | None) -> None:
    done = check({"taken": "hailo"}, hailo_whisper_hailo_users=users)
    assert (done.returncode == 0) == (strangers is None), said(done)
    if strangers:
        assert (
            f"hailo_whisper_hailo_users of this-machine names {strangers} Mend the spelling, or make the account first"
            in said(done)
        )


def test_what_the_host_is_to_know_of_a_wheel_is_not_its_address(check: Check) -> None:
    done = check({"taken": "hailo"}, hailo_whisper_hailort_wheel=f"https://me:s3cret@mirror.example/{WHEEL}?token=s3cret")
    assert done.returncode != 0
    assert f"The wheel {WHEEL} (hailo_whisper_hailort_wheel)" in said(done)
    assert "s3cret" not in said(done)


@pytest.mark.parametrize("path", ["none", "other"])
def test_a_wheel_that_cannot_be_fetched_is_told_of_without_its_address(project: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / WHEEL).write_bytes(b"another")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://me:s3cret@127.0.0.1:{server.server_port}/{path}/{WHEEL}?token=s3cret"
        done = playing(project, tmp_path, "wheel", "-v")(
            {},
            hailo_whisper_hailort_wheel=address,
            hailo_whisper_hailort_wheel_sha256="a" * 64,
            accelerator_hailort_unpacked=str(tmp_path / "unpacked"),
        )
        server.shutdown()
    assert done.returncode != 0
    assert f"this-machine could not fetch the wheel {WHEEL} from the address in hailo_whisper_hailort_wheel" in said(done)
    assert ("(HTTP status 404)" if path == "none" else "The checksum for") in said(done)
    assert "s3cret" not in said(done)


def test_what_was_unpacked_stays_until_the_new_is_complete(project: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    (unpacked / "installed").write_text("an older one")
    wheel = tmp_path / WHEEL
    wheel.write_bytes(b"no wheel")
    role = playing(project, tmp_path, "wheel", "--diff")
    variables = {"hailo_whisper_hailort_wheel": str(wheel), "accelerator_hailort_unpacked": str(unpacked)}
    assert role({}, **variables).returncode != 0
    assert (unpacked / "installed").read_text() == "an older one"
    with zipfile.ZipFile(wheel, "w") as opened:
        information = "hailort-5.2.0.dist-info"
        opened.writestr("hailo_platform/__init__.py", "")
        opened.writestr(f"{information}/METADATA", "Metadata-Version: 2.1\nName: hailort\nVersion: 5.2.0\n")
        tag = WHEEL.removeprefix("hailort-5.2.0-").removesuffix(".whl")
        opened.writestr(f"{information}/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {tag}\n")
        opened.writestr(f"{information}/RECORD", "")
    done = role({}, **variables)
    assert done.returncode == 0, said(done)
    assert (unpacked / "hailo_platform/__init__.py").is_file()
    assert (unpacked / "installed").read_text().startswith(WHEEL)
    assert not list(tmp_path.glob("unpacked.*"))


@pytest.mark.parametrize("before", [False, True])
def test_the_new_libraries_take_the_place_of_the_old(project: Path, tmp_path: Path, before: bool) -> None:
    """The role's own program; that pip writes beside the place, and not into it, is in its arguments."""
    new, place = tmp_path / "cuda.new", tmp_path / "cuda"
    new.mkdir()
    (new / "installed").write_text("new")
    if before:
        place.mkdir()
        (place / "old").touch()
    subprocess.run([sys.executable, project / "roles/accelerator/files/exchange.py", new, place], check=True)
    assert [path.name for path in place.iterdir()] == ["installed"]
    assert not new.exists()
    assert not (tmp_path / "cuda.old").exists()
    (bring, _) = tasks(project, "cuda")
    assert "'--target=' ~ accelerator_cuda ~ accelerator_new" in bring["vars"]["__accelerator_pip"]
    removed = [task["ansible.builtin.file"]["path"] for task in bring["block"] if "ansible.builtin.file" in task]
    assert removed == ["{{ accelerator_cuda }}{{ accelerator_new }}"]


def test_a_binding_that_does_not_come_back_is_not_waited_for(project: Path, tmp_path: Path, placed: Placed) -> None:
    placed.program("runuser", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
    placed.program("python", "exec sleep 60")
    done = playing(project, tmp_path, "try_hailo", "--diff")(
        {"binding": "/p/hailo_platform"}, accelerator_python=str(tmp_path / "bin/python"), accelerator_load_seconds=1
    )
    assert done.returncode != 0
    assert "cannot be loaded by the service's Python: it was not done after 1 s. Install it" in said(done)


def test_a_device_is_asked_as_the_services_user_and_not_for_ever(project: Path, tmp_path: Path, placed: Placed) -> None:
    placed.program("runuser", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
    placed.program("python", "echo 5.2.0")
    placed.program("hailortcli", "exec sleep 60")
    programs = {"accelerator_python": str(tmp_path / "bin/python"), "accelerator_identify_seconds": 1}
    found = {"binding": "/p/hailo_platform", "cli": str(tmp_path / "bin/hailortcli")}
    done = playing(project, tmp_path, "try_hailo", "--diff")(found, **programs)
    assert done.returncode == 0, said(done)
    assert "has HailoRT 5.2.0. The device does not answer to hailortcli: not within 1 s" in said(done)
    assert "runuser --user=hailo-whisper -- " in " ".join(placed.asked())


def test_check_mode_shows_what_of_cuda_would_come(project: Path, tmp_path: Path) -> None:
    done = playing(project, tmp_path, "cuda")({}, accelerator_cuda=str(tmp_path / "cuda"))
    assert done.returncode == 0, said(done)
    assert f"The libraries of CUDA would be installed in {tmp_path}/cuda." in said(done)
    assert " changed=1 " in said(done)
    assert not (tmp_path / "cuda").exists()
