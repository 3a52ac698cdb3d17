"""`hailo-whisper config`: render, check, show and describe the configuration."""

import argparse
import difflib
import json
import os
import stat
import subprocess
import tempfile
from pathlib import Path

from .. import settings
from ..failure import Failure
from ..service import dropins
from . import exposure

MODE = 0o644


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `config` and its subcommands."""
    parser = subparsers.add_parser("config", help="render, check or show the configuration")
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    render = commands.add_parser("render", help=f"make the JSON and the systemd drop-ins from {settings.SOURCE}")
    render.add_argument(
        "--source", type=Path, default=settings.SOURCE, metavar="YAML", help="the file to read (default: %(default)s)"
    )
    render.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="write below this folder instead of /")
    render.add_argument("--check", action="store_true", help="write nothing, say what would change")
    render.add_argument("--reload", action="store_true", help="have systemd read its units again when a drop-in has changed")
    render.add_argument("--diff", action="store_true", help="show what changes as a unified diff")
    render.set_defaults(run=_render)

    check = commands.add_parser("check", help="say whether a configuration is valid")
    check.add_argument("path", type=Path, nargs="?", default=settings.SOURCE, help="the file to check (default: %(default)s)")
    check.set_defaults(run=_check)

    show = commands.add_parser("show", help="print the settings in force, environment included, as JSON")
    show.add_argument("--config", type=Path, metavar="FILE", help="read this file instead of searching the XDG folders")
    show.set_defaults(run=_show)

    schema = commands.add_parser("schema", help="print the JSON schema of the configuration")
    schema.set_defaults(run=_schema)


def _render(args: argparse.Namespace) -> int:
    config = _valid(args.source)
    units = dropins.render(config)
    files = {Path("etc/xdg") / settings.RENDERED: settings.dump(config)} | units
    changed = set()
    for relative, text in files.items():
        path = args.root / relative
        try:
            # What is no text is not ours, and is replaced like everything else that differs.
            old = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
            if old == text and stat.S_IMODE(path.stat().st_mode) == MODE:
                print(f"unchanged {path}")
                continue
            if args.diff:
                lines = difflib.unified_diff((old or "").splitlines(True), text.splitlines(True), str(path), str(path))
                print("".join(lines), end="")
            if not args.check:
                _write(path, text)
                changed.add(relative)
            print(f"{'would change' if args.check else 'changed'} {path}")
        except OSError as error:
            raise Failure(f"{path} cannot be written: {error.strerror}. Run this as root, with room on the disk.") from None
    if args.reload and changed & set(units):
        _reload()
    return 0


def _reload() -> None:
    try:
        done = subprocess.run(
            ["systemctl", "daemon-reload"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"systemd could not be told: {error}. Run `systemctl daemon-reload`.") from None
    if done.returncode:
        raise Failure(f"systemd could not be told: {done.stderr.strip()} Run `systemctl daemon-reload`.")


def _check(args: argparse.Namespace) -> int:
    _valid(args.path)
    print(f"{args.path} is valid.")
    return 0


def _valid(path: Path) -> settings.Settings:
    config = settings.parse(settings.read(path), str(path))
    try:
        exposure.check(config)
    except exposure.Exposed as error:
        raise Failure(f"{path}: {error}") from None
    return config


def _show(args: argparse.Namespace) -> int:
    print(settings.dump(settings.load(args.config, missing_ok=True)), end="")
    return 0


def _schema(_: argparse.Namespace) -> int:
    print(json.dumps(settings.schema(), indent=2))
    return 0


def _write(path: Path, text: str) -> None:
    """Put the text in place at once and whole: a reader sees the old file or the new one, also after a power cut."""
    # The service's user has to get to it, also where root has a umask of 077.
    umask = os.umask(0o022)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(umask)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), MODE)
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
