"""Sends the clip that the package brings to a hailo-whisper server and prints JSON: what was expected and what was heard.

Runs on the host with the Python of the installation. Arguments: the address of the server, such as http://127.0.0.1:11437, and the file
of its API keys, which may not be there; the environment's OPENAI_API_KEY is stronger. A third and a fourth have it sent again and again for so many seconds, with
so many in between: the first time that an answer is wrong is the last.
"""

import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from importlib import resources
from pathlib import Path

BOUNDARY = "hailo-whisper-clip"


def main():
    data = resources.files("hailo_whisper") / "data"
    heading = 'Content-Disposition: form-data; name="%s"%s\r\n%s\r\n'
    parts = [
        (heading % ("model", "", "")).encode() + b"whisper-1",
        (heading % ("file", '; filename="clip.wav"', "Content-Type: audio/wav\r\n")).encode() + (data / "clip.wav").read_bytes(),
    ]
    body = b"".join(b"--%s\r\n%s\r\n" % (BOUNDARY.encode(), part) for part in parts) + b"--%s--\r\n" % BOUNDARY.encode()
    request = urllib.request.Request(
        sys.argv[1] + "/v1/audio/transcriptions",
        data=body,
        headers={"Content-Type": "multipart/form-data; boundary=" + BOUNDARY, **authorization(sys.argv[2])},
    )
    expected = (data / "clip.txt").read_text(encoding="utf-8").strip()
    seconds, every = map(float, sys.argv[3:5] or (0, 0))
    end = time.monotonic() + seconds
    while True:
        text = asked(request)
        missing = sorted(words(expected) - words(text))
        if len(missing) > 1 or time.monotonic() >= end:
            break
        time.sleep(min(every, max(0, end - time.monotonic())))
    print(json.dumps({"expected": expected, "heard": text, "missing": missing}))


def asked(request):
    """What is heard; ends everything when there is no answer."""
    # The machine's proxy, if it has one, is not for its own address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=120) as reply:
            return json.load(reply)["text"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{sys.argv[1]} answered {error.code}: {error.read().decode(errors='replace')}")
    except OSError as error:
        sys.exit(f"{sys.argv[1]} does not answer: {error}")


def authorization(path):
    """The header with a key: that of the environment, or the first in the file that is there as it is and not as its sum."""
    key = os.environ.get("OPENAI_API_KEY")
    file = Path(path)
    if not key and file.exists():
        written = file.read_text(encoding="utf-8").splitlines()
        lines = [line.strip().partition(":")[2].strip() for line in written if not line.startswith("#")]
        keys = [line for line in lines if line and not line.startswith("sha256:")]
        if not keys:
            sys.exit(f"{path} has only the sums of its keys: give one of them as hailo_whisper_api_key, from a vault.")
        key = keys[0]
    return {"Authorization": f"Bearer {key}"} if key else {}


def words(text):
    """The words, without case, punctuation and hyphens."""
    return set(re.findall(r"[a-z0-9']+", text.lower()))


if __name__ == "__main__":
    main()
