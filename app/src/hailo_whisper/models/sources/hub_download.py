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
            print(f"ERROR: {name}: {_first_line(_root(error))}", file=sys.stderr)
            return 1
    return 0


def _root(error: BaseException) -> BaseException:
    # The library's own words advise to look at the connection; what was wrong with it is in the first error of the chain.
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
