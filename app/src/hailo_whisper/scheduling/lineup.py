"""The models that are offered: a worker and a queue for each, and one memory that they share.

The configured model is the default: it is loaded at the start, and answers to every name of OpenAI's. The others are loaded at
their first request. When the memory would be exceeded, the one that was idle longest is unloaded, the default not excepted; a model
that is in use stays, and whoever wants another meanwhile waits for it as for a worker that is on its way.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial

from ..engines.launch import Found
from ..engines.status import State
from ..engines.supervisor import Supervisor
from ..service import memory
from ..service.metrics import Loaded, Metrics
from .admission import Overloaded
from .scheduler import Scheduler

log = logging.getLogger(__name__)


class Hosted:
    """A model with its worker and its queue."""

    def __init__(self, supervisor: Supervisor, scheduler: Scheduler) -> None:
        self.supervisor = supervisor
        self.scheduler = scheduler
        self.users = 0
        """Requests that are being served by it, from the choice of the model to the end of the reply."""
        self.used = time.monotonic()
        """When the last of them came to its end."""
        self.idle = asyncio.Event()
        """Set while there are none."""
        self.idle.set()
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def name(self) -> str:
        """The configured name."""
        return self.supervisor.model

    @property
    def answers(self) -> str:
        """Name of the model that answers: the configured one, or the one that stands in for it."""
        found = self.supervisor.found
        return found.name if found and found.fallback_for else self.name

    @property
    def aliases(self) -> tuple[str, ...]:
        """What the model that answers is called besides."""
        found = self.supervisor.found
        return found.names if found else ()

    @property
    def memory_mb(self) -> int:
        """What its worker has, or is expected to need."""
        found, pid = self.supervisor.found, self.supervisor.pid
        return max(found.memory_mb if found else 0, (memory.resident(pid) if pid else 0) // memory.MB)


class Lineup:
    """The default and the further models. `start` and `close` it within one event loop."""

    def __init__(self, default: Hosted, metrics: Metrics, most_mb: int) -> None:
        self.default = default
        self.most_mb = most_mb
        """Memory of all workers together. The default is loaded even where it needs more."""
        self._metrics = metrics
        self._offered: dict[str, Hosted] = {}
        # Those that are offered no more, while requests are served by them.
        self._leaving: set[Hosted] = set()
        self._farewells: set[asyncio.Task[None]] = set()
        self._started = False
        self._connect(default)

    @property
    def listed(self) -> list[Hosted]:
        """The models, the default first; without one that stands in for the default already."""
        return [self.default, *(hosted for hosted in self._offered.values() if hosted.name != self.default.answers)]

    @property
    def offered(self) -> list[Hosted]:
        """The models beside the default."""
        return [*self._offered.values()]

    @property
    def answering(self) -> bool:
        """Whether all of them make progress."""
        return all(hosted.supervisor.answering and hosted.scheduler.answering for hosted in self._all)

    @property
    def _all(self) -> list[Hosted]:
        return [self.default, *self._offered.values(), *self._leaving]

    def workers(self) -> dict[str, int]:
        """The resident bytes of the workers that there are, by model."""
        return {each.name: memory.resident(each.supervisor.pid) for each in self._all if each.supervisor.pid}

    def loaded(self) -> list[Loaded]:
        """The models whose workers are ready."""
        there = [(each, each.supervisor) for each in self._all if each.supervisor.state is State.READY]
        return [Loaded(each.name, by.found.name, by.degraded, by.engine, by.found.sha256) for each, by in there if by.found]

    def get(self, name: str) -> Hosted | None:
        """The model of that name; what it is called besides counts where no model is configured by that name."""
        if name in (self.default.answers, self.default.name):
            return self.default
        return self._offered.get(name) or next((hosted for hosted in self.listed if name in hosted.aliases), None)

    def place(self) -> AbstractContextManager[None]:
        """A request's place, whatever model it may ask for (see Scheduler.place)."""
        return self.default.scheduler.place()

    @property
    def full(self) -> Overloaded | None:
        """With what a short recording would be refused now (see Scheduler.full), whatever model it may ask for."""
        return self.default.scheduler.full

    @contextlib.contextmanager
    def use(self, hosted: Hosted) -> Iterator[None]:
        """A model stays while it is in use."""
        hosted.users += 1
        hosted.idle.clear()
        try:
            yield
        finally:
            hosted.users -= 1
            hosted.used = time.monotonic()
            if not hosted.users:
                hosted.idle.set()

    def offer(self, hosted: Hosted) -> None:
        """Add a model."""
        self._offered[hosted.name] = hosted
        self._connect(hosted)
        if self._started:
            _start(hosted)

    def withdraw(self, name: str) -> None:
        """Offer a model no more: whoever is served by it is served to the end."""
        hosted = self._offered.pop(name)
        self._leaving.add(hosted)
        task = asyncio.create_task(self._say_farewell(hosted))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    def stop(self) -> None:
        """Give up what is still under way, because the server has to go."""
        for hosted in self._all:
            hosted.scheduler.stop()

    def start(self) -> None:
        """Load the default, and be there for the others."""
        self._started = True
        for hosted in self._all:
            _start(hosted)

    async def close(self) -> None:
        """End every worker."""
        for farewell in self._farewells:
            farewell.cancel()
        await asyncio.gather(*(_end(hosted) for hosted in self._all))

    async def _say_farewell(self, hosted: Hosted) -> None:
        await hosted.idle.wait()
        await _end(hosted)
        self._leaving.discard(hosted)
        self.count(hosted.name)

    def count(self, name: str) -> None:
        """Have the metrics know a model, or know it no more: one of that name may have gone while another has come."""
        self._metrics.model_withdrawn(name)
        for hosted in self._all:
            if hosted.name == name:
                self._metrics.model_offered(name)
                self._metrics.model_state(name, hosted.supervisor.state, degraded=hosted.supervisor.degraded)

    def _connect(self, hosted: Hosted) -> None:
        self.count(hosted.name)
        hosted.supervisor.room = partial(self._room, hosted)
        hosted.scheduler.elsewhere = partial(self._elsewhere, hosted)

    def _elsewhere(self, hosted: Hosted) -> float:
        return sum(other.scheduler.queued for other in self._all if other is not hosted)

    def _room(self, hosted: Hosted, found: Found) -> str | None:
        """Make room for a worker (see engines.supervisor.Room), one idle model at a time."""
        loaded = [other for other in self._all if other is not hosted and other.supervisor.pid is not None]
        taken = sum(other.memory_mb for other in loaded)
        if not loaded or taken + found.memory_mb <= self.most_mb:
            return None
        # As soon as its process has ended, it is asked again.
        if any(other.supervisor.state is State.UNLOADED for other in loaded):
            return "Another model is being unloaded to make room."
        for other in sorted(loaded, key=lambda other: other.used):
            if not other.users and other.supervisor.unload():
                log.info("the model %s is unloaded to make room for %s", other.answers, found.name)
                return "Another model is being unloaded to make room."
        return (
            f"The model {found.name} needs {found.memory_mb} MB of memory, and of the {self.most_mb} MB for models {taken} are taken by "
            f"{', '.join(other.answers for other in loaded)}, in use now. Try again in a moment, or raise models.memory_mb."
        )


def _start(hosted: Hosted) -> None:
    hosted.tasks = [asyncio.create_task(hosted.supervisor.run()), asyncio.create_task(hosted.scheduler.run())]


async def _end(hosted: Hosted) -> None:
    for task in hosted.tasks:
        task.cancel()
    await asyncio.gather(*hosted.tasks, return_exceptions=True)
