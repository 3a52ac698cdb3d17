"""docs/doctor.md names the checks and the trials that there are, and no others."""

import re
from pathlib import Path

from hailo_whisper.cli import doctor
from hailo_whisper.cli.doctor import examination
from hailo_whisper.cli.selftest import trials

DOCS = Path(__file__).resolve().parents[5] / "docs" / "doctor.md"


def _first_column(heading: str) -> set[str]:
    part = DOCS.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)}


def test_every_check_is_in_the_docs() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(str(doctor.__file__)).parent.glob("*.py")]
    made = {
        name
        for text in sources
        for name in re.findall(r'\b(?:ok|warning|broken|bad|told|_mistakes|Finding)\(\s*"([a-z-]+)"', text)
    }
    # Not written as such: the disk's by its folder, the offered model's by a copy, the machine's where it could not be looked at.
    made |= {"disk", "disk-cache", "model-offered", "machine"}
    assert made == _first_column("doctor")
    assert {name for name, _ in examination.CHECKS} - {"program", "models", "hailo-software"} <= made


def test_every_trial_is_in_the_docs() -> None:
    assert {"device", "load", *(name for name, _ in trials.TRIALS)} == _first_column("selftest")
