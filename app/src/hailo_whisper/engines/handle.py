"""The server's handle on one worker process: has it load, transcribe and answer pings, each with a deadline."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..service.channel import Message
from ..service.child import Child, ChildDied, Line
from ..speech.transcript import WindowResult
from ..speech.waveform import Waveform
from ..speech.windows import Window
from .engine import Capabilities, Options, Strain
from .failures import EngineFailed
from .launch import Launch
from .results import results
from .trouble import KINDS, Trouble


@dataclass(frozen=True)
class Item:
    """One window of a batch, and the sound that it is cut from."""

    waveform: Waveform
    window: Window


class Handle:
    """A worker's process. Its methods raise ChildDied and ChildTimeout, after which it is to be closed."""

    def __init__(self) -> None:
        self._child = Child("hailo_whisper.engines.worker")
        self.pid = self._child.pid
        self.pidfd = self._child.pidfd
        self.capabilities: Capabilities | None = None
        self.strain = Strain()
        self._lines: list[Child | Line] = [self._child]
        self._places = asyncio.Semaphore(1)
        self._asked = 0
        self._closed = False

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._child.alive

    @property
    def busy(self) -> bool:
        """Whether it is being asked anything."""
        return self._asked > 0

    async def load(self, launch: Launch, path: Path, deadline: float) -> None:
        """Load the model in `path`, and have it transcribe the warm-up clip. Raises when any of it goes wrong.

        After DeviceBusy it may be called again.
        """
        end = time.monotonic() + deadline
        order = {
            "do": "load",
            "engine": launch.engine,
            "path": str(path),
            "compute_type": launch.compute_type,
            "threads": launch.threads,
            "workers": launch.workers,
            "batch": launch.batch,
            "margin_seconds": launch.margin_seconds,
            "least_seconds": launch.least_seconds,
            "group": launch.group,
            "device": launch.device,
            "device_index": launch.device_index,
        }
        answer = _checked(await self._child.ask(order, deadline=deadline))
        self.capabilities = Capabilities(**answer["capabilities"])
        for _ in range(1, self.capabilities.lanes + self.capabilities.express):
            self._lines.append(await self._child.line(deadline=max(end - time.monotonic(), 1.0)))
            self._places.release()
        warm_up = launch.warm_up
        clip = Item(warm_up.waveform, Window(0, warm_up.waveform.length))
        heard = await self.transcribe([clip], warm_up.options, max(end - time.monotonic(), 1.0))
        warm_up.check("".join(segment.text for result in heard for segment in result.segments))

    async def transcribe(self, items: Sequence[Item], options: Options, deadline: float) -> list[WindowResult]:
        """Transcribe one batch; `capabilities.lanes` of them, and the express, may be under way at a time.

        Raises EngineFailed too, after which the process lives on.
        """
        waveforms = [*dict.fromkeys(item.waveform for item in items)]
        order = {
            "do": "transcribe",
            "waveforms": [waveform.length for waveform in waveforms],
            "windows": [(waveforms.index(item.waveform), item.window.start, item.window.end) for item in items],
            "options": asdict(options),
        }
        said = await self._ask(order, [waveform.fd for waveform in waveforms], deadline)
        if "strain" in said.data:
            self.strain = Strain(**said.data["strain"])
        answer = _checked(said)
        longest = self.capabilities.window_seconds if self.capabilities else 0.0
        return results(answer, [item.window for item in items], longest)

    async def ping(self, deadline: float) -> None:
        """See whether it answers."""
        await self._ask({"do": "ping"}, [], deadline)

    def close(self) -> None:
        """End the process."""
        self._closed = True
        self._child.close()

    async def _ask(self, order: dict[str, Any], fds: Sequence[int], deadline: float) -> Message:
        """Ask on a line that is free, when one is."""
        self._asked += 1
        try:
            async with self._places:
                if self._closed:
                    raise ChildDied("the worker was ended")
                line = self._lines.pop()
                try:
                    return await line.ask(order, fds, deadline=deadline)
                finally:
                    self._lines.append(line)
        finally:
            self._asked -= 1


def _checked(answer: Message) -> dict[str, Any]:
    if "trouble" in answer.data:
        raise KINDS.get(answer.data["trouble"], Trouble)(answer.data["sentence"])
    if "failed" in answer.data:
        raise EngineFailed(f"The engine failed: {answer.data['failed']}.")
    return answer.data
