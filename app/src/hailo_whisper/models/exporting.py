"""Exporting models into a bundle, and having it signed."""

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ..failure import Failure
from .bundle import MANIFEST, SIGNATURE, Manifest, Packed, encoded, write
from .placement import SPARE_BYTES
from .progress import Progress, progress
from .store import Store, recorded_entry


class ExportFailed(Failure):
    """A bundle could not be made. The message says why, and what to do."""


def export(
    names: Sequence[str],
    store: Store,
    target: Path,
    *,
    secret_key: Path | None = None,
    make_progress: Callable[[str, int], Progress] = progress,
) -> None:
    """Write the models into one file, signed when there is a secret key of minisign.

    Every byte is compared with its sum first. A file that is there is replaced, when the new one is whole. Raises ModelUnusable and
    ExportFailed.
    """
    for name in names:
        store.verify(name)
    folders = [store.folder(name) for name in names]
    manifest = Manifest(
        schema_version=1,
        models=[Packed(entry=store.model(folder.name), own=recorded_entry(folder) is not None) for folder in folders],
    )
    content = encoded(manifest)
    signature = _signature(content, secret_key, ", ".join(folder.name for folder in folders)) if secret_key else None
    sources = {f"{folder.name}/{file}": folder / file for folder in folders for file in store.model(folder.name).files}
    size = sum(manifest.members().values())
    part = target.with_name(f".{target.name}.part")
    try:
        with make_progress(target.name, size) as shown:
            with part.open("wb") as file:
                for done in write(manifest, signature, file, sources, content):
                    shown.reach(done)
            part.replace(target)
    except OSError as error:
        raise ExportFailed(
            f"{target} cannot be written: {error.strerror or error}. It takes {(size + SPARE_BYTES) / 1e6:.0f} MB; choose another place "
            "with --to, or run the command as root (sudo)."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _signature(content: bytes, secret_key: Path, what: str) -> bytes:
    """Have minisign sign the manifest: it asks for the key's password itself, so that nobody else ever has it."""
    if not secret_key.is_file():
        raise ExportFailed(f"There is no secret key {secret_key}. Make a pair of keys with `minisign -G`.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MANIFEST
        path.write_bytes(content)
        command = ["minisign", "-S", "-s", str(secret_key), "-m", str(path), "-t", f"hailo-whisper bundle: {what}"]
        try:
            # Its words go where the progress goes: standard output is for what a script reads.
            done = subprocess.run(command, check=False, stdout=subprocess.PIPE)
        except FileNotFoundError:
            raise ExportFailed(
                "The program minisign is missing. Install it (`apt install minisign`), or leave --sign out."
            ) from None
        if done.returncode:
            raise ExportFailed(
                f"minisign could not sign with {secret_key} (exit status {done.returncode}). Check the key and its password."
            )
        return (Path(folder) / SIGNATURE).read_bytes()
