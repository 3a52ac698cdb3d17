#!/usr/bin/python3
"""Keeps hailo-apps in a folder, at one commit or from one archive, with two small patches. Prints JSON.

Arguments: an action, and a JSON object or the file that has it (an address may have a password in it, and a command line is for all to see).

`look` changes nothing: {"state": "as wanted" | "missing" | "outdated" | "changed", "git": whether there is one, "site_packages": of the venv}.
`place` puts a new tree in the place of the old one, in one step: {"placed": ...}, or {"error": sentences} with the old one as it was.

The object: `tree` (the folder), `resources` (what RESOURCES_ROOT_PATH_DEFAULT becomes), `venv`, and either `commit` and `repositories` (git
addresses, tried in order) or `sha256` with `archive` (an address, or a file on this machine: .tar.gz or .zip).
"""

import base64
import contextlib
import ctypes
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.parse
import urllib.request
import zipfile
import zlib
from pathlib import Path, PurePosixPath

DEFINES = "hailo_apps/python/core/common/defines.py"
DOWNLOADER = "hailo_apps/installation/download_resources.py"
CONSTANT = "RESOURCES_ROOT_PATH_DEFAULT"
STAMP = ".hailo-whisper.json"
# Part of the stamp: another number has trees made anew that were patched otherwise.
PATCHES = 1
LARGEST = 1_000_000_000
STALL_SECONDS = 30
LIMIT_SECONDS = 900
KEPT = "What was installed before is as it was."
CHUNK = 1 << 20
RENAME_EXCHANGE = 2
AT_FDCWD = -100


class Refused(Exception):
    """Nothing was changed. The message is sentences that say what to do."""


def main():
    action, given = sys.argv[1:]
    wanted = json.loads(given if given.startswith("{") else Path(given).read_text(encoding="utf-8"))
    try:
        answer = look(wanted) if action == "look" else place(wanted)
    except Refused as refusal:
        answer = {"error": f"{scrubbed(str(refusal))} {KEPT}"}
    except OSError as error:
        answer = {
            "error": f"{error.filename or wanted['tree']} cannot be written or read: {error.strerror or error}. Mend that. {KEPT}"
        }
    print(json.dumps(answer))


def scrubbed(words):
    """Without what is secret of the addresses in it: a user with a password, and what follows a question mark."""
    # A password may have an @ in it, so up to the last one of the host's part.
    words = re.sub(r"://[^/\s]*@", "://", words)
    return re.sub(r"(://[^\s?#]*)[?#]\S*?(?=[.:;,'\")]*(?:\s|$))", r"\1", words)


