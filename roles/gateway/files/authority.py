#!/usr/bin/env python3
"""A small certificate authority for gateways and their clients, on the controller: a folder with `ca.crt` and `ca.key`."""

import argparse
import datetime
import ipaddress
import json
import os
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
# What phones and browsers take at most of an authority of one's own.
DAYS = 825
RENEW_DAYS = 90
"""So long before its end a certificate is replaced by the next run."""


class Refusal(Exception):
    """What is wrong with what was given, in a sentence."""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sign = commands.add_parser(
        "sign", help="print the certificate for {'key': public key, 'certificate': the present one or ''} on stdin"
    )
    sign.add_argument("folder", type=Path)
    sign.add_argument("names", nargs="+", help="names and addresses that it is for")
    client = commands.add_parser("client", help="make a client's key and certificate, in the folder clients/ of the authority")
    client.add_argument("folder", type=Path)
    client.add_argument("name", help="the name that the gateway's log shows")
    commands.add_parser("match", help="see that {'certificate': ..., 'key': ...} on stdin belong together and hold")
    arguments = parser.parse_args()
    try:
        if arguments.command == "sign":
            given = json.load(sys.stdin)
            print(Authority(arguments.folder).signed(given["key"], given["certificate"], arguments.names), end="")
        elif arguments.command == "client":
            print(Authority(arguments.folder).client(arguments.name))
        else:
            given = json.load(sys.stdin)
            match(given["certificate"], given["key"])
    except (Refusal, OSError) as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


class Authority:
    """The authority of a folder, which is made if there is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / "ca.key").exists() and not (folder / "ca.crt").exists():
            self._make()
        try:
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
            self._certificate = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
        except (OSError, ValueError, TypeError) as error:
            raise Refusal(
                f"The authority in {folder} cannot be used: {error}. Put ca.key and ca.crt back, both of them; or remove both, and every "
                "client needs the new ca.crt."
            ) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or self._certificate.public_key() != key.public_key():
            raise Refusal(f"ca.key and ca.crt in {folder} do not belong together. Put the right ones back.")
        self._key = key

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("hailo-whisper authority")
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            _begin(name, name, key.public_key(), AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(self._folder / "ca.key", _private(key), 0o600)
        _write(self._folder / "ca.crt", _pem(certificate), 0o644)

    def signed(self, public: str, present: str, names: list[str]) -> str:
        """The present certificate if it will do, else a new one."""
        key = serialization.load_pem_public_key(public.encode())
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise Refusal("The gateway's key is not of an elliptic curve. Remove it there, and the next run makes another.")
        wanted = [_subject(name) for name in names]
        if present:
            certificate = x509.load_pem_x509_certificate(present.encode())
            if self._will_do(certificate, key, wanted):
                return present
        return _pem(self._leaf(names[0], key, ExtendedKeyUsageOID.SERVER_AUTH, wanted)).decode()

    def _will_do(self, certificate: x509.Certificate, key: ec.EllipticCurvePublicKey, wanted: list[x509.GeneralName]) -> bool:
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except Exception:  # Whatever it is that does not fit, a new one does.
            return False
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        return certificate.public_key() == key and names == wanted and _left(certificate).days >= RENEW_DAYS

    def client(self, name: str) -> str:
        """Make a client's files; gives the path of its certificate."""
        folder = self._folder / "clients"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{name}.crt"
        if "/" in name or path.exists():
            raise Refusal(f"{path} is there already, or is no name for a file. Choose another name.")
        key = ec.generate_private_key(ec.SECP256R1())
        _write(folder / f"{name}.key", _private(key), 0o600)
        _write(path, _pem(self._leaf(name, key.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH, [x509.DNSName(name)])), 0o644)
        return str(path)

    def _leaf(
        self, name: str, key: ec.EllipticCurvePublicKey, use: x509.ObjectIdentifier, names: list[x509.GeneralName]
    ) -> x509.Certificate:
        issuer = self._certificate
        days = min(DAYS, _left(issuer).days)
        if days < 1:
            raise Refusal(f"The authority in {self._folder} has expired. Move it away; every client needs the new ca.crt.")
        return (
            _begin(_name(name[:64]), issuer.subject, key, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def match(certificate: str, key: str) -> None:
    """Raise Refusal when HAProxy could not use the two, or when the first, which everybody may read, has a key in it."""
    if "PRIVATE KEY" in certificate:
        raise Refusal(
            "hailo_whisper_gateway_certificate has a private key in it, which everybody on the gateway could read. Give the certificate "
            "and its chain alone, and the key in hailo_whisper_gateway_key."
        )
    try:
        first = x509.load_pem_x509_certificates(certificate.encode())[0]
    except ValueError:
        raise Refusal(
            "hailo_whisper_gateway_certificate has no certificate in PEM. Give the chain, the gateway's own first."
        ) from None
    try:
        private = serialization.load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError):
        raise Refusal("hailo_whisper_gateway_key has no private key in PEM, or one with a password. Give one without.") from None
    if first.public_key() != private.public_key():
        raise Refusal("hailo_whisper_gateway_key is not the key of the first certificate in hailo_whisper_gateway_certificate.")
    if _left(first).total_seconds() <= 0:
        raise Refusal("The certificate in hailo_whisper_gateway_certificate has expired. Give one that holds.")


def _begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    # A clock that is a little behind is no reason to refuse it.
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _left(certificate: x509.Certificate) -> datetime.timedelta:
    return certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _subject(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


if __name__ == "__main__":
    sys.exit(main())
