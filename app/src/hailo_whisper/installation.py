"""How this program got here, for whoever says what helps: what does on a machine does not in a container.

The service of an image cannot pull, install or write anything, has no root and no systemd; what it needs, its host gives it. That is decided
here and nowhere else. That a process is in some container says nothing: packages and venvs are at home there too.
"""

import sys
from contextlib import suppress
from pathlib import Path

PREFIX = Path(sys.prefix)
"""The venv that it runs in."""
HOUSE = Path("/opt/hailo-whisper/venv")
"""That of the package, of the role and of the image. Somebody's own lies elsewhere."""
MARK = "image"
"""The file beside the venv of an image, made by packaging/docker/Dockerfile."""


def in_image() -> bool:
    """Whether it is an image's."""
    # What exists() does not take for an answer: a folder that is closed to this user, which no image's is.
    with suppress(PermissionError):
        return (PREFIX.parent / MARK).exists()
    return False


def in_house() -> bool:
    """Whether it is a package's, the role's or an image's, and nobody's own."""
    return PREFIX == HOUSE
