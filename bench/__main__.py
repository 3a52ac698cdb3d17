"""`script/bench`: measures hailo-whisper beside its peers, prints a table and writes JSON. bench/README.md tells how to read it."""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import machine
from .corpus import CACHE, LANGUAGES, Corpus, CorpusMissing, load, prepare
from .goals import BASELINE, BATCHED
from .peers import OURS, FasterWhisper, Given, Ours, Target, Wyoming
from .process import ProcessFailed
from .report import ROWS, Report
from .running import Failed, Running, first_words
from .scenarios import ALONE, TOGETHER, Material

WYOMING = "wyoming-faster-whisper"
BUILT_IN = (BASELINE, BATCHED, WYOMING, OURS)
BEGAN = time.monotonic()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; returns the exit status. Goals that were missed are no failure of the bench."""
    args = _arguments(argv)
    try:
        corpus = load(args.corpus) if args.corpus else prepare()
        targets = _targets(args)
        material = _material(corpus, args)
    except (CorpusMissing, Failed) as error:
        print(f"script/bench: {error}", file=sys.stderr)
        return 1
    options = {
        "model": args.model,
        "threads": args.threads,
        "device": args.device,
        "language": args.language,
        "runs": args.runs,
        "clips": len(material.clips),
        "clip_seconds": round(sum(clip.seconds for clip in material.clips), 1),
        "file_seconds": round(material.file.seconds, 1),
        "quick": args.quick,
        "commands": {target.name: target.command for target in targets if isinstance(target, Given)},
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    report = Report(machine.describe(), options, [target.name for target in targets])
    interrupted = False
    try:
        _alone(targets, material, args, report)
        _together(targets, material, args, report)
    except KeyboardInterrupt:
        interrupted = True
        _say("Interrupted: these are the figures until now.")
    report.write(args.out)
    print(report.markdown())
    _say(f"Every figure is in {args.out}")
    return 130 if interrupted else 1 if report.failures else 0


def _alone(targets: Sequence[Target], material: Material, args: argparse.Namespace, report: Report) -> None:
    """The scenarios that start a process of their own, with nothing else running."""
    for scenario in [name for name in ALONE if name in args.only]:
        for run in range(args.runs if scenario == "cold" else 1):
            for target in targets:
                if scenario == "cold" and isinstance(target, Given) and not target.command:
                    continue
                _say(f"{ROWS[scenario]}: {target.name}, run {run + 1}")
                try:
                    report.add(scenario, target.name, ALONE[scenario](target, material))
                except (Failed, ProcessFailed, OSError) as error:
                    report.fail(scenario, target.name, str(error))
                report.write(args.out)


def _together(targets: Sequence[Target], material: Material, args: argparse.Namespace, report: Report) -> None:
    """The scenarios that take turns, with all targets loaded and warm."""
    scenarios = [name for name in TOGETHER if name in args.only]
    if not scenarios:
        return
    with contextlib.ExitStack() as stack:
        running = list(_started(targets, material, stack, report))
        for run in range(args.runs):
            for scenario in scenarios:
                _say(f"{ROWS[scenario]}: run {run + 1} of {args.runs}")
                for name, figures in TOGETHER[scenario](running, material, run):
                    report.add(scenario, name, figures)
                    report.write(args.out)
                    shown = [f"{key} {value:.2f}" for key, value in figures.items() if isinstance(value, float)]
                    errors = [f"{figures['errors']} errors: {'; '.join(figures['messages'])}"] if figures.get("errors") else []
                    _say(f"    {name}: {', '.join([*shown, *errors])}")


def _started(targets: Sequence[Target], material: Material, stack: contextlib.ExitStack, report: Report) -> Iterator[Running]:
    for target in targets:
        _say(f"Starting {target.name}")
        try:
            running = target.start()
            stack.callback(running.end)
            first_words(running, material.clips[0])
            # The second request finds everything where it is to stay.
            running.transcribe(material.clips[-1], 120)
        except (Failed, ProcessFailed, OSError) as error:
            _say(f"    it cannot be measured: {error}")
            report.fail("start", target.name, str(error))
        else:
            yield running


def _targets(args: argparse.Namespace) -> list[Target]:
    model = args.models / args.model
    if not model.is_dir() and set(args.targets) & set(BUILT_IN):
        raise Failed(
            f"there is no model {args.model} in {args.models}. Fetch it with `hailo-whisper models pull {args.model}`, or name the "
            "folder of the models with --models."
        )
    made: dict[str, Callable[[], Target]] = {
        BASELINE: lambda: FasterWhisper(BASELINE, model, "sequential", args.threads, args.device),
        BATCHED: lambda: FasterWhisper(BATCHED, model, "batched", args.threads, args.device),
        WYOMING: lambda: Wyoming(WYOMING, model, args.threads, args.language, args.device),
        OURS: lambda: Ours(model, args.threads, args.engine, device=args.device),
    }
    commands = dict(args.command)
    given = [Given(name, url, model, commands.get(name)) for name, (url, model) in args.url]
    if unknown := commands.keys() - {target.name for target in given}:
        name = min(unknown)
        raise Failed(f"--command {name}=... has no --url {name}=... beside it, which says where that server listens.")
    # Ours comes last in every table.
    built_in = [made[name]() for name in BUILT_IN if name in args.targets]
    return sorted([*built_in, *given], key=lambda target: target.name == OURS)


def _material(corpus: Corpus, args: argparse.Namespace) -> Material:
    if args.language not in corpus.short:
        raise CorpusMissing(f"the corpus has no clips in {args.language}: it has {', '.join(corpus.short)}.")
    clips, file = corpus.short[args.language], corpus.long[args.language]
    return Material(clips[:2], max(clips, key=lambda clip: clip.seconds)) if args.quick else Material(clips, file)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    scenarios = [*ALONE, *TOGETHER]
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each scenario (default: 3)")
    parser.add_argument(
        "--quick", action="store_true", help="one run with two clips, to see that everything works; no figures to rely on"
    )
    parser.add_argument(
        "--only", type=_list(scenarios), default=scenarios, metavar="A,B", help=f"scenarios: {','.join(scenarios)}"
    )
    parser.add_argument(
        "--targets",
        type=_list(BUILT_IN),
        default=list(BUILT_IN),
        metavar="A,B",
        help=f"built-in targets: {','.join(BUILT_IN)}; or none",
    )
    parser.add_argument(
        "--url",
        type=_url,
        action="append",
        default=[],
        metavar="NAME=URL[#MODEL]",
        help="one more server, OpenAI style: URL/v1/audio/transcriptions is asked, for that name of a model (default: whisper-1)",
    )
    parser.add_argument(
        "--command",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="how to start the server NAME of --url; without it, it must be running, and has no cold start",
    )
    parser.add_argument("--model", default="base", help="name of the model, a folder in CTranslate2 form (default: base)")
    parser.add_argument(
        "--models",
        type=Path,
        default=CACHE.parent / "models",
        metavar="FOLDER",
        help="folder of the models (default: %(default)s)",
    )
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="language of the clips (default: en)")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="clips of your own: a folder with a manifest.json")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=int, default=cores, metavar="N", help=f"threads of each target (default: {cores})")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="what the built-in targets run on (default: %(default)s)"
    )
    parser.add_argument("--engine", metavar="MODULE:CLASS", help="another engine for our server")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON goes (default: a new file in the cache)")
    args = parser.parse_args(argv)
    if args.quick:
        args.runs = 1
    if args.out is None:
        args.out = CACHE / "results" / f"{time.strftime('%Y%m%d-%H%M%S')}-{machine.commit()}.json"
    return args


def _list(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name and name != "none"]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name} is not one of {', '.join(known)}")
        return names

    return parse


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} has no NAME= before it")
    return name, value


def _url(text: str) -> tuple[str, tuple[str, str]]:
    name, value = _pair(text)
    if not value.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{value!r} is no URL: it begins with http:// or https://")
    url, _, model = value.partition("#")
    return name, (url, model or "whisper-1")


def _say(text: str) -> None:
    print(f"==> [{time.monotonic() - BEGAN:4.0f} s] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
