"""A tiny bundle for tests: everything that the verification and the role look at, and nothing of the size."""

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging"))

from bundle import archive
from bundle.contents import Members
from repository.key import Key

PROJECT = Path(__file__).resolve().parents[2]
TOP = "hailo-whisper-0.0.1"
MOMENT = 1_700_000_000
# When its repository was signed.
SIGNED = "Sat, 03 Oct 2026 10:00:00 UTC"
PACKAGES = {
    "pool/main/h/hailo-whisper/hailo-whisper_0.0.1_amd64.deb": b"the service" * 1000,
    "pool/main/p/python3.deb": b"a need of it",
}
INDEX = "".join(
    f"Package: {Path(path).name.split('_')[0]}\nVersion: 0.0.1\nFilename: {path}\nSize: {len(content)}\n\n"
    for path, content in PACKAGES.items()
)
REPOSITORY = PACKAGES | {
    "dists/bookworm/InRelease": f"Origin: hailo-whisper\nDate: {SIGNED}\n".encode(),
    "dists/bookworm/main/binary-amd64/Packages": INDEX.encode(),
    "dists/bookworm/main/binary-amd64/Packages.gz": gzip.compress(INDEX.encode(), mtime=0),
    "hailo-whisper.asc": b"the public key",
}
ABOUT = {
    "version": "0.0.1",
    "systems": ["bookworm/amd64"],
    "models": ["base"],
    "weights": [{"name": "base", "aliases": ["the-base"]}],
}


def members() -> Members:
    """The files of the tiny bundle."""
    files: Members = {
        "deploy": PROJECT / "packaging/bundle/deploy",
        "ansible.cfg": b"",
        "bundle.json": json.dumps(ABOUT).encode(),
        "inventory/airgap/hosts.yml": b"{}",
        "models/base/model.bin": b"the weights",
        "playbooks/airgap.yml": b"[]",
        "wheelhouse/pip-1.0-py3-none-any.whl": b"no wheel at all",
    }
    return files | {f"repository/{path}": content for path, content in REPOSITORY.items()}


def pack(path: Path, key: Key) -> Path:
    """The archive."""
    archive.write(members(), path, key, top=TOP, moment=MOMENT)
    return path


def unpack(path: Path, into: Path) -> Path:
    """The folder that an operator gets of it."""
    subprocess.run(["tar", "-C", into, "-xf", path], check=True)
    return into / TOP


def lay_out(into: Path) -> Path:
    """The same folder without a signature, for those who come after the verification."""
    sums = []
    for name, source in members().items():
        content = source.read_bytes() if isinstance(source, Path) else source
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (into / name).write_bytes(content)
        sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    (into / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    return into
