"""What is said of a source that could not bring a model."""

from ...failure import Failure


class SourceFailed(Failure):
    """One source did not work; the next may. The message is a clause without a full stop, for a summary."""


class NotOffered(SourceFailed):
    """The source works, for all that anybody knows, and has no such model: no fault to tell of when another brings it."""
