"""`python -m manual FOLDER` writes man/hailo-whisper.1, man/hailo-whisper.yaml.5 and completion/hailo-whisper into it."""

import sys
from pathlib import Path

from hailo_whisper import settings
from hailo_whisper.cli import parser

from . import command, completion
from . import settings as configuration
from .commands import leaves


def main(folder: Path) -> None:
    """Write all three."""
    found = leaves(parser())
    made = {
        "man/hailo-whisper.1": command.page(found),
        "man/hailo-whisper.yaml.5": configuration.page(settings.schema()),
        "completion/hailo-whisper": completion.script(found),
    }
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
