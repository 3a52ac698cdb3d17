"""What several test modules share. Helpers that are imported, and programs for child processes, are in tests/support."""

import itertools
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from emulated import Device

from hailo_whisper import installation
from hailo_whisper.accelerators import nvidia
from hailo_whisper.engines.warm_up import clip, clip_text
from hailo_whisper.service import log, memory

LEFT_OUT = pytest.StashKey[str]()
SUPPORT = Path(__file__).parent / "support"

# Child processes import the scripted engine and the child program from there too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SUPPORT), os.environ.get("PYTHONPATH")]))

# A slow machine is no failure, and a run that fails is to fail again.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a GPU where there is none, and remember why."""
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if wanting and (lacks := nvidia.lacking(nvidia.survey(Path("/")))):
        config.stash[LEFT_OUT] = f"{len(wanting)} tests marked gpu were left out: {lacks}"
        config.hook.pytest_deselected(items=wanting)
        items[:] = [item for item in items if item not in wanting]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say so at the end; where others run the tests (xdist), what they left out is not known by its number."""
    told = config.stash.get(LEFT_OUT, None)
    if not told and config.pluginmanager.hasplugin("dsession") and any("contract" in given for given in config.args):
        lacks = nvidia.lacking(nvidia.survey(Path("/")))
        told = f"the tests marked gpu were left out: {lacks}" if lacks else None
    if told:
        terminalreporter.write_line(told)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have settings of their own in the environment, or be a service of systemd."""
    for name in [*os.environ]:
        if name.startswith(("HAILO_WHISPER_", "HAILO_EMULATOR_", "WHISPER_", "XDG_CONFIG_", "LISTEN_", "WATCHDOG_")) or name in (
            "NOTIFY_SOCKET",
            "JOURNAL_STREAM",
        ):
            monkeypatch.delenv(name)


@pytest.fixture
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the kernel say each time it is asked that it has ended one more process for want of memory."""
    counted = itertools.count()
    monkeypatch.setattr(memory, "shortages", lambda: next(counted))


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands that are run in this process set up its log, which would hide from later tests what they look for."""
    root = logging.getLogger()
    handlers, level, disabled = [*root.handlers], root.level, root.manager.disable
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(log, "_transcripts", False)
    monkeypatch.delenv(log.FORM, raising=False)
    yield
    os.environ.pop(log.FORM, None)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.disable(disabled)
    logging.captureWarnings(False)


@pytest.fixture(scope="session")
def clip_wav() -> bytes:
    """The package's clip: 5.3 s of speech."""
    return clip()


@pytest.fixture
def in_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the program think that it is an image's."""
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt" / installation.MARK).touch()
    monkeypatch.setattr(installation, "PREFIX", tmp_path / "opt" / "venv")


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """An emulated Hailo device, which nobody else has."""
    device = Device(tmp_path / "device", monkeypatch)
    yield device
    device.forget()


@pytest.fixture
def open_fds() -> Callable[[], int]:
    """How many descriptors this process has open."""
    return lambda: len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """What passes for a model that the user brought; a file `script` in it drives the scripted engine."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    return folder


@pytest.fixture(scope="session")
def clip_words() -> str:
    """What is said in it."""
    return clip_text()
