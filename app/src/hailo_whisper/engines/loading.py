"""The loading of a model by a worker that has just been started."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from . import pauses
from .handle import Handle
from .launch import Found, Launch
from .trouble import DeviceBusy

log = logging.getLogger(__name__)

Waiting = Callable[[str], Awaitable[bool]]
"""Told that the device is waited for, and why. It waits a moment, and says whether to go on."""


@dataclass(frozen=True)
class Started:
    """A worker that is warmed up, and what it was started with."""

    launch: Launch
    found: Found
    handle: Handle
    seconds: float
    """That it took."""


async def load(handle: Handle, launch: Launch, found: Found, deadline: float, waiting: Waiting) -> Started:
    """Load the model, within so many seconds; a device that somebody else has is waited for besides, `launch.device_wait` seconds.

    Raises what is wrong with it (see Handle.load).
    """
    began, busy = time.monotonic(), None
    while True:
        try:
            await handle.load(launch, found.path, deadline)
        except DeviceBusy as error:
            # From now on: a slow machine takes a while until it is asked for.
            busy = busy or time.monotonic()
            if time.monotonic() + pauses.BUSY > busy + launch.device_wait:
                raise
            if not await waiting(f"Waiting for the device, {launch.device_wait:.0f} s at most. {error}"):
                raise
        else:
            return Started(launch, found, handle, time.monotonic() - began)
