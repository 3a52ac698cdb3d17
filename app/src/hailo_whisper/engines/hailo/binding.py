"""HailoRT's Python package and the device, for whatever runs there: all that it raises becomes a sentence."""

import importlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...accelerators import hailo
from ...accelerators.holders import holders
from ...installation import in_image
from ..trouble import DeviceBusy, DeviceTrouble, Trouble
from . import errors

log = logging.getLogger(__name__)

# What HailoRT calls a device, in the words that HEFs have for it.
ARCHITECTURES = {"HAILO8": "hailo8", "HAILO8L": "hailo8l", "HAILO10H": "hailo10h", "HAILO15H": "hailo10h"}


def install() -> str:
    """What to do about a HailoRT that is missing, or of the wrong version: a sentence."""
    if in_image():
        return f"{hailo.MOUNT[0].upper()}{hailo.MOUNT[1:]}. Or set engine.kind to ctranslate2."
    return (
        "Install HailoRT's Python binding of the very version of the driver (python3-h10-hailort on Raspberry Pi OS, python3-hailort for a Hailo-8, or "
        "Hailo's wheel) where this program's Python finds it, or set engine.kind to ctranslate2."
    )


class Device:
    """The device, taken. Whoever loads a model on it releases it."""

    def __init__(self, vdevice: Any, architecture: str | None) -> None:
        self.vdevice = vdevice
        self.architecture = architecture
        """"hailo8", "hailo8l" or "hailo10h"; another in HailoRT's own words, in lower case; None: it does not say."""

    def release(self) -> None:
        """Give it back."""
        vdevice, self.vdevice = self.vdevice, None
        if vdevice is not None:
            vdevice.release()


class Binding:
    """The installed package. Raises Trouble when there is none, or none that can be used."""

    def __init__(self) -> None:
        # HailoRT would write a log into the folder that it happens to be started in.
        os.environ.setdefault("HAILORT_LOGGER_PATH", "NONE")
        self.platform: Any = _imported("hailo_platform")
        self.version = numbers(str(getattr(self.platform, "__version__", "0")))

    def part(self, name: str) -> Any:
        """A module of the package. Raises Trouble."""
        return _imported(f"hailo_platform.{name}")

    def open(self, group: str) -> Device:
        """Take the device for a group ("UNIQUE": alone), or alone where processes cannot share it. Raises Trouble; DeviceBusy while others have it."""
        with spoken("looking for a Hailo device"):
            found = self.platform.Device.scan()
        if not found:
            raise DeviceTrouble(
                "No Hailo device was found. See that it is plugged in (`lspci -d 1e60:`), that its driver is loaded (`ls /dev/hailo* /dev/h1x-*`), "
                "and that the service may open it (group `hailo`{'; compose.hailo.yml gives a container both' if in_image() else ''}). "
                "It is looked for again every few seconds."
            )
        architecture = self._architecture(found[0])
        with spoken("opening the device", architecture):
            params = self.platform.VDevice.create_params()
            params.group_id = group if hailo.shares(architecture) else hailo.ALONE
            return Device(self.platform.VDevice(params), architecture)

    def _architecture(self, name: str) -> str | None:
        """What the device is. It says so to whoever asks, also while another program has it."""
        try:
            with self.platform.Device(name) as device:
                found = str(device.control.identify().device_architecture)
        # It only would have given a better message.
        except Exception as error:
            log.warning("the Hailo device does not say what it is: %s", errors.translated(error, "identifying the device"))
            return None
        found = found.rpartition(".")[2]
        return ARCHITECTURES.get(found, found.lower())


def _imported(name: str) -> Any:
    """A module of HailoRT. Raises Trouble."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = "is not installed" if error.name == "hailo_platform" else f"lacks {error.name}"
        raise Trouble(f"HailoRT's Python package hailo_platform {missing}. {install()}") from None
    # Whatever it is: it checks its own parts at import, with exceptions of its own.
    except Exception as error:
        raise Trouble(f"HailoRT's Python package cannot be loaded: {error}. {install()}") from None


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version such as 5.2.0."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def dotted(version: tuple[int, ...]) -> str:
    """A version as it is written."""
    return ".".join(map(str, version))


@contextmanager
def spoken(doing: str, architecture: str | None = None) -> Iterator[None]:
    """What the binding raises while it is `doing` something on a device of that architecture, as a sentence."""
    try:
        yield
    except Trouble:
        raise
    except Exception as error:
        found = errors.translated(error, doing)
        if isinstance(found, DeviceBusy):
            found = errors.translated(error, doing, holders(), architecture)
        if found is error:
            raise
        raise found from error
