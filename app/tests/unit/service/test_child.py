import asyncio
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polling import eventually, until

from hailo_whisper.service.child import Child, ChildDied, ChildStarved, ChildTimeout
from hailo_whisper.speech.waveform import memory

ENOUGH = 20.0

OpenFds = Callable[[], int]


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child("child_program")
    yield child
    child.close()


@pytest.fixture(scope="module")
def shared_child() -> Iterator[Child]:
    child = Child("child_program")
    yield child
    child.close()


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back_as_it_was_sent(shared_child: Child, text: str) -> None:
    assert shared_child.call({"do": "echo", "text": text}, deadline=ENOUGH).data == {"echo": text}


def test_a_message_larger_than_a_socket_buffer(child: Child) -> None:
    text = "speech " * 300_000
    assert child.call({"do": "echo", "text": text}, deadline=ENOUGH).data["echo"] == text


def test_a_crash_is_told_of_by_its_signal(child: Child) -> None:
    with pytest.raises(ChildDied, match="child_program was killed by SIGKILL"):
        child.call({"do": "kill"}, deadline=ENOUGH)
    assert not child.alive


@pytest.mark.usefixtures("short_memory")
def test_one_that_the_kernel_ended_for_want_of_memory(child: Child) -> None:
    with pytest.raises(ChildStarved, match="child_program was ended by the kernel for want of memory"):
        child.call({"do": "kill"}, deadline=ENOUGH)


@pytest.mark.usefixtures("short_memory")
def test_one_that_ended_by_itself_while_others_lacked_memory(child: Child) -> None:
    with pytest.raises(ChildDied, match="ended with status 7") as caught:
        child.call({"do": "exit"}, deadline=ENOUGH)
    assert not isinstance(caught.value, ChildStarved)


def test_an_exit_is_told_of_by_its_status(child: Child) -> None:
    with pytest.raises(ChildDied, match="ended with status 7"):
        child.call({"do": "exit"}, deadline=ENOUGH)


def test_a_child_that_is_gone_cannot_be_asked(child: Child) -> None:
    child.kill()
    with pytest.raises(ChildDied):
        child.call({"do": "echo", "text": ""}, deadline=ENOUGH)


def test_a_module_that_does_not_exist_is_a_child_that_died(capfd: pytest.CaptureFixture[str]) -> None:
    child = Child("no_such_program")
    with pytest.raises(ChildDied, match="no_such_program"):
        child.call({}, deadline=ENOUGH)
    child.close()
    assert "No module named no_such_program" in capfd.readouterr().err


def test_a_hang_ends_at_the_deadline(child: Child) -> None:
    with pytest.raises(ChildTimeout, match="child_program did not answer within 0 s"):
        child.call({"do": "hang"}, deadline=0.2)
    assert child.alive, "killing is the caller's part"


@pytest.mark.parametrize("misdeed", ["garbage", "boast"])
def test_an_answer_that_is_no_message_of_ours(child: Child, misdeed: str) -> None:
    with pytest.raises(ChildDied):
        child.call({"do": misdeed}, deadline=ENOUGH)


def test_a_child_that_closes_its_channel_and_lives_on(child: Child) -> None:
    with pytest.raises(ChildDied, match="closed its channel"):
        child.call({"do": "hang up"}, deadline=ENOUGH)


def test_kill_from_another_thread_wakes_the_caller(child: Child, tmp_path: Path) -> None:
    sign = tmp_path / "hanging"

    def kill() -> None:
        until(sign.exists)
        child.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(ChildDied, match="SIGKILL"):
        child.call({"do": "hang", "sign": str(sign)}, deadline=ENOUGH)
    thread.join()


def test_kill_twice_is_harmless(child: Child) -> None:
    child.kill()
    child.kill()
    assert not child.alive


def test_the_pidfd_tells_of_the_end(child: Child) -> None:
    assert select.select([child.pidfd], [], [], 0) == ([], [], [])
    os.kill(child.pid, signal.SIGKILL)
    assert select.select([child.pidfd], [], [], ENOUGH)[0]


