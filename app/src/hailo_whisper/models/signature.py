"""Signatures in the format of minisign: who made a bundle. Reading and checking; `minisign` itself makes them.

PyNaCl, because it wraps libsodium, which minisign is written with: both take and refuse the very same signatures. There is no living package
for the format itself, which is four lines of text.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from ..failure import Failure

# Two bytes say how the signature was made: over the BLAKE2b sum of the bytes, or (before minisign 0.10) over the bytes themselves.
HASHED, PLAIN = b"ED", b"Ed"
UNTRUSTED, TRUSTED = "untrusted comment: ", "trusted comment: "


class SignatureWrong(Failure):
    """A signature or a public key is not what it must be. The message says what to do."""


@dataclass(frozen=True)
class PublicKey:
    """A public key as minisign prints it: `number` is what it is called by, in hexadecimal digits."""

    number: str
    key: bytes


@dataclass(frozen=True)
class Trust:
    """Whose signatures are taken, and whether there must be one."""

    keys: tuple[PublicKey, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class _Signature:
    method: bytes
    number: str
    signature: bytes
    comment: str
    over_comment: bytes


def public_key(text: str) -> PublicKey:
    """Read a public key: its one line (`RWQ...`), or the whole file that minisign wrote. Raises SignatureWrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(UNTRUSTED)]
    raw = _decode(lines[0]) if len(lines) == 1 else b""
    if len(raw) != 42 or raw[:2] != PLAIN:
        raise SignatureWrong(
            f"{text.strip()[:80]!r} is not a public key of minisign. Take the line that starts with RW from the file minisign.pub."
        )
    return PublicKey(_number(raw[2:10]), raw[10:])


def check(content: bytes, signature: str, keys: Iterable[PublicKey]) -> str:
    """Raise SignatureWrong unless one of the keys has signed the content and the trusted comment. Returns that comment."""
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    read = _read(signature)
    known = {key.number: key for key in keys}
    if read.number not in known:
        trusted = ", ".join(known) or "none"
        raise SignatureWrong(
            f"It is signed with the key {read.number}, which is not trusted here (trusted: {trusted}). Ask whoever made it for "
            "their public key, and add it to models.signing_keys."
        )
    message = content if read.method == PLAIN else hashlib.blake2b(content, digest_size=64).digest()
    verifier = VerifyKey(known[read.number].key)
    try:
        verifier.verify(message, read.signature)
        verifier.verify(read.signature + read.comment.encode(), read.over_comment)
    except BadSignatureError:
        raise SignatureWrong(
            f"The signature of the key {read.number} does not fit: something was changed after it was signed. Get it again from whoever made it."
        ) from None
    return read.comment


def _read(text: str) -> _Signature:
    lines = text.splitlines()
    if len(lines) == 4 and lines[0].startswith(UNTRUSTED) and lines[2].startswith(TRUSTED):
        raw, over_comment = _decode(lines[1]), _decode(lines[3])
        if len(raw) == 74 and len(over_comment) == 64 and raw[:2] in (HASHED, PLAIN):
            return _Signature(raw[:2], _number(raw[2:10]), raw[10:], lines[2].removeprefix(TRUSTED), over_comment)
    raise SignatureWrong("The signature is not one of minisign. Sign it again with `minisign -S`.")


def _decode(line: str) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _number(raw: bytes) -> str:
    # As minisign prints it: the lowest byte first, and no zeros in front.
    return f"{int.from_bytes(raw, 'little'):X}"
