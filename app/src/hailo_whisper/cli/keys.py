"""`hailo-whisper keys`: make, list and remove the API keys of the service."""

import argparse
import sys
from pathlib import Path

from .. import settings
from ..keys import file, writing


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `keys` and its actions."""
    parser = subparsers.add_parser(
        "keys",
        help="make, list and remove API keys",
        description="Make, list and remove the API keys of the service. It takes a change at once, without a reload.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    add = actions.add_parser("add", help="make a key, print it once, and keep no more than its sum")
    add.add_argument("name", metavar="NAME", help="whose key it is: the log has this name")
    add.set_defaults(run=_add)

    show = actions.add_parser("list", help="list the names of the keys, and whether the file has them or their sums")
    show.set_defaults(run=_list)

    remove = actions.add_parser("remove", help="remove a key: whoever has it is refused from then on")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=_remove)

    make = actions.add_parser(
        "make",
        help="make the file with one key, unless it has keys already",
        description=f"Make the file with one key of the name `{writing.FIRST}`, unless it has keys already. The key itself is in the "
        "file, for root to read, and is not printed. Prints `changed FILE` or `unchanged FILE`.",
    )
    make.add_argument("--check", action="store_true", help="change nothing, say what would be done")
    make.set_defaults(run=_make)

    for action in (add, show, remove, make):
        action.add_argument(
            "--file", type=Path, metavar="FILE", help=f"the key file (default: the setting access.keys, or {file.DEFAULT})"
        )


def _file(args: argparse.Namespace) -> Path:
    if args.file:
        return Path(args.file)
    configured = settings.load(missing_ok=True).access.keys
    return Path(configured) if configured else file.DEFAULT


def _add(args: argparse.Namespace) -> int:
    path = _file(args)
    print(writing.add(path, args.name))
    _say(f"This is the key {args.name}. {path} has its sum only, so keep it now: it is not shown again.")
    if args.file is None and settings.load(missing_ok=True).access.keys is None:
        _say(f"The service does not ask for keys yet: set access.keys to {path}, and reload it.")
    return 0


def _list(args: argparse.Namespace) -> int:
    path = _file(args)
    for key in writing.names(path):
        print(f"{key.name:24}  {'hashed' if key.hashed else 'plain'}")
    return 0


def _remove(args: argparse.Namespace) -> int:
    path = _file(args)
    if not writing.remove(path, args.name):
        _say(f"{path} has no key any more, and nobody can use the service. Run `hailo-whisper keys add NAME`.")
    print(f"removed {args.name}")
    return 0


def _make(args: argparse.Namespace) -> int:
    path = _file(args)
    if not writing.missing(path):
        print(f"unchanged {path}")
        return 0
    if not args.check:
        writing.add(path, writing.FIRST, plain=True)
    print(f"{'would change' if args.check else 'changed'} {path}")
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr)
