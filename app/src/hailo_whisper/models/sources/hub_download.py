"""The hub's downloader, in a process of its own: `python -m ...hub_download REPOSITORY REVISION FOLDER FILE...`.

A library that waits too long can then be stopped, which a thread cannot.
"""

import sys

from huggingface_hub import hf_hub_download


def main(repository: str, revision: str, folder: str, *names: str) -> int:
    """Download the files into the folder. Prints one line and returns 1 when that fails."""
    for name in names:
        try:
            hf_hub_download(repository, name, revision=revision, local_dir=folder)
        except Exception as error:  # whatever the library raises, the parent wants one line
            reason = (str(error).strip() or repr(error)).splitlines()[0]
            print(f"ERROR: {name}: {reason}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
