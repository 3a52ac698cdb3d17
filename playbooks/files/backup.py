#!/usr/bin/python3
"""Backs up what of hailo-whisper cannot be made anew, and puts it back: the configuration, the API keys, and what the models are.

A backup is one JSON document: `files` by path, each as base64, and `models` with the sum of each of their files, but not the models themselves.
It says whose it is, and has a sum of itself, so that a damaged one is refused. The first argument is `make` (prints a document) or `restore` (reads
one from standard input, and prints what it did, or why it refuses); the second is a JSON object:

`host`: its name in the inventory. `keys`: the path of the key file, or "". `store`: the folder of the models. `catalog`: the folder of the
descriptions of one's own. `check`: change nothing. `root`: of another file system, for tests.
"""

import base64
import binascii
import grp
import hashlib
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

FORMAT = "hailo-whisper-backup 1"
CONFIGURATION = "/etc/hailo/hailo-whisper.yaml"
PROGRAM = "/opt/hailo-whisper/venv/bin/hailo-whisper"
GROUP = "hailo-whisper"
# Of the packages hailo-whisper-model-*. What lies in the store goes before it.
PACKAGED = "/usr/share/hailo-whisper/models"
# Lies there from the first file that is put back until the service runs with all of them, so that a restore that was cut off is gone on with.
UNFINISHED = "/etc/hailo/hailo-whisper.restoring"


class Refused(Exception):
    """What cannot be done, as a sentence that says what to do."""


def main():
    command, options = sys.argv[1], json.loads(sys.argv[2])
    root = Path(options.get("root", "/"))
    try:
        if command == "make":
            print(json.dumps(make(root, options), indent=1, sort_keys=True))
        else:
            print(json.dumps(restore(root, options, opened(sys.stdin.read(), options))))
    except Refused as refused:
        refuse(str(refused))
    except OSError as error:
        refuse(
            f"{error.filename or 'A file'} could not be read or written ({error.strerror or error}). Mend that, and run the playbook again."
        )


def refuse(sentence):
    print(json.dumps({"refused": sentence}))
    sys.exit(3)


def make(root, options):
    """The document. What is not there is left out; a machine without a configuration has nothing to back up."""
    files = {}
    for path in (CONFIGURATION, options["keys"], *(f"{options['catalog']}/{path.name}" for path in own(root, options))):
        place = below(root, path)
        if path and place.is_file():
            files[path] = base64.b64encode(place.read_bytes()).decode()
    if CONFIGURATION not in files:
        raise Refused(
            f"{options['host']} has no {CONFIGURATION}. Deploy it first (playbooks/site.yml), or leave it out with --limit."
        )
    document = {"format": FORMAT, "host": options["host"], "files": files, "models": models(root, options)}
    return {**document, "sha256": summed(document)}


def own(root, options):
    """The descriptions of the host's own models."""
    return sorted(below(root, options["catalog"]).glob("*.yaml"))


def models(root, options):
    """The sums of each model's files, as they were when it was verified."""
    found = {}
    places = [place for roof in (PACKAGED, options["store"]) for place in below(root, roof).glob("[!.]*")]
    for name, place in sorted({place.name: place for place in places}.items()):
        try:
            files = json.loads((place / "manifest.json").read_text(encoding="utf-8"))["files"]
            found[name] = {file: files[file]["sha256"] for file in sorted(files)}
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            # What nobody has verified has no sum to be compared with.
            continue
    return found


def opened(text, options):
    """A document that is whole and this host's. Raises Refused."""
    host = options["host"]
    try:
        document = json.loads(text)
        told = document.pop("sha256")
        known = document["format"] == FORMAT
        files = {path: base64.b64decode(content, validate=True) for path, content in document["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise Refused(f"The backup of {host} is damaged, or none of hailo-whisper's. Take an older one.") from None
    if not known:
        raise Refused(
            f"The backup of {host} is of the form {document['format']!r}, and this tree reads {FORMAT!r}. Restore it with the tree that made it."
        )
    if told != summed(document):
        raise Refused(f"The backup of {host} is damaged: its sum does not fit. Take an older one.")
    if document["host"] != options.get("of", host):
        raise Refused(
            f"The backup is of {document['host']}, and not of {options.get('of', host)}. Name the right folder, or say "
            f"hailo_whisper_restore_of={document['host']} if {host} is to take its place."
        )
    for path in files:
        if not (
            path in (CONFIGURATION, options["keys"]) or (Path(path).parent == Path(options["catalog"]) and path.endswith(".yaml"))
        ):
            raise Refused(
                f"The backup of {host} has {path!r}, which is neither its configuration, its key file nor of its catalog "
                "(access.keys and models.catalog of hailo_whisper_config). Correct the inventory, or do not trust it."
            )
    return {"files": files, "models": document["models"]}


def restore(root, options, document):
    """Put the files back, if the program takes the configuration. Gives what changed, and the models that are missing or others."""
    configuration = document["files"].get(CONFIGURATION)
    if configuration is not None:
        check(root, configuration)
    changed = [path for path, content in document["files"].items() if current(below(root, path)) != content]
    mark = below(root, UNFINISHED)
    unfinished = bool(changed) or mark.exists()
    if changed and not options["check"]:
        mark.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        mark.touch()
        for path in changed:
            write(root, path, document["files"][path], path == options["keys"])
    there = models(root, options)
    lacking = sorted(name for name in document["models"] if name not in there)
    other = sorted(name for name, files in document["models"].items() if name in there and there[name] != files)
    return {"written": changed, "lacking": lacking, "other": other, "unfinished": unfinished, "mark": str(mark)}


def check(root, configuration):
    """Refuse what the program here would not start with."""
    program = below(root, PROGRAM)
    if not program.exists():
        raise Refused("hailo-whisper is not installed there. Deploy it first (playbooks/site.yml), then restore.")
    path = below(root, f"{CONFIGURATION}.{secrets.token_hex(4)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_bytes(configuration)
        done = subprocess.run([program, "config", "check", path], capture_output=True, text=True, check=False)
    finally:
        path.unlink(missing_ok=True)
    if done.returncode:
        said = done.stderr.strip().replace(str(path), CONFIGURATION)
        raise Refused(
            f"The program there does not take the configuration of the backup: {said} Install the version that it is of."
        )


def current(path):
    """What a file holds; None when it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write(root, path, content, secret):
    """Whole or not at all, and never readable for those who should not, also not for a moment."""
    place = below(root, path)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        os.fchown(stream.fileno(), 0, group() if secret else 0)
        os.fchmod(stream.fileno(), 0o640 if secret else 0o644)
        os.fsync(stream.fileno())
    part.replace(place)


def group():
    """The service's; root's where there is none."""
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return 0


def below(root, path):
    """A path in the file system of that root."""
    return root / path.lstrip("/")


def summed(document):
    """The sum of a document, however it is laid out."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


if __name__ == "__main__":
    main()
