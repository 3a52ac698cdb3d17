"""The key that signs the repository: given by the operator, or made once."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from . import Refused

OWN = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "hailo-whisper/repository.key"


@dataclass(frozen=True)
class Key:
    """A secret key, in a keyring of gpg's."""

    fingerprint: str
    # The keyring's folder; None is the operator's own.
    home: Path | None
    passphrase: Path | None

    def public(self) -> str:
        """The public key, in letters."""
        return _gpg(self.home, "--armor", "--export", self.fingerprint).stdout.decode()

    def sign(self, how: str, path: Path, to: Path) -> None:
        """Sign a file, `--clearsign` or `--detach-sign`. Raises Refused when the key cannot be used."""
        options = ["--yes", "--armor", "--digest-algo=SHA512", f"--local-user={self.fingerprint}", f"--output={to}"]
        if self.passphrase:
            options += ["--batch", "--pinentry-mode=loopback", f"--passphrase-file={self.passphrase}"]
        elif not sys.stdin.isatty():
            # Nobody is there to be asked.
            options += ["--batch", "--pinentry-mode=error"]
        done = _gpg(self.home, *options, how, str(path))
        if not done.returncode:
            return
        said = done.stderr.decode(errors="replace").strip()
        if "Bad passphrase" in said:
            raise Refused(
                f"the passphrase of the key {self.fingerprint} is wrong. Mend it in the file that --passphrase-file names."
            )
        if "No pinentry" in said or "No passphrase given" in said:
            raise Refused(
                f"the key {self.fingerprint} is protected by a passphrase. Give a file that has it, with --passphrase-file."
            )
        raise Refused(
            f"gpg does not sign with the key {self.fingerprint}: {said.splitlines()[-1] if said else 'no reason was given'}"
        )

    def try_out(self) -> None:
        """Sign something, before anything else is worked for. Raises Refused."""
        with tempfile.TemporaryDirectory() as folder:
            text = Path(folder) / "text"
            text.write_text("hailo-whisper\n", encoding="utf-8")
            self.sign("--detach-sign", text, Path(folder) / "signature")


@contextmanager
def opened(name: str, passphrase: Path | None) -> Iterator[Key]:
    """The key that a file has, or that the operator's keyring has by that name; without a name, the one of this program's making.

    Raises Refused when there is none, or it is no secret one.
    """
    if passphrase and not passphrase.is_file():
        raise Refused(f"there is no file {passphrase} with a passphrase (--passphrase-file).")
    if name and not Path(name).is_file():
        found = _secret(None, name)
        if not found:
            raise Refused(
                f"there is no key {name}: neither a file nor, in gpg's keyring, a secret key. `gpg --list-secret-keys` shows those that there are; "
                "without --key, one is made."
            )
        yield Key(found, None, passphrase)
        return
    file = Path(name) if name else _own()
    with _keyring() as home:
        _gpg(home, "--batch", "--import", str(file))
        found = _secret(home)
        if not found:
            raise Refused(f"{file} has no secret key of gpg's. `gpg --armor --export-secret-keys ID` writes one.")
        yield Key(found, home, passphrase)


def verified(path: Path, public: Path, own: str) -> str:
    """What a file says that was signed by the owner of a public key, of a file or of the text `own`, and not what was put around it. Raises Refused."""
    with tempfile.TemporaryDirectory() as folder:
        mine = Path(folder) / "own.asc"
        mine.write_text(own, encoding="utf-8")
        keyrings = []
        for number, armored in enumerate([public, mine] if public.exists() else [mine]):
            keyrings.append(f"--keyring={folder}/keyring-{number}")
            _gpg(Path(folder), "--batch", "--dearmor", f"--output={folder}/keyring-{number}", str(armored))
        done = subprocess.run(["gpgv", *keyrings, "--output=-", path], capture_output=True, check=False)
    if done.returncode:
        raise Refused(
            f"{path} is not signed by {public}, so what is there cannot be trusted, and is not signed again. Put back what was there, or begin a new folder. "
            "Where a change of the key was cut off, run it again with the new key and --change-key."
        )
    return done.stdout.decode()


def fingerprint(public: Path) -> str:
    """That of a file with a public key; nothing if it is none."""
    with tempfile.TemporaryDirectory() as folder:
        return _first(
            _gpg(Path(folder), "--batch", "--with-colons", "--show-keys", str(public)).stdout.decode(errors="replace"), "pub"
        )


def _own() -> Path:
    """The key of this program's making, which is made when it is not there."""
    if not OWN.exists():
        OWN.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _keyring() as home:
            name = f"hailo-whisper repository, {datetime.now(UTC):%Y-%m-%d}"
            done = _gpg(
                home,
                "--batch",
                "--pinentry-mode=loopback",
                "--passphrase=",
                "--quick-generate-key",
                name,
                "ed25519",
                "sign",
                "never",
            )
            secret = _gpg(home, "--batch", "--armor", "--export-secret-keys").stdout
        if done.returncode or not secret:
            raise Refused(f"gpg makes no key: {done.stderr.decode(errors='replace').strip()}")
        with os.fdopen(os.open(OWN, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
        print(
            f"Made a key to sign the repository with: {OWN}. Machines that use the repository trust what it signs: let nobody read it, and keep a copy in a "
            "safe place, because without it they have to be given another."
        )
    return OWN


@contextmanager
def _keyring() -> Iterator[Path]:
    """A folder for a keyring that is gone afterwards. In /tmp, because the name of gpg-agent's socket must be short."""
    home = Path(tempfile.mkdtemp(prefix="hailo-whisper-", dir="/tmp"))
    try:
        yield home
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], capture_output=True, check=False)
        shutil.rmtree(home, ignore_errors=True)


def _secret(home: Path | None, name: str = "") -> str:
    """The fingerprint of the first secret key of that name; nothing when there is none."""
    return _first(
        _gpg(home, "--batch", "--with-colons", "--list-secret-keys", *([name] if name else [])).stdout.decode(errors="replace"),
        "sec",
    )


def _first(listing: str, kind: str) -> str:
    """The fingerprint of the first key of a kind in what gpg lists for programs."""
    rows = [line.split(":") for line in listing.splitlines()]
    start = next((number for number, row in enumerate(rows) if row[0] == kind), len(rows))
    return next((row[9] for row in rows[start:] if row[0] == "fpr"), "")


def _gpg(home: Path | None, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    place = [f"--homedir={home}"] if home else []
    # In English, for it is read here.
    return subprocess.run(
        ["gpg", "--quiet", *place, *arguments], capture_output=True, check=False, env=os.environ | {"LC_ALL": "C.UTF-8"}
    )
