"""Waveform: float32 mono sound at 16 kHz, in shared memory, so that processes pass it by descriptor and nobody copies it."""

import fcntl
import mmap
import os
from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray

RATE = 16000
"""Samples a second, as every Whisper model takes them."""

# 65.5 s; a multiple of a page of memory, whatever its size.
BLOCK = 1 << 20

Samples = NDArray[np.float32]


class Waveform:
    """Sound in an anonymous file of memory (memfd_create(2)); a context manager that gives the memory back.

    `fd` is the descriptor, `length` the number of samples. The file has no name, so nothing is left behind when a process
    is killed.
    """

    def __init__(self, fd: int, length: int) -> None:
        self.fd = fd
        self.length = length

    @classmethod
    def of(cls, samples: Samples) -> Self:
        """Copy samples, of shape (length,) and in -1..1, into shared memory."""
        waveform = cls(memory("waveform"), 0)
        waveform.append(samples)
        return waveform

    @classmethod
    def received(cls, fd: int, length: int) -> Self:
        """Take over a descriptor from another process, which can no longer shrink it under a reader's feet.

        Raises ValueError when it does not hold `length` samples, OSError when it is no such memory; it is closed then.
        """
        waveform = cls(fd, length)
        try:
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            if length < 0 or os.fstat(fd).st_size < length * 4:
                raise ValueError(f"the waveform does not hold {length} samples")
        except BaseException:
            waveform.close()
            raise
        return waveform

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.length / RATE

    def append(self, samples: Samples) -> None:
        """Write samples, of shape (n,), at the end."""
        view = memoryview(np.ascontiguousarray(samples, dtype=np.float32).data).cast("B")
        while view:
            view = view[os.write(self.fd, view) :]
        self.length += len(samples)

    def samples(self) -> Samples:
        """The samples, of shape (length,), mapped and read-only: valid for as long as the array lives."""
        if not self.length:
            return np.zeros(0, np.float32)
        return np.frombuffer(mmap.mmap(self.fd, self.length * 4, prot=mmap.PROT_READ), np.float32)

    def blocks(self) -> Iterator[Samples]:
        """The samples in arrays of up to BLOCK, each mapped while it is looked at: of hours only little is held at a time."""
        for start in range(0, self.length, BLOCK):
            size = min(BLOCK, self.length - start)
            yield np.frombuffer(mmap.mmap(self.fd, size * 4, prot=mmap.PROT_READ, offset=start * 4), np.float32)

    def close(self) -> None:
        """Close this process's descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def memory(name: str, content: bytes = b"") -> int:
    """A descriptor of anonymous shared memory that holds `content`; `name` is only for /proc."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    return fd
