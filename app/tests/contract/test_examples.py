"""The examples of the documentation do what they say: each is run as it stands there, against a real model."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from node import NODE, Node

DOCS = Path(__file__).parents[3]
PAGES = ("docs/api.md",)
BLOCK = re.compile(r"^```(?P<language>sh|python|js)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
# The name of the file that it is put in, and what runs that.
RUN = {
    "sh": ("example.sh", ["bash", "-euo", "pipefail"]),
    "python": ("example.py", [sys.executable]),
    "js": ("example.mjs", [NODE]),
}


@dataclass(frozen=True)
class Example:
    """A fenced block of a page."""

    place: str
    language: str
    text: str


def examples() -> Iterator[Example]:
    for page in PAGES:
        text = (DOCS / page).read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Example(f"{page}:{line}", found["language"], found["text"])


def test_there_are_examples_in_every_language() -> None:
    assert {example.language for example in examples()} == set(RUN)


@pytest.mark.network
@pytest.mark.parametrize("example", list(examples()), ids=lambda example: f"{example.place} {example.language}")
def test_an_example_runs(
    example: Example,
    multilingual_url: str,
    api_key: str,
    node: Node,
    clip: bytes,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if "translations" in example.text:
        # Which a server with an English model, whose address was given, cannot do.
        request.getfixturevalue("multilingual")
    folder = node.folder(tmp_path)
    (folder / "speech.wav").write_bytes(clip)
    name, command = RUN[example.language]
    (folder / name).write_text(example.text, encoding="utf-8")
    environment = os.environ | {"OPENAI_BASE_URL": f"{multilingual_url}/v1", "OPENAI_API_KEY": api_key}
    done = subprocess.run(
        [*command, name],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "it shows something"
    assert '"error":' not in done.stdout, done.stdout
