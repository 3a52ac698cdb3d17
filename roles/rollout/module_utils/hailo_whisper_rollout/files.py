"""Files and trees of them: what they say, by what they are told apart, and how they come onto the disk."""

import hashlib
import json
import os
import shutil
from pathlib import Path


def text(path):
    """What a file says; None when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def read(path):
    """The object in a file of JSON; None when there is none, or it is damaged."""
    try:
        found = json.loads(text(path) or "")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def write(path, content, mode=0o644):
    """Write JSON, whole or not at all, so that it is there after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=1)
        stream.write("\n")
        stream.flush()
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())
    part.replace(path)


def sync(path):
    """Have a file on the disk, so that it is not empty after a power cut."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def remove(path):
    """A folder with all that is in it."""
    if path.exists():
        shutil.rmtree(path)


def copy_tree(source, target):
    """A folder again, without taking room: pip and venv never write into a file that is there. Where links cannot be had, a copy."""

    def place(one, other):
        try:
            os.link(one, other, follow_symlinks=False)
        except OSError:
            shutil.copy2(one, other)

    part = target.with_name(f"{target.name}.part")
    remove(part)
    shutil.copytree(source, part, symlinks=True, copy_function=place)
    part.rename(target)


def measure(tree):
    """What tells one state of a tree from another: each file with its length and when it was written. Python's own cache comes and goes."""
    found = []
    for folder, names, files in os.walk(tree):
        names[:] = sorted(name for name in names if name != "__pycache__")
        for name in sorted(files):
            path = Path(folder, name)
            status = path.lstat()
            found.append(
                [
                    str(path.relative_to(tree)),
                    0 if path.is_symlink() else status.st_size,
                    0 if path.is_symlink() else status.st_mtime_ns,
                ]
            )
    return summed(found)


def summed(value):
    """A sum of anything that can be written as JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
