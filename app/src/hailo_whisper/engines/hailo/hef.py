"""Whether a file can be loaded on the device: one that is no HEF, or cut short, or for another device is refused by name."""

from pathlib import Path

from ... import hef as file
from ...hef import Hef
from ...models.cure import letting_read, pulling, sentence
from ..trouble import Trouble
from .binding import dotted

GENAI = "hailo10h"
# The HEFs that a device takes, by what it is: HailoRT's device_internal.cpp, hef_arch_to_device_compatible_archs().
TAKES = {
    "hailo8": ("hailo8", "hailo8p", "hailo8r", "hailo8l"),
    "hailo8l": ("hailo8l",),
    "hailo10h": ("hailo10h", "hailo15m"),
}
# Since which HailoRT a model of Hailo's model zoo can be loaded; others are tried.
SINCE = {"whisper-base": (5, 1, 0), "whisper-small": (5, 2, 0), "whisper-tiny": (5, 3, 0)}


def read(path: Path) -> Hef:
    """Read what a file says of itself. Raises Trouble for one that is no HEF, or not whole."""
    try:
        return file.read(path)
    except file.HefNewer as fault:
        raise Trouble(f"{path} {fault}. Update hailo-whisper.") from None
    except file.HefUnsound as fault:
        raise Trouble(f"{path} {fault}. {sentence(pulling(again=True))} Or set model.path to a sound one.") from None
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {error.strerror}. {letting_read()}") from None


def check(hef: Hef, version: tuple[int, ...]) -> None:
    """Raise Trouble unless HailoRT of that version can be expected to load it by its genai API."""
    if hef.architecture != GENAI:
        raise Trouble(
            f"{hef.path} was made for {hef.architecture}, and HailoRT's genai API is for {GENAI} only. Pull the model for {GENAI}."
        )
    since = SINCE.get(hef.path.stem.lower(), (0,))
    if version < since:
        raise Trouble(
            f"{hef.path.stem} needs HailoRT {dotted(since)} or newer, and {dotted(version)} is installed. "
            "Update HailoRT and its driver together, or choose another model."
        )


def check_device(hef: Hef, device: str | None) -> None:
    """Raise Trouble when the device is known to take no such file. None: nobody knows what it is."""
    if device in TAKES and hef.architecture not in TAKES[device]:
        raise Trouble(
            f"{hef.path} was made for {hef.architecture}, and the device is a {device.upper()}. Pull the model for {device} "
            f"(`hailo-whisper models list` shows the names that end in -{device}) and set model.name to it."
        )
