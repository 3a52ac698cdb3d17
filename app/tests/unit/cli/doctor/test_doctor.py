"""The command: the table, the JSON, the exit status, and that nothing is waited for long."""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machines import FakeMachine

from hailo_whisper.cli import container, doctor, main
from hailo_whisper.cli.doctor import configured, examination, report
from hailo_whisper.cli.doctor.finding import Finding, State, broken, ok, warning, worst
from hailo_whisper.cli.doctor.patient import ask
from hailo_whisper.cli.engines import Decision

FINDINGS = [
    ok("clock", "2026-11-21"),
    warning("cpu", "an old one " * 8, "Buy " + "another " * 12),
    broken("unit-device", "hidden", "Let it in."),
]
DECISION = Decision("ctranslate2", "the CPU transcribes: there is nothing else", {"hailo": "there is no Hailo device"})


def test_the_table_is_plain_when_it_is_piped() -> None:
    text = report.as_table(FINDINGS, None)
    assert text.splitlines()[:2] == ["STATE    CHECK       FOUND", "ok       clock       2026-11-21"]
    assert len(text.splitlines()) == 1 + 3 + 2 + 2
    assert "\033" not in text
    assert text.endswith("Broken: 1, warnings: 1.")
    assert report.as_table(FINDINGS[:1], None).endswith("All is well.")


def test_on_a_terminal_it_is_wrapped_below_its_column() -> None:
    lines = report.as_table(FINDINGS, 60, colour=True).splitlines()
    plain = [
        line.replace("\033[32m", "").replace("\033[33m", "").replace("\033[1;31m", "").replace("\033[0m", "") for line in lines
    ]
    assert max(map(len, plain)) <= 60
    assert all(line.startswith(" " * 21) for line in plain[3:6])
    assert any(line.startswith(" " * 21 + "-> Buy") for line in plain)
    assert lines[1].startswith("\033[32mok")


def test_colours_and_width_are_a_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert (report.width(Terminal()), report.colourful(Terminal())) == (100, True)
    assert (report.width(io.StringIO()), report.colourful(io.StringIO())) == (None, False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not report.colourful(Terminal())


def test_the_json_has_a_stable_form() -> None:
    data = json.loads(json.dumps(report.as_json(examination.Examined(FINDINGS, DECISION))))
    assert set(data) == {"schema_version", "version", "time", "host", "state", "engine", "findings"}
    assert (data["schema_version"], data["state"]) == (1, "broken")
    assert data["engine"] == {"kind": "ctranslate2", "reason": DECISION.reason, "lacking": {"hailo": "there is no Hailo device"}}
    assert data["findings"][0] == {"check": "clock", "state": "ok", "found": "2026-11-21", "cure": None}
    assert worst([]) is State.OK


@pytest.mark.parametrize(
    ("findings", "options", "status"),
    [
        (FINDINGS[:1], [], 0),
        (FINDINGS[:2], [], 0),
        (FINDINGS[:2], ["--strict"], 1),
        (FINDINGS, [], 1),
        (FINDINGS, ["--json"], 1),
    ],
)
def test_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], findings: list[Finding], options: list[str], status: int
) -> None:
    monkeypatch.setattr(doctor.examination, "examine", lambda config, checks: examination.Examined(findings, DECISION))
    assert main(["doctor", *options]) == status
    out = capsys.readouterr().out
    assert out.startswith("{" if "--json" in options else "STATE")


