import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hailo_whisper import settings
from hailo_whisper.cli import main

JSON = Path("etc/xdg/hailo-whisper/hailo-whisper.json")
SOCKET = Path("etc/systemd/system/hailo-whisper.socket.d/50-config.conf")
SERVICE = Path("etc/systemd/system/hailo-whisper.service.d/50-config.conf")
FILES = (JSON, SOCKET, SERVICE)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "hailo-whisper.yaml"
    path.write_text("server: {port: 8080}\nresource_limits: {memory_max: 2G}\n")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def strict_umask() -> Iterator[None]:
    old = os.umask(0o077)
    yield
    os.umask(old)


def _render(source: Path, root: Path, *more: str) -> int:
    return main(["config", "render", "--source", str(source), "--root", str(root), *more])


def _everything(root: Path) -> dict[Path, tuple[str, int]]:
    return {path: (path.read_text(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


class TestRender:
    def test_it_writes_the_json_and_both_drop_ins(self, source: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert _render(source, root) == 0
        assert capsys.readouterr().out.splitlines() == [f"changed {root / file}" for file in FILES]
        assert {path.relative_to(root) for path in _everything(root)} == set(FILES), "and leaves nothing else behind"
        assert settings.load(root / JSON, environ={}) == settings.load(source, environ={})
        assert json.loads((root / JSON).read_text())["model"]["name"] == "base", "the defaults are written out"
        assert "ListenStream=127.0.0.1:8080\n" in (root / SOCKET).read_text()
        assert "MemoryMax=2G\n" in (root / SERVICE).read_text()

    def test_everybody_may_read_them_whatever_the_umask(self, source: Path, root: Path, strict_umask: None) -> None:
        """The service's user has to: a hardened root has a umask of 077."""
        assert _render(source, root) == 0
        for file in FILES:
            assert (root / file).stat().st_mode & 0o7777 == 0o644
            assert (root / file).parent.stat().st_mode & 0o7777 == 0o755
            assert (root / file).parent.parent.stat().st_mode & 0o7777 == 0o755

    def test_a_second_time_changes_nothing(self, source: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        _render(source, root)
        before = _everything(root)
        capsys.readouterr()
        assert _render(source, root, "--diff") == 0
        assert capsys.readouterr().out.splitlines() == [f"unchanged {root / file}" for file in FILES]
        assert _everything(root) == before

    def test_only_what_changes_is_written(self, source: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        _render(source, root)
        capsys.readouterr()
        source.write_text(source.read_text().replace("2G", "3G"))
        assert _render(source, root) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"changed {root / JSON}",
            f"unchanged {root / SOCKET}",
            f"changed {root / SERVICE}",
        ]

    def test_a_wrong_mode_is_put_right(self, source: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        _render(source, root)
        (root / JSON).chmod(0o600)
        capsys.readouterr()
        assert _render(source, root) == 0
        assert f"changed {root / JSON}" in capsys.readouterr().out.splitlines()
        assert (root / JSON).stat().st_mode & 0o7777 == 0o644

    def test_check_writes_nothing(self, source: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert _render(source, root, "--check") == 0
        assert capsys.readouterr().out.splitlines() == [f"would change {root / file}" for file in FILES]
        assert not root.exists()

    def test_diff_shows_what_changes(self, source: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        _render(source, root)
        capsys.readouterr()
        source.write_text(source.read_text().replace("8080", "9090"))
        assert _render(source, root, "--check", "--diff") == 0
        lines = capsys.readouterr().out.splitlines()
        assert '-    "port": 8080' in lines
        assert '+    "port": 9090' in lines
        assert "-ListenStream=127.0.0.1:8080" in lines
        assert f"would change {root / SOCKET}" in lines
        assert f"unchanged {root / SERVICE}" in lines
        assert "8080" in (root / SOCKET).read_text()

    @pytest.fixture
    def systemctl(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Stands for systemctl, and writes down what it is called with."""
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{folder}/calls\n')
        (folder / "systemctl").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return folder

    def test_systemd_is_told_of_changed_drop_ins_when_asked(self, source: Path, root: Path, systemctl: Path) -> None:
        assert _render(source, root) == 0
        source.write_text(source.read_text().replace("8080", "9090"))
        assert _render(source, root, "--reload", "--check") == 0
        assert not (systemctl / "calls").exists()
        assert _render(source, root, "--reload") == 0
        assert (systemctl / "calls").read_text() == "daemon-reload\n"
        source.write_text(source.read_text() + "model: {name: tiny}\n")
        assert _render(source, root, "--reload") == 0
        assert (systemctl / "calls").read_text() == "daemon-reload\n", "the JSON is none of its business"

    @pytest.mark.parametrize("script", ["#!/bin/sh\necho no bus >&2; exit 1\n", "#!/nowhere\n"], ids=["refuses", "broken"])
    def test_a_systemd_that_cannot_be_told_is_a_failure(
        self, source: Path, root: Path, systemctl: Path, script: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (systemctl / "systemctl").write_text(script)
        assert _render(source, root, "--reload") == 1
        assert "Run `systemctl daemon-reload`." in capsys.readouterr().err
        assert (root / JSON).exists()

    def test_what_is_rendered_replaces_the_file_and_is_not_written_into_it(self, source: Path, root: Path) -> None:
        """A reader that has the old file open goes on reading the old text."""
        _render(source, root)
        with (root / SOCKET).open() as reader:
            source.write_text("server: {port: 9090}\n")
            _render(source, root)
            assert "8080" in reader.read()
        assert "9090" in (root / SOCKET).read_text()

    @pytest.mark.parametrize("bad", ["server: {port: 1", "server: {prot: 1}", "server: {port: 70000}"])
    def test_a_bad_source_keeps_the_old_files(
        self, bad: str, source: Path, root: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _render(source, root)
        before = _everything(root)
        capsys.readouterr()
        source.write_text(bad)
        assert _render(source, root) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"hailo-whisper: {source}")
        assert _everything(root) == before

    def test_no_source(self, source: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        source.unlink()
        assert _render(source, root) == 1
        assert f"There is no {source}. Write one" in capsys.readouterr().err

    def test_the_environment_is_not_made_permanent(self, source: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HAILO_WHISPER_SERVER_PORT", "1")
        _render(source, root)
        assert json.loads((root / JSON).read_text())["server"]["port"] == 8080

    def test_a_root_that_cannot_be_written(self, source: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        root.write_text("not a folder")
        assert _render(source, root) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"hailo-whisper: {root / JSON} cannot be written: ")
        assert said.endswith("Run this as root, with room on the disk.\n")

    def test_a_full_disk_keeps_the_old_file_and_leaves_no_scraps(
        self, source: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        _render(source, root)
        before = _everything(root)
        source.write_text("server: {port: 9090}\n")

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        assert _render(source, root) == 1
        assert "No space left on device" in capsys.readouterr().err
        assert _everything(root) == before

    def test_an_old_file_that_is_no_text_is_replaced(self, source: Path, root: Path) -> None:
        (root / JSON).parent.mkdir(parents=True)
        (root / JSON).write_bytes(b"\xff\xfe\x00")
        assert _render(source, root, "--diff") == 0
        assert settings.load(root / JSON, environ={}).server.port == 8080


class TestCheck:
    def test_a_valid_file(self, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["config", "check", str(source)]) == 0
        assert capsys.readouterr().out == f"{source} is valid.\n"

    def test_a_misspelt_key(self, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
        source.write_text("server: {prot: 1}")
        assert main(["config", "check", str(source)]) == 1
        said = capsys.readouterr()
        assert said.err == f"hailo-whisper: {source}: unknown key server.prot. Did you mean server.port?\n"
        assert said.out == ""

    def test_no_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["config", "check", str(tmp_path / "none.yaml")]) == 1
        assert "There is no" in capsys.readouterr().err


class TestShow:
    def test_the_settings_in_force(
        self, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("HAILO_WHISPER_MODEL_NAME", "tiny.en")
        assert main(["config", "show", "--config", str(source)]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["server"]["port"] == 8080
        assert shown["model"]["name"] == "tiny.en"

    def test_the_defaults_without_a_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path))
        assert main(["config", "show"]) == 0
        assert json.loads(capsys.readouterr().out) == settings.Settings().model_dump()


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == settings.schema()


@pytest.mark.parametrize("argv", [[], ["config"], ["config", "rendr"], ["config", "render", "--roto", "/"], ["sevre"]])
def test_wrong_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage: hailo-whisper" in capsys.readouterr().err
