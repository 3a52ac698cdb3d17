from pathlib import Path

import pytest
import yaml

from hailo_whisper.cli import main
from hailo_whisper.keys import file


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The key file of the configuration in force."""
    config = tmp_path / "xdg/hailo-whisper/hailo-whisper.json"
    config.parent.mkdir(parents=True)
    config.write_text(yaml.safe_dump({"access": {"keys": str(tmp_path / "some.keys")}}))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    return tmp_path / "some.keys"


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_add_prints_the_key_once_and_keeps_its_sum(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "add", "kitchen"]) == 0
    out, err = said(capsys)
    key = out.strip()
    assert key.startswith("sk-")
    assert err == f"This is the key kitchen. {path} has its sum only, so keep it now: it is not shown again.\n"
    assert f"kitchen:sha256:{file.digest(key).hex()}\n" in path.read_text()


def test_list_has_names_and_no_keys(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "make"])
    main(["keys", "add", "kitchen"])
    said(capsys)
    assert main(["keys", "list"]) == 0
    assert [line.split() for line in said(capsys)[0].splitlines()] == [["default", "plain"], ["kitchen", "hashed"]]


def test_remove(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("kitchen", "office"):
        main(["keys", "add", name])
    said(capsys)
    assert main(["keys", "remove", "kitchen"]) == 0
    assert said(capsys) == ("removed kitchen\n", "")
    assert main(["keys", "remove", "office"]) == 0
    assert "has no key any more, and nobody can use the service" in said(capsys)[1]
    assert main(["keys", "remove", "office"]) == 1
    assert f"hailo-whisper: {path} has no key office. It has: none." in said(capsys)[1]


def test_make_makes_one_key_once(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "make", "--check"]) == 0
    assert said(capsys) == (f"would change {path}\n", "")
    assert not path.exists()
    assert main(["keys", "make"]) == 0
    assert said(capsys) == (f"changed {path}\n", "")
    made = path.read_text()
    for more in ([], ["--check"]):
        assert main(["keys", "make", *more]) == 0
        assert said(capsys) == (f"unchanged {path}\n", "")
    assert path.read_text() == made
    (line,) = [line for line in made.splitlines() if not line.startswith("#")]
    assert line.startswith("default:sk-")


def test_another_file(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.keys"
    assert main(["keys", "add", "kitchen", "--file", str(other)]) == 0
    assert other.exists()
    assert not path.exists()
    assert main(["keys", "list", "--file", str(tmp_path / "none")]) == 1
    assert "There is no key file" in said(capsys)[1]


def test_it_says_when_the_service_does_not_ask_for_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(file, "DEFAULT", tmp_path / "default.keys")
    assert main(["keys", "add", "kitchen"]) == 0
    assert f"set access.keys to {tmp_path}/default.keys, and reload it" in said(capsys)[1]


@pytest.mark.parametrize("argv", [["keys"], ["keys", "add"], ["keys", "list", "kitchen"]])
def test_wrong_usage(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
