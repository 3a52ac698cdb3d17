"""`python3 -m bundle`: fetches what the packages need of Debian, and packs the bundle. `script/bundle` makes the parts and calls it."""

import argparse
import sys
from pathlib import Path

import hailo_whisper
import repository
from repository import key

from . import Refused, archive
from .contents import Parts, gathered, time
from .dependencies import Mirrors, Resolver


def main() -> int:
    """Run one command. Returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repository", type=Path, required=True, help="the folder of the apt repository")
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("dependencies", help="put what the packages need, and a minimal Debian lacks, into a folder")
    fetch.add_argument("--suite", required=True)
    fetch.add_argument("--arch", required=True)
    fetch.add_argument("--mirror", required=True, help="Debian's own")
    fetch.add_argument("--security", default="", help="that of Debian's security team")
    fetch.add_argument("--cache", type=Path, required=True)
    fetch.add_argument("--into", type=Path, required=True)
    pack = commands.add_parser("pack", help="write the archive")
    pack.add_argument("--system", action="append", default=[], metavar="SUITE/ARCH")
    pack.add_argument("--models", type=Path, required=True, help="the folder with the models")
    pack.add_argument("--model", action="append", default=[], metavar="NAME")
    pack.add_argument("--wheelhouse", action="append", default=[], type=Path, metavar="FOLDER")
    pack.add_argument("--output", type=Path, required=True)
    pack.add_argument("--key", default="")
    pack.add_argument("--passphrase-file", type=Path)
    args = parser.parse_args()
    try:
        if args.command == "dependencies":
            _fetch(args)
        else:
            _pack(args)
    except (Refused, repository.Refused) as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    return 0


def _fetch(args: argparse.Namespace) -> None:
    resolver = Resolver(args.suite, args.arch, Mirrors(args.mirror, args.security), args.repository, args.cache)
    fetched = resolver.fetch(args.into)
    size = sum(path.stat().st_size for path in fetched)
    print(f"{len(fetched)} packages of Debian, {size / 1e6:.1f} MB, which a minimal {args.suite} on {args.arch} lacks.")


def _pack(args: argparse.Namespace) -> None:
    parts = Parts(tuple(args.system), args.repository, args.models, tuple(args.model), tuple(args.wheelhouse))
    with key.opened(args.key, args.passphrase_file) as signer:
        members = gathered(parts)
        top = f"hailo-whisper-{hailo_whisper.__version__}"
        size = archive.write(members, args.output, signer, top=top, moment=time())
        public = args.output.with_suffix(".key.asc")
        public.write_text(signer.public(), encoding="utf-8")
        print(f"{args.output} has {len(members)} files, {size / 1e6:.0f} MB, signed by {signer.fingerprint}.")
        print(f"{public} is the public key: bring it to whoever deploys by another way than the archive, once.")


if __name__ == "__main__":
    sys.exit(main())
