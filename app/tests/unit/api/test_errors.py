"""What the errors of the stations below mean to a client, where no server has to show it."""

from hailo_whisper.api import errors
from hailo_whisper.speech.decoder import NoMemory


def test_a_decoder_without_memory_is_worth_another_try() -> None:
    reply = errors.response(errors.translate(NoMemory("There is too little memory. Send it again in a moment.")))
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "10")
    assert b"not_ready" in reply.body
    assert b"Send it again in a moment." in reply.body
