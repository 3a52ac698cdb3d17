"""Bundles: models in one file, for machines without a network.

A bundle is a plain tar. First comes `manifest.json`, then perhaps `manifest.json.minisig`, which is minisign's signature of it, then the files,
each as `MODEL/FILE`, in the manifest's order. The manifest has the size and the sum of each, so the signature covers everything. A bundle
is refused for anything that it should not have in it, before any of it is written anywhere.
"""

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..failure import Failure
from .catalog import Model
from .signature import SignatureWrong, Trust, check

MANIFEST, SIGNATURE = "manifest.json", "manifest.json.minisig"
LARGEST_MANIFEST, LARGEST_SIGNATURE = 4_000_000, 4_000


class BundleRefused(Failure):
    """A bundle cannot be read, or is not what it must be. The message says why, and what to do."""


class Packed(BaseModel):
    """One model in a bundle. `own` says that its entry is not the catalog's, but came with the model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entry: Model
    own: bool = False

    @model_validator(mode="after")
    def _summed(self) -> "Packed":
        if any(file.size is None or file.sha256 is None for file in self.entry.files.values()):
            raise ValueError(f"the files of {self.entry.name} must all have a size and a sha256")
        return self


class Manifest(BaseModel):
    """What a bundle says of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1]
    models: Annotated[list[Packed], Field(min_length=1)]

    @model_validator(mode="after")
    def _named_once(self) -> "Manifest":
        names = [model.entry.name for model in self.models]
        if len(set(names)) != len(names):
            raise ValueError("each model may be in it once")
        return self

    def members(self) -> dict[str, int]:
        """The members that follow, in order, and their sizes in bytes."""
        return {f"{model.entry.name}/{name}": file.size or 0 for model in self.models for name, file in model.entry.files.items()}


@dataclass(frozen=True)
class Bundle:
    """A bundle whose manifest, signature and members were looked at and found right. The bytes are checked when they are taken out."""

    path: Path
    manifest: Manifest
    signed: bool
    comment: str | None

    def get(self, name: str) -> Packed | None:
        """What the bundle has of that model."""
        return next((model for model in self.manifest.models if model.entry.name == name), None)

    def files(self, name: str) -> Iterator[tuple[str, IO[bytes]]]:
        """Each file of the model with a stream of its bytes. Raises BundleRefused when the bundle has changed meanwhile."""
        packed = self.get(name)
        wanted = {f"{name}/{file}": file for file in packed.entry.files} if packed else {}
        with _opened(self.path) as archive:
            for member in archive:
                if member.name in wanted:
                    stream = archive.extractfile(member) if member.isreg() else None
                    if stream is None:
                        raise _refusal(self.path, f"{member.name} is not a file")
                    yield wanted.pop(member.name), stream
            if wanted:
                raise _refusal(self.path, f"{', '.join(wanted)} is missing")


def is_bundle(path: Path) -> bool:
    """Whether the file looks like a bundle: a tar that begins with a manifest."""
    try:
        with tarfile.open(path, "r:") as archive:
            first = archive.next()
            return first is not None and first.name == MANIFEST
    except (tarfile.TarError, OSError):
        return False


def read(path: Path, trust: Trust) -> Bundle:
    """Look at a bundle: its manifest, its signature, and that it has the members that the manifest names, and no other.

    Raises BundleRefused.
    """
    with _opened(path) as archive:
        content = _small(path, archive, archive.next(), MANIFEST, LARGEST_MANIFEST)
        member = archive.next()
        signature = None
        if member is not None and member.name == SIGNATURE:
            signature = _small(path, archive, member, SIGNATURE, LARGEST_SIGNATURE)
            member = archive.next()
        # The signature first: what is in a manifest that nobody has signed is not worth a look.
        comment = _check_signature(path, content, signature, trust)
        manifest = _parsed(path, content)
        expected = iter(manifest.members().items())
        while member is not None:
            _check_member(path, member, next(expected, None))
            member = archive.next()
        missing = next(expected, None)
        if missing:
            raise _refusal(path, f"{missing[0]} is missing")
    return Bundle(path, manifest, signature is not None, comment)


