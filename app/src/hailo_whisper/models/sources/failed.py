"""What is said of a source that could not bring a model."""

from ...failure import Failure


class SourceFailed(Failure):
    """One source did not work; the next may. The message is a clause without a full stop, for a summary."""
