"""The emulated device is as hostile as the real one. What kills a process happens in one of its own."""

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated import EMULATOR, Device
from polling import until

SOUND = np.zeros(16000, np.float32)
PRELUDE = """
import sys, time, numpy, pathlib
from hailo_platform import VDevice
from hailo_platform.genai import Speech2Text
params = VDevice.create_params()
params.group_id = sys.argv[1]
hef, sound = sys.argv[2], numpy.zeros(16000, numpy.float32)
"""

HOLDER = """
import sys, time
from hailo_platform import VDevice
params = VDevice.create_params()
params.group_id = sys.argv[1]
vdevice = VDevice(params)
print("got it", flush=True)
time.sleep(60)
"""


@pytest.fixture
def hef(device: Device, tmp_path: Path) -> Path:
    return device.hef(tmp_path, says="hello there")


def _program(text: str, hef: Path, group: str = "UNIQUE") -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", PRELUDE + text, group, str(hef)], stdout=subprocess.PIPE, text=True)


def _holder(hef: Path, group: str) -> "subprocess.Popen[str]":
    holder = _program("vdevice = VDevice(params)\nprint('got it', flush=True)\ntime.sleep(60)", hef, group)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "got it\n"
    return holder


def _vdevice(group: str) -> Any:
    platform = importlib.import_module("hailo_platform")
    params = platform.VDevice.create_params()
    params.group_id = group
    return platform.VDevice(params)


def _model(hef: Path) -> Any:
    return importlib.import_module("hailo_platform.genai").Speech2Text(_vdevice("UNIQUE"), str(hef))


class TestSharing:
    def test_who_wants_it_alone_waits_5_seconds_and_gets_74(self, hef: Path) -> None:
        holder = _holder(hef, "UNIQUE")
        began = time.monotonic()
        with pytest.raises(Exception, match=r"error: 74 \(HAILO_OUT_OF_PHYSICAL_DEVICES\)"):
            _vdevice("UNIQUE")
        assert 4.9 < time.monotonic() - began < 8
        holder.kill()
        holder.wait()
        _vdevice("UNIQUE").release()

    def test_a_group_shares_it_and_another_gets_74_at_once(self, hef: Path) -> None:
        holder = _holder(hef, "SHARED")
        _vdevice("SHARED").release()
        began = time.monotonic()
        with pytest.raises(Exception, match="74"):
            _vdevice("OTHERS")
        assert time.monotonic() - began < 2
        holder.kill()
        holder.wait()
        _vdevice("OTHERS").release()

    @pytest.mark.parametrize(("version", "said"), [("5.2.0", "Invalid operation"), ("4.23.0", "HAILO_RPC_FAILED")])
    def test_the_multi_process_service_is_no_operation_or_not_there(self, device: Device, version: str, said: str) -> None:
        device.become(version)
        platform = importlib.import_module("hailo_platform")
        params = platform.VDevice.create_params()
        params.multi_process_service = True
        with pytest.raises(platform.HailoRTException, match=said):
            platform.VDevice(params)


@pytest.mark.parametrize("told", ["HAILO8", "HAILO8L"])
class TestSharingWithoutAServer:
    """As on a Hailo-8, where libhailort itself has the device: HailoRT's VDevice::create."""

    @pytest.fixture(autouse=True)
    def _is(self, device: Device, told: str) -> None:
        device.become("4.23.0")
        device.tell(f"arch {told}")

    @pytest.mark.parametrize(
        ("theirs", "ours"), [("SHARED", "SHARED"), ("UNIQUE", "SHARED"), ("SHARED", "UNIQUE"), ("UNIQUE", "UNIQUE")]
    )
    def test_another_process_gets_74_at_once_whatever_its_group(self, theirs: str, ours: str) -> None:
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, theirs], stdout=subprocess.PIPE, text=True)
        assert holder.stdout is not None
        assert holder.stdout.readline() == "got it\n"
        began = time.monotonic()
        with pytest.raises(Exception, match="74"):
            _vdevice(ours)
        assert time.monotonic() - began < 2
        holder.kill()
        holder.wait()
        _vdevice(ours).release()

    def test_a_group_is_one_in_a_process(self) -> None:
        first, second = _vdevice("SHARED"), _vdevice("SHARED")
        for group in ("OTHERS", "UNIQUE"):
            with pytest.raises(Exception, match="74"):
                _vdevice(group)
        second.release()
        third = _vdevice("SHARED")
        first.release()
        with pytest.raises(Exception, match="74"):
            _vdevice("OTHERS")
        third.release()
        alone = _vdevice("UNIQUE")
        with pytest.raises(Exception, match="74"):
            _vdevice("UNIQUE")
        alone.release()


