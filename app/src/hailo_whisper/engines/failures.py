"""What can go wrong with the worker and its engine, as the stations above see it."""

from ..failure import Failure


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
    return (
        f"The worker could not be started: {str(error).rstrip('.')}. The journal says more. `hailo-whisper models verify` tells whether "
        "the model is sound; if memory is short, a smaller model or a higher resource_limits.memory_max helps."
    )
