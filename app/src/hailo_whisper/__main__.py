"""`python -m hailo_whisper`: how every unit, package and container starts the program."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