def test_descriptors_go_to_the_child(child: Child) -> None:
    fds = [memory("one", b"first"), memory("two", b"second")]
    assert child.call({"do": "read"}, fds, deadline=ENOUGH).data == {"texts": ["first", "second"]}
    for fd in fds:
        os.close(fd)


def test_descriptors_come_from_the_child_and_are_not_inherited(child: Child) -> None:
    answer = child.call({"do": "write", "texts": ["first", "second"]}, deadline=ENOUGH)
    assert [os.pread(fd, 100, 0) for fd in answer.fds] == [b"first", b"second"]
    assert not any(os.get_inheritable(fd) for fd in answer.fds)
    for fd in answer.fds:
        os.close(fd)


def test_the_child_keeps_no_descriptors(child: Child) -> None:
    before = child.call({"do": "descriptors"}, deadline=ENOUGH).data
    fd = memory("sound", b"sound")
    for _ in range(5):
        child.call({"do": "read"}, [fd], deadline=ENOUGH)
        for received in child.call({"do": "write", "texts": ["x"]}, deadline=ENOUGH).fds:
            os.close(received)
    os.close(fd)
    assert child.call({"do": "descriptors"}, deadline=ENOUGH).data == before


def test_a_handler_that_raises_answers_and_lives_on(child: Child) -> None:
    fd = memory("sound")
    assert child.call({"do": "raise"}, [fd], deadline=ENOUGH).data == {"failed": "RuntimeError: no luck today"}
    os.close(fd)
    assert child.call({"do": "echo", "text": "still here"}, deadline=ENOUGH).data == {"echo": "still here"}


def test_the_journal_is_told_where_a_handler_raised() -> None:
    program = "from hailo_whisper.service.child import Child; Child('child_program').call({'do': 'raise'}, deadline=60)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Traceback" in done.stderr
    assert "in handle" in done.stderr
    assert "RuntimeError: no luck today" in done.stderr


def test_ctrl_c_does_not_end_the_child_before_its_parent(child: Child) -> None:
    child.call({"do": "echo", "text": ""}, deadline=ENOUGH)
    os.kill(child.pid, signal.SIGINT)
    assert child.call({"do": "echo", "text": "here"}, deadline=ENOUGH).data == {"echo": "here"}


def test_a_child_dies_with_its_parent_whatever_it_is_doing(tmp_path: Path) -> None:
    sign = tmp_path / "hanging"
    program = (
        "import sys; from hailo_whisper.service.child import Child\n"
        "child = Child('child_program'); print(child.pid, flush=True)\n"
        "child.call({'do': 'hang', 'sign': sys.argv[1]}, deadline=600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(sign)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    with parent, parent.stdout:
        pidfd = os.pidfd_open(int(parent.stdout.readline()))
        try:
            until(sign.exists)
            parent.kill()
            assert select.select([pidfd], [], [], ENOUGH)[0], "the child outlived its parent"
        finally:
            parent.kill()
            if not select.select([pidfd], [], [], 0)[0]:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)


def test_close_leaves_neither_process_nor_descriptor(open_fds: OpenFds) -> None:
    before = open_fds()
    child = Child("child_program")
    child.call({"do": "echo", "text": ""}, deadline=ENOUGH)
    child.close()
    assert not child.alive
    # The socket is closed on the child's thread.
    until(lambda: open_fds() == before)


async def test_ask_does_not_block_the_event_loop(child: Child, tmp_path: Path) -> None:
    go = tmp_path / "go"
    asking = asyncio.create_task(child.ask({"do": "write when", "path": str(go)}, deadline=ENOUGH))
    await asyncio.sleep(0)
    # Only a loop that goes on can give the sign.
    go.touch()
    answer = await asking
    assert answer.data == {"late": True}
    os.close(answer.fds[0])


