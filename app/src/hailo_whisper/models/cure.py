"""What gets a model here, gets it right, or lets it be read: another order where the models are mounted into a container."""

from pathlib import Path

from ..installation import in_image

PULL = "hailo-whisper models pull {name}"
MOUNTED = Path("/data/models")
"""Where an image looks for its models, unless it is told otherwise."""
LET_IN = (
    "Run the container as the user whom it belongs to (`user:` in compose, --user; in rootless podman you are 0:0 there), or open it to everybody, on the "
    "host: `chmod -R a+rX`."
)


def pulling(name: str = "NAME", *, again: bool = False, command: str = PULL, root: Path = MOUNTED) -> str:
    """The order that brings a model, as a part of a sentence: "run `hailo-whisper models pull base`".

    `again`: though it is there. `command` is what brings it, where that is not the service's own folder; `{name}` is filled in. `root` is the
    folder of the models.
    """
    order = command.format(name=name) + (" --force" if again else "")
    if command == PULL and in_image():
        return f"pull it on the host (`{order} --dest FOLDER`) and mount FOLDER at {root}"
    return f"run `{order}`" + (" to fetch it again" if again else "")


def letting_read() -> str:
    """What to do about files that this user may not read: a sentence."""
    return LET_IN if in_image() else "Run the command as root (sudo) or as a member of the group hailo-whisper."


def sentence(order: str) -> str:
    """An order as a sentence of its own."""
    return f"{order[0].upper()}{order[1:]}."
