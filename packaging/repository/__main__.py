"""`python3 -m repository`: puts packages into a signed apt repository. `script/build-repo` builds them and calls it."""

import argparse
import fcntl
import os
import shutil
import sys
import tempfile
from pathlib import Path

from . import Refused, folder, index, key
from .packages import SUITES, gathered, joined, newest


def main() -> int:
    """Run one command. Returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["try-key", "make"])
    parser.add_argument("--output", type=Path, required=True, help="the folder of the repository")
    parser.add_argument("--key", default="", help="a file with gpg's secret key, or the name of one in the keyring")
    parser.add_argument("--passphrase-file", type=Path, help="a file with the passphrase of the key")
    parser.add_argument("--change-key", action="store_true", help="go over to another key than the repository has")
    parser.add_argument("--add", action="append", default=[], metavar="[SUITE=]FOLDER", help="packages to add")
    parser.add_argument("--keep", type=int, default=3, help="how many versions of a package stay")
    parser.add_argument("--url", default="", help="where machines will find the repository")
    args = parser.parse_args()
    os.umask(0o022)
    try:
        with key.opened(args.key, args.passphrase_file) as signer:
            _same_key(args.output, signer.fingerprint, change=args.change_key)
            signer.try_out()
            if args.command == "make":
                args.output.mkdir(parents=True, exist_ok=True)
                _make(args, signer)
    except (Refused, OSError) as error:
        print(f"build-repo: {error}", file=sys.stderr)
        return 1
    return 0


def _same_key(output: Path, fingerprint: str, *, change: bool) -> None:
    """Refuse to sign with another key than those who use the repository trust."""
    public = output / folder.PUBLIC
    had = key.fingerprint(public) if public.exists() else ""
    if had and had != fingerprint and not change:
        raise Refused(
            f"{output} is signed with the key {had}, and this one is {fingerprint}: every machine that uses the repository would refuse it. Name the right key "
            "with --key; --change-key goes over to this one, and the machines have to be given it."
        )


def _make(args: argparse.Namespace, signer: key.Key) -> None:
    output: Path = args.output
    lock = os.open(output, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # Of a run that was killed.
    for left in output.glob(".making-*"):
        shutil.rmtree(left, ignore_errors=True)
    public = signer.public()
    there, whole = folder.held(output, public)
    new = [package for name in args.add for package in gathered(*_where(name))]
    packages = newest(joined(there, new), args.keep)
    if not packages:
        raise Refused("there are no packages to put into the repository. Build some, or name folders that have some with --add.")
    suites = sorted({package.suite for package in packages})
    known = output / folder.PUBLIC
    changed = (
        not whole
        or {(package.suite, package.path.name, package.sha256) for package in packages}
        != {(package.suite, package.path.name, package.sha256) for package in there}
        or not known.exists()
        or public != known.read_text(encoding="utf-8")
    )
    if changed:
        # On its file system, so that packages need not be copied into it.
        with tempfile.TemporaryDirectory(dir=output, prefix=".making-") as work:
            folder.exchange(index.make(Path(work), packages, signer), output, suites)
        folder.write(known, public)
    url = args.url or folder.address(output) or f"file:{output.resolve()}"
    for suite in suites:
        folder.write(output / f"hailo-whisper-{suite}.sources", folder.sources(url, suite, public))
    for package in packages:
        print(f"{'' if package in there else 'new: '}{package}")
    print(f"{output.resolve()} is signed with the key {signer.fingerprint}{'' if changed else ', and has changed in nothing'}.")


def _where(name: str) -> tuple[Path, str]:
    """The folder, and the suite that it is for, if that is said."""
    suite, equals, path = name.partition("=")
    return (Path(path), suite) if equals and suite in SUITES else (Path(name), "")


if __name__ == "__main__":
    sys.exit(main())
