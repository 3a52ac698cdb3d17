"""hailo-apps' own downloader as a source of HEFs: it knows where Hailo publishes them, and for which HailoRT.

What it says of itself is not believed: it ends with status 0 when it has failed, and compares no sums. What counts is what lies there afterwards.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..catalog import Model
from ..plausible import doubt
from ..progress import Progress
from . import hailo_apps_child as child
from .failed import NotOffered, SourceFailed
from .patience import Patience
from .process import download

GROUP = "whisper_chat"
"""The group of our own list of resources, and the one that hailo-apps has Whisper in."""
PROBE_SECONDS = 60.0
# How long a download may take in all: so many seconds, and those that its bytes take on the slowest line that makes sense.
LEAST_SECONDS = 600.0
SLOWEST = 50_000.0
"""Bytes a second."""
# What the downloader prints while all is well, and its complaint about a file of settings that an appliance does not have.
CHATTER = re.compile(rf"\[[=-]+\]|Downloading\.\.\.|[✓✗] URL|Status:|Size:|\.env file|{child.LISTED}")
INSTALL = "have the role hailo_apps install it (hailo_whisper_hailo_apps), or use --source https"


@dataclass(frozen=True)
class Downloader:
    """The downloader that is installed: the options that it says it has, and the file with the models that it knows."""

    options: frozenset[str]
    listed: Path

    def ask_for(self, name: str, architecture: str, config: Path) -> list[str]:
        """Its arguments for one model. Raises SourceFailed when its options are none that anybody has told of."""
        asked = ["--config", str(config), "--arch", architecture]
        if {"--resource-name", "--resource-type", "--group"} <= self.options:  # from January 2026 on
            asked += ["--group", GROUP, "--resource-type", "model", "--resource-name", name]
        elif "--model" in self.options:
            asked += ["--model", name]
        else:
            raise SourceFailed(
                "its downloader has neither --resource-name nor --model, as those of December 2025 and later have: pin another commit with "
                "hailo_whisper_hailo_apps_commit, or use --source https"
            )
        return [*asked, *(option for option in ("--include-gen-ai", "--no-parallel") if option in self.options)]


class HailoAppsSource:
    """Runs the downloader in a child, for models that consist of HEFs."""

    name = "hailo-apps"

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._found: Downloader | None = None

    def extra_space(self, model: Model) -> int:
        """None: what is downloaded is moved to its place. Raises NotOffered for a model of other files."""
        _architecture(model)
        return 0

    def fetch(self, model: Model, into: Path, work: Path, progress: Progress) -> None:
        """Have the files downloaded one after the other, and look at each. Raises SourceFailed."""
        architecture = _architecture(model)
        # It cannot go on with a part, only begin again.
        folder = work / "hailo-apps"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            if self._found is None:
                self._found = _probe(folder)
            done = 0
            for name in model.files:
                arrived = self._download(self._found, model, name, architecture, folder=folder, done=done, progress=progress)
                done += arrived.stat().st_size
                progress.reach(done)
                arrived.rename(into / name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _download(
        self, found: Downloader, model: Model, name: str, architecture: str, *, folder: Path, done: int, progress: Progress
    ) -> Path:
        """Download one file. Returns where it is."""
        config, log = folder / "resources.json", folder / "log"
        entry = _entry(found.listed, Path(name).stem, architecture) or _from_catalog(model, name)
        # A list of this one model: by their own, the downloader would fetch videos and pictures with it.
        asked = found.ask_for(Path(name).stem, architecture, config)
        config.write_text(json.dumps(_metadata(found.listed) | {GROUP: {"models": {architecture: {"default": [entry]}}}}))
        place = folder / "models" / architecture / name
        try:
            download(
                _command(folder, *asked),
                env=_environment(),
                folder=folder / "models",
                log=log,
                reached=done,
                limit=model.size,
                progress=progress,
                stall_seconds=2 * self._patience.stall,  # its own time-outs are 30 s
                limit_seconds=LEAST_SECONDS + model.size / SLOWEST,
            )
        except SourceFailed as error:
            raise SourceFailed(
                f"its downloader failed: {_words(log) or error}. Run the command again, or use --source https"
            ) from None
        if not place.is_file() or place.is_symlink():
            said = _words(log)
            raise SourceFailed(
                f"its downloader ended as if all were well and has brought no {name}"
                + (f"; its last words: {said}" if said else "")
                + ". Mend that, or use --source https"
            )
        fault = doubt(place, [architecture])
        if fault:
            place.unlink()
            raise SourceFailed(
                f"its downloader ended as if all were well, and what it has brought was removed: {fault}. Run the command again, or use "
                "--source https"
            )
        return place


def _architecture(model: Model) -> str:
    """What the model was made for. Raises NotOffered for one that does not consist of HEFs."""
    if model.requires is None or not all(name.endswith(".hef") for name in model.files):
        raise NotOffered(f"its downloader fetches HEFs, and {model.name} has other files")
    return model.requires.architecture[0]


def _command(folder: Path, *arguments: str) -> list[str]:
    # -P keeps what lies in the current folder, or beside the child, from being imported.
    return [sys.executable, "-P", str(Path(child.__file__)), str(folder), *arguments]


def _environment() -> dict[str, str]:
    # The vendored tree stays as it was installed, and words appear when they are said.
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}


def _probe(folder: Path) -> Downloader:
    """Ask the downloader what it can do. Raises SourceFailed."""
    try:
        done = subprocess.run(
            _command(folder, "--help"),
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceFailed(
            f"its downloader did not even say what it can do within {PROBE_SECONDS:.0f} seconds: {INSTALL}"
        ) from None
    if "No module named 'hailo_apps'" in done.stderr:
        raise SourceFailed(f"hailo-apps is not installed here: {INSTALL}")
    listed = re.search(rf"^{child.LISTED}(.+)$", done.stdout, re.MULTILINE)
    if done.returncode or listed is None:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise SourceFailed(f"its downloader does not start (it said: {said}): {INSTALL}")
    return Downloader(frozenset(re.findall(r"--[a-z][a-z-]+", done.stdout)), Path(listed[1]))


def _entry(listed: Path, name: str, architecture: str) -> object | None:
    """What hailo-apps' own list says of a model; None when it does not have it."""
    for group in _read(listed).values():
        models = group.get("models") if isinstance(group, dict) else None
        of = models.get(architecture) if isinstance(models, dict) else None
        for entry in _entries(of):
            if entry == name or (isinstance(entry, dict) and entry.get("name") == name):
                return entry
    return None


