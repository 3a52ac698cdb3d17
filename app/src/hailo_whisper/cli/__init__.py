"""The command line: a file a command, each with `add_parser(subparsers)`, which sets `run(args) -> exit status`."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from .. import __version__
from ..failure import Failure

COMMANDS = ("serve", "container", "transcribe", "models", "config", "keys", "doctor", "selftest")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status: 0 done, 1 refused or failed with a sentence, 2 wrong usage, 130 interrupted."""
    args = parser().parse_args(argv)
    try:
        return int(args.run(args))
    except Failure as failure:
        print(f"hailo-whisper: {failure}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The parser of the command line, of which the manual page and the completion are made too."""
    whole = argparse.ArgumentParser(prog="hailo-whisper", description="A private, OpenAI-compatible speech service.")
    whole.add_argument("--version", action="version", version=f"hailo-whisper {__version__}")
    subparsers = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        importlib.import_module(f"{__name__}.{command}").add_parser(subparsers)
    return whole
