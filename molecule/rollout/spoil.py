"""Makes a bad version of a package: what it expects to hear is not what is said, so that it is never ready. Arguments: the folder, the version.

Only its control files are others, among them the script that does it when it is installed: packing half a gigabyte again would take a minute.
"""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

SPOIL = "echo nothing of the kind >$(find /opt/hailo-whisper/venv -path '*/hailo_whisper/data/clip.txt')\n"
HEADER = 60
"""Bytes before each member of an ar archive."""


def main() -> None:
    folder, version = Path(sys.argv[1]), sys.argv[2]
    newest = max(path for path in folder.glob("hailo-whisper_*.deb"))
    whole = subprocess.run(["dpkg-deb", "--field", newest, "Version"], capture_output=True, text=True, check=True).stdout.strip()
    program, _, build = whole.partition("+")
    with newest.open("rb") as source, newest.with_name(newest.name.replace(program, version)).open("wb") as target:
        target.write(source.read(8))
        while header := source.read(HEADER):
            length = int(header[48:58])
            name = header[:16].decode().strip().rstrip("/")
            content = source.read(length + length % 2)[:length]
            if name.startswith("control.tar"):
                packed = subprocess.run(["dpkg-deb", "--ctrl-tarfile", newest], capture_output=True, check=True).stdout
                name, content = "control.tar", changed(packed, f"Version: {whole}", f"Version: {version}+{build}")
            target.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
            target.write(content + b"\n" * (len(content) % 2))


def changed(packed: bytes, old: str, new: str) -> bytes:
    """The control files with another version, and with what spoils it at the top of the script that runs when it is installed."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(packed)) as source,
        tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as target,
    ):
        for member in source:
            stream = source.extractfile(member)
            content = stream.read() if stream else b""
            if member.name.endswith("/control"):
                content = content.replace(old.encode(), new.encode())
            if member.name.endswith("/postinst"):
                first, _, rest = content.partition(b"\n")
                content = first + b"\n" + SPOIL.encode() + rest
            member.size = len(content)
            target.addfile(member, io.BytesIO(content) if stream else None)
    return out.getvalue()


if __name__ == "__main__":
    main()
