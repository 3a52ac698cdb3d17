import asyncio
import contextlib
import datetime
import io
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from polling import until
from replies import Reply, replying, verbose

from hailo_whisper.failure import Failure
from hailo_whisper.recordings.connections import tls
from hailo_whisper.recordings.progress import Progress
from hailo_whisper.recordings.remote import Address, Remote
from hailo_whisper.recordings.stop import Stop


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    path.write_bytes(b"sound" * 1000)
    return path


def connected_to(port: int) -> socket.socket:
    """A duplicate of the socket of this process whose other end is that port."""
    for link in Path("/proc/self/fd").iterdir():
        if not link.is_socket():
            continue
        each = socket.socket(fileno=os.dup(int(link.name)))
        with contextlib.suppress(OSError):
            if each.family == socket.AF_INET and each.getpeername()[1] == port:
                return each
        each.close()
    raise AssertionError(f"nothing is connected to port {port}")


@pytest.mark.parametrize("proxy", [False, True], ids=["direct", "proxy"])
def test_the_other_end_is_asked_whether_it_is_there(proxy: bool, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a machine that was switched off is waited for as long as a recording may take: an hour."""
    never = threading.Event()

    async def main(url: str, port: int) -> tuple[list[int], str]:
        async with Remote(Address(url), {}) as server:
            task = asyncio.create_task(server.transcribe(path, Progress({path: 1}, io.StringIO())))
            await asyncio.to_thread(until, lambda: replier.asked)
            with connected_to(port) as connection:
                tcp = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
                asked = [connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
                asked += [connection.getsockopt(socket.IPPROTO_TCP, option) for option in tcp]
            never.set()
            return asked, (await task).text

    with replying(Reply(body=verbose(), wait=never)) as replier:
        port = int(replier.url.rpartition(":")[2])
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        if proxy:
            monkeypatch.setenv("HTTP_PROXY", replier.url)
        try:
            asked, text = asyncio.run(main("http://speech.invalid" if proxy else replier.url, port))
        finally:
            never.set()
    assert asked == [1, 10, 5, 3, 30_000]
    assert text == "Hello there."


def certificate(folder: Path, name: str = "localhost", days: int = 1, password: bytes | None = None) -> Path:
    """A certificate that vouches for itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    kept = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, kept)
    path = folder / f"{name}{days}.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@contextlib.contextmanager
def listening(
    own: Path, clients: Path | None = None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> Iterator[tuple[str, list[object]]]:
    """A server with TLS that takes the connections one after the other, and no requests; its address, and what became of each handshake."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own)
    context.maximum_version = version
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    ended: list[object] = []

    def serve() -> None:
        while True:
            with contextlib.suppress(ConnectionError):
                connection, _ = listener.accept()
                if closing.is_set():
                    return
                try:
                    with context.wrap_socket(connection, server_side=True) as speaking:
                        ended.append(speaking.getpeercert())
                except ssl.SSLError as error:
                    ended.append(error.reason)
                    connection.close()

    closing = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"https://localhost:{listener.getsockname()[1]}", ended
        finally:
            closing.set()
            socket.create_connection(listener.getsockname()).close()
            thread.join()


def told(url: str, path: Path, **more: Any) -> str:
    """With what the run ends."""

    async def main() -> None:
        async with Remote(Address(url, **more), {}) as server:
            await server.transcribe(path, Progress({path: 1}, io.StringIO()))

    with pytest.raises(Stop) as caught:
        asyncio.run(main())
    return str(caught.value)


class TestTrust:
    """No other try would mend it, and no other recording fares better."""

    def test_an_authority_that_is_not_known(self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with listening(certificate(tmp_path)) as (url, ended):
            said = told(url, path)
        assert "cannot be trusted: self-signed certificate." in said
        assert "SSL_CERT_FILE=ca.crt" in said
        assert "authority/ca.crt" in said
        assert len(ended) == 1, "it was tried once"

    @pytest.mark.parametrize(
        ("name", "days", "cure"), [("localhost", -1, "Look at the clock"), ("elsewhere", 1, "hailo_whisper_gateway_names")]
    )
    def test_a_certificate_that_is_not_good_for_it(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, days: int, cure: str
    ) -> None:
        own = certificate(tmp_path, name, days)
        monkeypatch.setenv("SSL_CERT_FILE", str(own))
        with listening(own) as (url, _):
            assert cure in told(url, path)

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_a_server_that_wants_a_certificate_of_its_clients(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: ssl.TLSVersion
    ) -> None:
        own, client, other = (certificate(tmp_path, name) for name in ("localhost", "client", "other"))
        monkeypatch.setenv("SSL_CERT_FILE", str(own))
        with listening(own, client, version) as (url, _):
            assert "wants a certificate of its clients" in told(url, path)
            assert "does not take the certificate of --cert" in told(url, path, certificate=other)


class TestWhatIsGiven:
    @pytest.mark.parametrize("content", [None, b"no certificate"])
    def test_an_authority_that_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
        if content:
            (tmp_path / "ca.crt").write_bytes(content)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
        with pytest.raises(Failure, match=r"SSL_CERT_FILE is '.*/ca.crt', and cannot be used: .*in PEM"):
            tls(None, None)

    def test_certificates_that_are_none(self, tmp_path: Path) -> None:
        good, other = certificate(tmp_path, "one"), certificate(tmp_path, "other")
        with pytest.raises(Failure, match=r"none.pem \(--cert\) cannot be read"):
            tls(tmp_path / "none.pem", None)
        with pytest.raises(Failure, match=r"none.key \(--cert-key\) cannot be read"):
            tls(good, tmp_path / "none.key")
        (tmp_path / "text").write_text("no certificate")
        for pair in ((tmp_path / "text", None), (good, other)):
            with pytest.raises(Failure, match=r"no certificate in PEM with its key.*--cert-key"):
                tls(*pair)
        with pytest.raises(Failure, match="is encrypted"):
            tls(certificate(tmp_path, "secret", password=b"secret"), None)
        assert tls(good, good).get_ca_certs() is not None
