"""`hailo-whisper container`: what an image starts. It makes settings of what people give to containers, and serves."""

import argparse
import os
import re
import sys
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from ..failure import Failure
from ..models import catalog
from ..models.catalog import Catalog
from ..models.unusable import ModelUnusable
from ..settings import SOURCE, names, strangers
from . import serve

MODEL, CACHE = "WHISPER_MODEL", "MODEL_CACHE_DIR"
PATH, NAME, KEYS = "WHISPER_MODEL_PATH", "HAILO_WHISPER_MODEL_NAME", "HAILO_WHISPER_ACCESS_KEYS"
LONG_PATH, HELD = "HAILO_WHISPER_MODEL_PATH", "HAILO_WHISPER_STORAGE_HUB_CACHE"
SECRET = Path("/run/secrets/hailo-whisper-key")
LINE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}:.+")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `container`."""
    parser = subparsers.add_parser(
        "container",
        help="run the service as images do",
        description=f"Run the service in a container: as `serve`, with {MODEL}, {CACHE} and the secret.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="read this file instead of /etc/hailo/hailo-whisper.yaml")
    parser.set_defaults(run=run, engine=None)


def run(args: argparse.Namespace) -> int:
    """Serve, by the environment. Raises Failure for one that cannot be meant."""
    translate(os.environ, catalog.load(), SECRET)
    args.config = args.config or SOURCE
    return serve.run(args)


def translate(environ: MutableMapping[str, str], known: Catalog, secret: Path, private: Path | None = None) -> None:
    """Make names that the settings know of those that only containers have.

    `secret` is the file of a key that may be mounted, `private` a folder to make the key file in, that for temporary files unless given. Raises Failure with every name that means
    nothing, or with what is wrong with the secret.
    """
    if wrong := strangers.refusals(environ, {**names(), MODEL: None, CACHE: None}):
        raise Failure("\n".join(f"environment: {sentence}" for sentence in wrong))
    # Compose hands on what nobody has set as an empty word. It is no answer, and the file's stands.
    for name in (PATH, NAME):
        if environ.get(name) == "":
            del environ[name]
    wanted, cache = environ.pop(MODEL, None), environ.pop(CACHE, None)
    if wanted:
        if also := next((name for name in (PATH, LONG_PATH, NAME) if environ.get(name)), None):
            raise Failure(f"environment: both {MODEL} and {also} say which model it is. Take one of them away.")
        if wanted.startswith("/"):
            environ[PATH] = wanted
        else:
            environ[NAME] = _named(wanted, known)
            # Or a folder that the file names would be served by that name.
            environ[PATH] = ""
    if cache is not None:
        environ[HELD] = cache
    if KEYS not in environ and secret.exists():
        environ[KEYS] = str(_kept(secret, private))


def _named(wanted: str, known: Catalog) -> str:
    """The catalog's name of a model, which others call by its repository too."""
    for model in known:
        if model.sources.hub and model.sources.hub.repository == wanted:
            return model.name
    try:
        return known.get(wanted).name
    except ModelUnusable as error:
        raise Failure(f"environment: {MODEL} is {wanted}. {error}") from None


def _kept(secret: Path, private: Path | None) -> Path:
    """The key file made of a secret, which is mounted with a mode that no key file may have."""
    try:
        text = secret.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(
            f"The secret {secret} cannot be read: {error}. Make it readable for the container's user, as text."
        ) from None
    said = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not said:
        raise Failure(
            f"The secret {secret} is empty, or has comments alone. Put a key into it (`openssl rand -hex 32`), or lines as "
            "`hailo-whisper keys` writes them."
        )
    if not all(map(LINE.fullmatch, said)):
        text = f"default:{said[0]}"
        if len(said) > 1:
            raise Failure(
                f"The secret {secret} is neither one key nor lines as `hailo-whisper keys` writes them. Make each line `name:key`, or a "
                "comment that begins with #."
            )
    else:
        # Neither names nor keys are told: of a key that has a colon, a part would be.
        print(
            f"The secret {secret} has {len(said)} line{'s' if len(said) > 1 else ''} `name:key`: what stands behind the colon is a key.",
            file=sys.stderr,
            flush=True,
        )
    try:
        # Of this process alone, wherever files can be written at all.
        keys = Path(tempfile.mkdtemp(prefix="hailo-whisper-", dir=private)) / "keys"
        keys.touch(mode=0o600)
        keys.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise Failure(
            f"The key of {secret} has no place where it can be kept: {error.strerror or error}. Mount a folder in memory at /tmp: `--tmpfs /tmp`, `tmpfs:` in "
            "compose, an `emptyDir` in Kubernetes."
        ) from None
    return keys