class TestNode:
    @pytest.fixture(params=["hailo0", "h1x-0"])
    def node(self, request: pytest.FixtureRequest, device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (tmp_path / "dev").mkdir()
        monkeypatch.setenv("HAILO_EMULATOR_NODES", str(tmp_path / "dev"))
        return tmp_path / "dev" / str(request.param)

    def test_without_it_there_is_no_device(self, node: Path, hef: Path) -> None:
        scan = importlib.import_module("hailo_platform").Device.scan
        assert scan() == []
        with pytest.raises(Exception, match="74"):
            _vdevice("SHARED")
        node.touch()
        assert len(scan()) == 1
        model = _model(hef)
        node.unlink()
        with pytest.raises(Exception, match="Communication closed"):
            model.generate_all_segments(audio_data=SOUND)

    def test_it_is_open_for_as_long_as_the_device_is_taken(self, node: Path) -> None:
        def opened() -> bool:
            return str(node) in [str(entry.resolve()) for entry in Path("/proc/self/fd").iterdir()]

        node.touch()
        vdevice = _vdevice("SHARED")
        assert opened()
        vdevice.release()
        assert not opened()

    def test_without_permission_opening_is_36(self, node: Path) -> None:
        # A folder cannot be opened for writing, not even by root.
        node.mkdir()
        with pytest.raises(Exception, match="ioctl") as caught:
            _vdevice("SHARED")
        assert type(caught.value).__name__ == "HailoRTDriverOperationFailedException"


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "name"),
        [
            (36, "HailoRTDriverOperationFailedException"),
            (62, "HailoCommunicationClosedException"),
            (74, "HailoRTException"),
            (76, "HailoRTException"),
            (93, "HailoRTHEFNotCompatibleWithDevice"),
        ],
    )
    def test_wrapped_where_it_transcribes_and_bare_where_it_is_constructed(
        self, device: Device, hef: Path, code: int, name: str
    ) -> None:
        model = _model(hef)
        device.tell(f"infer raise {code}", f"load raise {code}")
        with pytest.raises(importlib.import_module("hailo_platform").HailoRTException) as caught:
            model.generate_all_segments(audio_data=SOUND)
        assert type(caught.value).__name__ == name
        model._vdevice.release()
        with pytest.raises(Exception, match=f"^{code}$"):
            _model(hef)

    def test_no_device_is_74_too(self, device: Device) -> None:
        device.tell("absent")
        assert importlib.import_module("hailo_platform").Device.scan() == []
        with pytest.raises(Exception, match="74"):
            _vdevice("SHARED")

    @pytest.mark.parametrize(
        ("content", "code"),
        [(b"", 92), (b"MZ" * 100, 92), (b"\x01HEF\0\0\0\2" + bytes(36), 93), (b"\x01HEF\0\0\0\2" + bytes(99), 91)],
    )
    def test_files_that_are_no_hef(self, device: Device, tmp_path: Path, content: bytes, code: int) -> None:
        (tmp_path / "bad.hef").write_bytes(content)
        with pytest.raises(Exception, match=f"^{code}$"):
            _model(tmp_path / "bad.hef")

    def test_hefs_that_are_missing_or_for_another_device(self, device: Device, tmp_path: Path) -> None:
        with pytest.raises(Exception, match=r"^13$"):
            _model(tmp_path / "missing.hef")
        with pytest.raises(Exception, match=r"^93$"):
            _model(device.hef(tmp_path, "hailo8", says="hello"))

    def test_languages(self, hef: Path) -> None:
        with pytest.raises(Exception, match="Invalid argument"):
            _model(hef).generate_all_segments(audio_data=SOUND, language="auto")


