"""What is said of a model that cannot be used."""

import os

from ..failure import Failure
from .cure import letting_read


class ModelUnusable(Failure):
    """A model is unknown, missing, incomplete or damaged. The message names the command that mends it."""


class ModelMissing(ModelUnusable):
    """The model has never been fetched: nothing lies at its place."""


def forbidden(what: str) -> str:
    """What to say of something that this user may not read; `what` begins the sentence."""
    return f"{what} may not be read by this user (number {os.geteuid()}). {letting_read()}"
