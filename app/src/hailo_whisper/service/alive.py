"""`python -m hailo_whisper.service.alive`: whether the server of this machine is ready, as an exit status. For the HEALTHCHECK of an image.

It needs no key. It asks where the settings say that the server listens: a file may have been mounted over that of the image.
"""

import http.client
import json
import sys

from .. import settings as configuration
from ..failure import Failure

SECONDS = 5.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound here
"""Where whoever listens on all networks is reached from here."""


def main() -> int:
    """0 when it is ready; else 1, and the reason is printed."""
    try:
        server = configuration.load(configuration.SOURCE).server
    except Failure as error:
        print(error)
        return 1
    host, port = EVERYWHERE.get(server.host, server.host), server.port
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        told = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"It does not answer on {host} port {port}: {error}")
        return 1
    finally:
        connection.close()
    print(told.get("reason") or told.get("status"))
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
