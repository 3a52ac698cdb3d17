import subprocess
import sys
from pathlib import Path

import pytest

from hailo_whisper.accelerators.asking import PYTHON, Answer, asked


def test_what_a_program_said() -> None:
    program = "import sys; print('one'); print('two'); print('no', file=sys.stderr); print('never', file=sys.stderr); sys.exit(3)"
    answer = asked((sys.executable, "-c", program), 20.0)
    assert answer == Answer(3, "one\ntwo\n", "no\nnever\n")
    assert (answer.last_line, answer.last_words) == ("two", "never")


def test_what_says_nothing_has_no_last_line() -> None:
    answer = asked((sys.executable, "-c", ""), 20.0)
    assert answer
    assert (answer.status, answer.last_line, answer.last_words) == (0, "", "")


def test_one_that_does_not_end_even_when_killed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[subprocess.Popen[str]] = []
    kill = subprocess.Popen.kill

    def held(program: "subprocess.Popen[str]") -> None:
        """Do nothing, as the signal does to what a driver holds."""
        ended.append(program)

    with monkeypatch.context() as patched:
        patched.setattr(subprocess.Popen, "kill", held)
        assert asked((sys.executable, "-c", "import time; time.sleep(60)"), 0.1) is None
    (program,) = ended
    assert program.poll() is None
    kill(program)


def test_a_program_that_is_not_there_is_the_callers_to_tell_of() -> None:
    with pytest.raises(FileNotFoundError):
        asked(("/nowhere/program",), 1.0)


def test_python_imports_nothing_from_where_its_user_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('a stranger was run')")
    monkeypatch.chdir(tmp_path)
    answer = asked((*PYTHON, "-c", "import json; print(json.dumps(1))"), 20.0)
    assert answer == Answer(0, "1\n", "")
