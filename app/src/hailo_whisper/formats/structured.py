"""The transcript as the two JSON shapes of the OpenAI contract."""

import json
import math
from typing import Any

from ..speech import languages
from ..speech.transcript import Transcript


def json_text(transcript: Transcript) -> str:
    """`{text, usage}`."""
    return json.dumps({"text": transcript.text, "usage": usage(transcript)}, ensure_ascii=False)


def verbose_json_text(transcript: Transcript) -> str:
    """`{task, language, duration, text, segments, usage}`; what the engine cannot tell is null."""
    return json.dumps(
        {
            "task": "transcribe",
            "language": languages.name(transcript.language),
            "duration": transcript.duration,
            "text": transcript.text,
            "segments": [
                {
                    "id": number,
                    "seek": segment.seek,
                    "start": segment.start,
                    "end": segment.end,
                    "text": segment.text,
                    "tokens": segment.tokens,
                    "temperature": segment.temperature,
                    "avg_logprob": segment.avg_logprob,
                    "compression_ratio": segment.compression_ratio,
                    "no_speech_prob": segment.no_speech_prob,
                }
                for number, segment in enumerate(transcript.segments)
            ],
            "usage": usage(transcript),
        },
        ensure_ascii=False,
    )


def usage(transcript: Transcript) -> dict[str, Any]:
    """What the request used: seconds of sound, rounded up."""
    return {"type": "duration", "seconds": math.ceil(transcript.duration)}
