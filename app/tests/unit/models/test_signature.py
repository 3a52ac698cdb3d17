"""Signatures by the real minisign, and by keys made here for what minisign would never write."""

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from hailo_whisper.models.signature import SignatureWrong, check, public_key

CONTENT = b'{"schema_version": 1}\n'
NUMBER = bytes(range(8))
KEY = SigningKey(bytes(32))
PUBLIC = base64.b64encode(b"Ed" + NUMBER + KEY.verify_key.encode()).decode()


def signed(content: bytes = CONTENT, comment: str = "made for a test", method: bytes = b"ED", number: bytes = NUMBER) -> str:
    message = content if method == b"Ed" else hashlib.blake2b(content).digest()
    signature = KEY.sign(message).signature
    over_comment = KEY.sign(signature + comment.encode()).signature
    line = base64.b64encode(method + number + signature).decode()
    return f"untrusted comment: x\n{line}\ntrusted comment: {comment}\n{base64.b64encode(over_comment).decode()}\n"


@pytest.mark.parametrize("old", [False, True], ids=["hashed", "legacy"])
def test_what_minisign_signs_is_good_and_a_changed_byte_is_not(tmp_path: Path, old: bool) -> None:
    public, secret, message = tmp_path / "our.pub", tmp_path / "our.key", tmp_path / "manifest.json"
    message.write_bytes(CONTENT)
    subprocess.run(["minisign", "-G", "-W", "-p", public, "-s", secret], check=True, capture_output=True, timeout=30)
    how = ["-S", "-l"] if old else ["-S"]
    subprocess.run(["minisign", *how, "-s", secret, "-m", message, "-t", "wagon 7"], check=True, capture_output=True, timeout=30)
    signature = (tmp_path / "manifest.json.minisig").read_text()
    key = public_key(public.read_text())
    assert key.number in public.read_text()
    assert check(CONTENT, signature, [key]) == "wagon 7"
    with pytest.raises(SignatureWrong, match="changed after it was signed"):
        check(CONTENT.replace(b"1", b"2"), signature, [key])
    with pytest.raises(SignatureWrong, match="changed after it was signed"):
        check(CONTENT, signature.replace("wagon 7", "wagon 8"), [key])
    with pytest.raises(SignatureWrong, match=f"the key {key.number}, which is not trusted here .trusted: 706050403020100"):
        check(CONTENT, signature, [public_key(PUBLIC)])
    with pytest.raises(SignatureWrong, match="trusted: none"):
        check(CONTENT, signature, [])


@pytest.mark.parametrize("method", [b"ED", b"Ed"])
def test_a_key_is_one_line_or_a_file(method: bytes) -> None:
    for text in (PUBLIC, f"  {PUBLIC}\n", f"untrusted comment: minisign public key\n{PUBLIC}\n"):
        assert check(CONTENT, signed(method=method), [public_key(text)]) == "made for a test"


def test_a_signature_of_another_method_than_it_says_is_refused() -> None:
    plain, hashed = signed(method=b"Ed").splitlines(), signed().splitlines()
    lied = base64.b64encode(b"ED" + base64.b64decode(plain[1])[2:]).decode()
    with pytest.raises(SignatureWrong, match="does not fit"):
        check(CONTENT, "\n".join([plain[0], lied, *hashed[2:]]), [public_key(PUBLIC)])


def test_a_key_with_our_number_and_other_bytes_is_refused() -> None:
    other = base64.b64encode(b"Ed" + NUMBER + SigningKey(b"1" * 32).verify_key.encode()).decode()
    with pytest.raises(SignatureWrong, match="does not fit"):
        check(CONTENT, signed(), [public_key(other)])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n\n",
        "hello",
        signed().replace("trusted comment", "a comment"),
        signed().rsplit("\n", 2)[0],
        signed()[:-6] + "!!==\n",
        signed(method=b"XX"),
        signed(number=b"short"),
    ],
)
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(SignatureWrong, match="not one of minisign"):
        check(CONTENT, text, [public_key(PUBLIC)])


@pytest.mark.parametrize("text", ["", "RWQ", "not base64!", PUBLIC[:-4], f"{PUBLIC}\n{PUBLIC}", "WFg" + PUBLIC[3:]])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(SignatureWrong, match="is not a public key of minisign"):
        public_key(text)