async def test_a_cancelled_ask_leaks_no_descriptors(child: Child, tmp_path: Path, open_fds: OpenFds) -> None:
    await child.ask({"do": "echo", "text": ""}, deadline=ENOUGH)
    before = open_fds()
    go = tmp_path / "go"
    sound = memory("sound", b"sound")
    under_way = asyncio.create_task(child.ask({"do": "write when", "path": str(go)}, [sound], deadline=ENOUGH))
    waiting = asyncio.create_task(child.ask({"do": "read"}, [sound], deadline=ENOUGH))
    await asyncio.sleep(0.05)
    under_way.cancel()
    waiting.cancel()
    for task in (under_way, waiting):
        with pytest.raises(asyncio.CancelledError):
            await task
    os.close(sound)
    go.touch()
    answer = await child.ask({"do": "echo", "text": "mine"}, deadline=ENOUGH)
    assert answer.data == {"echo": "mine"}, "the answer to the cancelled question is not taken for this one's"
    await eventually(lambda: open_fds() == before)


async def test_the_descriptors_of_a_cancelled_ask_are_still_sent(child: Child, tmp_path: Path) -> None:
    """A caller that is cancelled closes its own, which must not reach the thread that has not sent them yet."""
    go = tmp_path / "go"
    first = asyncio.create_task(child.ask({"do": "write when", "path": str(go)}, deadline=ENOUGH))
    sound = memory("sound", b"sound")
    second = asyncio.create_task(child.ask({"do": "read"}, [sound], deadline=ENOUGH))
    await asyncio.sleep(0.05)
    os.close(sound)
    go.touch()
    os.close((await first).fds[0])
    assert (await second).data == {"texts": ["sound"]}


async def test_another_line_is_answered_while_the_first_waits(child: Child, tmp_path: Path) -> None:
    line = await child.line(deadline=ENOUGH)
    waiting = asyncio.create_task(child.ask({"do": "write when", "path": str(tmp_path / "go")}, deadline=ENOUGH))
    assert (await line.ask({"do": "echo", "text": "meanwhile"}, deadline=ENOUGH)).data == {"echo": "meanwhile"}
    assert not waiting.done()
    (tmp_path / "go").touch()
    answer = await waiting
    assert answer.data == {"late": True}
    os.close(answer.fds[0])


async def test_every_line_hears_of_a_death(child: Child) -> None:
    line = await child.line(deadline=ENOUGH)
    waiting = asyncio.create_task(line.ask({"do": "hang"}, deadline=ENOUGH))
    with pytest.raises(ChildDied, match="SIGKILL"):
        await child.ask({"do": "kill"}, deadline=ENOUGH)
    with pytest.raises(ChildDied, match="SIGKILL"):
        await waiting


async def test_a_thread_that_gives_up_ends_the_process(child: Child) -> None:
    line = await child.line(deadline=ENOUGH)
    with pytest.raises(ChildDied, match="ended with status 1"):
        await line.ask({"do": "give up"}, deadline=ENOUGH)


async def test_a_dead_child_opens_no_line(child: Child) -> None:
    child.kill()
    with pytest.raises(ChildDied):
        await child.line(deadline=ENOUGH)


def test_a_process_that_does_not_end_holds_nobody_up(
    child: Child, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hailo_whisper.service.child.DYING_SECONDS", 0.05)
    monkeypatch.setattr("hailo_whisper.service.child.WEDGED_SECONDS", 0.05)
    # What a driver holds is not ended by the signal, nor by the end of its channel.
    monkeypatch.setattr(subprocess.Popen, "kill", lambda _: None)
    os.kill(child.pid, signal.SIGSTOP)
    child.kill()
    assert child.alive
    until(lambda: f"process {child.pid} (child_program) was killed and does not end" in caplog.text)
    with pytest.raises(ChildDied):
        child.call({"do": "echo", "text": "there"}, deadline=ENOUGH)
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not child.alive)


def test_nothing_is_imported_from_where_its_parent_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('a stranger was run')")
    monkeypatch.chdir(tmp_path)
    child = Child("child_program")
    try:
        assert child.call({"do": "echo", "text": "ours"}, deadline=ENOUGH).data == {"echo": "ours"}
    finally:
        child.close()
