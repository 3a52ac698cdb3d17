"""`hailo-whisper doctor`: what this machine has and how the service is, each line ok, a warning or broken, with the cure."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...installation import in_image
from ...models import catalog
from ...settings import SOURCE
from .. import container
from . import examination, report
from .finding import State


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `doctor`."""
    parser = subparsers.add_parser(
        "doctor",
        help="say what this machine has, how the service is, and what to do about it",
        description="Look at the machine and the service, change nothing, and say what is ok, what is a warning, what is broken and what mends it. "
        "Nothing is waited for long. Run it as root to see everything. Exit status: 0 nothing is broken, 1 something is (or, with --strict, there is a warning).",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    parser.add_argument(
        "--only",
        action="append",
        choices=[name for name, _ in examination.CHECKS],
        metavar="CHECK",
        help="look at this alone (may be repeated): " + ", ".join(name for name, _ in examination.CHECKS),
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="read this file instead of searching the XDG folders")
    parser.set_defaults(run=run)


@contextmanager
def as_served(args: argparse.Namespace) -> Iterator[None]:
    """Have the settings be those that the service has: in an image, `container` makes them of what the container was given. Raises Failure as it does."""
    if not in_image():
        yield
        return
    args.config = args.config or SOURCE
    # Its key file is for this examination alone.
    with tempfile.TemporaryDirectory() as private:
        container.translate(os.environ, catalog.load(), container.SECRET, Path(private))
        yield


def run(args: argparse.Namespace) -> int:
    """Examine and print. Returns 1 when something is broken, 0 otherwise. Raises Failure for what a container cannot have been given."""
    checks = [(name, check) for name, check in examination.CHECKS if args.only is None or name in args.only]
    with as_served(args):
        found = examination.examine(args.config, checks=checks)
    if args.json:
        print(json.dumps(report.as_json(found), indent=2, ensure_ascii=False))
    else:
        print(report.as_table(found.findings, report.width(sys.stdout), colour=report.colourful(sys.stdout)))
    bad = (State.BROKEN, State.WARNING) if args.strict else (State.BROKEN,)
    return int(any(finding.state in bad for finding in found.findings))
