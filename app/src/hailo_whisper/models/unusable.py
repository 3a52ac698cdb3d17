"""What is said of a model that cannot be used."""

from ..failure import Failure


class ModelUnusable(Failure):
    """A model is unknown, missing, incomplete or damaged. The message names the command that mends it."""


class ModelMissing(ModelUnusable):
    """The model has never been fetched: nothing lies at its place."""
