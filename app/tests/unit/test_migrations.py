"""Settings of a layout of before. There has been none yet, so that the tests have a version 0 of their own."""

import json
from pathlib import Path

import pytest
from machines import FakeMachine
from patients import patient

from hailo_whisper import settings
from hailo_whisper.cli import main
from hailo_whisper.cli.doctor import configured
from hailo_whisper.cli.doctor.finding import State
from hailo_whisper.settings import migrations
from hailo_whisper.settings.migrations import Changed, Gone, Renamed

STEPS = (
    Renamed("model.unload_after", "model.keep_alive"),
    Renamed("model.allowed_mb", "models.memory_mb"),
    Gone("vad.engine", "there is one only"),
    Changed(
        "limits.upload_mib", lambda value: value // 1024 if isinstance(value, int) else value, "it was in KiB, and is in MiB"
    ),
)
OLD = """\
# My box.
schema_version: 0   # leave it

model:
  name: tiny.en
  # Unload it at night.
  unload_after: 600  # ten minutes
  allowed_mb: 2000
vad:
  engine: silero
  threshold: 0.4
limits:
  upload_mib: 102400
"""
NEW = """\
# My box.
schema_version: 1   # leave it

model:
  name: tiny.en
  # Unload it at night.
  keep_alive: 600  # ten minutes
  # Gone: it is models.memory_mb now.
  # allowed_mb: 2000
vad:
  # Gone: there is one only.
  # engine: silero
  threshold: 0.4
limits:
  upload_mib: 100
models:
  memory_mb: 2000
"""


@pytest.fixture(autouse=True)
def _a_version_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "MIGRATIONS", {0: STEPS})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "hailo-whisper.yaml"
    path.write_text(OLD)
    return path


def test_every_step_is_done_when_it_is_read(source: Path) -> None:
    found = settings.parse(settings.read(source), "it")
    assert found.schema_version == 1
    assert (found.model.keep_alive, found.models.memory_mb, found.limits.upload_mib) == (600, 2000, 100)
    assert (found.model.name, found.vad.threshold) == ("tiny.en", 0.4)
    told = settings.migrate(settings.read(source))
    assert told.version == 0
    assert told.notes == (
        "model.unload_after is called model.keep_alive now",
        "model.allowed_mb is called models.memory_mb now",
        "vad.engine is gone: there is one only",
        "limits.upload_mib has another meaning: it was in KiB, and is in MiB",
    )
    assert source.read_text() == OLD


def test_a_file_that_does_not_say_is_of_the_oldest_layout_and_one_of_today_is_left_alone() -> None:
    assert settings.migrate({"model": {"unload_after": 5}}).data == {"model": {"keep_alive": 5}}
    assert settings.migrate({"vad": {"engine": "silero"}}).data == {}, "a section that may be no more is not left behind"
    today = {"schema_version": 1, "limits": {"upload_mib": 50}}
    assert settings.migrate(today) == settings.Migrated(today, 1, ())


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            {"schema_version": 1, "model": {"unload_after": 5}},
            "unknown key model.unload_after. Since schema_version 1, model.unload_after is called model.keep_alive now.",
        ),
        (
            {"schema_version": 1, "vad": {"engine": "x"}},
            "unknown key vad.engine. Since schema_version 1, vad.engine is gone: there is one only.",
        ),
        (
            {"schema_version": 0, "model": {"unload_after": 5, "keep_alive": 6}},
            "model.unload_after is called model.keep_alive now.",
        ),
        (
            {"schema_version": 2},
            "schema_version is 2, and this version of hailo-whisper reads 1: install the one it was made for, or put back the file of before",
        ),
        ({"schema_version": -1}, "schema_version is -1"),
        ({"schema_version": "0"}, "schema_version is '0'"),
        ({"schema_version": 0, "model": 5}, "model is 5: it should be a section of settings"),
    ],
)
def test_what_cannot_be_migrated_is_refused_with_what_became_of_it(data: object, sentence: str) -> None:
    with pytest.raises(settings.ConfigurationInvalid) as refused:
        settings.parse(data, "it")
    assert sentence in str(refused.value)


