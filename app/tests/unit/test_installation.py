"""What helps in a container is another thing than on a machine, and one place knows which of the two it is."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hailo_whisper import installation
from hailo_whisper.engines.hailo import binding, errors, hef, networks
from hailo_whisper.engines.trouble import Trouble
from hailo_whisper.failure import Failure
from hailo_whisper.models import catalog, cure, hefs, placement
from hailo_whisper.models.store import Store
from hailo_whisper.models.unusable import forbidden

IMAGES = "on the host"
"""In whatever is said of models in a container, and in nothing that is said elsewhere."""


def _raised(broken: Callable[[], object]) -> str:
    with pytest.raises((Failure, Trouble)) as caught:
        broken()
    return str(caught.value)


def _unwritable() -> None:
    with placement.writing(Path("/data/models")):
        raise OSError(30, "Read-only file system")


def _store(folder: Path) -> Store:
    return Store(folder / "models", catalog.load())


def _folder(folder: Path) -> Path:
    (folder / "models" / "tiny.en").mkdir(parents=True)
    (folder / "models" / "tiny.en" / "model.bin").touch()
    return folder


def _file(folder: Path) -> Path:
    path = folder / "Whisper-Base.hef"
    path.write_bytes(b"\x01HEF")
    return path


SAID: dict[str, Callable[[Path], str]] = {
    "missing": lambda folder: _raised(lambda: _store(folder).path("tiny.en")),
    "half": lambda folder: _raised(lambda: _store(_folder(folder)).path("tiny.en")),
    "a folder": lambda folder: _raised(lambda: _store(folder).check_folder(folder / "none")),
    "no HEF": lambda folder: _raised(lambda: hefs.find("base", None, _store(folder), folder)),
    "a bad HEF": lambda folder: _raised(lambda: hef.read(_file(folder))),
    "parts that differ": lambda _: networks.anew(),
    "forbidden": lambda _: forbidden("The model base in /data/models/base"),
    "not to be opened": lambda _: str(errors.translated(Exception("13"), "loading the model")),
    "damaged, says HailoRT": lambda _: str(errors.translated(Exception("91"), "loading the model")),
    "the device is closed": lambda _: str(errors.translated(Exception("36"), "opening the device")),
    "unwritable": lambda _: _raised(_unwritable),
}


@pytest.mark.parametrize("what", SAID)
def test_on_a_machine_it_is_a_command_for_that_machine(what: str, tmp_path: Path) -> None:
    assert not installation.in_image()
    assert not installation.in_house()
    said = SAID[what](tmp_path)
    assert IMAGES not in said.lower()
    assert any(part in said for part in ("un `hailo-whisper models pull ", "as root (sudo)", "the role `accelerator`"))


@pytest.mark.parametrize("what", SAID)
@pytest.mark.usefixtures("in_image")
def test_in_a_container_it_is_something_to_do_on_the_host(what: str, tmp_path: Path) -> None:
    said = SAID[what](tmp_path)
    assert IMAGES in said.lower()
    assert not any(part in said for part in ("sudo", "un `hailo-whisper", "role `", "apt"))


@pytest.mark.usefixtures("in_image")
def test_a_model_is_pulled_on_the_host_and_mounted(tmp_path: Path) -> None:
    assert _raised(lambda: _store(tmp_path).path("tiny.en")) == (
        f"The model tiny.en is not in {tmp_path}/models. "
        f"Pull it on the host (`hailo-whisper models pull tiny.en --dest FOLDER`) and mount FOLDER at {tmp_path}/models."
    )
    assert cure.pulling(again=True).endswith(
        "(`hailo-whisper models pull NAME --force --dest FOLDER`) and mount FOLDER at /data/models"
    )


@pytest.mark.usefixtures("in_image")
def test_who_names_a_folder_of_their_own_in_a_container_may_write_there() -> None:
    assert (
        cure.pulling("base", command="hailo-whisper models pull {name} --dest /out")
        == "run `hailo-whisper models pull base --dest /out`"
    )


@pytest.mark.usefixtures("in_image")
def test_hailort_is_borrowed_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hailo_platform", None)
    said = _raised(binding.Binding)
    assert "Mount the host's library and Python package, which are of its driver's version, as compose.hailo.yml does." in said


def test_the_mark_lies_beside_the_venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "PREFIX", installation.HOUSE)
    assert installation.in_house()
    monkeypatch.setattr(installation, "PREFIX", tmp_path / "venv")
    assert (installation.in_house(), installation.in_image()) == (False, False)
    (tmp_path / "image").touch()
    assert installation.in_image()
