"""HailoRT's exceptions, and what turns a bare code into one."""

from collections.abc import Iterator
from contextlib import contextmanager

from hailo_platform.emulation.status import NAMES
from hailo_platform.pyhailort import _pyhailort
from hailo_platform.pyhailort._pyhailort import HailoRTException


class HailoRTTimeout(HailoRTException):
    pass


class HailoRTInvalidOperationException(HailoRTException):
    pass


class HailoRTInvalidArgumentException(HailoRTException):
    pass


class HailoRTNotFoundException(HailoRTException):
    pass


class HailoRTInvalidHEFException(HailoRTException):
    pass


class HailoRTHEFNotCompatibleWithDevice(HailoRTException):
    pass


class HailoRTDriverOperationFailedException(HailoRTException):
    pass


class HailoCommunicationClosedException(HailoRTException):
    pass


NAMED: dict[int, tuple[type[HailoRTException], str]] = {
    2: (HailoRTInvalidArgumentException, "Invalid argument. See hailort.log for more information"),
    4: (HailoRTTimeout, "Received a timeout - hailort has failed because a timeout had occurred"),
    6: (HailoRTInvalidOperationException, "Invalid operation. See hailort.log for more information"),
    26: (HailoRTInvalidHEFException, "Invalid HEF. See hailort.log for more information"),
    36: (HailoRTDriverOperationFailedException, "Failure in hailort driver ioctl. run 'dmesg | grep hailo' for more information"),
    61: (HailoRTNotFoundException, "Item not found. See hailort.log for more information"),
    62: (HailoCommunicationClosedException, "Communication closed failure. Check server-client connection"),
    93: (HailoRTHEFNotCompatibleWithDevice, "HEF file is not compatible with device. See hailort.log for more information"),
}


@contextmanager
def wrapped() -> Iterator[None]:
    try:
        yield
    except _pyhailort.HailoRTStatusException as error:
        code = int(str(error))
        if code in NAMED:
            kind, text = NAMED[code]
            raise kind(text) from error
        raise HailoRTException(f"libhailort failed with error: {code} ({NAMES[code]})") from error
