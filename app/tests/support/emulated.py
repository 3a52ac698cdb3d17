"""The emulated Hailo device: a folder that stands for it, and what it is told to do wrong. See tests/emulator/README.md."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

EMULATOR = Path(__file__).resolve().parents[1] / "emulator"


class Device:
    """An emulated device. Child processes that are started from now on see it; so does this one, after `attach`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        folder.mkdir(exist_ok=True)
        monkeypatch.setenv("HAILO_EMULATOR_FOLDER", str(folder))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(EMULATOR), os.environ.get("PYTHONPATH", "")]))
        monkeypatch.syspath_prepend(str(EMULATOR))
        self._forget()

    def tell(self, *lines: str) -> None:
        """What it does from now on; nothing: that it is well."""
        # In one step, because the device may be looking.
        new = self.folder / "control.new"
        new.write_text("".join(f"{line}\n" for line in lines))
        new.replace(self.folder / "control")

    def become(self, version: str) -> None:
        """Have HailoRT of that version."""
        self._monkeypatch.setenv("HAILO_EMULATOR_VERSION", version)
        self._forget()

    def hef(self, folder: Path, architecture: str = "hailo10h", name: str = "Whisper-Base", **content: Any) -> Path:
        """A HEF for it: `says` what is heard, or `weights` the folder of a model."""
        from hailo_platform.emulation import hef

        return hef.write(folder / f"{name}.hef", architecture, **content)

    def _forget(self) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "hailo_platform"]:
            self._monkeypatch.delitem(sys.modules, name)