def test_a_variable_of_before_is_refused_with_what_it_is_called_now() -> None:
    with pytest.raises(
        settings.ConfigurationInvalid,
        match=r"sets nothing\. Since schema_version 1, model\.unload_after is called model\.keep_alive now",
    ):
        settings.load(environ={"HAILO_WHISPER_MODEL_UNLOAD_AFTER": "5"}, missing_ok=True)


def test_render_makes_the_right_json_says_what_is_old_and_leaves_the_file_alone(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "render", "--source", str(source), "--root", str(tmp_path / "root")]) == 0
    said = capsys.readouterr().err
    assert f"{source} is of schema_version 0, and 1 is current: model.unload_after is called model.keep_alive now; " in said
    assert "`hailo-whisper config migrate` rewrites it" in said
    rendered = json.loads((tmp_path / "root/etc/xdg/hailo-whisper/hailo-whisper.json").read_text())
    assert (rendered["schema_version"], rendered["model"]["keep_alive"]) == (1, 600)
    assert source.read_text() == OLD
    assert main(["config", "check", str(source)]) == 0
    assert "schema_version 0" in capsys.readouterr().err


def test_the_doctor_says_what_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path))
    machine = FakeMachine(tmp_path / "root")
    machine.write("etc/hailo/hailo-whisper.yaml", OLD)
    (found,) = configured.valid(patient(machine))
    assert (found.state, found.check) == (State.WARNING, "configuration")
    assert "vad.engine is gone: there is one only" in found.found
    assert "hailo-whisper config migrate" in (found.cure or "")


