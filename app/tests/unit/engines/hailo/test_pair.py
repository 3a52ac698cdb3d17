"""The engine on an encoder and a decoder, on the emulated device, in this process."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated import Device, saying

from hailo_whisper.engines.engine import ModelConfig, Options
from hailo_whisper.engines.hailo import binding, pair
from hailo_whisper.engines.hailo.engine import HailoEngine
from hailo_whisper.engines.trouble import DeviceBusy, DeviceTrouble, Trouble
from hailo_whisper.speech.waveform import RATE

SOUND = np.zeros(3 * RATE, np.float32)
ENGLISH = Options(language="en", beam=5)
TEXT = "hello there"


def _load(folder: Path, group: str = "SHARED") -> HailoEngine:
    engine = HailoEngine()
    engine.load(ModelConfig(folder, "int8", 0, group=group))
    return engine


@pytest.fixture
def eight(device: Device) -> Device:
    """A Hailo-8, with the HailoRT that it needs."""
    device.become("4.23.0")
    return device


@pytest.fixture
def folder(eight: Device, tmp_path: Path) -> Path:
    return eight.pair(tmp_path / "pair", says=TEXT)


class TestTranscribing:
    @pytest.mark.parametrize(
        ("version", "told", "architecture"),
        [
            ("4.23.0", "HAILO8", "hailo8"),
            ("4.23.0", "HAILO8", "hailo8l"),
            ("4.23.0", "HAILO8L", "hailo8l"),
            ("5.2.0", "HAILO10H", "hailo10h"),
        ],
    )
    def test_a_window_on_each_device(self, device: Device, tmp_path: Path, version: str, told: str, architecture: str) -> None:
        device.become(version)
        device.tell(f"arch {told}")
        engine = _load(device.pair(tmp_path / "pair", architecture, says=TEXT))
        (result,) = engine.transcribe([SOUND], ENGLISH)
        (segment,) = result.segments
        assert (result.language, result.fallbacks) == ("en", 0)
        assert (segment.start, segment.end, segment.text) == (0.0, 2.0, " hello there")
        assert segment.tokens == saying(TEXT)["text"][1:-1]
        assert (segment.temperature, segment.seek, segment.logprobs) == (0.0, 0, None)
        assert segment.avg_logprob is not None
        assert -0.01 < segment.avg_logprob < 0
        assert segment.no_speech_prob is not None
        assert 0 < segment.no_speech_prob < 0.01
        assert segment.compression_ratio == pytest.approx(11 / 19)
        engine.close()

    def test_what_it_can_do(self, folder: Path) -> None:
        able = _load(folder).capabilities
        assert len(able.languages) == 99
        assert (able.detects_language, able.translates, able.temperature, able.logprobs) == (True, True, True, True)
        assert not any((able.prompts, able.hotwords, able.words, able.express))
        assert able.unavailable == []
        assert (able.batch, able.lanes) == (1, 1)
        assert 3 < able.window_seconds < 5

    @pytest.mark.parametrize(("seconds", "places", "longest"), [(5.0, 64, 5.0), (10.0, 64, 10.0), (10.0, 32, 7.0)])
    def test_windows_are_what_both_networks_take(
        self, eight: Device, tmp_path: Path, seconds: float, places: int, longest: float
    ) -> None:
        engine = _load(eight.pair(tmp_path / "pair", says=TEXT, seconds=seconds, places=places))
        assert longest - 2 < engine.capabilities.window_seconds < longest

    def test_the_probability_of_each_token(self, folder: Path) -> None:
        (result,) = _load(folder).transcribe([SOUND], Options(language="en", beam=5, logprobs=True))
        tokens = result.segments[0].logprobs
        assert tokens
        assert tokens[0].text == " hello"
        assert all(-0.01 < token.logprob < 0 for token in tokens)
        assert bytes(byte for token in tokens for byte in token.bytes).decode() == " hello there"

    def test_the_language_it_detects(self, eight: Device, tmp_path: Path) -> None:
        engine = _load(eight.pair(tmp_path / "pair", says=TEXT, told={"also": {50261: 9.0, 50259: 8.0}}))
        (result,) = engine.transcribe([SOUND], Options(language=None, beam=5))
        assert (result.language, result.segments[0].text) == ("de", " hello there")

    def test_translation_is_a_prompt_of_its_own(self, eight: Device, tmp_path: Path) -> None:
        told = {"starts": [50358]}
        engine = _load(eight.pair(tmp_path / "pair", says=TEXT, told=told))
        (result,) = engine.transcribe([SOUND], Options(language="de", beam=5, task="translate"))
        assert (result.language, result.segments[0].text) == ("de", " hello there")

    def test_a_model_that_knows_english_only(self, eight: Device, tmp_path: Path) -> None:
        told = {"vocabulary": 51864, "text": [50363, 18435, 50463], "starts": [50257], "end": 50256}
        engine = _load(eight.pair(tmp_path / "pair", told=told))
        able = engine.capabilities
        assert (able.languages, able.detects_language, able.translates) == (["en"], False, False)
        (result,) = engine.transcribe([SOUND], ENGLISH)
        assert result.segments[0].text == " Hello"

    def test_what_is_no_speech_is_no_text(self, eight: Device, tmp_path: Path) -> None:
        # Nothing is likely of what it says but no speech.
        told = {"also": {50362: 40.0}, "starts": [50359], "text": [], "end": 50256}
        engine = _load(eight.pair(tmp_path / "pair", told=told))
        (result,) = engine.transcribe([SOUND], ENGLISH)
        assert result.segments == []

    def test_sound_that_is_read_only_strided_or_short(self, folder: Path) -> None:
        engine = _load(folder)
        strided = np.zeros(6 * RATE, np.float32)[::2]
        strided.flags.writeable = False
        assert engine.transcribe([strided], ENGLISH)[0].segments[0].end == 2.0
        (segment,) = engine.transcribe([np.zeros(RATE, np.float32)], ENGLISH)[0].segments
        assert segment.end <= 1.0

    def test_several_windows(self, folder: Path) -> None:
        results = _load(folder).transcribe([SOUND] * 3, ENGLISH)
        assert [len(result.segments) for result in results] == [1] * 3

    def test_nothing_is_asked_before_a_model_is_loaded(self) -> None:
        with pytest.raises(RuntimeError, match="no model is loaded"):
            pair.PairEngine().transcribe([SOUND], ENGLISH)

    def test_it_gives_the_device_back(self, folder: Path) -> None:
        engine = _load(folder, "UNIQUE")
        engine.close()
        engine.close()
        _load(folder, "UNIQUE").close()


class TestCutOff:
    """Of what does not fit into the decoder's places, nothing is lost."""

    def test_both_halves_are_heard_again(self, eight: Device, tmp_path: Path) -> None:
        engine = _load(eight.pair(tmp_path / "pair", says="one two three four five six seven", places=8))
        samples = np.random.default_rng(1).normal(0, 0.1, 4 * RATE).astype(np.float32)
        samples[2 * RATE : 2 * RATE + 2000] = 0
        (result,) = engine.transcribe([samples], ENGLISH)
        assert result.fallbacks == 1
        # The halves are too short to be parted again.
        first, second = result.segments
        assert first.start == 0
        assert 2.0 <= first.end == second.start < 2.2
        assert second.end == pytest.approx(4.0)
        assert (first.seek, second.seek) == (0, round(second.start * 100))
        assert first.text.startswith(" one two three")

    def test_what_follows_the_last_whole_segment_is_heard_again(self, eight: Device, tmp_path: Path) -> None:
        begin = 50364
        # Two segments, the second of which ends nowhere.
        told: dict[str, Any] = {"text": [begin, 7751, begin + 50, begin + 50, *[456, 7751] * 20]}
        engine = _load(eight.pair(tmp_path / "pair", says=TEXT, told=told, places=9))
        (result,) = engine.transcribe([np.zeros(2 * RATE, np.float32)], ENGLISH)
        assert result.fallbacks >= 1
        assert [segment.start for segment in result.segments][:2] == [0.0, 1.0]

    def test_a_rest_that_it_did_not_listen_to_is_heard(self, eight: Device, tmp_path: Path) -> None:
        engine = _load(eight.pair(tmp_path / "pair", says=TEXT, seconds=10.0, places=64))
        (result,) = engine.transcribe([np.zeros(8 * RATE, np.float32)], ENGLISH)
        assert [segment.start for segment in result.segments] == [0.0, 2.0, 4.0, 6.0]
        assert result.fallbacks == 0

    def test_a_window_that_is_longer_than_the_encoder_takes_is_parted(self, eight: Device, tmp_path: Path) -> None:
        engine = _load(eight.pair(tmp_path / "pair", says=TEXT, until=1.8))
        samples = np.random.default_rng(1).normal(0, 0.1, 11 * RATE).astype(np.float32)
        samples[int(5.5 * RATE) :][:2000] = 0
        (result,) = engine.transcribe([samples], ENGLISH)
        starts = [segment.start for segment in result.segments]
        assert len(starts) >= 4
        assert starts == sorted(starts)
        assert any(5.5 <= start < 5.7 for start in starts)
        assert all(segment.text == " hello there" for segment in result.segments)

    def test_a_decoder_that_hardly_gets_on_is_not_asked_for_ever(self, eight: Device, tmp_path: Path) -> None:
        engine = _load(eight.pair(tmp_path / "pair", says=TEXT, until=0.1))
        (result,) = engine.transcribe([SOUND], ENGLISH)
        assert [segment.end for segment in result.segments] == [0.1]


