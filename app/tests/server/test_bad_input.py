"""Every bad input gets its status, its sentence and the four keys of OpenAI's errors, and the service goes on."""

from typing import Any

import httpx
import media
import pytest
from serving import PATH, ServerProcess, fields

from hailo_whisper.engines.warm_up import clip

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
            {"language": "xx"},
            400,
            "Invalid language 'xx'. Language parameter must be specified in ISO-639-1 format, such as `en`, "
            "or as an English name, such as `english`.",
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
            {"stream": "true", "response_format": "srt"},
            400,
            "srt cannot be streamed. Use the response_format json, or leave stream out.",
            "stream",
            "unsupported_value",
        ),
        (
            {"timestamp_granularities[]": "sentence", "response_format": "verbose_json"},
            400,
            "timestamp_granularities[] takes `word` and `segment`, each in a field of its own, and is 'sentence'.",
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
            {"include[]": "logprobs", "response_format": "verbose_json"},
            400,
            "include[] needs the response_format json. Use that, or leave include[] out.",
            "include[]",
            "unsupported_value",
        ),
        (
            {"prompt": "x" * MIB},
            400,
            "prompt has 1048576 characters, and may have 65536. Send what matters most.",
            "prompt",
            "string_above_max_length",
        ),
        ({"prompt": "x" * (MIB + 1)}, 400, "The field `prompt` is larger than 1 MiB. Shorten it.", "prompt", None),
        (
            {"one": "x" * (MIB - 100), "two": "x" * (MIB - 100), "prompt": "x" * 200},
            400,
            "The fields beside `file` are larger than 2 MiB together. Shorten them.",
            "prompt",
            None,
        ),
    ],
    ids=lambda value: "-".join(f"{key}={text[:10]}" for key, text in value.items()) if isinstance(value, dict) else "",
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


FORM = "multipart/form-data; boundary=x"
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF'
MODEL = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nbase\r\n'
ADVICE = "Have an HTTP library write the form, and send it again."
UNREADABLE = "The multipart body cannot be read: "


def sent(server: ServerProcess, body: bytes, content_type: str = FORM) -> dict[str, Any]:
    """The error about a body."""
    return error(server.client.post(PATH, content=body, headers={"content-type": content_type}), 400)


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        ("multipart/form-data", b"--x\r\n", f"{UNREADABLE}Missing boundary in multipart. {ADVICE}"),
        ("multipart/form-data; boundary=", b"--\r\n", "The multipart body "),
        (FORM, b"what is this?", f"{UNREADABLE}Invalid multipart data. {ADVICE}"),
        (FORM, b"--x\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--x--\r\n", UNREADABLE),
        (FORM, b"--x\r\n: : :\r\n\r\n\r\n--x--\r\n", UNREADABLE),
        (FORM, b"--x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n\r\n--x--\r\n", UNREADABLE),
        (FORM, b"--x\r\nA: " + b"b" * 20 * MIB + b"\r\n\r\n\r\n--x--\r\n", UNREADABLE),
        (FORM, b"--x\r\n" + b"A" * 20 * MIB + b": b\r\n\r\n\r\n--x--\r\n", UNREADABLE),
        (FORM, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 300 + b"--x--\r\n", UNREADABLE),
        (FORM, b"", "The field `file` is missing. Send the recording as a file in it."),
        (f"{FORM}; charset=idna", MODEL.replace(b'"model"', b'"' + b"\xff" * 70 + b'"') + b"--x--", ""),
    ],
    ids=[
        "no boundary",
        "empty boundary",
        "garbage",
        "nameless",
        "bad header",
        "many headers",
        "long header",
        "long header's name",
        "many fields",
        "nothing",
        "charset",
    ],
)
def test_a_broken_multipart_body(server: ServerProcess, content_type: str, body: bytes, message: str) -> None:
    assert sent(server, body, content_type)["message"].startswith(message)


@pytest.mark.parametrize("body", [FILE, MODEL + FILE, FILE + b"\r\n" + MODEL, FILE + b"\r\n--x", FILE[:20]])
def test_a_body_that_is_cut_off(server: ServerProcess, body: bytes) -> None:
    found = sent(server, body)
    assert found["message"] == f"The multipart body was cut off before its last boundary. {ADVICE}"
    assert found["param"] == "file"


def test_a_body_that_ends_without_a_new_line_is_whole(server: ServerProcess) -> None:
    assert sent(server, MODEL + FILE + b"\r\n--x--")["message"] == f"Invalid file format. {SUPPORTED}"


@pytest.mark.parametrize("name", ["model", "prompt", "unheard-of"])
def test_a_field_that_is_no_utf_8(server: ServerProcess, name: str) -> None:
    body = MODEL.replace(b'"model"', f'"{name}"'.encode()).replace(b"base", b"\xff\xfe")
    for content_type in (FORM, f"{FORM}; charset=latin-1"):
        found = sent(server, body + FILE + b"\r\n--x--\r\n", content_type)
        assert found["message"] == f"The field `{name}` is not UTF-8. Send its text in that encoding."
        assert found["param"] == name


def test_two_recordings(server: ServerProcess) -> None:
    files = [("file", ("clip.wav", b"x"))] * 2
    found = error(server.client.post(PATH, files=files, data=fields()), 400)
    assert found["message"] == "The field `file` is there twice. Send one recording in each request."
    assert found["param"] == "file"


def test_too_many_files(server: ServerProcess) -> None:
    files = [(f"file{number}", ("clip.wav", b"x")) for number in range(20)]
    found = error(server.client.post(PATH, files=files, data=fields()), 400)
    assert found["message"] == f"{UNREADABLE}Too many files. Maximum number of files is 8. {ADVICE}"


def test_a_field_that_is_there_twice(server: ServerProcess) -> None:
    response = server.client.post(PATH, files={"file": ("a.wav", clip())}, data={"model": "base", "language": ["en", "de"]})
    found = error(response, 400)
    assert found["message"] == "The field `language` is there 2 times. Send it once."
    assert (found["param"], found["code"]) == ("language", "duplicate_field")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/dev/null", "a\x00b\x1b[2J.wav", "CON", "x" * 1000, "", "ü\u202e\U0001f600", '";name="b']
)
def test_the_name_of_a_file_means_nothing(server: ServerProcess, name: str, clip_words: str) -> None:
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name.replace(chr(34), "%22")}"\r\n\r\n'.encode()
    body = MODEL + head + clip() + b"\r\n--x--\r\n"
    response = server.client.post(PATH, content=body, headers={"content-type": FORM})
    assert (response.status_code, response.json().get("text")) == (200, clip_words)


def test_an_unknown_address(server: ServerProcess) -> None:
    found = error(server.client.post("/v1/audio/transcribe"), 404)
    assert found["message"] == "Unknown address. See /openapi.json for those that there are."
    assert found["code"] == "unknown_url"


def test_a_method_that_an_address_does_not_take(server: ServerProcess) -> None:
    response = server.client.get(PATH)
    assert error(response, 405)["message"] == "This address does not take that method. Use POST."
    assert response.headers["allow"] == "POST"


def test_a_client_that_goes_away_in_the_middle_is_no_error_of_ours(server: ServerProcess) -> None:
    def half() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nRIFF'
        raise ConnectionAbortedError("gone")

    with pytest.raises(ConnectionAbortedError):
        server.client.post(PATH, content=half(), headers={"content-type": "multipart/form-data; boundary=x"})
    assert server.client.get("/health").status_code == 200
    assert "Traceback" not in server.log.read_text()
