"""Strangers do not reach a service without keys, whoever made the socket."""

import socket
from pathlib import Path
from typing import Any

import pytest

from hailo_whisper.cli import exposure, main
from hailo_whisper.cli.exposure import Exposed
from hailo_whisper.settings import Access, parse

KEYED, INSECURE = {"keys": "/etc/hailo/some.keys"}, {"insecure": True}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "localhost"])
def test_this_machine_alone_needs_no_keys(host: str) -> None:
    exposure.check(parse({"server": {"host": host}}, "test"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "169.254.1.1"])
def test_a_network_does(host: str) -> None:
    with pytest.raises(Exposed) as caught:
        exposure.check(parse({"server": {"host": host}}, "test"))
    for cure in ("server.host is ", "hailo-whisper keys add NAME", "access.keys", "127.0.0.1", "access.insecure to true"):
        assert cure in str(caught.value)
    for access in (KEYED, INSECURE):
        exposure.check(parse({"server": {"host": host}, "access": access}, "test"))


@pytest.mark.usefixtures("in_image")
def test_in_a_container_the_key_is_a_secret() -> None:
    with pytest.raises(Exposed) as caught:
        exposure.check(parse({"server": {"host": "0.0.0.0"}}, "test"))
    assert "mount it as the secret /run/secrets/hailo-whisper-key, or" in str(caught.value)
    assert "HAILO_WHISPER_ACCESS_INSECURE to true" in str(caught.value)


@pytest.mark.parametrize(("address", "strangers"), [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True), ("::", True)])
def test_a_socket_that_somebody_else_made(address: str, strangers: bool) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        assert exposure.exposed(listener) is strangers
        if strangers:
            with pytest.raises(Exposed, match=f"the socket is bound to {address}"):
                exposure.check_listener(listener, Access())
        else:
            exposure.check_listener(listener, Access())
        exposure.check_listener(listener, Access(insecure=True))


def test_a_socket_in_the_file_system_is_kept_by_its_mode(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert not exposure.exposed(listener)


@pytest.mark.parametrize("command", [["check"], ["render", "--root", "ROOT", "--source"]])
@pytest.mark.parametrize(("access", "status"), [({}, 1), (KEYED, 0), (INSECURE, 0)])
def test_the_configuration_is_refused_before_it_is_rendered(
    command: list[str], access: dict[str, Any], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "some.yaml"
    lines = "".join(f"  {key}: {str(value).lower()}\n" for key, value in access.items())
    source.write_text("server: {host: 0.0.0.0}\n" + (f"access:\n{lines}" if lines else ""))
    argv = [str(tmp_path / "root") if word == "ROOT" else word for word in command]
    assert main(["config", *argv, str(source)]) == status
    assert (
        f"hailo-whisper: {source}: Everybody who reaches this machine could use the service" in capsys.readouterr().err
    ) == bool(status)
    assert (tmp_path / "root").exists() == (command[0] == "render" and not status)