def _entries(of: object) -> Iterator[object]:
    """The models that a group has for an architecture: one, a list, or the word None."""
    for key in ("default", "extra"):
        found = of.get(key) if isinstance(of, dict) else None
        yield from found if isinstance(found, list) else [found]


def _from_catalog(model: Model, name: str) -> dict[str, str]:
    """An entry for a model that hailo-apps does not list. Raises NotOffered when nobody knows where it is."""
    address = (model.sources.https or {}).get(name)
    if address is None:
        raise NotOffered(f"hailo-apps does not list {name}, and the catalog has no address for it")
    return {"name": Path(name).stem, "source": "gen-ai-mz", "url": address}


def _metadata(listed: Path) -> dict[str, Any]:
    """Where Hailo's servers are, as hailo-apps' list says it."""
    return {key: value for key, value in _read(listed).items() if key == "metadata"}


def _read(listed: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(listed.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SourceFailed(f"its list of models, {listed}, cannot be read ({type(error).__name__}): {INSTALL}") from None
    if not isinstance(data, dict):
        raise SourceFailed(f"its list of models, {listed}, is none: {INSTALL}")
    return data


def _words(log: Path) -> str:
    """The downloader's last words that are not about how far it is, without a full stop."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    said = [line for line in lines if line and not CHATTER.match(line)]
    return said[-1].removeprefix("- ")[:300].rstrip(".") if said else ""
