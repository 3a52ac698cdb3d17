"""The tests at the root are about the house: its roles, its scripts, its linters."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def project() -> Path:
    return PROJECT


@pytest.fixture
def stream(capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Callable[..., int]:
    """Run a command in the project with its output shown as it comes, and return its exit status.

    Beside other tests, each line says which test it is of; if that fails, all of them are shown once more, in one piece.
    """
    beside = hasattr(request.config, "workerinput")

    def run(*command: str, **environment: str) -> int:
        options: dict[str, Any] = {"cwd": PROJECT, "env": os.environ | environment, "stdin": subprocess.DEVNULL}
        called = f"$ {shlex.join(command)}\n"
        if not beside:
            with capfd.disabled():
                print(f"\n{called}", end="", flush=True)
                return subprocess.run(command, **options, check=False).returncode
        label = request.node.name.encode()
        lines = [called.encode()]
        # A worker's standard output is nobody's; its standard error is that of the run. One write a line, so that none is torn by another's.
        with capfd.disabled(), _group(command, options) as process:
            assert process.stdout
            os.write(2, label + b" | " + lines[0])
            for line in process.stdout:
                lines.append(line)
                os.write(2, label + b" | " + line)
        sys.stdout.write(b"".join(lines).decode(errors="replace"))
        return process.returncode

    return run


@contextlib.contextmanager
def _group(command: tuple[str, ...], options: dict[str, Any]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process and all that it starts, which end when the run is interrupted: a worker of pytest-xdist may be told to end by itself alone."""
    with subprocess.Popen(
        command, **options, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            yield process
        except BaseException:
            for number, seconds in ((signal.SIGINT, 3), (signal.SIGKILL, 1)):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
            raise


@pytest.fixture(scope="session")
def code(project: Path) -> str:
    """All that may say something, with the parts of a sentence joined that stand on several lines."""
    paths = [*(project / "app/src").rglob("*.py"), *(project / "playbooks").rglob("*.*"), *(project / "plugins").rglob("*.py")]
    paths += [
        path for path in (project / "roles").rglob("*") if path.suffix in (".py", ".yml") or path.name == "hailo-whisper-gateway"
    ]
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in paths)
    text = re.sub(r"""["']\s*\n\s*[fr]?["']""", "", text)
    text = re.sub(r"""'\s*\n?\s*~ '""", "", text)
    return " ".join(text.split())
