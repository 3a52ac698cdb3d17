"""Where a model is in the form that the Hailo NPU takes, and which of its forms is the one to take.

A form is one HEF for HailoRT's genai API, or a *pair*: a HEF of the encoder, one of the decoder, and the tokens' vectors. It lies in the store,
where it is verified as every model is, or where hailo-apps keeps it. See docs/hailo.md.
"""

import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..installation import in_image
from .cure import pulling, sentence
from .store import Store
from .unusable import ModelMissing, ModelUnusable, forbidden

log = logging.getLogger(__name__)

Kind = Literal["genai", "pair"]

# The forms that a device takes, the best first, by what it is. A Hailo-8 takes what was made for the 8L too, only slower; as PCI does not tell
# the one from the other, what runs on both comes first where nobody has said more.
FORMS: dict[str | None, tuple[tuple[Kind, str], ...]] = {
    "hailo10h": (("genai", "hailo10h"), ("pair", "hailo10h")),
    "hailo8": (("pair", "hailo8"), ("pair", "hailo8l")),
    "hailo8l": (("pair", "hailo8l"),),
    "hailo8-family": (("pair", "hailo8l"), ("pair", "hailo8")),
    None: (("genai", "hailo10h"), ("pair", "hailo10h"), ("pair", "hailo8l"), ("pair", "hailo8")),
}
# What is published; by what is said after an optional "whisper-". The last one never was, but fleets of today have it in their configuration.
GENAI = {"tiny": "Whisper-Tiny", "base": "Whisper-Base", "small": "Whisper-Small", "small-int8": "Whisper-Small"}
NEVER_WAS = "small-int8"
ENGINE = "hailo"
"""As the catalog calls the engine of these."""
NAMED = re.compile(r"(?:whisper-)?(?P<size>.+?)(?:-(?P<architecture>hailo8|hailo8l|hailo10h))?", re.IGNORECASE)


@dataclass(frozen=True)
class Network:
    """The files of a model in one form."""

    kind: Kind
    path: Path
    """What the worker is given: the HEF, or the folder of the pair."""
    hefs: tuple[Path, ...]
    """The HEF; of a pair, the encoder's and the decoder's."""
    embedding: Path | None = None
    """Of a pair: the tokens' vectors, a numpy file."""
    stored: str | None = None
    """Its name in the store, where it lies there and was verified."""


@dataclass(frozen=True)
class Place:
    """Where one form of a model may lie: in the store by a name of the catalog, and where hailo-apps keeps it."""

    kind: Kind
    architecture: str
    stored: str
    kept: Path
    """A file, or the folder of the encoder and the decoder."""


def forms(architecture: str | None, *, genai: bool = True) -> tuple[tuple[Kind, str], ...]:
    """The forms that a device takes, the best first, each with the architecture that it was made for.

    `architecture` is "hailo10h", "hailo8", "hailo8l", "hailo8-family" for one of the last two, or None when nobody knows. `genai` is
    whether the installed HailoRT has that API.
    """
    found = FORMS.get(architecture, FORMS[None])
    return tuple(form for form in found if genai or form[0] != "genai")


def general(name: str) -> str:
    """What a model is called whatever its form: `base` for `Whisper-Base` and `whisper-base-hailo8`."""
    size = _named(name)[0]
    return "small" if size == NEVER_WAS else size


def places(name: str, resources: Path, architecture: str | None = None, *, genai: bool = True) -> list[Place]:
    """Where a model may lie, the best form first. `resources` is the folder of hailo-apps.

    `base`, `whisper-base` and `Whisper-Base` are the same model in all its forms; `whisper-base-hailo8` is the one pair.
    """
    size, said = _named(name)
    found = []
    for kind, made_for in forms(architecture, genai=genai):
        if said and (kind, made_for) != ("pair", said):
            continue
        if kind == "genai":
            proper = GENAI.get(size, name)
            found.append(Place(kind, made_for, proper, resources / "models" / made_for / f"{proper}.hef"))
        elif size != NEVER_WAS:
            # As speech_recognition/app/download_resources.py of hailo-apps lays them out where it is started.
            kept = resources / "hefs" / made_for.replace("hailo", "h") / size
            found.append(Place(kind, made_for, f"whisper-{size}-{made_for}", kept))
    return found


def find(
    name: str, path: str | None, store: Store, resources: Path, architecture: str | None = None, *, genai: bool = True
) -> Network:
    """A model in the best form that is here: at `path` when that is given, else by its name. Raises ModelUnusable.

    See `places` for the rest. A model of the store is verified, as `Store.path` does it; one that is damaged is not passed over.
    """
    try:
        return at(Path(path)) if path else _find(name, store, resources, architecture, genai=genai)
    except OSError as error:
        raise _unreadable(error, store.root) from error


