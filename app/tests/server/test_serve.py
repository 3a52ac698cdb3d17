"""`hailo-whisper serve` as systemd or an administrator starts it: sockets, signals, notifications."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import media
import pytest
from polling import LONGEST, until
from serving import LAUNCHER, ServerProcess, command, free_port, server_process, until_gone, write_config


@pytest.fixture
def started(tmp_path: Path, model_folder: Path) -> Iterator[ServerProcess]:
    with server_process(tmp_path, model_folder) as server:
        until(server.ready)
        yield server


def _in_flight(server: ServerProcess, model: Path) -> tuple[threading.Thread, list[httpx.Response | Exception]]:
    """A request that the engine is at."""
    answers: list[httpx.Response | Exception] = []

    def ask() -> None:
        try:
            answers.append(server.transcribe(prompt="wait go"))
        except httpx.HTTPError as error:
            answers.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    until((model / "waiting").exists)
    return thread, answers


def test_sigterm_lets_the_request_in_flight_finish(started: ServerProcess, model_folder: Path, clip_words: str) -> None:
    children = started.children()
    thread, answers = _in_flight(started, model_folder)
    os.kill(started.pid, signal.SIGTERM)
    # The port is closed as soon as the signal was heard, while the request is still under way.
    until(lambda: not _answers(started))
    with pytest.raises(subprocess.TimeoutExpired):
        started.process.wait(0.5)
    (model_folder / "go").touch()
    thread.join(LONGEST)
    (answer,) = answers
    assert isinstance(answer, httpx.Response), answer
    assert (answer.status_code, answer.json()["text"]) == (200, clip_words)
    assert started.process.wait(LONGEST) == 0
    until_gone(*children)


def _answers(server: ServerProcess) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", server.client.base_url.port or 0), timeout=5):
            return True
    except OSError:
        return False


def test_kill_9_of_the_server_leaves_no_process_behind(started: ServerProcess) -> None:
    assert started.transcribe().status_code == 200
    children = started.children()
    assert len(children) == 2, "the worker and the decoder"
    os.kill(started.pid, signal.SIGKILL)
    started.process.wait(LONGEST)
    until_gone(*children)


def test_kill_9_of_the_children_costs_nothing_but_time(started: ServerProcess, clip_words: str) -> None:
    assert started.transcribe().status_code == 200
    for pid in started.children():
        os.kill(pid, signal.SIGKILL)
    assert started.client.get("/health").status_code == 200
    until(started.ready)
    assert started.transcribe().json()["text"] == clip_words


def test_a_port_in_use_gets_a_sentence(tmp_path: Path, model_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = write_config(tmp_path, model_folder, port)
        done = subprocess.run(command(config), capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"hailo-whisper: Cannot listen on 127.0.0.1 port {port}: Address already in use. "
        "Free it, or set server.port to another.\n"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("server: {prot: 1}", "unknown key server.prot. Did you mean server.port?"),
        ("server: {port: 70000}", "server.port is 70000: it should be less than or equal to 65535."),
        ("server: {port: http}", "server.port is 'http': it should be a valid integer"),
        ("server: {port: 1", "is not valid YAML"),
        (None, "There is no "),
    ],
)
def test_a_bad_configuration_refuses_to_start(text: str | None, sentence: str, tmp_path: Path) -> None:
    config = tmp_path / "bad.yaml"
    if text is not None:
        config.write_text(text)
    done = subprocess.run(command(config), capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("hailo-whisper: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_socket_of_systemd_is_served_and_connections_wait_in_it(tmp_path: Path, model_folder: Path, clip_words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Nobody accepts yet: as when the service is only being started.
        early = socket.create_connection(listener.getsockname(), timeout=LONGEST)
        early.sendall(b"GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")

        def argv(config: Path) -> list[str]:
            return [sys.executable, "-c", LAUNCHER, str(listener.fileno()), *command(config)[1:]]

        with server_process(
            tmp_path,
            model_folder,
            argv=argv,
            # Where it would listen if it took no notice of the socket.
            more={"server": {"port": free_port()}},
            port=listener.getsockname()[1],
            pass_fds=(listener.fileno(),),
        ) as server:
            with early, early.makefile("rb") as reply:
                assert reply.readline() == b"HTTP/1.1 200 OK\r\n"
            until(server.ready)
            assert server.transcribe().json()["text"] == clip_words
            for pid in server.children():
                assert b"LISTEN_" not in Path(f"/proc/{pid}/environ").read_bytes()
                links = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]
                mine = Path(f"/proc/self/fd/{listener.fileno()}").readlink()
                assert mine not in links, "a child that outlives the server must not hold its port"


class TestNotifications:
    @pytest.fixture
    def manager(self, tmp_path: Path) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(str(tmp_path / "notify"))
            sock.settimeout(LONGEST)
            yield sock

    @pytest.fixture
    def environ(self, tmp_path: Path) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}

    @staticmethod
    def _read(manager: socket.socket, wanted: Callable[[list[str]], bool]) -> list[list[str]]:
        """Every message up to the one that is wanted."""
        messages: list[list[str]] = []
        while not messages or not wanted(messages[-1]):
            assert len(messages) < 1000
            messages.append(manager.recv(4096).decode().splitlines())
        return messages

    def test_ready_comes_after_the_warm_up_and_stopping_at_the_end(
        self, tmp_path: Path, model_folder: Path, manager: socket.socket, environ: dict[str, str]
    ) -> None:
        (model_folder / "script").write_text("slow-to-load")
        with server_process(tmp_path, model_folder, environ=environ) as server:
            (first,) = self._read(manager, lambda lines: True)
            assert first == ["EXTEND_TIMEOUT_USEC=240000000", "STATUS=loading the model"]
            until(lambda: _answers(server))
            assert server.client.get("/health/ready").status_code == 503
            manager.setblocking(False)
            with pytest.raises(BlockingIOError):
                manager.recv(4096)
            manager.settimeout(LONGEST)
            (model_folder / "go").touch()
            (ready,) = self._read(manager, lambda lines: True)
            assert ready == ["READY=1", "STATUS=ready: model base"]
            assert server.client.get("/health/ready").status_code == 200
            self._read(manager, lambda lines: lines == ["STATUS=ready: model base", "WATCHDOG=1"])
            server.process.terminate()
            self._read(manager, lambda lines: lines == ["STOPPING=1", "STATUS=draining"])

    def test_a_missing_model_keeps_the_unit_up_and_its_status_says_why(
        self, tmp_path: Path, model_folder: Path, manager: socket.socket, environ: dict[str, str]
    ) -> None:
        (model_folder / "model.bin").rename(model_folder / "elsewhere")
        with server_process(tmp_path, model_folder, environ=environ) as server:
            *_, ready = self._read(manager, lambda lines: "READY=1" in lines)
            assert ready[1].startswith(f"STATUS=failed: The model folder {model_folder} is incomplete: model.bin is missing.")
            self._read(manager, lambda lines: "WATCHDOG=1" in lines)
            assert server.client.get("/health").status_code == 200
            (model_folder / "elsewhere").rename(model_folder / "model.bin")
            self._read(manager, lambda lines: "STATUS=ready: model base" in lines)
            assert server.ready()


def test_the_settings_reach_the_engine(tmp_path: Path, model_folder: Path) -> None:
    (model_folder / "script").write_text("settings")
    sections: dict[str, dict[str, Any]] = {
        "model": {"compute_type": "float32", "threads": 2, "workers": 4, "batch": 3},
        "windows": {"margin_seconds": 6.0, "least_seconds": 12.0},
        "transcription": {"beam": 2, "language": "de"},
        "limits": {"upload_mib": 1, "duration_seconds": 5},
        "vad": {"enabled": False},
    }
    with server_process(tmp_path, model_folder, more=sections) as server:
        until(server.ready)
        assert (model_folder / "settings").read_text() == "float32 2 4 3 6.0 12.0"
        said = server.transcribe(media.silence(1), prompt="options", response_format="verbose_json").json()
        assert (said["text"], said["language"]) == ("2 0.0", "german")
        assert server.transcribe().json()["error"]["code"] == "audio_too_long"
        assert server.transcribe(b"\0" * (1024 * 1024 + 1)).status_code == 413


def test_the_servers_own_process_loads_no_library_of_media_or_models(started: ServerProcess) -> None:
    """PyAV's wheels carry GPL encoders; only the children load them."""
    assert started.transcribe().status_code == 200
    mapped = Path(f"/proc/{started.pid}/maps").read_text()
    for name in ("libav", "x264", "x265", "ctranslate2", "onnxruntime", "tokenizers"):
        assert name not in mapped
    assert any("libavcodec" in Path(f"/proc/{pid}/maps").read_text() for pid in started.children())
