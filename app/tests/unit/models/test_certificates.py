"""A mirror with a certificate that only its owner knows."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playing_hub import playing

from hailo_whisper.models.pull import PullFailed, pull
from hailo_whisper.models.sources import Patience, parse
from hailo_whisper.models.store import Store

SUBJECT = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate and its key in one file, made on the spot."""
    made = tmp_path / "own.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        *SUBJECT,
    ]
    key = tmp_path / "key.pem"
    subprocess.run([*command, "-keyout", str(key), "-out", str(made)], check=True, capture_output=True)
    made.write_bytes(made.read_bytes() + key.read_bytes())
    return made


@pytest.fixture
def mirror(files: dict[str, bytes], certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with playing(files, tls=context) as hub:
        yield f"mirror:{hub.address}"


def test_it_is_refused_and_the_variable_is_named(store: Store, mirror: str) -> None:
    with pytest.raises(
        PullFailed, match=r"its certificate is not trusted: self-signed certificate \(SSL_CERT_FILE names further certificates\)"
    ):
        pull("small", store, [parse(mirror, Patience(tries=1))])


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_it_is_taken_when_the_variable_names_it(
    store: Store, mirror: str, certificate: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(certificate))
    assert str(pull("small", store, [parse(mirror, Patience(tries=1))])) == f"pulled small from {mirror}"