class TestMigrate:
    def test_it_rewrites_what_is_old_keeps_the_rest_and_the_file_of_before(
        self, source: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        source.chmod(0o640)
        assert main(["config", "migrate", "--source", str(source)]) == 0
        assert source.read_text() == NEW
        assert source.stat().st_mode & 0o777 == 0o640
        assert source.with_name("hailo-whisper.yaml.schema-0").read_text() == OLD
        assert capsys.readouterr().out.splitlines()[-1] == f"changed {source}"
        assert settings.parse(settings.read(source), "it").model.keep_alive == 600
        assert main(["config", "migrate", "--source", str(source)]) == 0
        assert capsys.readouterr().out.splitlines() == [f"unchanged {source}"]

    def test_with_check_and_diff_it_only_shows(self, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["config", "migrate", "--source", str(source), "--check", "--diff"]) == 0
        out = capsys.readouterr().out
        assert {"-  unload_after: 600  # ten minutes", "+  keep_alive: 600  # ten minutes"} <= set(out.splitlines())
        assert out.endswith(f"would change {source}\n")
        assert source.read_text() == OLD
        assert [path.name for path in source.parent.iterdir()] == [source.name]

    def test_what_is_kept_of_another_time_is_not_lost(self, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
        kept = source.with_name("hailo-whisper.yaml.schema-0")
        kept.write_text("mine\n")
        assert main(["config", "migrate", "--source", str(source)]) == 1
        assert "is in the way" in capsys.readouterr().err
        assert (source.read_text(), kept.read_text()) == (OLD, "mine\n")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("model: {unload_after: 5, name: base}\n", "schema_version: 1\nmodel: {keep_alive: 5, name: base}\n"),
            ("{schema_version: 0, vad: {engine: x}}\n", "{schema_version: 1, vad: {}}\n"),
            ("vad: {threshold: 0.4, engine: x}", "schema_version: 1\nvad: {threshold: 0.4}"),
            ("vad: {engine: x, threshold: 0.4}", "schema_version: 1\nvad: {threshold: 0.4}"),
            (
                "model: {allowed_mb: 5}\nmodels:\n  # all of it\n",
                "schema_version: 1\nmodel: {}\nmodels:\n  memory_mb: 5\n  # all of it\n",
            ),
            ("model: {allowed_mb: 5}\nmodels: {}\n", "schema_version: 1\nmodel: {}\nmodels: {memory_mb: 5}\n"),
            (
                "models:\n    tries: 2\nmodel: {allowed_mb: 5}",
                "schema_version: 1\nmodels:\n    memory_mb: 5\n    tries: 2\nmodel: {}",
            ),
            ("model:\n  'unload_after': 5\n", "schema_version: 1\nmodel:\n  keep_alive: 5\n"),
            (
                "vad:\n  engine:\n    a: 1\n    b: 2\n  threshold: 0.4\n",
                "schema_version: 1\nvad:\n  # Gone: there is one only.\n  # engine:\n  #   a: 1\n  #   b: 2\n  threshold: 0.4\n",
            ),
            ("# nothing\n", "schema_version: 1\n# nothing\n"),
        ],
    )
    def test_however_it_is_written(self, old: str, new: str) -> None:
        assert settings.rewrite(old) == new

    @pytest.mark.parametrize(
        "text",
        ["base: &b {unload_after: 5}\nmodel:\n  <<: *b\n", "model:\n  allowed_mb:\n    - 1\n    - 2\n"],
        ids=["merged", "lines"],
    )
    def test_what_cannot_be_changed_safely_is_said(self, text: str) -> None:
        with pytest.raises(
            settings.NotRewritten,
            match=r"Change it by hand: model\.[a-z_]+ is called models?\.[a-z_]+ now; then set schema_version to 1\.",
        ):
            settings.rewrite(text)

    def test_a_file_that_has_other_mistakes_is_refused(self, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
        source.write_text(f"{OLD}sever: {{}}\n")
        assert main(["config", "migrate", "--source", str(source)]) == 1
        assert "Did you mean server?" in capsys.readouterr().err
        assert source.read_text().startswith(OLD)


class TestDowngrade:
    """The program of before comes back, and finds what the newer one has made."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        folder = tmp_path / "root"
        assert main(["config", "render", "--source", str(self._yaml(tmp_path, 1, 8080)), "--root", str(folder)]) == 0
        return folder / "etc/xdg"

    def _yaml(self, folder: Path, version: int, port: int) -> Path:
        path = folder / "hailo-whisper.yaml"
        path.write_text(f"schema_version: {version}\nserver: {{port: {port}}}\n")
        return path

    def _newer(self, root: Path) -> Path:
        """What a newer version would have made of it: it keeps the one of before."""
        made = root / settings.RENDERED
        made.rename(settings.kept(made))
        made.write_text('{"schema_version": 2, "server": {"port": 9090, "colour": "blue"}}\n')
        return made

    def test_the_last_good_one_is_in_force(self, root: Path, caplog: pytest.LogCaptureFixture) -> None:
        made = self._newer(root)
        found = settings.load(environ={"XDG_CONFIG_HOME": "/nonesuch", "XDG_CONFIG_DIRS": str(root)})
        assert found.server.port == 8080
        assert f"{made} was made by a newer version (schema_version 2): {settings.kept(made)} is in force" in caplog.text

    def test_without_one_it_is_refused(self, root: Path) -> None:
        made = self._newer(root)
        settings.kept(made).unlink()
        with pytest.raises(
            settings.ConfigurationInvalid, match="schema_version is 2, and this version of hailo-whisper reads 1: install the one"
        ):
            settings.load(environ={"XDG_CONFIG_HOME": "/nonesuch", "XDG_CONFIG_DIRS": str(root)})

    def test_a_newer_source_is_refused_and_changes_nothing(
        self, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made = self._newer(root)
        before = made.read_text()
        for action in ("render", "migrate"):
            more = ["--root", str(tmp_path / "root")] if action == "render" else []
            assert main(["config", action, "--source", str(self._yaml(tmp_path, 2, 9090)), *more]) == 1
            assert "schema_version is 2" in capsys.readouterr().err
        assert made.read_text() == before

    def test_render_keeps_what_another_version_made(self, root: Path, tmp_path: Path) -> None:
        made = self._newer(root)
        settings.kept(made).unlink()
        before = made.read_text()
        assert main(["config", "render", "--source", str(self._yaml(tmp_path, 1, 8080)), "--root", str(tmp_path / "root")]) == 0
        assert settings.kept(made, 2).read_text() == before
        assert json.loads(made.read_text())["schema_version"] == 1
        made.write_text("no JSON")
        assert main(["config", "render", "--source", str(self._yaml(tmp_path, 1, 8080)), "--root", str(tmp_path / "root")]) == 0
        assert json.loads(made.read_text())["schema_version"] == 1