class TestAgain:
    """What looks wrong is written again in another way."""

    def test_what_repeats_itself(self, eight: Device, tmp_path: Path) -> None:
        told = {"text": [50364, *[7751] * 60]}
        engine = _load(eight.pair(tmp_path / "pair", says=TEXT, told=told, places=64))
        (result,) = engine.transcribe([SOUND], ENGLISH)
        assert result.fallbacks >= len(pair.LADDER) - 1

    def test_not_where_a_temperature_was_asked_for(self, eight: Device, tmp_path: Path) -> None:
        engine = _load(eight.pair(tmp_path / "pair", says=TEXT))
        (result,) = engine.transcribe([SOUND], Options(language="en", beam=5, temperature=0.1))
        assert [segment.temperature for segment in result.segments] == [0.1]
        assert result.fallbacks == 0


class TestTrouble:
    @pytest.mark.parametrize(
        ("told", "kind", "said"),
        [
            (["absent"], DeviceTrouble, "No Hailo device was found"),
            (["open raise 74"], DeviceBusy, "in use by another program .* a Hailo-8 or 8L is for one program at a time"),
            (["open raise 76"], DeviceTrouble, "driver and library are of different versions"),
            (["load raise 93"], Trouble, "Loading my-encoder.hef failed: the model's file was made for another device"),
            (["configure raise 71"], DeviceTrouble, "Loading my-encoder.hef failed: the device has no memory left"),
            (["arch HAILO8L"], Trouble, r"made for hailo8, and the device is a HAILO8L\. Pull the model for hailo8l"),
            (["arch HAILO10H"], Trouble, r"end in -hailo10h"),
        ],
        ids=str,
    )
    def test_loading(self, eight: Device, folder: Path, told: list[str], kind: type[Exception], said: str) -> None:
        eight.tell(*told)
        with pytest.raises(Trouble, match=said) as caught:
            _load(folder, "UNIQUE")
        assert type(caught.value) is kind
        # And the device is free again.
        eight.tell()
        _load(folder, "UNIQUE").close()

    def test_a_hailo_8_is_asked_for_alone_because_no_group_lets_others_in(self, folder: Path) -> None:
        platform = importlib.import_module("hailo_platform")
        params = platform.VDevice.create_params()
        params.group_id = "SHARED"
        engine = _load(folder, "SHARED")
        with pytest.raises(platform.HailoRTException, match="74"):
            platform.VDevice(params)
        engine.close()
        platform.VDevice(params).release()

    @pytest.mark.parametrize(
        ("told", "said"),
        [
            ("absent", "Encoding failed: the connection to the device was closed"),
            ("infer raise 62", "Encoding failed"),
            ("infer stall", "Encoding failed: the device did not answer in time"),
        ],
    )
    def test_a_device_that_goes_away(
        self, eight: Device, folder: Path, told: str, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from hailo_whisper.engines.hailo import networks

        monkeypatch.setattr(networks, "RUN_MS", 100)
        engine = _load(folder)
        eight.tell(told)
        with pytest.raises(DeviceTrouble, match=said):
            engine.transcribe([SOUND], ENGLISH)

    def test_one_that_does_not_say_what_it_is_is_tried(self, eight: Device, folder: Path) -> None:
        eight.tell("identify raise 36")
        assert _load(folder).transcribe([SOUND], ENGLISH)

    def test_a_hef_of_the_genai_api_on_another_device(self, device: Device, tmp_path: Path) -> None:
        device.tell("arch HAILO8")
        with pytest.raises(Trouble, match=r"device is a HAILO8, and .*models pull whisper-base-hailo8"):
            _load(device.hef(tmp_path, says=TEXT))

    def test_a_hailort_that_lacks_the_genai_api(self, eight: Device, tmp_path: Path) -> None:
        with pytest.raises(Trouble, match=r"lacks hailo_platform\.genai"):
            _load(eight.hef(tmp_path, says=TEXT))

    def test_a_hailort_that_cannot_run_networks(self, eight: Device, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(binding.Binding().platform, "HEF")
        with pytest.raises(Trouble, match=r"HailoRT 4\.23\.0 cannot run a network step by step: 4\.20 and newer can"):
            _load(folder)


class TestFiles:
    """What does not fit together is refused by name, and the device is free again."""

    def _refused(self, folder: Path, said: str) -> None:
        with pytest.raises(Trouble, match=said):
            _load(folder, "UNIQUE")

    def test_a_file_that_is_no_hef_is_seen_before_the_device_is_asked(self, eight: Device, folder: Path) -> None:
        eight.tell("scan crash")
        (folder / "my-decoder.hef").write_bytes(b"<html>")
        self._refused(folder, r"my-decoder\.hef is no HEF")

    def test_files_for_two_devices(self, eight: Device, folder: Path, tmp_path: Path) -> None:
        eight.tell("scan crash")
        other = eight.pair(tmp_path / "other", "hailo8l", says=TEXT)
        (other / "my-decoder.hef").replace(folder / "my-decoder.hef")
        self._refused(folder, r"different devices: my-encoder\.hef for hailo8, my-decoder\.hef for hailo8l\..*models pull")

    def test_a_folder_that_lacks_the_vectors(self, folder: Path) -> None:
        (folder / "token_embedding_weight_my.npy").unlink()
        self._refused(folder, "lacks the tokens' vectors")

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"<html>", "is no numpy file"),
            (np.zeros(8, np.float32), "has no vectors"),
            (np.zeros((8, 4), np.int64), "has no vectors"),
            (
                np.zeros((51865, 5), np.float32),
                r"my-decoder\.hef does not fit my-encoder\.hef and tokens of 5 numbers: it has my-decoder/",
            ),
            (np.zeros((51864, 4), np.float32), r"knows 51865 tokens, and there are vectors of 51864"),
        ],
        ids=["a web page", "one line", "whole numbers", "of another width", "of another model"],
    )
    def test_vectors_that_are_none(self, folder: Path, content: Any, said: str) -> None:
        path = folder / "token_embedding_weight_my.npy"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content)
        self._refused(folder, said)

    def test_an_encoder_of_other_seconds(self, eight: Device, folder: Path, tmp_path: Path) -> None:
        other = eight.pair(tmp_path / "other", says=TEXT, seconds=10.0)
        (other / "my-encoder.hef").replace(folder / "my-encoder.hef")
        self._refused(folder, r"does not fit my-encoder\.hef")

    def test_a_decoder_in_the_place_of_the_encoder(self, folder: Path) -> None:
        (folder / "my-encoder.hef").write_bytes((folder / "my-decoder.hef").read_bytes())
        self._refused(folder, r"my-encoder\.hef is no encoder of a Whisper with 80 mel bands")

    def test_a_number_of_tokens_that_no_whisper_has(self, eight: Device, tmp_path: Path) -> None:
        folder = eight.pair(tmp_path / "pair", told={"vocabulary": 1000, "text": [], "starts": [1], "end": 2})
        self._refused(folder, "has 1000 tokens, and no Whisper")
        eight.pair(tmp_path / "sound", says=TEXT)
        _load(tmp_path / "sound", "UNIQUE").close()
