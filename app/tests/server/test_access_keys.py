"""A server that asks for keys, as an administrator sets it up."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from polling import LONGEST, until
from serving import LAUNCHER, PATH, ServerProcess, command, free_port, server_process, write_config

from hailo_whisper.engines.warm_up import clip
from hailo_whisper.keys import file, writing

Sections = dict[str, dict[str, Any]]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "some.keys"
    path.touch(0o640)
    path.write_text(f"# Who may come\nkitchen:sk-kitchen-key\noffice:sha256:{file.digest('sk-office-key').hex()}\n")
    return path


@pytest.fixture
def server(tmp_path: Path, model_folder: Path, keys: Path) -> Iterator[ServerProcess]:
    with server_process(tmp_path, model_folder, more={"access": {"keys": str(keys)}, "log": {"format": "json"}}) as started:
        until(started.ready)
        yield started


def ask(server: ServerProcess, key: str | None = "sk-kitchen-key", path: str = "/v1/models") -> httpx.Response:
    return server.client.get(path, headers={"authorization": f"Bearer {key}"} if key else {})


@pytest.mark.rule("errors.key")
def test_the_sdk_with_a_key_and_with_a_wrong_one(server: ServerProcess, clip_words: str) -> None:
    with openai.OpenAI(base_url=f"{server.client.base_url}/v1", api_key="sk-office-key", max_retries=0) as client:
        assert client.audio.transcriptions.create(model="whisper-1", file=("a.wav", clip())).text == clip_words
        stranger = client.with_options(api_key="sk-somebody-else")
        with pytest.raises(openai.AuthenticationError) as caught:
            stranger.audio.transcriptions.create(model="whisper-1", file=("a.wav", clip()))
    assert caught.value.code == "invalid_api_key"
    assert "Incorrect API key provided: sk-s****else." in str(caught.value)
    assert caught.value.request_id
    until(lambda: '"key": "office"' in server.log.read_text())
    for secret in ("sk-office-key", "sk-kitchen-key", "somebody"):
        assert secret not in server.log.read_text()


@pytest.mark.rule("health")
def test_who_watches_needs_none(server: ServerProcess) -> None:
    for path in ("/health", "/health/ready", "/metrics", "/openapi.json"):
        assert ask(server, None, path).status_code == 200
    # Load balancers and tools such as `wget --spider` ask without wanting to read.
    for path in ("/health", "/health/ready"):
        head = server.client.head(path)
        assert (head.status_code, head.content) == (200, b"")
    assert ask(server, None).status_code == 401


@pytest.mark.parametrize("size", [1000, 30 * 1024 * 1024])
def test_who_has_no_key_is_told_so_without_an_upload(server: ServerProcess, size: int) -> None:
    """The answer comes while the client is still sending: it does not send all of it, and sees the answer."""
    address = ("127.0.0.1", server.client.base_url.port or 0)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: {size}\r\n\r\n"
    )
    with socket.create_connection(address, timeout=LONGEST) as sock:
        sock.sendall(head.encode() + b"x" * min(size // 2, 2 * 1024 * 1024))
        with contextlib.closing(http.client.HTTPResponse(sock, method="POST")) as reply:
            reply.begin()
            assert reply.status == 401
            assert b"You didn't provide an API key." in reply.read()


def test_keys_come_and_go_without_a_signal(server: ServerProcess, keys: Path) -> None:
    key = writing.add(keys, "visitor")
    until(lambda: ask(server, key).status_code == 200)
    writing.remove(keys, "visitor")
    until(lambda: ask(server, key).status_code == 401)
    assert ask(server).status_code == 200


def vanish(path: Path) -> None:
    path.unlink()


def open_up(path: Path) -> None:
    path.chmod(0o644)


def break_it(path: Path) -> None:
    path.write_text("a line\n")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [(vanish, "There is no key file"), (open_up, "Run `chmod o= "), (break_it, "Line 1 of the key file")],
)
def test_a_file_that_goes_bad_and_comes_back(
    server: ServerProcess, keys: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    text = keys.read_text()
    spoil(keys)
    until(lambda: ask(server).status_code == 503)
    error = ask(server).json()["error"]
    assert error["code"] == "keys_unavailable"
    assert sentence in error["message"]
    ready = server.client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"], ready.json()["reason"]) == (503, "keys_unavailable", error["message"])
    assert server.client.get("/health").status_code == 200
    assert server.log.read_text().count("no key is accepted: ") == 1, "it is said once"
    keys.unlink(missing_ok=True)
    keys.touch(0o600)
    keys.write_text(text)
    until(lambda: ask(server).status_code == 200)
    assert server.ready()


def reload(server: ServerProcess, folder: Path, model: Path, access: dict[str, Any], **more: dict[str, Any]) -> None:
    write_config(folder, model, server.client.base_url.port or 0, {"access": access, **more})
    os.kill(server.pid, signal.SIGHUP)


def test_a_reload_takes_every_setting_of_access(server: ServerProcess, tmp_path: Path, model_folder: Path, keys: Path) -> None:
    other = tmp_path / "other.keys"
    key = writing.add(other, "cellar")
    page = {"origin": "https://app.example"}
    reload(
        server,
        tmp_path,
        model_folder,
        {"keys": str(other), "metrics": "keyed", "requests_per_minute": 1000, "cors_origins": [page["origin"]]},
    )
    until(lambda: ask(server, key).status_code == 200)
    assert ask(server).status_code == 401, "the old keys are gone with their file"
    assert ask(server, None, "/metrics").status_code == 401
    assert ask(server, key, "/metrics").status_code == 200
    response = server.client.get("/v1/models", headers={"authorization": f"Bearer {key}"} | page)
    assert response.headers["access-control-allow-origin"] == page["origin"]
    assert response.headers["x-ratelimit-limit-requests"] == "1000"
    reload(server, tmp_path, model_folder, {})
    until(lambda: ask(server, None).status_code == 200)


def test_a_file_that_cannot_be_used_from_the_start_is_in_the_log_and_keeps_nobody_from_mending_it(
    tmp_path: Path, model_folder: Path
) -> None:
    keys = tmp_path / "late.keys"
    with server_process(tmp_path, model_folder, more={"access": {"keys": str(keys)}}) as server:
        until(lambda: "no key is accepted: There is no key file" in server.log.read_text())
        until(lambda: _answers(server))
        assert ask(server).status_code == 503
        key = writing.add(keys, "kitchen")
        until(lambda: ask(server, key).status_code == 200)
        until(server.ready)


def test_the_status_of_the_unit_says_that_nobody_gets_in(tmp_path: Path, model_folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(LONGEST)
        access = {"keys": str(tmp_path / "none.keys")}
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with server_process(tmp_path, model_folder, environ=environ, more={"access": access}):
            lines: list[str] = []
            while "READY=1" not in lines:
                lines = manager.recv(8192).decode().splitlines()
    assert lines[1].startswith(f"STATUS=ready: model base; no key is accepted: There is no key file {tmp_path}/none.keys.")


def _answers(server: ServerProcess) -> bool:
    try:
        return server.client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


class TestOnANetwork:
    @pytest.fixture
    def wide(self) -> Iterator[socket.socket]:
        """A socket that strangers reach, as systemd may hand it over."""
        with socket.create_server(("0.0.0.0", 0)) as listener:
            yield listener

    @staticmethod
    def argv(listener: socket.socket) -> Callable[[Path], list[str]]:
        return lambda config: [sys.executable, "-c", LAUNCHER, str(listener.fileno()), *command(config)[1:]]

    def refusal(self, argv: list[str], *fds: int) -> str:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=LONGEST, check=False, pass_fds=fds)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("hailo-whisper: Everybody who reaches this machine could use the service: ")
        assert "access.insecure" in done.stderr
        return done.stderr

    def test_it_does_not_listen_without_keys(self, tmp_path: Path, model_folder: Path) -> None:
        config = write_config(tmp_path, model_folder, free_port(), {"server": {"host": "0.0.0.0"}})
        assert "server.host is 0.0.0.0" in self.refusal(command(config))

    def test_not_on_a_socket_of_systemd_either(self, tmp_path: Path, model_folder: Path, wide: socket.socket) -> None:
        """The configuration names this machine only; the socket says otherwise."""
        config = write_config(tmp_path, model_folder, free_port())
        assert "the socket is bound to 0.0.0.0" in self.refusal(self.argv(wide)(config), wide.fileno())

    @pytest.mark.parametrize("way", ["keys", "insecure"])
    def test_with_keys_or_when_nobody_wants_them_it_does(
        self, tmp_path: Path, model_folder: Path, wide: socket.socket, keys: Path, way: str
    ) -> None:
        access: dict[str, Any] = {"keys": str(keys)} if way == "keys" else {"insecure": True}
        with server_process(
            tmp_path,
            model_folder,
            argv=self.argv(wide),
            port=wide.getsockname()[1],
            pass_fds=(wide.fileno(),),
            more={"access": access},
        ) as server:
            until(server.ready)
            assert ask(server).status_code == 200
            assert ask(server, None).status_code == (401 if way == "keys" else 200)
            reload(server, tmp_path, model_folder, {}, transcription={"beam": 2})
            until(lambda: "the configuration was not taken, the old one stays: Everybody who" in server.log.read_text())
            assert ask(server, None).status_code == (401 if way == "keys" else 200), "all stays as it was"