class TestArrays:
    @pytest.mark.parametrize(
        ("audio", "said"),
        [
            (np.zeros((2, 8), np.float32), "1-dimensional"),
            (np.zeros(8, np.float64), "float32"),
            (np.zeros(8, np.float32)[::2], "strided"),
        ],
        ids=["two dimensions", "doubles", "strided"],
    )
    def test_what_it_refuses(self, hef: Path, audio: Any, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            _model(hef).generate_all_segments(audio_data=audio)

    def test_memory_that_is_read_only(self, hef: Path) -> None:
        audio = SOUND.copy()
        audio.flags.writeable = False
        with pytest.raises(ValueError, match="not writeable"):
            _model(hef).generate_all_segments(audio_data=audio)

    def test_nothing_at_all(self, hef: Path) -> None:
        with pytest.raises(Exception, match="Invalid argument"):
            _model(hef).generate_all_segments(audio_data=SOUND[:0])


class TestMisbehaviour:
    @pytest.mark.parametrize(
        ("text", "ending"),
        [
            ("Speech2Text(VDevice(params), hef).generate_all_segments(audio_data=sound)", -signal.SIGSEGV),
            ("model = Speech2Text(VDevice(params), hef)\nmodel.release()\nmodel.tokenize('a')", -signal.SIGABRT),
            (
                "vdevice = VDevice(params)\nmodel = Speech2Text(vdevice, hef)\nvdevice.release()\n"
                "model.generate_all_segments(audio_data=sound)",
                -signal.SIGABRT,
            ),
        ],
        ids=["crash", "after release", "after the device's release"],
    )
    def test_it_dies(self, device: Device, hef: Path, text: str, ending: int) -> None:
        device.tell("infer crash")
        assert _program(text, hef).wait(timeout=30) == ending

    def test_it_hangs_with_the_gil_held_and_without_regard_for_its_time_out(self, device: Device, hef: Path) -> None:
        device.tell("infer hang")
        program = _program(
            "import threading\n"
            "def beat():\n"
            "    while True:\n        time.sleep(0.05)\n        pathlib.Path(hef + '.beat').touch()\n"
            "threading.Thread(target=beat, daemon=True).start()\n"
            "model = Speech2Text(VDevice(params), hef)\ntime.sleep(0.3)\nprint('now', flush=True)\n"
            "model.generate_all_segments(audio_data=sound, timeout_ms=10)\nprint('back')",
            hef,
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "now\n"
        beat = Path(f"{hef}.beat")

        def silent() -> bool:
            last = beat.stat().st_mtime_ns
            time.sleep(0.5)
            return beat.stat().st_mtime_ns == last

        # No other thread runs.
        until(silent)
        assert program.poll() is None
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
        until(lambda: _vdevice("UNIQUE").release() is None)

    def test_a_word_that_it_does_not_know(self, device: Device, hef: Path) -> None:
        model = _model(hef)
        device.tell("infer dance")
        with pytest.raises(ValueError, match="does not know"):
            model.generate_all_segments(audio_data=SOUND)


class TestCommandLine:
    def _run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(EMULATOR / "bin" / "hailortcli"), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def test_identify(self, device: Device) -> None:
        assert "Device Architecture: HAILO10H\n" in self._run("fw-control", "identify").stdout
        device.tell("arch HAILO8L")
        assert "Device Architecture: HAILO8L\n" in self._run("fw-control", "identify").stdout

    def test_no_device(self, device: Device) -> None:
        device.tell("absent")
        done = self._run("fw-control", "identify")
        assert (done.returncode, done.stdout) == (1, "")
        assert "not found" in done.stderr

    def test_its_version(self, device: Device) -> None:
        device.become("5.3.0")
        assert self._run("--version").stdout == "HailoRT-CLI version 5.3.0\n"
