"""Every bad input gets its status, its sentence and the four keys of OpenAI's errors, and the service goes on."""

from typing import Any

import httpx
import media
import pytest
from serving import PATH, ServerProcess, fields

MIB = 1024 * 1024
SUPPORTED = "Supported formats: ['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']"


def error(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error of a reply, which has exactly the four keys that the SDKs expect."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req_")
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    return dict(body["error"])


def test_no_file(server: ServerProcess) -> None:
    # A field of another name makes httpx send multipart.
    found = error(server.client.post(PATH, files={"fiel": ("clip.wav", media.silence(1))}, data=fields()), 400)
    assert found["message"] == "The field `file` is missing. Send the recording as a file in it."
    assert (found["param"], found["code"]) == ("file", None)


def test_a_file_that_is_only_text(server: ServerProcess) -> None:
    found = error(server.client.post(PATH, files={"file": (None, "clip.wav"), "model": (None, "base")}), 400)
    assert found["message"] == "The field `file` is missing. Send the recording as a file in it."


@pytest.mark.parametrize(
    ("content", "name", "message", "code"),
    [
        (b"", "clip.wav", "The audio file is empty. Send the recording's bytes in the field `file`.", None),
        (b"Dear Sir or Madam,\n" * 100, "clip.wav", f"Invalid file format. {SUPPORTED}", None),
        (media.HLS_PLAYLIST, "clip.wav", f"Invalid file format. {SUPPORTED}", None),
        (media.HLS_PLAYLIST, "clip.m3u8", f"Invalid file format. {SUPPORTED}", None),
        (media.CONCAT_SCRIPT, "clip.wav", f"Invalid file format. {SUPPORTED}", None),
        (media.CONCAT_SCRIPT, "clip.ffconcat", f"Invalid file format. {SUPPORTED}", None),
        (media.encoded("mp3")[:60], "clip.mp3", f"Invalid file format. {SUPPORTED}", None),
        (
            media.silence(0.05),
            "clip.wav",
            "Audio file is too short. Minimum audio length is 0.1 seconds.",
            "audio_too_short",
        ),
        (media.picture(), "clip.mp4", "The file has no audio track. Send a recording with sound.", None),
    ],
    ids=["empty", "text", "playlist as wav", "playlist", "concat as wav", "concat", "stub of mp3", "short", "picture"],
)
@pytest.mark.rule("file.broken", "file.short")
def test_a_file_that_cannot_be_heard(server: ServerProcess, content: bytes, name: str, message: str, code: str | None) -> None:
    found = error(server.transcribe(content, name), 400)
    assert found == {"message": message, "type": "invalid_request_error", "param": "file", "code": code}


@pytest.mark.parametrize("excess", [0, 1])
@pytest.mark.rule("file.size")
def test_25_mib_and_one_byte_more(server: ServerProcess, excess: int) -> None:
    samples = media.silence((25 * MIB - 44) / 2 / 16000)
    assert len(samples) == 25 * MIB
    response = server.transcribe(samples + b"\0" * excess)
    if not excess:
        assert response.status_code == 200
        return
    found = error(response, 413)
    assert found["message"] == f"Maximum content size limit ({25 * MIB}) exceeded ({25 * MIB + 1} bytes read)"
    assert found["param"] == "file"


def test_far_too_large_is_not_kept_but_answered(server: ServerProcess) -> None:
    found = error(server.transcribe(b"\0" * (40 * MIB)), 413)
    assert found["message"].startswith(f"Maximum content size limit ({25 * MIB}) exceeded (")