def test_it_looks_at_one_thing_when_it_is_told_to(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = tmp_path / "settings.json"
    config.write_text("{}")
    main(["doctor", "--only", "clock", "--only", "configuration", "--config", str(config), "--json"])
    assert {each["check"] for each in json.loads(capsys.readouterr().out)["findings"]} == {"clock", "configuration"}
    with pytest.raises(SystemExit, match="2"):
        main(["doctor", "--only", "colour"])
    assert "invalid choice: 'colour'" in capsys.readouterr().err


def test_a_check_that_hangs_or_breaks_costs_its_own_line(monkeypatch: pytest.MonkeyPatch, machine: FakeMachine) -> None:
    monkeypatch.setattr(examination, "SECONDS", 0.5)

    def hang(_: Any) -> list[Finding]:
        time.sleep(60)
        return []

    def fail(_: Any) -> list[Finding]:
        raise ValueError("unexpected")

    began = time.monotonic()
    found = examination.examine(
        None, machine.root, [("slow", hang), ("bad", fail), ("good", lambda _: [ok("good", "yes")])]
    ).findings
    assert time.monotonic() - began < 10
    assert [(each.check, each.state) for each in found] == [("slow", State.BROKEN), ("bad", State.BROKEN), ("good", State.OK)]
    assert "no answer within" in found[0].found
    assert found[1].found == "could not be checked: ValueError: unexpected"


def test_a_disk_that_hangs_is_not_waited_for_again(monkeypatch: pytest.MonkeyPatch, machine: FakeMachine) -> None:
    monkeypatch.setattr(examination, "SECONDS", 0.5)

    def hang(*_: object) -> None:
        time.sleep(60)

    monkeypatch.setattr("hailo_whisper.cli.engines.decide", hang)
    began = time.monotonic()
    found = examination.examine(None, machine.root)
    assert time.monotonic() - began < 10
    silent = [each.check for each in found.findings if "no answer within" in each.found]
    assert ("engine" in silent, "models" in silent, "hailo" in silent) == (True, True, False)
    assert found.decision.kind == "unknown"


def test_the_engine_is_decided_once(monkeypatch: pytest.MonkeyPatch, machine: FakeMachine) -> None:
    asked: list[object] = []

    def decide(settings: object, *_: object) -> Decision:
        asked.append(settings)
        return DECISION

    monkeypatch.setattr("hailo_whisper.cli.engines.decide", decide)
    checks = [(name, check) for name, check in examination.CHECKS if name in ("models", "engine")]
    assert examination.examine(None, machine.root, checks).decision == DECISION
    assert len(asked) == 1


def test_a_machine_that_cannot_be_surveyed_is_examined_all_the_same(
    monkeypatch: pytest.MonkeyPatch, machine: FakeMachine
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(examination, "admit", fail)
    found = examination.examine(None, machine.root, [("good", lambda _: [ok("good", "yes")])]).findings
    assert [(each.check, each.state) for each in found] == [("machine", State.BROKEN), ("good", State.OK)]


def test_a_configuration_that_is_broken_hides_nothing_else(machine: FakeMachine, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("sever: {}\n")
    patient = examination.admit(path, machine.root)
    assert patient.settings.server.port == 11437
    assert patient.user
    assert patient.user.name == "hailo-whisper"


def test_a_rendered_file_that_is_damaged_hides_nothing_of_what_is_meant(
    machine: FakeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    rendered = tmp_path / "hailo-whisper/hailo-whisper.json"
    rendered.parent.mkdir()
    rendered.write_bytes(bytes(300))
    machine.write("etc/hailo/hailo-whisper.yaml", "model: {name: tiny.en}\n")
    patient = examination.admit(None, machine.root)
    assert patient.settings.model.name == "tiny.en", "of the default nobody wants to know that it is missing"
    found = configured.valid(patient)
    assert [(each.check, each.state) for each in found] == [
        ("configuration", State.OK),
        ("configuration-in-force", State.BROKEN),
    ]
    assert str(found[1].cure).startswith("Run `hailo-whisper config render`, which makes it anew from ")
    assert "Run" not in found[1].found


def test_the_units_user_and_groups_are_the_ones_that_count(machine: FakeMachine) -> None:
    (machine.root / "run/systemd/system").mkdir(parents=True)
    machine.write("etc/passwd", "root:x:0:0::/:\nhailo-whisper:x:990:990::/:\nspeech:x:991:991::/:\n")
    machine.write("etc/group", "hailo-whisper:x:990:\nspeech:x:991:\nhailo:x:980:\n")
    shown = "Id=hailo-whisper.service\nLoadState=loaded\nUser=speech\nSupplementaryGroups=hailo none-such\n"
    patient = examination.admit(None, machine.root, lambda _: shown)
    assert patient.user
    assert (patient.user.name, patient.user.groups) == ("speech", (991, 980))


def test_a_program_that_is_asked() -> None:
    assert ask([sys.executable, "-c", "print(' yes ')"]) == "yes"
    assert ask([sys.executable, "-c", "raise SystemExit(3)"]) is None
    assert ask(["/nowhere/at/all"]) is None


def test_a_program_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hailo_whisper.cli.doctor.patient.SECONDS", 0.3)
    assert ask([sys.executable, "-c", "import time; time.sleep(60)"]) is None


def test_the_program_without_root_and_without_a_hang(tmp_path: Path) -> None:
    """The whole command, on this machine: it ends, and says what it says as a table and as JSON."""
    environ = os.environ | {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path)}
    command = [sys.executable, "-m", "hailo_whisper", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=environ)
    assert done.returncode in (0, 1), done.stderr
    data = json.loads(done.stdout)
    checks = [finding["check"] for finding in data["findings"]]
    assert {"python", "clock", "memory", "disk", "cpu", "hailo", "nvidia", "keys", "model", "engine", "unit", "port"} <= set(
        checks
    )
    assert done.returncode == int(data["state"] == "broken")


@pytest.mark.usefixtures("in_image")
class TestInAnImage:
    """It is started by `exec`, with the environment of the service, which `container` makes settings of."""

    ASKED = ("doctor", "--json", "--only", "configuration", "--only", "generated", "--only", "keys", "--only", "models")

    @pytest.fixture(autouse=True)
    def given(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        (tmp_path / "hailo-whisper.yaml").write_text("server: {host: 0.0.0.0}\n")
        (tmp_path / "secret").write_text("sk-of-a-test-0123456789abcdef\n")
        (tmp_path / "private").mkdir()
        monkeypatch.setattr(doctor, "SOURCE", tmp_path / "hailo-whisper.yaml")
        monkeypatch.setattr(container, "SECRET", tmp_path / "secret")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "private"))
        before = dict(os.environ)
        for name in before:
            if name.startswith(("HAILO_WHISPER_", "WHISPER_", "MODEL_CACHE_DIR")):
                del os.environ[name]
        os.environ["WHISPER_MODEL"] = "tiny.en"
        yield
        # Also what was made of it.
        os.environ.clear()
        os.environ.update(before)

    def test_the_model_and_the_key_are_those_that_the_container_was_given(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        main(self.ASKED)
        found = {each["check"]: each for each in json.loads(capsys.readouterr().out)["findings"]}
        assert found["keys"]["state"] == "ok"
        assert "1 in " in found["keys"]["found"]
        assert "generated" not in found
        assert any("tiny.en" in each["found"] for each in found.values())
        assert [*(tmp_path / "private").iterdir()] == [], "no key is left behind"

    def test_what_the_service_would_be_refused_for_is_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        os.environ["WHISPER__MODEL"] = "tiny.en"
        assert main(self.ASKED) == 1
        assert "WHISPER__MODEL" in capsys.readouterr().err
