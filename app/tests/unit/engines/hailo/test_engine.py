"""The engine on the emulated device, in this process: what hangs or crashes is in tests/server/test_hailo.py."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from emulated import Device

from hailo_whisper.engines.engine import ModelConfig, Options
from hailo_whisper.engines.hailo import binding, session
from hailo_whisper.engines.hailo.engine import HailoEngine
from hailo_whisper.engines.hailo.genai import _spaced
from hailo_whisper.engines.trouble import DeviceBusy, DeviceTrouble, Trouble
from hailo_whisper.speech.waveform import RATE

SOUND = np.zeros(3 * RATE, np.float32)
ENGLISH = Options(language="en", beam=5)


def _load(hef: Path, group: str = "SHARED") -> HailoEngine:
    engine = HailoEngine()
    engine.load(ModelConfig(hef, "int8", 0, group=group))
    return engine


@pytest.fixture
def hef(device: Device, tmp_path: Path) -> Path:
    return device.hef(tmp_path, says="hello there")


class TestTranscribing:
    @pytest.mark.parametrize("version", ["5.1.1", "5.2.0", "5.3.0"])
    def test_a_window_on_each_release(self, device: Device, hef: Path, version: str) -> None:
        device.become(version)
        engine = _load(hef)
        (result,) = engine.transcribe([SOUND], ENGLISH)
        (segment,) = result.segments
        assert (result.language, result.fallbacks) == ("en", 0)
        assert (segment.start, segment.end, segment.text, segment.tokens) == (0.0, 3.0, " hello there", [0, 1])
        assert (segment.avg_logprob, segment.no_speech_prob, segment.temperature) == (None, None, 0.0)
        assert segment.compression_ratio == pytest.approx(11 / 19)
        engine.close()

    def test_what_it_can_do(self, hef: Path) -> None:
        able = _load(hef).capabilities
        assert able.languages == ["en", "de", "es"]
        assert (able.detects_language, able.translates) == (True, True)
        assert not any((able.prompts, able.hotwords, able.temperature, able.words, able.logprobs, able.express))
        assert able.unavailable == ["avg_logprob", "no_speech_prob"]
        assert (able.batch, able.lanes) == (1, 1)
        assert able.window_seconds <= 10

    def test_a_release_that_detects_no_language_needs_one(self, device: Device, hef: Path) -> None:
        device.become("5.1.1")
        engine = _load(hef)
        assert (engine.capabilities.detects_language, engine.capabilities.translates) == (False, False)
        with pytest.raises(ValueError, match="does not detect languages"):
            engine.transcribe([SOUND], Options(language=None, beam=5))

    def test_a_language_that_is_detected_is_not_told(self, hef: Path) -> None:
        (result,) = _load(hef).transcribe([SOUND], Options(language=None, beam=5))
        assert result.language is None

    def test_translation(self, hef: Path) -> None:
        (result,) = _load(hef).transcribe([SOUND], Options(language="de", beam=5, task="translate"))
        assert result.segments[0].text == " In English: hello there"

    def test_sound_that_is_read_only_or_strided(self, hef: Path) -> None:
        strided = np.zeros(2 * RATE, np.float32)[::2]
        strided.flags.writeable = False
        assert _load(hef).transcribe([strided], ENGLISH)[0].segments[0].end == 1.0

    def test_nothing_is_asked_before_a_model_is_loaded(self) -> None:
        with pytest.raises(RuntimeError, match="no model is loaded"):
            HailoEngine().transcribe([SOUND], ENGLISH)

    def test_it_gives_the_device_back(self, hef: Path) -> None:
        engine = _load(hef, "UNIQUE")
        engine.close()
        engine.close()
        _load(hef, "UNIQUE").close()


class TestTrouble:
    @pytest.mark.parametrize(
        ("told", "kind", "said"),
        [
            (["absent"], DeviceTrouble, "No Hailo device was found"),
            (["scan raise 64"], DeviceTrouble, "Looking for a Hailo device failed: the driver is not loaded"),
            (["open raise 36"], DeviceTrouble, "Opening the device failed: the driver refused .* permission"),
            (["open raise 76"], DeviceTrouble, "driver and library are of different versions"),
            (["open raise 74"], DeviceBusy, "in use by another program .* on a Hailo-10H, have all of them share the device"),
            (["load raise 93"], Trouble, "Loading Whisper-Base.hef failed: the model's file was made for another device"),
            (["load raise 13"], Trouble, "could not be opened"),
            (["arch HAILO8L"], Trouble, "The device is a HAILO8L"),
        ],
        ids=str,
    )
    def test_loading(self, device: Device, hef: Path, told: list[str], kind: type[Exception], said: str) -> None:
        device.tell(*told)
        with pytest.raises(Trouble, match=said) as caught:
            _load(hef, "UNIQUE")
        assert type(caught.value) is kind
        # And the device is free again.
        device.tell()
        _load(hef, "UNIQUE").close()

    def test_a_device_that_does_not_say_what_it_is_is_tried(self, device: Device, hef: Path) -> None:
        device.tell("identify raise 36")
        assert _load(hef).transcribe([SOUND], ENGLISH)

    @pytest.mark.parametrize("told", ["absent", "infer raise 62", "infer raise 36"])
    def test_a_device_that_goes_away(self, device: Device, hef: Path, told: str) -> None:
        engine = _load(hef)
        device.tell(told)
        with pytest.raises(DeviceTrouble, match="Transcribing failed: "):
            engine.transcribe([SOUND], ENGLISH)

    def test_what_is_no_trouble_of_the_device_keeps_its_words(self, hef: Path) -> None:
        with pytest.raises(Exception, match="Invalid argument") as caught:
            _load(hef).transcribe([SOUND], Options(language="xx", beam=5))
        assert not isinstance(caught.value, Trouble)

    def test_files_are_checked_before_the_device_is_asked(self, device: Device, tmp_path: Path) -> None:
        device.tell("scan crash")
        (tmp_path / "a.hef").write_bytes(b"<html>")
        with pytest.raises(Trouble, match="is no HEF"):
            _load(tmp_path / "a.hef")
        with pytest.raises(Trouble, match="was made for hailo8l"):
            _load(device.hef(tmp_path, "hailo8l", says="hello"))


class TestBinding:
    def test_none_is_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "path", [folder for folder in sys.path if "emulator" not in folder])
        for name in [name for name in sys.modules if name.partition(".")[0] == "hailo_platform"]:
            monkeypatch.delitem(sys.modules, name)
        with pytest.raises(Trouble, match=r"hailo_platform is not installed\. Install HailoRT's Python binding"):
            binding.Binding()

    @pytest.mark.parametrize(
        ("platform", "genai", "said"),
        [
            ("raise RuntimeError('_pyhailort version (5.1.1) does not match')", "", "cannot be loaded: _pyhailort version"),
            ("import nowhere", "", "lacks nowhere"),
            ("__version__ = '4.20.0'", None, "lacks hailo_platform.genai"),
            (
                "__version__ = '5.1.0'",
                "class Speech2Text:\n def generate_all_segments(self, generator_params, audio_data, timeout_ms=10000): pass",
                r"HailoRT 5\.1\.0 cannot transcribe in a way that this program knows",
            ),
            ("__version__ = '5.9.0'", "class Speech2Text:\n def transcribe(self): pass", r"HailoRT 5\.9\.0 cannot transcribe"),
        ],
        ids=["versions differ", "a part is missing", "of the generation before", "too old", "of another kind"],
    )
    def test_one_that_cannot_be_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, genai: str | None, said: str
    ) -> None:
        package = tmp_path / "hailo_platform"
        package.mkdir()
        (package / "__init__.py").write_text(platform)
        if genai is not None:
            (package / "genai.py").write_text(genai)
        for name in [name for name in sys.modules if name.partition(".")[0] == "hailo_platform"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(Trouble, match=said):
            session.api(binding.Binding())
        for name in [name for name in sys.modules if name.partition(".")[0] == "hailo_platform"]:
            del sys.modules[name]

    def test_hailort_writes_no_log_into_the_working_directory(self, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HAILORT_LOGGER_PATH", raising=False)
        binding.Binding()
        assert os.environ["HAILORT_LOGGER_PATH"] == "NONE"
        monkeypatch.setenv("HAILORT_LOGGER_PATH", "/var/log")
        binding.Binding()
        assert os.environ["HAILORT_LOGGER_PATH"] == "/var/log"


@pytest.mark.parametrize(("text", "expected"), [("word", " word"), (" word", " word"), ("こんにちは", "こんにちは")])
def test_segments_begin_with_a_space_where_the_script_has_any(text: str, expected: str) -> None:
    assert _spaced(text) == expected