def look(wanted):
    """What is there, compared with what is wanted."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return {
        "state": state(Path(wanted["tree"]), wanted),
        "git": shutil.which("git") is not None,
        "site_packages": f"{wanted['venv']}/lib/{version}/site-packages",
    }


def state(tree, wanted):
    if not tree.is_dir():
        return "missing"
    try:
        stamp = json.loads((tree / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "outdated"
    if stamp.get("made") != made(wanted):
        return "outdated"
    return "as wanted" if stamp.get("tree") == digest(tree) else "changed"


def made(wanted):
    """What a tree is made from and how: two of the same are the same tree."""
    source = {"sha256": wanted["sha256"]} if wanted["archive"] else {"commit": wanted["commit"]}
    return source | {"resources": wanted["resources"], "patches": PATCHES}


def digest(tree):
    """The sum of all that is in the tree, with modes and owners; what Python keeps there of compiled modules does not count."""
    found = hashlib.sha256()
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree)
        if "__pycache__" in name.parts or name == Path(STAMP):
            continue
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        found.update(f"{name}\0{status.st_mode:o} {status.st_uid} {status.st_gid}\0{content}\n".encode())
    return found.hexdigest()


def place(wanted):
    """Make the tree anew beside the old one, and exchange the two. Raises Refused."""
    tree = Path(wanted["tree"])
    if state(tree, wanted) == "as wanted":
        return {"placed": False}
    tree.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for left in tree.parent.glob(".hailo-apps.*"):
        shutil.rmtree(left)
    work = Path(tempfile.mkdtemp(prefix=".hailo-apps.", dir=tree.parent))
    try:
        archive = fetch_archive(wanted, work) if wanted["archive"] else fetch_commit(wanted, work)
        what = archive_name(wanted) if wanted["archive"] else f"The commit {wanted['commit']} of hailo-apps"
        new = root_of(unpack(archive, work / "unpacked", what), what)
        patch(new, wanted["resources"], what)
        own(new)
        (new / STAMP).write_text(json.dumps({"made": made(wanted), "tree": digest(new)}, indent=2) + "\n", encoding="utf-8")
        own(new / STAMP)
        exchange(new, tree, work / "old")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return {"placed": True}


def fetch_commit(wanted, work):
    """The commit as a tar file, from the first of the repositories that has it."""
    if shutil.which("git") is None:
        raise Refused("There is no git on this machine. Install it, or give an archive with hailo_whisper_hailo_apps_archive.")
    failed = []
    for repository in wanted["repositories"]:
        try:
            return commit_from(repository, wanted["commit"], work)
        except Refused as refusal:
            failed.append(f"{repository} {refusal}")
    raise Refused(
        f"hailo-apps could not be fetched: {'; '.join(failed)}. Mend hailo_whisper_hailo_apps_commit or "
        "hailo_whisper_hailo_apps_repositories, or give an archive with hailo_whisper_hailo_apps_archive."
    )


def commit_from(repository, commit, work):
    """Raises Refused with a clause about the repository."""
    bare = work / "git"
    shutil.rmtree(bare, ignore_errors=True)
    address, secret = parted(repository) if repository.startswith(("http://", "https://")) else (repository, "")
    site = "/".join(address.split("/")[:3]) + "/"
    # For that site alone: git may be sent on to another one.
    header = {f"http.{site}.extraHeader": f"Authorization: {secret}"} if secret else {}
    git(bare, "init", "--quiet", "--bare", str(bare))
    fault = None
    # One commit is a few MB; a server that gives out only what its branches and tags name is asked for all of these.
    for what in (["--depth=1", address, commit], [address, "+refs/*:refs/*"]):
        try:
            git(bare, "fetch", "--quiet", "--no-tags", *what, settings=header)
        except Refused as refusal:
            fault = str(refusal)
            if "not our ref" not in fault and "unadvertised object" not in fault and "couldn't find remote ref" not in fault:
                raise
        with contextlib.suppress(Refused):
            git(bare, "archive", "--format=tar", f"--output={work / 'commit.tar'}", f"{commit}^{{commit}}")
            return work / "commit.tar"
    raise Refused(f"has no commit {commit}")


def git(bare, *arguments, settings=None):
    """Run git, ask nobody for anything and wait for nobody for ever. Raises Refused with git's last words.

    `settings` are git's, and secret: they are in the environment, since a command line is for all to see.
    """
    count = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    more = {"GIT_CONFIG_COUNT": str(count + len(settings or {}))}
    for number, (name, value) in enumerate((settings or {}).items(), count):
        more |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    quiet = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": f"ssh -oBatchMode=yes -oConnectTimeout={STALL_SECONDS}",
        "GIT_HTTP_LOW_SPEED_LIMIT": "1000",
        "GIT_HTTP_LOW_SPEED_TIME": str(STALL_SECONDS),
        "LC_ALL": "C",
    }
    with subprocess.Popen(
        ["git", f"--git-dir={bare}", *arguments],
        env=quiet
        | {name: value for name, value in os.environ.items() if not name.startswith("GIT_DIR")}
        | {"LC_ALL": "C"}
        | more,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            _, words = child.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            raise Refused(f"was not done after {LIMIT_SECONDS} seconds") from None
    if child.returncode:
        said = [line.strip() for line in words.splitlines() if line.strip()] or ["nothing"]
        telling = [line for line in said if line.startswith(("fatal:", "error:", "remote:"))] or said
        raise Refused("could not be asked: " + telling[0].rstrip("."))


def archive_name(wanted):
    return f"The archive {wanted.get('named') or wanted['archive']}"


def fetch_archive(wanted, work):
    """The archive, with the sum that it must have."""
    source, path = wanted["archive"], work / "archive"
    seen, size, end = hashlib.sha256(), 0, time.monotonic() + LIMIT_SECONDS
    try:
        # A file of this machine, or an address; a proxy and certificates are those of the environment.
        address = request(source if "://" in source else Path(source).absolute().as_uri())
        with urllib.request.urlopen(address, timeout=STALL_SECONDS) as arriving, path.open("wb") as kept:
            while chunk := arriving.read(CHUNK):
                size += len(chunk)
                if size > LARGEST:
                    raise Refused(
                        f"{archive_name(wanted)} is larger than {LARGEST // 1_000_000} MB, which hailo-apps is not. Mend its address."
                    )
                if time.monotonic() > end:
                    raise Refused(
                        f"{archive_name(wanted)} had not come after {LIMIT_SECONDS} seconds. Give a file on the controller."
                    )
                seen.update(chunk)
                kept.write(chunk)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise Refused(
            f"{archive_name(wanted)} cannot be fetched: {reason}. Mend hailo_whisper_hailo_apps_archive, or give a file on the controller."
        ) from None
    if seen.hexdigest() != wanted["sha256"]:
        raise Refused(
            f"{archive_name(wanted)} has the sha256 {seen.hexdigest()}, and {wanted['sha256']} was expected. Fetch it again; when you "
            "trust what came, set hailo_whisper_hailo_apps_archive_sha256 to its sum."
        )
    return path


def request(address):
    """What to ask for; a user and a password in the address become a header, since urllib takes them for a part of the host."""
    bare, secret = parted(address)
    asked = urllib.request.Request(bare)
    if secret:
        # Not for where the request may be sent on to.
        asked.add_unredirected_header("Authorization", secret)
    return asked


def parted(address):
    """The address without a user and a password, and what the header Authorization says in their stead; "" where there are none."""
    user, at, _ = address.partition("://")[2].partition("/")[0].rpartition("@")
    if not at:
        return address, ""
    name, _, password = user.partition(":")
    pair = f"{urllib.parse.unquote(name)}:{urllib.parse.unquote(password)}"
    return address.replace(user + at, "", 1), "Basic " + base64.b64encode(pair.encode()).decode()


def unpack(archive, folder, what):
    """Every regular file of the archive; links and devices are left out. Raises Refused for what wants to lie elsewhere."""
    folder.mkdir()
    room = LARGEST
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                for entry in opened.infolist():
                    mode = entry.external_attr >> 16
                    if not entry.is_dir() and mode & 0o170000 in (0, 0o100000):
                        with opened.open(entry) as content:
                            room -= write(inside(folder, entry.filename, what), content, mode, what, room)
        else:
            with tarfile.open(archive) as opened:
                for entry in opened:
                    if entry.isreg():
                        room -= write(inside(folder, entry.name, what), opened.extractfile(entry), entry.mode, what, room)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Refused(f"{what} is no sound .tar.gz or .zip: {error}. Make it again.") from None
    return folder


def inside(folder, name, what):
    """Where a file of the archive goes."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise Refused(f"{what} has the file {name}, which would lie elsewhere. Do not trust it.")
    return folder / path


