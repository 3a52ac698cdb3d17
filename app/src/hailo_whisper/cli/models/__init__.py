"""`hailo-whisper models`: fetch models, say what is there, check it, remove it, and carry models about without a network."""

import argparse
from pathlib import Path

from . import checking, fetching, listing, moving, shared


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its actions."""
    parser = subparsers.add_parser("models", help="fetch, list, verify, remove, import and export models")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for part in (listing, fetching, checking, moving):
        for action in part.add_actions(actions):
            action.add_argument(
                "--dest", type=Path, metavar="DIR", help="the store's folder (default: the setting storage.models)"
            )
            action.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run one action. Returns 0, or 1 when something could not be done or is not what it must be; 130 when interrupted."""
    result: int = args.act(args, shared.place(args.dest))
    return result
