"""`hailo-whisper config`: render, check, migrate, show and describe the configuration."""

import argparse
import difflib
import json
import os
import shutil
import stat
import subprocess
import sys
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

    migrate = commands.add_parser(
        "migrate",
        help="rewrite the file in this version's layout",
        description="Rewrite a configuration of a layout of before (schema_version) in the one of this version. Comments and all that is not concerned stay as "
        "they are; the file of before stays beside it, as FILE.schema-VERSION. Prints `changed FILE` or `unchanged FILE`.",
    )
    migrate.add_argument(
        "--source", type=Path, default=settings.SOURCE, metavar="YAML", help="the file to rewrite (default: %(default)s)"
    )
    migrate.add_argument("--check", action="store_true", help="write nothing, say what would change")
    migrate.add_argument("--diff", action="store_true", help="show what changes as a unified diff")
    migrate.set_defaults(run=_migrate)

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
                _show_diff(old or "", text, path)
            if not args.check:
                if path.name == settings.RENDERED.name:
                    _keep(path, old)
                _write(path, text)
                changed.add(relative)
            print(f"{'would change' if args.check else 'changed'} {path}")
        except OSError as error:
            raise Failure(f"{path} cannot be written: {error.strerror}. Run this as root, with room on the disk.") from None
    if args.reload and changed & set(units):
        _reload()
    return 0


def _keep(path: Path, old: str | None) -> None:
    """Keep what was rendered in another layout: the version of the program that reads that one may come back."""
    try:
        data = json.loads(old or "{}")
    except ValueError:
        return
    version = data.get("schema_version") if isinstance(data, dict) else None
    if old and isinstance(version, int) and version != settings.SCHEMA_VERSION:
        _write(settings.kept(path, version), old)


def _migrate(args: argparse.Namespace) -> int:
    path: Path = args.source
    _valid(path, quiet=True)
    version = settings.migrate(settings.read(path)).version
    try:
        old = path.read_text(encoding="utf-8")
        new = settings.rewrite(old) if version != settings.SCHEMA_VERSION else old
        if new == old:
            print(f"unchanged {path}")
            return 0
        if args.diff:
            _show_diff(old, new, path)
        if not args.check:
            before = path.with_name(f"{path.name}.schema-{version}")
            if before.exists() and before.read_text(encoding="utf-8") != old:
                raise Failure(f"{before} is in the way: the file of before is to be kept there. Move it, and run this again.")
            shutil.copy2(path, before)
            owner = path.stat()
            _write(path, new, stat.S_IMODE(owner.st_mode))
            os.chown(path, owner.st_uid, owner.st_gid)
            print(f"kept {before}")
    except OSError as error:
        raise Failure(f"{path} cannot be rewritten: {error.strerror}. Run this as root, with room on the disk.") from None
    print(f"{'would change' if args.check else 'changed'} {path}")
    return 0


def _show_diff(old: str, new: str, path: Path) -> None:
    print("".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), str(path), str(path))), end="")


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


def _valid(path: Path, *, quiet: bool = False) -> settings.Settings:
    data = settings.read(path)
    config = settings.parse(data, str(path))
    migrated = settings.migrate(data)
    if migrated.notes and not quiet:
        print(
            f"hailo-whisper: {path} is of schema_version {migrated.version}, and {settings.SCHEMA_VERSION} is current: {'; '.join(migrated.notes)}. It is "
            "read as it was meant, and stays as it is. `hailo-whisper config migrate --check --diff` shows it in the new layout, "
            "`hailo-whisper config migrate` rewrites it.",
            file=sys.stderr,
        )
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


def _write(path: Path, text: str, mode: int = MODE) -> None:
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
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
