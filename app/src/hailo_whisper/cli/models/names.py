"""Which models of the catalog a name means on this machine: where a Hailo NPU transcribes, `base` is its form of that model."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from ... import settings
from ...accelerators import hailo
from ...models import hefs
from ...models.catalog import Catalog
from ...settings import Settings
from .shared import Place, say


def meant(names: Sequence[str], place: Place, dest: Path | None) -> list[str]:
    """The names to act on. With a `dest`, which is carried elsewhere, they are what they say."""
    configured = settings.load(missing_ok=True)
    here = dest is None and _transcribes_on_npu(configured)
    found = [each for name in names for each in _meant(name, names, place.store.catalog, configured, here)]
    return list(dict.fromkeys(found))


def _meant(name: str, asked: Sequence[str], known: Catalog, configured: Settings, here: bool) -> list[str]:
    if name in known and known.get(name).engine == hefs.ENGINE:
        proper = known.get(name).name
        if hefs.NEVER_WAS in name.lower():
            say(f"There is no model {name} for the Hailo NPU: {proper} is taken.")
        return [proper]
    form = _form(name, known, Path(configured.hailo.resources)) if here else None
    # Whoever asks for `Whisper-Base base` wants the one for the NPU and the one for the CPU.
    if form is None or (form in asked and name in known):
        return [name]
    the_default = configured.model.path is None and name == configured.model.name
    if name in known and not the_default:
        say(f"{name} is the model for the CPU. For the Hailo NPU it is called {form}.")
        return [name]
    say(f"{name} on the Hailo NPU is {form}.")
    # The CPU's form is served too, beside it or in its place.
    both = name in known and (name in configured.models.offered or configured.engine.fallback == "cpu")
    return [form, name] if both else [form]


def _form(name: str, known: Catalog, resources: Path) -> str | None:
    """What the catalog calls the best form of the model for this machine's NPU; None when there is none."""
    # Where HailoRT is still to come, nothing speaks against the better form.
    genai = hailo.genai() or importlib.util.find_spec("hailo_platform") is None
    looked = hefs.places(name, resources, hailo.architecture(), genai=genai)
    return next((each.stored for each in looked if each.stored in known), None)


def _transcribes_on_npu(configured: Settings) -> bool:
    kind = configured.engine.kind
    return kind == "hailo" or (kind == "auto" and hailo.lacking(hailo.survey(Path("/"))) is None)
