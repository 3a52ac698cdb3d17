"""`python -m hailo_whisper.service.alive`: whether the server of this machine is ready, as an exit status. For the HEALTHCHECK of an image.

It needs no key, and only the standard library, so that it is quick.
"""

import http.client
import json
import os
import sys

PORT = 11437
SECONDS = 5.0


def main() -> int:
    """0 when it is ready; else 1, and the reason is printed."""
    port = int(os.environ.get("HAILO_WHISPER_SERVER_PORT") or PORT)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        told = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"It does not answer on port {port}: {error}")
        return 1
    finally:
        connection.close()
    print(told.get("reason") or told.get("status"))
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
