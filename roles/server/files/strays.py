#!/usr/bin/python3
"""Finds what lies in the program's environment and belongs to no package: left of one that was made on the host. Prints the paths.

Arguments: `look` or `remove`, and the folder of the environment. Nothing is said of an environment that no package has brought, and of what the roles put
beside a package's files: the lines that tell Python of further folders, and the libraries of CUDA.
"""

import shutil
import sys
from pathlib import Path

LISTS = Path("/var/lib/dpkg/info")
KEPT = ("lib/python3*/site-packages/hailo-whisper-*.pth", "lib/python3*/site-packages/nvidia")


def main():
    command, venv = sys.argv[1], Path(sys.argv[2])
    owned = {line for path in LISTS.glob("hailo-whisper*.list") for line in path.read_text(encoding="utf-8").splitlines()}
    if str(venv) not in owned:
        return
    kept = {path for pattern in KEPT for path in venv.glob(pattern)}
    for path in strays(venv, owned, kept):
        print(path)
        if command == "remove":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def strays(folder, owned, kept):
    """The paths below a folder that nobody owns; of a folder that nobody owns, the folder alone."""
    found = []
    for path in sorted(folder.iterdir()):
        if path in kept:
            continue
        if str(path) not in owned:
            found.append(path)
        elif path.is_dir() and not path.is_symlink():
            found += strays(path, owned, kept)
    return found


if __name__ == "__main__":
    main()
