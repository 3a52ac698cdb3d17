"""Checks of the processor and the accelerators."""

from ...accelerators import hailo, holders, nvidia
from ...accelerators.lack import Lack
from .finding import Finding, broken, ok, warning
from .patient import Patient

SLOW = "It works, but slowly: a processor with AVX2, or a Raspberry Pi 5, is several times as fast."
HOLD = "Where another program has the device for itself, stop it (`systemctl stop hailo-ollama`, for example). On a Hailo-10H the two may also share it, by one group (hailo.group)."
FAST = ("avx512f", "avx2", "asimddp")


def processor(patient: Patient) -> list[Finding]:
    """What transcribes where there is nothing better."""
    cpu = patient.cpu
    shown = f"{cpu.name}, {cpu.cores} cores, {cpu.vectors or 'no vector instructions known'}"
    return [ok("cpu", shown) if cpu.vectors in FAST else warning("cpu", shown, SLOW)]


def npu(patient: Patient) -> list[Finding]:
    """The Hailo device: its node, who may open it, who has it open."""
    found, wanted = patient.machine.npu, patient.settings.engine.kind == "hailo"
    if not found.present:
        cure = "See that it is plugged in (`lspci -d 1e60:`), or set engine.kind to auto."
        return [broken("hailo", "no Hailo device, and engine.kind is hailo", cure) if wanted else ok("hailo", "no Hailo device")]
    boards = ", ".join(f"{board.architecture} at {board.address}" for board in found.boards) or "a device"
    if not found.nodes:
        return [(broken if wanted else warning)("hailo", f"{boards}, but neither /dev/hailo* nor /dev/h1x-*", DRIVER)]
    findings = []
    who = patient.user.name if patient.user else "this user"
    joining = (
        f"`usermod -aG hailo {who}`, never to `root`."
        if patient.user
        else "Who runs the program is to be in the group `hailo`, never in `root`."
    )
    for node in found.nodes:
        shown = f"{boards}: {node.path} is {node.rights}, {who} {'may' if node.openable else 'may not'} open it"
        cure = f"{joining} The node is to be the group `hailo`'s, by a udev rule. The role `accelerator` and the package hailo-whisper-accel-hailo do both."
        findings.append(ok("hailo", shown) if node.openable else (broken if wanted else warning)("hailo", shown, cure))
    has = holders.found(patient.root / "proc")
    others = [holder for holder in has if not holder.ours]
    unseen = "" if patient.is_root else " (only root sees all)"
    if others:
        findings.append(warning("hailo-holder", f"held by {', '.join(map(str, others))}{unseen}", HOLD))
    else:
        findings.append(ok("hailo-holder", f"held by {'the service' if has else 'nobody'}{unseen}"))
    return findings


DRIVER = "Install the driver (hailort-pcie-driver, or hailo-h10-all on Raspberry Pi OS), and restart the machine. `dmesg | grep hailo` has its view."


def npu_software(patient: Patient) -> list[Finding]:
    """The driver, the library and the Python binding, and that they are of one version."""
    found, wanted = patient.machine.npu, patient.settings.engine.kind == "hailo"
    if not found.present and not wanted:
        return []
    bad = broken if wanted else warning
    driver = found.driver
    if driver is None:
        first = bad("hailo-driver", "not loaded", DRIVER)
    else:
        first = ok("hailo-driver", f"{driver.module} {driver.version or 'of an unknown version'}")
    if not found.binding:
        return [
            first,
            bad("hailo-library", "HailoRT's Python package hailo_platform is not installed", f"Install it: {hailo.INSTALL}."),
        ]
    about = patient.binding()
    library = f"libhailort {', '.join(found.libraries) or 'not found where it usually is'}"
    if about.trouble:
        cure = "Install HailoRT and its Python binding again, both of the driver's version."
        return [first, bad("hailo-library", f"{library}; hailo_platform cannot be loaded: {about.trouble}", cure)]
    shown = f"{library}, Python binding {about.version}"
    if about.emulated:
        return [
            first,
            warning(
                "hailo-library", f"{shown}, emulated", "This is the emulator of the tests, and no device: take it off PYTHONPATH."
            ),
        ]
    known = hailo.Hailo(**{**vars(found), "binding_version": about.version})
    if differ := hailo.mismatch(known):
        return [first, bad("hailo-library", differ.what, f"{differ.advice} HailoRT refuses to work otherwise, with error 76.")]
    return [first, ok("hailo-library", shown)]


def gpu(patient: Patient) -> list[Finding]:
    """The NVIDIA GPU: its driver, its nodes, CUDA's libraries, and what the driver says."""
    found, wanted = patient.machine.gpu, patient.settings.engine.kind == "cuda"
    if not found.present:
        cure = "Set engine.kind to auto, or see that the GPU is plugged in (`lspci -d 10de:`)."
        return [broken("nvidia", "no NVIDIA GPU, and engine.kind is cuda", cure) if wanted else ok("nvidia", "no NVIDIA GPU")]
    bad = broken if wanted else warning
    if lacks := nvidia.lacking(found):
        shown = f"{', '.join(gpu.name for gpu in found.gpus) or 'a GPU'}, driver {found.driver or 'not loaded'}: {lacks.what}"
        return [bad("nvidia", shown, lacks.advice)]
    probe, driver = patient.machine.cuda, f"driver {found.driver or 'of an unknown version'}"
    if probe is None or probe.trouble:
        trouble = (probe and probe.trouble) or Lack("the driver was not asked", nvidia.ASK_IT)
        return [bad("nvidia", f"{driver}: {trouble.what}", trouble.advice)]
    index = patient.settings.cuda.device_index
    if index >= len(probe.gpus):
        shown = f"cuda.device_index is {index}, and there are {len(probe.gpus)} GPUs for this program"
        return [bad("nvidia", shown, "They count from 0: `nvidia-smi -L` shows them, and CUDA_VISIBLE_DEVICES hides some.")]
    gpus = ", ".join(f"{gpu.name} with {gpu.memory_mb} MB" for gpu in probe.gpus)
    places = ", ".join(f"{name} in {str(place).rpartition('/')[0]}" for name, place in found.libraries.items())
    return [ok("nvidia", f"{gpus}, {driver} for CUDA {probe.cuda}"), ok("nvidia-libraries", places)]
