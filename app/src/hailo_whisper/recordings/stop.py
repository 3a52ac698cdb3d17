"""What ends a whole run, instead of costing one recording."""

from ..failure import Failure


class Stop(Failure):
    """No other recording would fare better. What is done stays, and the same command goes on from there."""
