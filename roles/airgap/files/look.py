"""Tells of a host, as JSON: which version of hailo-whisper is installed, how much room there is in a folder, and what its clock says."""

import json
import os
import subprocess
import sys
import time


def main() -> None:
    asked = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", "hailo-whisper"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    room = os.statvfs(sys.argv[1])
    version = said[1] if said[:1] == ["installed"] else ""
    print(json.dumps({"version": version, "free_mb": room.f_bavail * room.f_frsize // 1_000_000, "clock": int(time.time())}))


if __name__ == "__main__":
    main()
