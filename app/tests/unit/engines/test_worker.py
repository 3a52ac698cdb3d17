import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated import Device

from hailo_whisper.engines.engine import Options
from hailo_whisper.engines.worker import Worker
from hailo_whisper.service.channel import Message
from hailo_whisper.speech.waveform import RATE, Waveform

OPTIONS = {"language": "en", "beam": 5, "prompt": None, "temperature": 0.0, "task": "transcribe"} | {
    "hotwords": None,
    "words": False,
    "logprobs": False,
}


@pytest.fixture
def worker() -> Worker:
    return Worker()


def _load(worker: Worker, folder: Path) -> dict[str, Any]:
    order = {
        "do": "load",
        "engine": "scripted_engine:ScriptedEngine",
        "path": str(folder),
        "compute_type": "int8",
        "threads": 3,
        "workers": 5,
        "batch": 2,
        "margin_seconds": 4.0,
        "least_seconds": 9.0,
        "group": "SHARED",
        "device": "cpu",
        "device_index": 0,
    }
    return worker.handle(Message(order))[0]


def test_load_answers_with_what_the_engine_can_do(worker: Worker, model_folder: Path) -> None:
    (model_folder / "script").write_text("settings")
    assert _load(worker, model_folder) == {
        "capabilities": {
            "window_seconds": 30.0,
            "batch": 4,
            "lanes": 1,
            "express": False,
            "languages": ["en", "de", "ar"],
            "detects_language": True,
            "translates": True,
            "prompts": True,
            "hotwords": True,
            "temperature": True,
            "words": True,
            "logprobs": True,
            "unavailable": ["no_speech_prob"],
        }
    }
    assert (model_folder / "settings").read_text() == "int8 3 5 2 4.0 9.0"


def test_transcribe_cuts_the_shared_memory_of_several_requests_into_windows(worker: Worker, model_folder: Path) -> None:
    _load(worker, model_folder)
    with Waveform.of(np.zeros(3 * RATE, np.float32)) as one, Waveform.of(np.zeros(9 * RATE, np.float32)) as other:
        order = {
            "do": "transcribe",
            "waveforms": [one.length, other.length],
            "windows": [(0, 0, RATE), (1, RATE, 8 * RATE), (0, RATE, 3 * RATE)],
            "options": OPTIONS | {"prompt": "each"},
        }
        answer, fds = worker.handle(Message(order, [os.dup(one.fd), os.dup(other.fd)]))
    assert [result["segments"][0]["text"] for result in answer["results"]] == [" 1.00", " 7.00", " 2.00"]
    assert answer["results"][0]["language"] == "en"
    assert fds == []


def test_the_options_on_the_wire_are_those_of_the_engine() -> None:
    assert Options(**OPTIONS) == Options(language="en", beam=5)  # type: ignore[arg-type]


def test_ping_needs_no_model(worker: Worker) -> None:
    assert worker.handle(Message({"do": "ping"})) == ({}, [])


def test_transcribe_before_load(worker: Worker) -> None:
    with pytest.raises(RuntimeError, match="no model is loaded"):
        worker.handle(Message({"do": "transcribe"}))


def test_an_engine_that_raises_is_not_kept(worker: Worker, model_folder: Path) -> None:
    (model_folder / "script").write_text("raise-at-load")
    with pytest.raises(RuntimeError, match="the accelerator is on fire"):
        _load(worker, model_folder)
    with pytest.raises(RuntimeError, match="no model is loaded"):
        worker.handle(Message({"do": "transcribe"}))


def test_an_unknown_message(worker: Worker) -> None:
    with pytest.raises(ValueError, match="unknown message 'dance'"):
        worker.handle(Message({"do": "dance"}))


def test_trouble_crosses_as_its_sentence(worker: Worker, device: Device, tmp_path: Path) -> None:
    order = {
        "do": "load",
        "engine": "hailo_whisper.engines.hailo.engine:HailoEngine",
        "compute_type": "int8",
        "threads": 0,
        "workers": 0,
    }
    order |= {"path": str(device.hef(tmp_path, says="hello")), "batch": 0, "margin_seconds": 3.0, "least_seconds": 8.0}
    device.tell("absent")
    answer, _ = worker.handle(Message(order | {"group": "SHARED", "device": "cpu", "device_index": 0}))
    assert answer.keys() == {"trouble", "sentence"}
    assert (answer["trouble"], answer["sentence"][:26]) == ("DeviceTrouble", "No Hailo device was found.")
    device.tell()
    assert (
        worker.handle(Message(order | {"group": "SHARED", "device": "cpu", "device_index": 0}))[0]["capabilities"]["batch"] == 1
    )
    device.tell("infer raise 62")
    with Waveform.of(np.zeros(RATE, np.float32)) as waveform:
        sound = {"waveforms": [RATE], "windows": [[0, 0, RATE]], "options": OPTIONS}
        answer, _ = worker.handle(Message({"do": "transcribe"} | sound, [waveform.fd]))
    assert answer["trouble"] == "DeviceTrouble"
    assert "connection to the device was closed" in answer["sentence"]
