"""HailoRT's errors as sentences: what was the cause, and what to do about it.

They come as exceptions with a name, as "libhailort failed with error: 74 (HAILO_OUT_OF_PHYSICAL_DEVICES)", and from constructors
as a bare number. The numbers are those of HailoRT's hailort.h.
"""

import re
from collections.abc import Callable

from ...accelerators import hailo
from ...installation import in_image
from ...models.cure import letting_read, pulling
from ..trouble import DeviceBusy, DeviceTrouble, Trouble

# Those that have a class of their own, and hide their number.
CLASSES = {
    "HailoRTInvalidArgumentException": 2,
    "HailoRTTimeout": 4,
    "HailoRTInvalidOperationException": 6,
    "HailoRTFirmwareControlFailedException": 18,
    "HailoRTInvalidHEFException": 26,
    "HailoRTDriverOperationFailedException": 36,
    "HailoRTNotFoundException": 61,
    "HailoCommunicationClosedException": 62,
    "HailoRTHEFNotCompatibleWithDevice": 93,
}
NUMBERED = re.compile(r"(?:error: )?(\d{1,3})(?: \(HAILO_\w+\))?")

_RECOMPILED = "Take the model that was made for this release of HailoRT: its address has the version in it."
_GONE = (
    "The device may have been reset, unplugged or overheated. It is looked for again; if it stays away, see `dmesg | grep hailo`, "
    "and switch the machine off and on."
)
_DRIVER = "Install the driver of the very version of the library (`hailortcli --version`, `modinfo -F version hailo1x_pci hailo_pci`) and restart the machine."
_MEMORY = "End other programs on the device, or take a smaller model."


def _permission() -> str:
    if in_image():
        return (
            "The container must be given the device, and its user the group of the device's node: `--device` and `--group-add`, as compose.hailo.yml "
            "has them. On the host, `dmesg | grep hailo` has the driver's view."
        )
    return (
        "Its user must be a member of the group `hailo`, and the device's node (/dev/hailo0 or /dev/h1x-0) belong to that group: the role "
        "`accelerator` sees to both; log in again, or restart the service, after a change. `dmesg | grep hailo` has the driver's view."
    )


def _anew() -> str:
    return f"Copy the model anew: {pulling(again=True)}."


# What was asked for was wrong, and that is no fault of the device: such an error keeps its words.
_OURS = (2, 5, 6, 61, 79)
# What it is about, the cause, and the cure, which is asked for where it is another in a container; by number.
_TROUBLES: dict[int, tuple[type[Trouble], str, str | Callable[[], str]]] = {
    3: (Trouble, "the machine has no memory left", "Free some, or take a smaller model."),
    4: (DeviceTrouble, "the device did not answer in time", _GONE),
    13: (Trouble, "the model's file could not be opened", letting_read),
    16: (DeviceTrouble, "the firmware on the device is of another version than the library", _DRIVER),
    18: (DeviceTrouble, "the device's firmware refused an order", _GONE),
    26: (Trouble, "the model's file is no HEF that this library can read", _anew),
    36: (DeviceTrouble, "the driver refused to open the device, mostly for lack of permission", _permission),
    62: (DeviceTrouble, "the connection to the device was closed", _GONE),
    64: (
        DeviceTrouble,
        "the driver is not loaded",
        "Install it (hailort-pcie-driver, or hailo-h10-all on Raspberry Pi OS) and restart the machine.",
    ),
    71: (DeviceTrouble, "the device has no memory left", _MEMORY),
    75: (
        Trouble,
        "the device is of an architecture that this library does not serve",
        "This engine knows the Hailo-8, the Hailo-8L and the Hailo-10H.",
    ),
    76: (DeviceTrouble, "driver and library are of different versions", _DRIVER),
    81: (
        DeviceTrouble,
        "the machine has no contiguous memory (CMA) left",
        "Raise `cma=` on the kernel's command line, and restart the machine.",
    ),
    85: (DeviceTrouble, "driver and library are of different versions", _DRIVER),
    86: (DeviceTrouble, "driver and library are of different versions", _DRIVER),
    87: (DeviceTrouble, "the device did not answer its driver", _GONE),
    89: (DeviceTrouble, "the device's own software refused the connection", "It may still be starting. " + _GONE),
    91: (Trouble, "the model's file is damaged", _anew),
    92: (Trouble, "the model's file is of a form that this library does not know", _RECOMPILED),
    93: (
        Trouble,
        "the model's file was made for another device",
        "`hailo-whisper models list` shows which one is for this device. " + _RECOMPILED,
    ),
    96: (DeviceTrouble, "the device is not connected", _GONE),
}
UNSEEN = "Who has it is not for this process to see: `hailo-whisper doctor`, as root, names it."
_BUSY = {
    73: "the device is in use",
    74: "the device is in use by another program",
    97: "the device is not available for the moment",
}
_SHARED = (
    "Stop that program (`systemctl stop hailo-ollama`, for example), or, on a Hailo-10H, have all of them share the device by one group (hailo.group); "
    "a program that takes it for itself cannot share it."
)
_UNSHARED = (
    "Stop that program (one of hailo-apps, or Hailo's daemon: `systemctl stop hailort`, for example): a Hailo-8 or 8L is for one program at a time, "
    "whatever the group (hailo.group)."
)


def code(error: BaseException) -> int | None:
    """HailoRT's number of an error, if it has one."""
    if (number := CLASSES.get(type(error).__name__)) is not None:
        return number
    text = str(error).strip()
    if found := NUMBERED.fullmatch(text) or re.search(r"failed with error: (\d{1,3})", text):
        return int(found[1])
    return None


def translated(error: Exception, doing: str, holders: str = "", architecture: str | None = None) -> Exception:
    """What to raise instead: a sentence; `doing` is what failed, as "opening the device". Unknown errors keep their words.

    `holders` says who may have the device, and `architecture` what it is, for when it is busy.
    """
    number, doing = code(error), doing[:1].upper() + doing[1:]
    if number in _BUSY:
        return DeviceBusy(
            f"{doing} failed: {_BUSY[number]} (HailoRT error {number}). {holders or UNSEEN} "
            f"{_SHARED if hailo.shares(architecture) else _UNSHARED}"
        )
    if number in _TROUBLES:
        kind, cause, cure = _TROUBLES[number]
        return kind(f"{doing} failed: {cause} (HailoRT error {number}). {cure if isinstance(cure, str) else cure()}")
    if number is not None and number not in _OURS:
        return DeviceTrouble(
            f"{doing} failed with HailoRT error {number}. {error if not str(error).isdigit() else ''} "
            "HailoRT's log says more: set HAILORT_LOGGER_PATH to a folder that the service may write.".replace("  ", " ")
        )
    return error