@pytest.mark.parametrize(
    ("more", "status", "message", "param", "code"),
    [
        (
            {"response_format": "yaml"},
            400,
            "response_format 'yaml' is not supported. Use one of json, text, srt, verbose_json, vtt.",
            "response_format",
            "unsupported_value",
        ),
        (
            {"model": "gigantic"},
            404,
            "The model `gigantic` does not exist here. Use `base` (GET /v1/models lists it) or `whisper-1`.",
            "model",
            "model_not_found",
        ),
        ({"model": ""}, 400, "The field `model` is missing. GET /v1/models lists what it takes.", "model", None),
        (
            {"language": "English"},
            400,
            "Invalid language 'English'. Language parameter must be specified in ISO-639-1 format, such as `en`.",
            "language",
            "invalid_language_format",
        ),
        (
            {"language": "ja"},
            400,
            "The model base does not know the language 'ja'. It knows: en, de, ar.",
            "language",
            "unsupported_language",
        ),
        ({"temperature": "hot"}, 400, "temperature must be a number from 0 to 1, and is 'hot'.", "temperature", None),
        ({"temperature": "1.5"}, 400, "temperature must be a number from 0 to 1, and is '1.5'.", "temperature", None),
        ({"temperature": "nan"}, 400, "temperature must be a number from 0 to 1, and is 'nan'.", "temperature", None),
        (
            {"stream": "true"},
            400,
            "`stream` = 'true' is not supported by this server. Leave it out.",
            "stream",
            "unsupported_value",
        ),
        (
            {"timestamp_granularities[]": "word", "response_format": "verbose_json"},
            400,
            "`timestamp_granularities[]` = 'word' is not supported by this server. Leave it out.",
            "timestamp_granularities[]",
            "unsupported_value",
        ),
        (
            {"timestamp_granularities[]": "segment"},
            400,
            "response_format must be verbose_json if timestamp_granularities[] is provided",
            "timestamp_granularities[]",
            None,
        ),
        (
            {"include[]": "logprobs"},
            400,
            "`include[]` = 'logprobs' is not supported by this server. Leave it out.",
            "include[]",
            "unsupported_value",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_field_with_a_wrong_value(
    server: ServerProcess, more: dict[str, str], status: int, message: str, param: str, code: str | None
) -> None:
    found = error(server.transcribe(**more), status)
    assert found == {"message": message, "type": "invalid_request_error", "param": param, "code": code}


def test_no_model(server: ServerProcess) -> None:
    found = error(server.client.post(PATH, files={"file": ("clip.wav", media.silence(1))}), 400)
    assert (found["param"], found["code"]) == ("model", None)


@pytest.mark.parametrize("content_type", ["application/json", "audio/wav", "application/x-www-form-urlencoded", ""])
@pytest.mark.rule("errors.media_type")
def test_a_body_that_is_not_multipart(server: ServerProcess, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    found = error(server.client.post(PATH, content=b'{"model": "base"}', headers=headers), 415)
    assert found["message"] == "The body must be multipart/form-data with the recording in the field `file`."
    assert (found["param"], found["code"]) == (None, None)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"what is this?"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n: : :\r\n\r\n\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF'),
    ],
    ids=["no boundary", "garbage", "nameless", "bad header", "nothing", "cut off"],
)
def test_a_broken_multipart_body(server: ServerProcess, content_type: str, body: bytes) -> None:
    found = error(server.client.post(PATH, content=body, headers={"content-type": content_type}), 400)
    assert found["message"].startswith(("The multipart body cannot be read: ", "The field `file` is missing."))


def test_a_field_that_is_no_utf_8(server: ServerProcess) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n\xff\xfe\r\n--x--\r\n'
    response = server.client.post(PATH, content=body, headers={"content-type": "multipart/form-data; boundary=x"})
    assert error(response, 400)["param"] == "file"


def test_a_field_that_is_far_too_long(server: ServerProcess) -> None:
    found = error(server.transcribe(prompt="x" * 2 * MIB), 400)
    assert found["message"].startswith("The multipart body cannot be read: ")


def test_too_many_files(server: ServerProcess) -> None:
    files = [("file", ("clip.wav", b"x"))] * 20
    found = error(server.client.post(PATH, files=files, data=fields()), 400)
    assert found["message"].startswith("The multipart body cannot be read: ")


@pytest.mark.rule("errors.address")
def test_an_unknown_address(server: ServerProcess) -> None:
    found = error(server.client.post("/v1/audio/translations"), 404)
    assert found["message"] == "Unknown address. See /openapi.json for those that there are."
    assert found["code"] == "unknown_url"


def test_a_method_that_an_address_does_not_take(server: ServerProcess) -> None:
    response = server.client.get(PATH)
    assert error(response, 405)["message"] == "This address does not take that method."
    assert response.headers["allow"] == "POST"


def test_a_client_that_goes_away_in_the_middle_is_no_error_of_ours(server: ServerProcess) -> None:
    def half() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF'
        raise ConnectionAbortedError("gone")

    with pytest.raises(ConnectionAbortedError):
        server.client.post(PATH, content=half(), headers={"content-type": "multipart/form-data; boundary=x"})
    assert server.client.get("/health").status_code == 200
    assert "Traceback" not in server.log.read_text()
