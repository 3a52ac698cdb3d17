"""Connections to a server: who is trusted by TLS, what is shown, and how one is noticed whose other end has vanished."""

import os
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx2

from ..failure import Failure
from .stop import Stop

EXPIRED = (9, 10)
"""Of OpenSSL's X509_V_ERR_*: a certificate that is not valid yet, or no more."""
OTHER_NAME = (62, 63, 64)
"""Of the same: a certificate for another host, mail or IP address."""
PROBES = {
    socket.TCP_KEEPIDLE: 10,
    socket.TCP_KEEPINTVL: 5,
    socket.TCP_KEEPCNT: 3,
    # What was sent and never acknowledged is not asked about; without this, it would be sent again for a quarter of an hour.
    socket.TCP_USER_TIMEOUT: 30_000,
}
"""A machine that was switched off, or an address that has moved, says nothing: it is noticed within half a minute, as the gateway notices it of its machines."""


async def probed(event: str, info: dict[str, Any]) -> None:
    """The extension `trace` of a request: has the other end of a new connection be asked whether it is there, while nothing comes from it.

    Not by a transport's `socket_options`, because a client with a transport of its own passes over the proxies of the environment.
    """
    if event == "connection.connect_tcp.complete":
        connected = info["return_value"].get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in PROBES.items():
            connected.setsockopt(socket.IPPROTO_TCP, option, value)


def tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Whom to trust, by SSL_CERT_FILE, SSL_CERT_DIR or what the system trusts, and the certificate to show. Raises Failure."""
    try:
        context = httpx2.create_ssl_context()
    except OSError as error:
        raise Failure(
            f"SSL_CERT_FILE is {os.environ.get('SSL_CERT_FILE')!r}, and cannot be used: {error.strerror or error}. Name a file with the certificate "
            "of the authority in PEM."
        ) from None
    if certificate is None:
        return context
    for name, path in (("--cert", certificate), ("--cert-key", key)):
        if path and not os.access(path, os.R_OK):
            raise Failure(f"{path} ({name}) cannot be read. Check the name, the owner and the mode.")
    try:
        context.load_cert_chain(certificate, key, _no_password)
    except ssl.SSLError as error:
        raise Failure(
            f"{certificate} is no certificate in PEM with its key, or the key is of another one ({error.reason or error}). "
            "Where the key is in a file of its own, name it with --cert-key."
        ) from None
    return context


def _no_password() -> str:
    raise Failure("The key of --cert is encrypted, and nobody may be there to be asked. Give one that is not.")


def untrusted(error: BaseException, url: str, *, shown: bool) -> Stop | None:
    """What to say of a connection that one of the two ends does not trust, which no further try mends; None of any other trouble.

    `shown` is whether a certificate was shown to the server.
    """
    found = _tls_error(error)
    if isinstance(found, ssl.SSLCertVerificationError):
        said = f"The server at {url} cannot be trusted: {found.verify_message}."
        if found.verify_code in EXPIRED:
            return Stop(
                f"{said} Look at the clock of this machine, or have the server's certificate renewed (playbooks/gateway.yml)."
            )
        if found.verify_code in OTHER_NAME:
            return Stop(
                f"{said} Use a name that its certificate is for, or have it made for this one too (hailo_whisper_gateway_names)."
            )
        return Stop(
            f"{said} Name the certificate of the authority that vouches for it by the environment: SSL_CERT_FILE=ca.crt. "
            "The one that the gateway's playbook made is authority/ca.crt in the folder of the playbooks."
        )
    reason = str(found.reason) if found else ""
    if "ALERT" in reason and any(word in reason for word in ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE")):
        if shown:
            return Stop(
                f"The server at {url} does not take the certificate of --cert ({reason}). Show one of the authority that it trusts."
            )
        return Stop(f"The server at {url} wants a certificate of its clients ({reason}). Show it one with --cert and --cert-key.")
    return None


def refused(error: BaseException, url: str, *, shown: bool) -> str:
    """What else may be the reason of a connection that broke before the server had answered to anything; as a rule "".

    With TLS 1.3 a server refuses a client's certificate when the client is sending already, and what it says of it may be lost in that.
    """
    if not url.startswith("https:") or isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout)):
        return ""
    if shown:
        return " (so does a server that does not take the certificate of --cert)"
    return " (so does a server that wants a certificate of its clients: --cert)"


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """What TLS had to say, wherever it is in the chain of causes."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error