def write(path, content, mode, what, room):
    """One file of at most `room` bytes, and how many these are. Raises Refused before it has written more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as kept:
        written = 0
        while chunk := content.read(CHUNK):
            written += len(chunk)
            if written > room:
                raise Refused(f"{what} unpacks to more than hailo-apps can be. Do not trust it.")
            kept.write(chunk)
    path.chmod(0o755 if mode & 0o100 else 0o644)
    return written


def root_of(folder, what):
    """The folder that has hailo_apps in it: the archive's own, or the one that everything in it lies in."""
    for root in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if (root / DOWNLOADER).is_file():
            return root
    raise Refused(f"{what} is not hailo-apps as this program knows it: it has no {DOWNLOADER}. Choose another commit or archive.")


def patch(tree, resources, what):
    """Point hailo-apps to our folder, and make packages of its folders that are none. The same tree becomes the same tree."""
    defines = tree / DEFINES
    text = defines.read_text(encoding="utf-8") if defines.is_file() else ""
    line = rf"^{CONSTANT}\s*(?::\s*str\s*)?=\s*([\"'])[^\"'\n]*\1.*$"
    text, found = re.subn(
        line, lambda _: f"{CONSTANT} = {json.dumps(resources)}  # Set by hailo-whisper.", text, flags=re.MULTILINE
    )
    if found != 1:
        raise Refused(
            f'{what} has {found or "no"} line{"s" if found > 1 else ""} {CONSTANT} = "..." in {DEFINES}, where one was expected: its '
            "resources would lie where nobody looks. Choose another commit, such as the role's own."
        )
    defines.write_text(text, encoding="utf-8")
    package = tree / "hailo_apps"
    for module in sorted(package.rglob("*.py")):
        for folder in module.relative_to(tree).parents[:-1]:
            (tree / folder / "__init__.py").touch()


def own(path):
    """For root to write and for everybody to read."""
    for each in (path, *path.rglob("*")) if path.is_dir() else (path,):
        if os.geteuid() == 0:
            os.chown(each, 0, 0)
        each.chmod(0o755 if each.is_dir() or each.stat().st_mode & 0o100 else 0o644)


def exchange(new, tree, old):
    """Put the new tree in the place of the old one: never is there none, where the kernel and the file system can do that."""
    if not os.path.lexists(tree):
        new.rename(tree)
        return
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 and renameat2(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(tree), RENAME_EXCHANGE) == 0:
        return
    tree.rename(old)
    try:
        new.rename(tree)
    except OSError:
        old.rename(tree)
        raise


if __name__ == "__main__":
    main()
