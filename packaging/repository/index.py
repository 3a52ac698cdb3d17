"""The indices of the repository, by aptly, and the signatures under them."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import Refused
from .key import Key
from .packages import ARCHITECTURES, Package


def make(work: Path, packages: Sequence[Package], key: Key) -> Path:
    """Make a repository with these packages below an empty folder. Returns the folder that has `dists` and `pool`.

    Raises Refused when aptly or gpg fails.
    """
    configuration = work / "aptly.conf"
    configuration.write_text(json.dumps({"rootDir": str(work), "gpgProvider": "gpg"}), encoding="utf-8")

    def aptly(*arguments: str | Path) -> None:
        done = subprocess.run(["aptly", f"-config={configuration}", *arguments], text=True, capture_output=True, check=False)
        if done.returncode:
            raise Refused(
                f"`aptly {' '.join(map(str, arguments[:2]))}` failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}"
            )

    for suite in sorted({package.suite for package in packages}):
        aptly("repo", "create", suite)
        aptly("repo", "add", suite, *(package.path for package in packages if package.suite == suite))
        about = [f"-distribution={suite}", f"-suite={suite}", "-origin=hailo-whisper", "-label=hailo-whisper", "-component=main"]
        options = [
            "-skip-signing",
            "-skip-contents",
            "-skip-bz2",
            "-acquire-by-hash",
            f"-architectures={','.join(ARCHITECTURES)}",
        ]
        aptly("publish", "repo", *about, *options, suite)
        release = work / "public/dists" / suite / "Release"
        key.sign("--clearsign", release, release.with_name("InRelease"))
        key.sign("--detach-sign", release, release.with_name("Release.gpg"))
    return work / "public"
