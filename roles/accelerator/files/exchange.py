#!/usr/bin/python3
"""Puts a folder in the place of another, and removes the other: in one step, where the kernel and the file system can do that.

Arguments: the new folder, and the place, both on one file system.
"""

import ctypes
import os
import shutil
import sys
from pathlib import Path

RENAME_EXCHANGE = 2
AT_FDCWD = -100


def main():
    new, place = map(Path, sys.argv[1:])
    old = place.with_name(place.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
        if renameat2 and renameat2(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(place), RENAME_EXCHANGE) == 0:
            new.rename(old)
        else:
            place.rename(old)
            new.rename(place)
    else:
        new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    main()
