"""faster-whisper as a program uses it: a child that transcribes one file after the other, so that its memory can be measured.

`python -m bench.inprocess MODEL sequential|batched THREADS DEVICE COMPUTE_TYPE` reads {"path", "language"} from its standard input, a line each, and writes
{"text"} or {"error"}. The options are the defaults of the package, with beam 5 and a batch of 8.
"""

import json
import sys
from typing import Any


def main() -> int:
    """Answer until the input ends."""
    model_path, way, threads, device, compute_type = sys.argv[1:6]
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    model: Any = WhisperModel(
        model_path, device=device, compute_type=compute_type, cpu_threads=int(threads), local_files_only=True
    )
    how: dict[str, Any] = {"beam_size": 5}
    if way == "batched":
        model = BatchedInferencePipeline(model)
        how["batch_size"] = 8
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            segments, _ = model.transcribe(asked["path"], language=asked["language"], **how)
            reply = {"text": " ".join(segment.text.strip() for segment in segments)}
        except Exception as error:  # whatever it is, it is what this file led to
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
