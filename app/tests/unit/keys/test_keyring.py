"""The keys in force follow the file, whatever becomes of it."""

import asyncio
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hailo_whisper.keys import file
from hailo_whisper.keys.keyring import Keyring


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Ring:
    """A keyring, its file and its clock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "some.keys"
        self.clock = Clock()
        self.keyring = Keyring(self.clock)

    def write(self, text: str) -> None:
        self.path.touch(0o640)
        self.path.write_text(text)

    async def owner(self, key: str, later: float = 1.0) -> str | None:
        """Whose key it is, so many seconds later."""
        self.clock.now += later
        await self.keyring.look(str(self.path))
        return self.keyring.owner(key.encode())


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    made = Ring(tmp_path)
    made.write(f"kitchen:sk-one\noffice:sha256:{file.digest('sk-two').hex()}\n")
    return made


async def test_keys_and_sums_have_their_owners(ring: Ring) -> None:
    assert await ring.owner("sk-one") == "kitchen"
    assert await ring.owner("sk-two") == "office"
    for wrong in ("", "sk-on", "sk-one ", "sk-one\n", "SK-ONE", file.digest("sk-two").hex(), "kitchen:sk-one"):
        assert await ring.owner(wrong) is None


async def test_a_change_holds_after_a_second(ring: Ring) -> None:
    assert await ring.owner("sk-one") == "kitchen"
    ring.write("cellar:sk-one\n")
    assert await ring.owner("sk-one", later=0.9) == "kitchen"
    assert await ring.owner("sk-one", later=0.1) == "cellar"


async def test_a_change_of_the_same_length_at_the_same_moment_is_seen(ring: Ring) -> None:
    """Within the clock's grain a file may be written twice and look the same."""
    for name in ("aaaaaa", "bbbbbb", "cccccc"):
        ring.write(f"{name}:sk-one\n")
        assert await ring.owner("sk-one") == name


async def test_a_file_that_takes_the_place_of_another_is_seen(ring: Ring) -> None:
    await ring.owner("sk-one")
    other = ring.path.with_name("other")
    other.touch(0o640)
    other.write_text("new:sk-new\n")
    other.rename(ring.path)
    assert await ring.owner("sk-one") is None
    assert await ring.owner("sk-new") == "new"


async def test_a_link_that_points_elsewhere_is_seen(ring: Ring, tmp_path: Path) -> None:
    for version in ("one", "two"):
        target = tmp_path / version
        target.touch(0o640)
        target.write_text(f"{version}:sk-{version}\n")
    ring.path.unlink()
    ring.path.symlink_to("one")
    assert await ring.owner("sk-one") == "one"
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(ring.path)
    assert await ring.owner("sk-two") == "two"
    assert await ring.owner("sk-one") is None


def vanish(path: Path) -> None:
    path.unlink()


def open_up(path: Path) -> None:
    path.chmod(0o644)


def break_it(path: Path) -> None:
    path.write_text("kitchen\n")


def empty(path: Path) -> None:
    path.write_text("")


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [vanish, open_up, break_it, empty, become_a_folder])
async def test_a_file_that_goes_bad_lets_nobody_in_until_it_is_good_again(
    ring: Ring, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert await ring.owner("sk-one") == "kitchen"
    spoil(ring.path)
    for _ in range(3):
        assert await ring.owner("sk-one") is None
    assert ring.keyring.trouble
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert warning.getMessage() == f"no key is accepted: {ring.keyring.trouble}"
    caplog.clear()

    if ring.path.is_dir():
        ring.path.rmdir()
    else:
        ring.path.unlink(missing_ok=True)
    ring.write("kitchen:sk-one\n")
    assert await ring.owner("sk-one") == "kitchen"
    assert ring.keyring.trouble is None
    (message,) = caplog.records
    assert message.getMessage() == f"the key file {ring.path} can be used again"


async def test_another_file_is_read_at_once_and_the_old_keys_are_gone(ring: Ring, tmp_path: Path) -> None:
    await ring.owner("sk-one")
    await ring.keyring.look(str(tmp_path / "none"))
    assert ring.keyring.trouble
    assert ring.keyring.owner(b"sk-one") is None


async def test_without_a_file_there_is_neither_trouble_nor_key(ring: Ring, tmp_path: Path) -> None:
    await ring.owner("sk-one")
    await ring.keyring.look(str(tmp_path / "none"))
    await ring.keyring.look(None)
    assert ring.keyring.trouble is None
    assert ring.keyring.owner(b"sk-one") is None


async def test_the_file_is_looked_at_once_a_second_however_many_ask(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    real = file.read

    def counting(path: Path, known: file.Stamp | None = None) -> object:
        nonlocal looks
        looks += 1
        return real(path, known)

    monkeypatch.setattr(file, "read", counting)
    assert await asyncio.gather(*(ring.owner("sk-one", later=0) for _ in range(50))) == ["kitchen"] * 50
    assert looks == 1
    await asyncio.gather(*(ring.owner("sk-one", later=0.01) for _ in range(50)))
    assert looks == 1


async def test_a_disk_that_hangs_keeps_nobody_who_has_a_key_out(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    await ring.owner("sk-one")
    hanging = threading.Event()
    real = file.read

    def slow(path: Path, known: file.Stamp | None = None) -> object:
        hanging.wait(30)
        return real(path, known)

    monkeypatch.setattr(file, "read", slow)
    ring.clock.now += 1
    first = asyncio.create_task(ring.keyring.look(str(ring.path)))
    await asyncio.sleep(0)
    assert await ring.owner("sk-one", later=0) == "kitchen"
    hanging.set()
    await first


async def test_a_link_in_the_path_that_points_elsewhere_is_seen(tmp_path: Path) -> None:
    """As secrets are mounted into containers: the folder is a link, and is exchanged."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        target = tmp_path / version / "some.keys"
        target.touch(0o640)
        target.write_text(f"{version}:sk-{version}\n")
    (tmp_path / "now").symlink_to("one")
    clock = Clock()
    keyring = Keyring(clock)
    await keyring.look(str(tmp_path / "now/some.keys"))
    assert keyring.owner(b"sk-one") == "one"
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "now")
    clock.now += 1
    await keyring.look(str(tmp_path / "now/some.keys"))
    assert (keyring.owner(b"sk-one"), keyring.owner(b"sk-two")) == (None, "two")
