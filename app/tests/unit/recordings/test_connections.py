import asyncio
import contextlib
import io
import os
import socket
import threading
from pathlib import Path

import pytest
from polling import until
from replies import Reply, replying, verbose

from hailo_whisper.recordings.progress import Progress
from hailo_whisper.recordings.remote import Address, Remote


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
