"""Where the service listens, and whether it may do so: strangers do not get in without a key unless that is what is wanted."""

import ipaddress
import socket

from ..failure import Failure
from ..installation import in_image
from ..settings import Access, Settings


class Exposed(Failure):
    """The service would be there for everybody who reaches the machine. The message says what to do."""


def check(settings: Settings) -> None:
    """Raise Exposed when the settings have the service listen for strangers without asking for a key."""
    if not _local(settings.server.host):
        check_access(settings.access, f"server.host is {settings.server.host}")


def check_listener(listener: socket.socket, access: Access) -> None:
    """Raise Exposed when the socket, systemd's perhaps, is there for strangers and no key is asked for."""
    if exposed(listener):
        check_access(access, f"the socket is bound to {listener.getsockname()[0]}")


def exposed(listener: socket.socket) -> bool:
    """Whether others than this machine reach the socket. One in the file system is kept by its mode."""
    return listener.family in (socket.AF_INET, socket.AF_INET6) and not _local(listener.getsockname()[0])


def check_access(access: Access, why: str) -> None:
    """Raise Exposed unless keys are asked for, or nobody wants them; `why` says how strangers would reach the service."""
    if access.keys is None and not access.insecure:
        cure = (
            "Make a key (`hailo-whisper keys add NAME`) and set access.keys to its file, set server.host to 127.0.0.1, or, on a network where "
            "everybody may use it, set access.insecure to true."
        )
        if in_image():
            cure = (
                "Make a key (`openssl rand -hex 32`) and mount it as the secret /run/secrets/hailo-whisper-key, or, on a network where everybody "
                "may use it, set HAILO_WHISPER_ACCESS_INSECURE to true."
            )
        raise Exposed(f"Everybody who reaches this machine could use the service: {why}, and no keys are set. {cure}")


def _local(host: str) -> bool:
    # A link-local address of IPv6 has the interface behind it.
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
