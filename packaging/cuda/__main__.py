"""`python3 -m cuda`: stages the source tree of the package with CUDA's libraries, from the wheels that nvidia.lock pins.

Of each wheel it takes what NVIDIA's agreement says may be handed on (its Attachment A), as it is, and that agreement. script/build-deb --cuda runs this,
and builds what it has staged. Nothing but the standard library is needed.
"""

import argparse
import email
import hashlib
import json
import re
import shutil
import stat
import sys
import textwrap
import uuid
import zipfile
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLACE = Path("opt/hailo-whisper/cuda")
# All of them in Attachment A of the agreement. The headers are not, and the service has no use for libnvblas, and for what is there a second time.
DISTRIBUTABLE = re.compile(r"nvidia/(cublas|cuda_nvrtc)/lib/lib(cublas|cublasLt|nvrtc|nvrtc-builtins)\.so\.[0-9.]+")
AGREEMENT = re.compile(r"[^/]+\.dist-info/(licenses/)?License\.txt")
METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
# Of the packaging: to be raised when something here changes, and the libraries do not.
REVISION = 1


def main() -> int:
    """Stage the tree. Returns 1, with a sentence, when the wheels are not what is expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, required=True, help="the folder of the wheels")
    parser.add_argument("--lock", type=Path, required=True, help="the lock file that pins them")
    parser.add_argument("--into", type=Path, required=True, help="the folder of the source tree")
    args = parser.parse_args()
    try:
        _stage(sorted(args.wheels.glob("*.whl")), args.lock, args.into)
    except (LookupError, OSError, zipfile.BadZipFile) as error:
        print(f"cuda: {error}", file=sys.stderr)
        return 1
    return 0


def _stage(wheels: list[Path], lock: Path, into: Path) -> None:
    shutil.copytree(HERE / "debian", into / "debian")
    libraries = into / PLACE
    libraries.mkdir(parents=True)
    components, agreements, dates = [], set(), set()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            name, version = _project(archive)
            taken = [member for member in archive.infolist() if DISTRIBUTABLE.fullmatch(member.filename)]
            if not taken:
                raise LookupError(
                    f"{wheel.name} has no library that may be handed on. See what is in it, and DISTRIBUTABLE in {__file__}."
                )
            files = {member.filename: _take(archive, member, libraries) for member in taken}
            agreements |= {archive.read(member).decode() for member in archive.namelist() if AGREEMENT.fullmatch(member)}
            dates |= {datetime(*member.date_time, tzinfo=UTC) for member in archive.infolist()}
        components.append(_component(name, version, files))
    cublas = [one["version"] for one in components if one["name"] == "nvidia-cublas-cu12"]
    if len(cublas) != 1 or len(agreements) != 1:
        raise LookupError(
            f"the wheels should be those of {lock}, with one agreement for all; there are: {', '.join(wheel.name for wheel in wheels) or 'none'}."
        )
    version, when = f"{cublas[0]}+{REVISION}", max(dates)
    # The role's stamp, by which the two know each other's work.
    (libraries / "installed").write_text(f"lock {hashlib.sha256(lock.read_bytes()).hexdigest()}\n", encoding="utf-8")
    (into / "sbom.cdx.json").write_text(_bill(components, version, when), encoding="utf-8")
    head = (HERE / "copyright.in").read_text(encoding="utf-8")
    (into / "debian/copyright").write_text(
        head + "".join(map(_line, agreements.pop().expandtabs().splitlines())), encoding="utf-8"
    )
    (into / "debian/changelog").write_text(
        f"hailo-whisper-cuda ({version}) unstable; urgency=medium\n\n  * The libraries of the wheels that nvidia.lock pins.\n\n"
        f" -- hailo-whisper contributors <hailo-whisper@users.noreply.github.com>  {format_datetime(when)}\n",
        encoding="utf-8",
    )


def _project(archive: zipfile.ZipFile) -> tuple[str, str]:
    (path,) = (member for member in archive.namelist() if METADATA.fullmatch(member))
    metadata = email.message_from_bytes(archive.read(path))
    return str(metadata["Name"]), str(metadata["Version"])


def _take(archive: zipfile.ZipFile, member: zipfile.ZipInfo, into: Path) -> str:
    """Write a library to its place. Returns its sum."""
    path = into / member.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH)
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _component(name: str, version: str, files: dict[str, str]) -> dict[str, str | list[dict[str, object]]]:
    licence: dict[str, object] = {"license": {"name": "NVIDIA Software License Agreement and CUDA Supplement"}}
    parts: list[dict[str, object]] = [
        {"type": "file", "name": f"/{PLACE}/{path}", "hashes": [{"alg": "SHA-256", "content": digest}]}
        for path, digest in files.items()
    ]
    purl = f"pkg:pypi/{name}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": [licence],
        "components": parts,
    }


def _bill(components: list[dict[str, str | list[dict[str, object]]]], version: str, when: datetime) -> str:
    own = f"pkg:deb/hailo-whisper-cuda@{version}?arch=amd64"
    bill: dict[str, object] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": when.isoformat(),
            "component": {"type": "library", "bom-ref": own, "name": "hailo-whisper-cuda", "version": version, "purl": own},
        },
        "components": components,
    }
    bill["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, own + json.dumps(bill)).urn
    return json.dumps(bill, indent=1) + "\n"


def _line(line: str) -> str:
    return f"{textwrap.indent(line.rstrip(), ' ')}\n" if line.strip() else " .\n"


if __name__ == "__main__":
    sys.exit(main())
