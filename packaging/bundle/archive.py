"""The archive: one plain tar, because what is in it is compressed already, and every system can unpack it."""

import hashlib
import io
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from hailo_whisper.models.progress import Progress, progress
from repository.key import Key

from . import Refused
from .contents import Members

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.asc"
CHUNK = 1 << 20
# What a tar takes besides.
SPARE_BYTES = 16 << 20


def write(
    members: Members, output: Path, key: Key, *, top: str, moment: int, progress: Callable[[str, int], Progress] = progress
) -> int:
    """Write the members below the folder `top`, with their sums and the signature of those first; returns the size in bytes.

    The sums come first, so that an archive that was cut short is found out by what it lacks. An archive that is there is replaced when the new one is
    whole. Raises Refused.
    """
    size = sum(_size(source) for source in members.values())
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(output.parent).free
    except OSError as error:
        raise Refused(f"{output.parent} cannot be written: {error.strerror}. Choose another place with --output.") from error
    if free < size + SPARE_BYTES:
        raise Refused(
            f"the bundle takes {(size + SPARE_BYTES) / 1e6:.0f} MB, and {output.parent} has {free / 1e6:.0f} MB free. Choose another place with --output."
        )
    part = output.with_name(f".{output.name}.part")
    try:
        with progress("Summing", size) as shown:
            sums = "".join(f"{digest}  {name}\n" for name, digest in _sums(members, shown)).encode()
        front: Members = {SUMS: sums, SIGNATURE: _signed(sums, key)}
        done = 0
        with progress(output.name, size) as shown, tarfile.open(part, "w:", format=tarfile.USTAR_FORMAT) as archive:
            for name, source in [*front.items(), *sorted(members.items())]:
                with _opened(source) as file:
                    archive.addfile(_member(f"{top}/{name}", source, moment), file)
                done += _size(source)
                shown.reach(done)
        part.replace(output)
    except OSError as error:
        raise Refused(f"{output} cannot be written: {error.strerror or error}. Choose another place with --output.") from error
    finally:
        part.unlink(missing_ok=True)
    return output.stat().st_size


def _sums(members: Members, shown: Progress) -> Iterator[tuple[str, str]]:
    done = 0
    for name, source in sorted(members.items()):
        total = hashlib.sha256()
        with _opened(source) as file:
            while chunk := file.read(CHUNK):
                total.update(chunk)
                done += len(chunk)
                shown.reach(done)
        yield name, total.hexdigest()


def _signed(sums: bytes, key: Key) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SUMS
        path.write_bytes(sums)
        key.sign("--detach-sign", path, Path(folder) / SIGNATURE)
        return (Path(folder) / SIGNATURE).read_bytes()


def _member(name: str, source: Path | bytes, moment: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = _size(source), moment
    member.mode = 0o755 if isinstance(source, Path) and source.stat().st_mode & stat.S_IXUSR else 0o644
    member.uname = member.gname = "root"
    return member


def _opened(source: Path | bytes) -> IO[bytes]:
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source)


def _size(source: Path | bytes) -> int:
    return source.stat().st_size if isinstance(source, Path) else len(source)