def write(
    manifest: Manifest, signature: bytes | None, target: IO[bytes], sources: dict[str, Path], content: bytes
) -> Iterator[int]:
    """Write a bundle into the open file; `sources` has the file for each member. Yields the bytes of the members so far.

    `content` are the manifest's bytes, as they were signed. The same models make the same bundle, byte for byte. Raises OSError.
    """
    with tarfile.open(fileobj=target, mode="w:", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(_member(MANIFEST, len(content)), io.BytesIO(content))
        if signature is not None:
            archive.addfile(_member(SIGNATURE, len(signature)), io.BytesIO(signature))
        done = 0
        for name, size in manifest.members().items():
            with sources[name].open("rb") as source:
                archive.addfile(_member(name, size), source)
            done += size
            yield done


def encoded(manifest: Manifest) -> bytes:
    """The manifest as the bytes that are signed."""
    return (manifest.model_dump_json(indent=2, exclude_unset=True) + "\n").encode()


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:") as archive:
            yield archive
    except tarfile.TarError as error:
        raise _refusal(path, f"it is cut short or no plain tar file ({error})") from error
    except OSError as error:
        raise BundleRefused(f"The bundle {path} cannot be read: {error.strerror or error}.") from error


def _refusal(path: Path, why: str) -> BundleRefused:
    return BundleRefused(
        f"The bundle {path} is refused: {why}. Nothing of it was taken. Copy it again, or make it again with `hailo-whisper models export`."
    )


def _small(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo | None, name: str, largest: int) -> bytes:
    if member is None or member.name != name or not _is_plain(member):
        raise _refusal(path, f"it does not begin with {MANIFEST}")
    if member.size > largest:
        raise _refusal(path, f"its {name} has {member.size} bytes")
    stream = archive.extractfile(member)
    content = stream.read() if stream else b""
    if len(content) != member.size:
        raise _refusal(path, f"its {name} is cut short")
    return content


def _is_plain(member: tarfile.TarInfo) -> bool:
    # Not isreg(), which takes sparse files for regular ones; and a tar's own headers could rename or resize a member.
    return member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.pax_headers and not member.issparse()


def _check_member(path: Path, member: tarfile.TarInfo, expected: tuple[str, int] | None) -> None:
    shown = member.name if member.name.isprintable() and len(member.name) < 200 else repr(member.name)[:200]
    if member.name.startswith("/") or ".." in member.name.split("/"):
        raise _refusal(path, f"{shown} leads out of its folder")
    if member.issym() or member.islnk():
        raise _refusal(path, f"{shown} is a link")
    if not _is_plain(member):
        raise _refusal(path, f"{shown} is not a plain file")
    if expected is None or member.name != expected[0]:
        due = f", where {expected[0]} is due" if expected else ""
        raise _refusal(path, f"{shown} is not in its manifest, or not in this place{due}")
    if member.size != expected[1]:
        raise _refusal(path, f"{shown} has {member.size} bytes, and by its manifest {expected[1]}")


def _check_signature(path: Path, content: bytes, signature: bytes | None, trust: Trust) -> str | None:
    if signature is None:
        if trust.required:
            raise _refusal(path, "it is not signed, and models.require_signature asks for a signature")
        return None
    if not trust.keys and not trust.required:
        return None
    try:
        return check(content, signature.decode("utf-8", errors="replace"), trust.keys)
    except SignatureWrong as error:
        raise BundleRefused(f"The bundle {path} is refused. {error} Nothing of it was taken.") from error


def _parsed(path: Path, content: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"]) or "it"
        raise _refusal(path, f"its manifest breaks the schema ({place}: {first['msg']})") from None


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member
