"""`hailo-whisper selftest`: prove on this machine that the engine works, and print a report to attach to an issue."""

import argparse
import asyncio
import json
import logging
import sys
from pathlib import Path

from ... import settings as configuration
from . import ground, report, trials
from .result import Outcome


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `selftest`."""
    parser = subparsers.add_parser(
        "selftest",
        help="prove that the engine works on this machine, and print a report",
        description="Load the model on the device that would serve here, have it transcribe known recordings, kill its worker, share the device, and "
        "print what came of it as Markdown, to be attached to an issue. There are no keys and no names of the machine in it. A Hailo device that a "
        "service or another program has is left alone. Exit status: 0 all trials passed, 1 one failed or the test could not begin.",
    )
    parser.add_argument(
        "--hardware",
        action="store_true",
        help="insist on an accelerator that is real: neither the CPU nor an emulated device will do",
    )
    parser.add_argument(
        "--beside",
        action="store_true",
        help="go on although somebody else has the Hailo device: loads a second model on it, and leaves out latency and sharing",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    parser.add_argument("--config", type=Path, metavar="FILE", help="read this file instead of searching the XDG folders")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it. Returns 1 when a trial failed. Raises Failure when there is nothing to try."""
    # What the trials do to the worker is no news.
    logging.disable(logging.CRITICAL)
    settings = configuration.load(args.config, missing_ok=True)
    subject = ground.prepare(settings, hardware=args.hardware, beside=args.beside)
    results = asyncio.run(trials.run(subject, _say))
    text = json.dumps(report.as_json(subject, results), indent=2) if args.json else report.as_markdown(subject, results)
    print(text)
    return int(any(result.outcome is Outcome.FAILED for result in results))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
