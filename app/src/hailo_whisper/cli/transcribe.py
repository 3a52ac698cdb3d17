"""`hailo-whisper transcribe`: recordings to files, without a server or with one."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from .. import settings as configuration
from ..failure import Failure
from ..formats import FORMATS
from ..recordings.printed import Printed
from ..recordings.progress import Progress
from ..recordings.results import Results
from ..recordings.run import Report, Sink, Way
from ..recordings.run import run as run_all
from ..recordings.sources import Source, find
from ..service import log
from ..settings import Settings
from ..speech.languages import LANGUAGES
from . import assembly

DETECT = "auto"
MOST_PARALLEL = 256
"""Requests at a time: each holds an open file and a connection."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `transcribe`."""
    parser = subparsers.add_parser(
        "transcribe",
        help="transcribe recordings, without a server or with one",
        description="Transcribe recordings. The results are written beside them: clip.wav gives clip.txt. What has its results "
        "already is left out, so that a run that was broken off goes on where it stopped.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a recording, or a folder of them")
    parser.add_argument(
        "--recursive", action="store_true", help="transcribe the recordings in the folders below those that are named too"
    )
    parser.add_argument(
        "--format",
        action="append",
        choices=list(FORMATS),
        dest="formats",
        help="form of the results; may be repeated (default: text)",
    )
    parser.add_argument("--output-dir", type=Path, metavar="DIR", help="write the results there instead of beside the recordings")
    parser.add_argument("--stdout", action="store_true", help="print the results, each when it is done, instead of writing files")
    parser.add_argument("--force", action="store_true", help="transcribe also what has its results already")
    parser.add_argument(
        "--language",
        metavar="CODE",
        help=f"language that is spoken, as an ISO 639-1 code, or `{DETECT}` (default: the setting transcription.language)",
    )
    parser.add_argument("--prompt", help="text that the recordings go on from, or names and words that they have")
    parser.add_argument("--temperature", type=float, default=0.0, metavar="0..1", help="how freely to guess (default: 0)")
    parser.add_argument("--beam", type=int, metavar="N", help="beams of the search (default: the setting transcription.beam)")
    parser.add_argument(
        "--model", metavar="NAME", help="a model's name, or a folder with a slash in its name (default: the setting)"
    )
    parser.add_argument(
        "--server", metavar="URL", help="have a server do it, such as http://127.0.0.1:11437; no model is needed here"
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help="key for the server (default: the environment's OPENAI_API_KEY, which nobody else can see)",
    )
    parser.add_argument(
        "--cert",
        type=Path,
        metavar="FILE",
        help="certificate to show to a server that wants one of its clients, in PEM with its key",
    )
    parser.add_argument("--cert-key", type=Path, metavar="FILE", help="its key, where that is in a file of its own")
    parser.add_argument(
        "--timeout",
        type=float,
        default=3600.0,
        metavar="SECONDS",
        help="time that the server may take for one recording (default: 3600)",
    )
    parser.add_argument(
        "--parallel",
        type=int,
        metavar="N",
        help="requests that the server has at a time; for a gateway, two for each machine (default: 4)",
    )
    parser.add_argument(
        "--patience",
        type=float,
        metavar="SECONDS",
        help="time to wait for a server that is busy, or that was there and is away (default: 600)",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="read this file instead of searching the XDG folders")
    parser.add_argument("--verbose", action="store_true", help="say more of what goes on")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Transcribe. Returns 0 when all went well, 1 when something did not, 130 when it was interrupted."""
    # What goes wrong is told at the end; how it came to that is for those who ask.
    log.configure("text", level=logging.INFO if args.verbose else logging.CRITICAL)
    formats = args.formats or ["text"]
    _check(args, formats)
    sources = find(args.files, recursive=args.recursive)
    sink: Sink
    todo = sources
    if args.stdout:
        sink = Printed(formats[0], several=len(sources) > 1)
    else:
        sink = results = Results(formats, args.output_dir)
        results.check(sources)
        todo = [source for source in sources if args.force or not results.current(source)]
    report, progress = Report(), Progress({source.path: source.size for source in todo})
    try:
        if todo:
            asyncio.run(_transcribe(args, todo, sink, progress, report))
    except KeyboardInterrupt:
        progress.close()
        _say(report, len(sources) - len(todo), "interrupted; the same command goes on from here")
        return 130
    except Failure:
        progress.close()
        _say(report, len(sources) - len(todo), "stopped")
        raise
    progress.close()
    _say(report, len(sources) - len(todo), None)
    return 1 if report.failed else 0


def _check(args: argparse.Namespace, formats: Sequence[str]) -> None:
    """Refuse what cannot be meant, before anything is done."""
    if args.stdout and len(formats) > 1:
        raise Failure("--stdout prints one form. Give one --format, or leave out --stdout to have several files.")
    if args.stdout and args.output_dir:
        raise Failure("--stdout writes no files. Leave out --output-dir.")
    if not 0 <= args.temperature <= 1:
        raise Failure(f"--temperature is {args.temperature}, and must be from 0 to 1.")
    if args.beam is not None and not 1 <= args.beam <= 32:
        raise Failure(f"--beam is {args.beam}, and must be from 1 to 32.")
    if args.timeout <= 0:
        raise Failure(f"--timeout is {args.timeout}, and must be above 0 seconds.")
    if args.language not in (None, DETECT, *LANGUAGES):
        raise Failure(f"--language is {args.language!r}, and must be an ISO 639-1 code such as `en`, or `{DETECT}`.")
    if args.server:
        _check_with_server(args)
        return
    wrong = [name for name in ("parallel", "patience", "api_key", "cert", "cert_key") if getattr(args, name) is not None]
    if wrong:
        raise Failure(f"--{wrong[0].replace('_', '-')} is for a server. Name it with --server, or leave it out.")


def _check_with_server(args: argparse.Namespace) -> None:
    wrong = [name for name in ("beam", "config") if getattr(args, name) is not None]
    if wrong:
        raise Failure(f"--{wrong[0]} does nothing with --server, which has settings of its own. Leave it out.")
    if args.language == DETECT:
        raise Failure(f"--language {DETECT} cannot be asked of a server. Leave it out, and the server does as it is set.")
    if args.parallel is not None and not 1 <= args.parallel <= MOST_PARALLEL:
        raise Failure(f"--parallel is {args.parallel}, and must be from 1 to {MOST_PARALLEL}.")
    if args.cert_key and not args.cert:
        raise Failure("--cert-key is the key of a certificate. Name that with --cert.")
    if args.patience is not None and args.patience < 0:
        raise Failure(f"--patience is {args.patience}, and must be 0 seconds or more.")


async def _transcribe(
    args: argparse.Namespace, sources: Sequence[Source], sink: Sink, progress: Progress, report: Report
) -> None:
    async with _server(args) if args.server else _local(args) as way:
        await run_all(sources, way, sink, progress, report)


def _server(args: argparse.Namespace) -> AbstractAsyncContextManager[Way]:
    # Here, because it takes a tenth of a second, which a run without a server would wait for.
    from ..recordings.remote import Address, Remote

    chosen = {name: getattr(args, name) for name in ("parallel", "patience") if getattr(args, name) is not None}
    key = args.api_key or os.environ.get("OPENAI_API_KEY")
    address = Address(args.server, key, args.timeout, **chosen, certificate=args.cert, certificate_key=args.cert_key)
    return Remote(address, _fields(args))


def _local(args: argparse.Namespace) -> AbstractAsyncContextManager[Way]:
    from ..engines.engine import Options
    from ..engines.supervisor import Supervisor
    from ..engines.warm_up import warm_up
    from ..recordings.local import Local, patient
    from ..scheduling.scheduler import Scheduler
    from ..service.metrics import Metrics
    from ..speech.decoder import Decoder

    settings = patient(_settings(args))
    limits, metrics = settings.limits, Metrics()
    launch = assembly.launch(settings, args.engine, warm_up(settings.transcription.beam))
    supervisor = Supervisor(launch, assembly.patience(settings), metrics)
    scheduler = Scheduler(supervisor, settings, metrics)
    # A worker that is lost is waited for as long as it may take to load the next.
    scheduler.start_seconds = limits.load_seconds
    decoder = Decoder(limits.duration_seconds, limits.deadline_seconds, metrics)
    options = Options(
        language=None if args.language == DETECT else args.language or settings.transcription.language,
        beam=settings.transcription.beam,
        prompt=args.prompt,
        temperature=args.temperature,
    )
    return Local(settings, supervisor, scheduler, decoder, options)


def _settings(args: argparse.Namespace) -> Settings:
    """The settings in force, with what the command line has instead. The model stays loaded until all is done."""
    data = configuration.load(args.config, missing_ok=True).model_dump()
    data["model"]["keep_alive"] = -1
    if args.model and "/" in args.model:
        data["model"]["path"] = str(Path(args.model).absolute())
    elif args.model:
        data["model"] |= {"name": args.model, "path": None}
    if args.beam is not None:
        data["transcription"]["beam"] = args.beam
    return configuration.parse(data, "command line")


def _fields(args: argparse.Namespace) -> dict[str, str]:
    """The fields of a request; what was not given is the server's to choose."""
    given = {
        "model": args.model or "whisper-1",
        "language": None if args.language == DETECT else args.language,
        "prompt": args.prompt,
        "temperature": str(args.temperature) if args.temperature else None,
    }
    return {name: value for name, value in given.items() if value}


def _say(report: Report, skipped: int, ending: str | None) -> None:
    """What became of all of them, for whoever did not watch."""
    counts = [(len(report.done), "transcribed"), (skipped, "done already"), (len(report.failed), "failed")]
    words = [f"{count} {word}" for count, word in counts if count] or ["nothing done"]
    print(", ".join(words + ([ending] if ending else [])), file=sys.stderr)
    for source, why in report.failed:
        print(f"failed: {source.path}: {why}", file=sys.stderr)