def _find(name: str, store: Store, resources: Path, architecture: str | None, *, genai: bool) -> Network:
    known = _published(name, store)
    own = store.root / name
    # A HEF of one's own, that nobody has a sum for.
    if not known and own.is_dir() and any(own.glob("*.hef")):
        return at(own)
    looked = places(name, resources, architecture, genai=genai)
    if known and store.catalog.get(name).name not in [place.stored for place in places(name, resources)]:
        # One of /etc/hailo/models.d, with a name of its own.
        return _stored(name, store)
    for place in looked:
        found = _found(place, store)
        if found:
            if _named(name)[0] == NEVER_WAS:
                log.warning("there is no model %s for the Hailo NPU: %s is taken", name, place.stored)
            return found
    raise ModelMissing(_missing(name, looked, store, architecture, genai=genai))


def at(path: Path) -> Network:
    """The form that a path is: a HEF, or a folder with one, or with a pair. Raises ModelUnusable."""
    try:
        return _at(path)
    except OSError as error:
        raise _unreadable(error, path) from error


def _at(path: Path) -> Network:
    if not path.exists():
        raise ModelMissing(
            f"The model file {path} does not exist. Set model.path to a HEF, or to the folder of one or of a pair."
        )
    if not path.is_dir():
        return Network("genai", path, (path,))
    found = sorted(path.glob("*.hef"))
    encoders, decoders = ([hef for hef in found if part in hef.name.lower()] for part in ("encoder", "decoder"))
    if len(found) == 1 and not encoders and not decoders:
        return Network("genai", found[0], (found[0],))
    if len(found) == 2 and len(encoders) == len(decoders) == 1:
        return Network("pair", path, (encoders[0], decoders[0]), _embedding(path))
    names = ", ".join(entry.name for entry in found) or "none"
    raise ModelUnusable(
        f"{path} should have one file that ends in .hef, or two of which one has `encoder` in its name and the other `decoder`; it has {names}. "
        "Set model.path to the file or the folder that is meant."
    )


def _found(place: Place, store: Store) -> Network | None:
    """What lies at a place. Raises ModelUnusable for what is there and damaged."""
    if _published(place.stored, store):
        with suppress(ModelMissing):
            return _stored(place.stored, store)
    if place.kind == "genai":
        return at(place.kept) if place.kept.is_file() else None
    return at(place.kept) if any(place.kept.glob("*.hef")) else None


def _published(name: str, store: Store) -> bool:
    """Whether the catalog has a model of that name or alias for the NPU."""
    return name in store.catalog and store.catalog.get(name).engine == ENGINE


def _stored(name: str, store: Store) -> Network:
    """A model of the store, verified. Raises ModelUnusable."""
    folder = store.path(name)
    return replace(at(folder), stored=folder.name)


def _named(name: str) -> tuple[str, str]:
    """The size in a name, and the architecture that it says, if any: of `whisper-base-hailo8` "base" and "hailo8"."""
    found = NAMED.fullmatch(name)
    return (found["size"].lower(), (found["architecture"] or "").lower()) if found else (name, "")


def _embedding(folder: Path) -> Path:
    """The tokens' vectors: beside the HEFs, or where hailo-apps keeps them. Raises ModelMissing."""
    assets = folder.parent.parent.parent / "decoder_assets" / folder.name / "decoder_tokenization"
    found = next((entry for place in (folder, assets) for entry in sorted(place.glob("token_embedding_weight*.npy"))), None)
    if found is None:
        raise ModelMissing(
            f"The pair in {folder} lacks the tokens' vectors, token_embedding_weight_NAME.npy: neither there nor in {assets}. "
            "Pull the whole model (`hailo-whisper models list` shows the names), or copy that file there."
        )
    return found


def _unreadable(error: OSError, place: Path) -> ModelUnusable:
    """What to do about files that this user may not see, or that a disk does not give."""
    where = error.filename or place
    if isinstance(error, PermissionError):
        return ModelUnusable(forbidden(f"The model at {where}"))
    return ModelUnusable(
        f"The model at {where} cannot be read: {error.strerror or error}. See whether the disk is well (`dmesg` tells)."
    )


def _missing(name: str, looked: Sequence[Place], store: Store, architecture: str | None, *, genai: bool) -> str:
    """What to do about a model that is nowhere."""
    device = {"hailo8-family": "the Hailo-8 or 8L", None: "the Hailo NPU"}.get(architecture, architecture)
    if not looked:
        return f"There is no form of the model {name} for {device}. Name another one: `hailo-whisper models list` shows them."
    pulled = [place.stored for place in looked if _published(place.stored, store)]
    if pulled:
        cure = pulling(pulled[0], root=store.root)
    else:
        cure = (
            "mount what hailo-apps has fetched (HAILO_RESOURCES in compose)"
            if in_image()
            else "fetch it with hailo-apps (role hailo_apps)"
        )
    where = ", ".join(str(place.kept) for place in looked)
    lacking = "" if genai else " HailoRT's genai API is not installed, so that only a pair of an encoder and a decoder would do."
    return f"There is no HEF of the model {name} for {device}: neither in {store.root} nor at {where}.{lacking} {sentence(cure)} Or set model.path to one."
