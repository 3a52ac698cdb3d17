"""The arrows of the design go one way, and nothing under the GPL is in the server's process."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import hailo_whisper

PACKAGE = Path(hailo_whisper.__file__).parent
LOCK = Path(__file__).parents[2] / "requirements" / "server.lock"

# What each part may import of the program: prefixes of modules, without the package's own name. cli puts all together.
ALLOWED = {
    "failure": set[str](),
    "installation": set[str](),
    "control_groups": set[str](),
    "hef": {"failure"},
    "retry_after": set[str](),
    "settings": {"failure"},
    "service": {"failure", "settings", "control_groups", "__version__"},
    "speech": {"failure", "service.channel", "service.child", "service.metrics", "service.sandbox"},
    "formats": {"speech.transcript", "speech.languages"},
    "accelerators": {"installation", "control_groups"},
    # What a model consists of and what brings it, and Whisper's own tokenizer, are the models' business wherever they are needed.
    "engines": {
        "failure",
        "hef",
        "installation",
        "accelerators",
        "service.channel",
        "service.child",
        "service.metrics",
        "speech",
        "models.cure",
        "models.hefs",
        "models.official",
        "models.weights",
    },
    "scheduling": {"failure", "settings", "service.log", "service.memory", "service.metrics", "speech", "engines"},
    "models": {"failure", "hef", "installation", "retry_after"},
    "keys": {"failure"},
    "recordings": {"failure", "retry_after", "settings", "speech", "formats", "engines", "scheduling", "__version__"},
    "api": {"failure", "settings", "keys"}
    | {"speech", "formats", "engines", "scheduling", "service.log", "service.metrics", "__version__"},
}
# Who may import what is heavy, or is the business of one part only.
OWNERS = {
    "fastapi": {"api", "cli.service"},
    "starlette": {"api"},
    "uvicorn": {"cli.serve", "cli.drain", "api.connection"},
    "av": {"speech.decode"},
    "onnxruntime": {"speech.detection"},
    "faster_whisper": {"engines.whisper"},
    "ctranslate2": {"engines.whisper", "engines.cuda", "models.conversion"},
    "nacl": {"models.signature"},
    "huggingface_hub": {"models.sources"},
    "yaml": {"settings", "models"},
    "prometheus_client": {"service.metrics"},
    "httpx2": {"recordings.connections", "recordings.remote", "models.sources"},
}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts), ast.parse(path.read_text())


def _imports(module: str, tree: ast.Module) -> Iterator[str]:
    """Absolute names of what a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = ["hailo_whisper", *module.split(".")[:-1]]
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _within(name: str, prefixes: set[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def test_every_part_is_known_to_the_rule() -> None:
    parts = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert parts - {"data", "cli", "__init__", "__main__", "py"} == set(ALLOWED)


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_only_what_lies_before_it(part: str) -> None:
    wrong = [
        f"{module} imports {name}"
        for module, tree in _modules()
        if _within(module, {part})
        for name in _imports(module, tree)
        if name.startswith("hailo_whisper.") and not _within(name.removeprefix("hailo_whisper."), {part, *ALLOWED[part]})
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_the_business_of_its_part(library: str) -> None:
    wrong = [
        f"{module} imports {name}"
        for module, tree in _modules()
        for name in _imports(module, tree)
        if _within(name, {library}) and not _within(module, OWNERS[library])
    ]
    assert not wrong, wrong


def test_the_rule_sees_relative_imports() -> None:
    tree = ast.parse("from ..api import errors\nfrom . import windows\ndef f():\n    from ...models.store import Store")
    assert list(_imports("speech.deep.module", tree)) == [
        "hailo_whisper.speech.api.errors",
        "hailo_whisper.speech.deep.windows",
        "hailo_whisper.models.store.Store",
    ]


def test_the_server_imports_neither_the_decoder_nor_an_engine() -> None:
    """PyAV's wheels carry encoders under the GPL, and all of them are heavy: only the children load them."""
    program = "import sys, hailo_whisper.cli.serve; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert "hailo_whisper.api.app" in loaded
    assert not loaded & {"av", "faster_whisper", "ctranslate2", "onnxruntime", "huggingface_hub", "hailo_whisper.speech.decode"}


def _locked() -> Iterator[Requirement]:
    for line in LOCK.read_text().splitlines():
        if line[:1].isalnum():
            requirement = Requirement(line.rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement


def test_the_lock_is_read() -> None:
    assert {"fastapi", "av", "faster-whisper", "uvicorn"} <= {requirement.name for requirement in _locked()}


@pytest.mark.parametrize("name", [requirement.name for requirement in _locked()])
def test_a_requirement_has_a_licence_that_is_not_the_gpl(name: str) -> None:
    about = metadata.metadata(name)
    lines = [line for key in ("License-Expression", "License", "Classifier") for line in about.get_all(key) or []]
    stated = " | ".join(line for line in lines if "::" not in line or line.startswith("License ::"))
    assert stated, "it states no licence at all"
    assert not re.search(r"\b[AL]?GPL|General Public Licen[sc]e", stated), stated
