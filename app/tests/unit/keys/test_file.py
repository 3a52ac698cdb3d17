"""What a key file may be, and what is said of one that cannot be used: with the line's number, and nothing of what it holds."""

import hashlib
import os
from pathlib import Path

import pytest

from hailo_whisper.keys import file
from hailo_whisper.keys.file import KeysMissing, KeysUnusable

SECRET = "sk-q7Hs-secret"
SUM = hashlib.sha256(SECRET.encode()).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "some.keys"
    made.touch(0o640)
    return made


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(KeysUnusable) as caught:
        file.read(path)
    said = str(caught.value)
    assert str(path) in said
    assert "secret" not in said
    return said.replace(str(path), "FILE")


def names(path: Path, data: bytes) -> dict[str, bytes]:
    path.write_bytes(data)
    found = file.read(path)
    assert found
    return {key.name: key.digest for key in found[1]}


def test_keys_sums_comments_and_empty_lines(path: Path) -> None:
    text = f"# Who may come\n\nkitchen:{SECRET}\n  office.2 : other-key  \nlab:sha256:{SUM[::-1].upper()}\n\t\n#end"
    assert names(path, text.encode()) == {
        "kitchen": bytes.fromhex(SUM),
        "office.2": hashlib.sha256(b"other-key").digest(),
        "lab": bytes.fromhex(SUM[::-1]),
    }


@pytest.mark.parametrize(
    "data",
    [f"\ufeffa:{SECRET}\n".encode(), f"a:{SECRET}\r\nb:x\r\n".encode(), f"a:{SECRET}".encode()],
    ids=["bom", "crlf", "no end"],
)
def test_what_editors_do_is_understood(path: Path, data: bytes) -> None:
    assert names(path, data)["a"] == bytes.fromhex(SUM)


def test_a_sum_is_one_in_any_case_of_letters(path: Path) -> None:
    assert names(path, f"a:SHA256:{SUM.upper()}".encode()) == {"a": bytes.fromhex(SUM)}


def test_a_key_may_have_a_colon(path: Path) -> None:
    assert names(path, b"a:b:c") == {"a": hashlib.sha256(b"b:c").digest()}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (SECRET, "Line 2 of the key file FILE has no key: a line is `name:key` or `name:sha256:` and 64 hexadecimal digits."),
        ("kitchen:", "Line 2 of the key file FILE has no key: a line is"),
        (f":{SECRET}", "Line 2 of the key file FILE has no name that can be used"),
        (f"two words:{SECRET}", "Line 2 of the key file FILE has no name that can be used"),
        (f"{'a' * 65}:{SECRET}", "Line 2 of the key file FILE has no name that can be used"),
        (f"kitchen:{SECRET} # mine", "Line 2 of the key file FILE has a space in its key. Comments have lines of their own"),
        (f"kitchen:sha256:{SUM[:-1]}", "Line 2 of the key file FILE has a sum that is none"),
        ("kitchen:sha256:secret", "Line 2 of the key file FILE has a sum that is none"),
        ("kitchen:" + "x" * 1025, "Line 2 of the key file FILE has a key of more than 1024 characters. Take a shorter one."),
        ("kitchen:sécret", "Line 2 of the key file FILE has a character that no key has"),
        ("kitchen:secret\x00", "Line 2 of the key file FILE has a character that no key has"),
        ("kitchen:secret\u2028", "Line 2 of the key file FILE has a character that no key has"),
    ],
)
def test_a_malformed_line_is_named_by_its_number(path: Path, line: str, sentence: str) -> None:
    assert refusal(path, f"first:one\n{line}\nlast:two\n".encode()).startswith(sentence)


def test_bytes_that_are_no_text(path: Path) -> None:
    assert refusal(path, b"a:secret\n\xff\xfe\n").startswith("Line 2 of the key file FILE has a character that no key has.")


@pytest.mark.parametrize(
    ("second", "what"), [("kitchen:other-secret", "name"), (f"office:{SECRET}", "key"), (f"office:sha256:{SUM}", "key")]
)
def test_duplicates_are_refused(path: Path, second: str, what: str) -> None:
    said = refusal(path, f"kitchen:{SECRET}\n# between\n{second}\n".encode())
    assert said == f"Lines 1 and 3 of the key file FILE have the same {what}. Remove one of them."


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# nobody yet\n"])
def test_no_key_at_all(path: Path, data: bytes) -> None:
    assert refusal(path, data) == "The key file FILE holds no key. Run `hailo-whisper keys add NAME` to add one."


def test_too_large(path: Path) -> None:
    assert refusal(path, b"#" * (256 * 1024 + 1)).startswith("The key file FILE has more than 256 KiB.")


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o642, 0o641])
def test_what_strangers_can_open_is_refused(path: Path, mode: int) -> None:
    path.write_text(f"a:{SECRET}")
    path.chmod(mode)
    assert refusal(path, path.read_bytes()).startswith(
        "The key file FILE is open to every user of the machine. Run `chmod o= FILE`, and replace its keys"
    )


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(KeysMissing, match=f"There is no key file {tmp_path}/none. Run `hailo-whisper keys add NAME` to make it."):
        file.read(tmp_path / "none")


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    """A pipe that nobody writes to would be waited for."""
    path = tmp_path / "odd"
    if kind == "folder":
        path.mkdir(0o700)
    else:
        os.mkfifo(path, 0o600)
    with pytest.raises(KeysUnusable, match="is no regular file"):
        file.read(path)


def test_a_file_that_may_not_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(KeysUnusable, match=r"cannot be read by this user: Permission denied. Root can, and the service can when"):
        file.read(path)


def test_a_disk_that_fails(path: Path, monkeypatch: pytest.MonkeyPatch, open_fds: object) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", broken)
    with pytest.raises(KeysUnusable, match=r"cannot be read: Input/output error. Check its disk."):
        file.read(path)


def test_the_same_file_is_not_read_again(path: Path) -> None:
    path.write_text("a:b")
    found = file.read(path)
    assert found
    stamp = found[0]
    assert file.read(path, stamp) is None
    path.chmod(0o600)
    changed = file.read(path, stamp)
    assert changed
    assert changed[1] == found[1]
