"""What keeps an engine from working, as a sentence with its cause and its cure. It crosses from the worker to the server as it is."""

from ..failure import Failure


class Trouble(Failure):
    """The engine cannot work with what it was given: the model's file, the library, the device."""


class DeviceTrouble(Trouble):
    """The device cannot be used now, and may come back by itself: it is tried again every few seconds."""


class NoMemory(DeviceTrouble):
    """The device has too little memory left. What is loaded there goes on working, and less may fit."""


class DeviceBusy(DeviceTrouble):
    """Somebody else has the device: it is waited for."""


KINDS: dict[str, type[Trouble]] = {kind.__name__: kind for kind in (Trouble, DeviceTrouble, DeviceBusy, NoMemory)}
"""By the names that the wire has for them."""
