"""The official `openai` package for Node, with a real model behind it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from heard import assert_heard
from node import NODE, Node

SCRIPT = Path(__file__).parent / "node" / "audio.mjs"
ERROR = {"class", "status", "code", "param", "type", "requestID", "message"}


@pytest.fixture(scope="module")
def said(node: Node, url: str, api_key: str, tmp_path_factory: pytest.TempPathFactory, clip: bytes) -> dict[str, Any]:
    """What the script printed, which asks for everything once."""
    folder = node.folder(tmp_path_factory.mktemp("node"))
    (folder / "speech.wav").write_bytes(clip)
    (folder / SCRIPT.name).write_bytes(SCRIPT.read_bytes())
    environment = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": api_key}
    done = subprocess.run(
        [NODE, SCRIPT.name], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.network
class TestNode:
    @pytest.mark.rule("json", "file", "usage")
    @pytest.mark.parametrize("way", ["json", "bytes", "strategy", "automatic", "afterwards"])
    def test_json(self, said: dict[str, Any], way: str, clip_text: str) -> None:
        assert_heard(said[way]["text"], clip_text)
        assert set(said[way]) - {"_request_id"} == {"text", "usage"}
        assert said[way]["usage"] == {"type": "duration", "seconds": 6}

    @pytest.mark.rule("text", "srt", "vtt")
    def test_plain_formats(self, said: dict[str, Any], clip_text: str) -> None:
        assert_heard(said["text"], clip_text)
        assert said["srt"].startswith("1\n00:00:0")
        assert said["vtt"].startswith("WEBVTT\n\n00:00:0")

    @pytest.mark.rule("verbose_json", "timestamp_granularities[]")
    def test_verbose_json(self, said: dict[str, Any], clip_text: str) -> None:
        verbose = said["verbose"]
        assert (verbose["task"], verbose["language"], verbose["duration"]) == ("transcribe", "english", 5.3)
        assert_heard("".join(segment["text"] for segment in verbose["segments"]), clip_text)
        assert_heard(" ".join(word["word"] for word in verbose["words"]), clip_text)
        assert "segments" not in said["wordsAlone"]
        assert said["wordsAlone"]["words"] == verbose["words"]

    @pytest.mark.rule("include[]")
    def test_log_probabilities(self, said: dict[str, Any]) -> None:
        assert all(set(token) == {"token", "logprob", "bytes"} for token in said["logprobs"]["logprobs"])
        spelled = b"".join(bytes(token["bytes"]) for token in said["logprobs"]["logprobs"]).decode()
        assert spelled.strip() == said["logprobs"]["text"]

    @pytest.mark.rule("stream")
    def test_a_stream(self, said: dict[str, Any], clip_text: str) -> None:
        *deltas, done = said["events"]
        assert {event["type"] for event in deltas} == {"transcript.text.delta"}
        assert done["type"] == "transcript.text.done"
        assert "".join(event["delta"] for event in deltas) == done["text"]
        assert_heard(done["text"], clip_text)

    @pytest.mark.rule("errors.request_id")
    def test_the_response_itself(self, said: dict[str, Any]) -> None:
        assert said["raw"]["type"] == "application/json"
        assert said["raw"]["id"] == said["raw"]["request_id"]
        assert said["raw"]["id"].startswith("req_")

    @pytest.mark.rule("models")
    def test_models(self, said: dict[str, Any]) -> None:
        (model,) = said["models"]
        assert model["object"] == "model"
        assert said["model"]["id"] == "whisper-1"
        assert said["model"]["alias_of"] == model["id"]

    @pytest.mark.rule("errors.shape", "model.unknown")
    def test_errors(self, said: dict[str, Any]) -> None:
        bad, missing, silent = said["badRequest"], said["notFound"], said["noSound"]
        assert set(bad) == ERROR
        assert (bad["class"], bad["status"], bad["param"], bad["type"]) == (
            "BadRequestError",
            400,
            "temperature",
            "invalid_request_error",
        )
        assert bad["requestID"].startswith("req_")
        assert (missing["class"], missing["status"], missing["code"]) == ("NotFoundError", 404, "model_not_found")
        assert (silent["class"], silent["param"]) == ("BadRequestError", "file")
        assert "Supported formats: [" in silent["message"]

    def test_a_request_that_is_given_up(self, said: dict[str, Any]) -> None:
        assert said["aborted"]["class"] == "APIUserAbortError"
