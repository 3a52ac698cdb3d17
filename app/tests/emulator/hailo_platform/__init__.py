"""The emulator's `hailo_platform`: see the README beside it."""

from hailo_platform.emulation import control
from hailo_platform.pyhailort._pyhailort import HailoRTException
from hailo_platform.pyhailort.pyhailort import (
    HEF,
    AsyncInferJob,
    Device,
    FormatType,
    HailoCommunicationClosedException,
    HailoSchedulingAlgorithm,
    VDevice,
)

__version__ = control.VERSION
EMULATED = True
"""What tells it from HailoRT: `doctor` and `selftest` say so."""

__all__ = [
    "EMULATED",
    "HEF",
    "AsyncInferJob",
    "Device",
    "FormatType",
    "HailoCommunicationClosedException",
    "HailoRTException",
    "HailoSchedulingAlgorithm",
    "VDevice",
    "__version__",
]
