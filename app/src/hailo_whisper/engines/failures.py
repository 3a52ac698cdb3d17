"""What can go wrong with the worker and its engine, as the stations above see it."""

from ..failure import Failure
from ..service.child import ChildStarved
from . import pauses


class Unavailable(Failure):
    """No worker can take a request now. `retry_after` is in whole seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EngineFailed(Exception):
    """The engine, or its process, failed over this batch; the next one has a fresh chance."""


class Nonsense(EngineFailed):
    """The engine answered, but not with what an engine answers."""


class WorkerLost(EngineFailed):
    """The worker's process died over this batch. Often it was something else that killed it."""


class Starved(WorkerLost):
    """The kernel ended the worker over this batch, because there was too little memory. Whose doing that is nobody knows."""


class DeviceLost(WorkerLost):
    """The device failed over this batch, and its worker was given up. That is hardly ever the fault of what it was given."""


class NoRoom(EngineFailed):
    """The device had too little memory left for this batch. Its worker lives, and something shorter may fit."""


class DeadlineExceeded(EngineFailed):
    """It was not done in time. Sending the same again would take as long again."""


def explanation(error: Exception) -> str:
    """Why there is no worker, and what to do about it: a Failure says that itself."""
    if isinstance(error, Failure):
        return str(error)
    if isinstance(error, ChildStarved):
        return (
            f"There is too little memory: {error} while it loaded the model. Have other programs take less, raise resource_limits.memory_max "
            f"where it is set, or take a smaller model. It is tried again every {pauses.SHORT:.0f} s."
        )
    return (
        f"The worker could not be started: {str(error).rstrip('.')}. The journal says more. `hailo-whisper models verify` tells whether "
        "the model is sound; if memory is short, a smaller model or a higher resource_limits.memory_max helps."
    )
