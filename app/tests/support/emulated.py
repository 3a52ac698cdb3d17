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
        self.forget()

    def tell(self, *lines: str) -> None:
        """What it does from now on; nothing: that it is well."""
        # In one step, because the device may be looking.
        new = self.folder / "control.new"
        new.write_text("".join(f"{line}\n" for line in lines))
        new.replace(self.folder / "control")

    def become(self, version: str) -> None:
        """Have HailoRT of that version. Those for the Hailo-8 lack the genai API."""
        self._monkeypatch.setenv("HAILO_EMULATOR_VERSION", version)
        if version.startswith("4."):
            package = self.folder / "without" / "hailo_platform"
            package.mkdir(parents=True)
            for part in (EMULATOR / "hailo_platform").iterdir():
                if part.name not in ("genai", "__pycache__"):
                    (package / part.name).symlink_to(part)
            self._monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), os.environ["PYTHONPATH"]]))
            self._monkeypatch.syspath_prepend(str(package.parent))
        self.forget()

    def hef(self, folder: Path, architecture: str = "hailo10h", name: str = "Whisper-Base", **content: Any) -> Path:
        """A HEF for it: `says` what is heard, or `weights` the folder of a model."""
        from hailo_platform.emulation import hef

        return hef.write(folder / f"{name}.hef", architecture, **content)

    def pair(
        self,
        folder: Path,
        architecture: str = "hailo8",
        *,
        weights: Path | None = None,
        told: dict[str, Any] | None = None,
        says: str = "",
        until: float = 2.0,
        seconds: float = 5.0,
        places: int = 32,
    ) -> Path:
        """An encoder and a decoder for it in a folder: of the `weights` of a model, or which `says` the same always.

        What it says ends at `until`, in seconds. `told` is more of what such a decoder is told (network.Told): `also`, or another `vocabulary`.
        """
        import numpy as np

        from hailo_platform.emulation import hef, network
        from hailo_platform.emulation import weights as stored

        folder.mkdir(parents=True, exist_ok=True)
        if weights:
            vectors = stored.read(str(weights), "decoder/embeddings/")["weight"]
            of: dict[str, Any] = {"weights": str(weights), "sequence": places}
        else:
            sayings = saying(says, until) | (told or {})
            vectors = network.vectors(sayings["vocabulary"])
            of = {"told": {"sequence": places} | sayings}
        encoder = {"weights": str(weights)} if weights else {}
        shape = {"seconds": seconds, "width": vectors.shape[1]}
        hef.write(folder / "my-encoder.hef", architecture, network="encoder", name="my-encoder", **encoder, **shape)
        hef.write(folder / "my-decoder.hef", architecture, network="decoder", name="my-decoder", seconds=seconds, **of)
        np.save(folder / "token_embedding_weight_my.npy", vectors)
        return folder

    def forget(self) -> None:
        """Have HailoRT imported anew by whoever asks next, and not at all when there is no device any more."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "hailo_platform"]:
            del sys.modules[name]


def saying(text: str, seconds: float = 2.0) -> dict[str, Any]:
    """What a decoder is told that says a text, between the timestamps of 0 s and of so many seconds, in whatever language is asked for."""
    import tokenizers

    from hailo_whisper.engines.hailo.vocabulary import Vocabulary
    from hailo_whisper.models import official

    words = Vocabulary(official.MULTILINGUAL)
    encoded = tokenizers.Tokenizer.from_str(official.tokenizer(words.size)).encode(f" {text}", add_special_tokens=False).ids
    first = words.timestamp_begin
    tasks = [words.prompt("en", "transcribe")[-1], words.prompt("en", "translate")[-1]]
    return {
        "vocabulary": words.size,
        "text": [first, *encoded, first + round(seconds / 0.02)],
        "starts": tasks,
        "end": words.end,
        "also": {},
    }
