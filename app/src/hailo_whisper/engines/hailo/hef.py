"""Whether a file can be loaded on the device: one that is no HEF, or cut short, or for another device is refused by name."""

from pathlib import Path

from ... import hef as file
from ...hef import Hef
from ..trouble import Trouble

WANTED = "hailo10h"
# Since which HailoRT a model of Hailo's model zoo can be loaded; others are tried.
SINCE = {"whisper-base": (5, 1, 0), "whisper-small": (5, 2, 0), "whisper-tiny": (5, 3, 0)}
CURE = "Pull it again (`hailo-whisper models pull NAME --force`), or set model.path to a sound one."


def read(path: Path) -> Hef:
    """Read what a file says of itself. Raises Trouble for one that is no HEF, or not whole."""
    try:
        return file.read(path)
    except file.HefNewer as fault:
        raise Trouble(f"{path} {fault}. Update hailo-whisper.") from None
    except file.HefUnsound as fault:
        raise Trouble(f"{path} {fault}. {CURE}") from None
    except OSError as error:
        raise Trouble(f"{path} cannot be read: {error.strerror}. Let the service read it, or pull the model again.") from None


def check(hef: Hef, version: tuple[int, ...]) -> None:
    """Raise Trouble unless HailoRT of that version can be expected to load it on a Hailo-10H."""
    if hef.architecture != WANTED:
        raise Trouble(
            f"{hef.path} was made for {hef.architecture}, and HailoRT transcribes on {WANTED} only. Pull the model for {WANTED}."
        )
    since = SINCE.get(hef.path.stem.lower(), (0,))
    if version < since:
        raise Trouble(
            f"{hef.path.stem} needs HailoRT {_dotted(since)} or newer, and {_dotted(version)} is installed. "
            "Update HailoRT and its driver together, or choose another model."
        )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
