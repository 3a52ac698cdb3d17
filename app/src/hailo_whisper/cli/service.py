"""One running service: the parts that the settings are handed to, again when they change, and what systemd is told of it all."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from fastapi import FastAPI

from ..accelerators.machine import signs
from ..engines.launch import Launch
from ..engines.status import State
from ..failure import Failure
from ..scheduling.lineup import Lineup
from ..service import log as logs
from ..service import notify
from ..settings import Settings
from ..speech.decoder import Decoder
from . import assembly, engines, exposure

log = logging.getLogger(__name__)

# Sections and settings that a running service cannot take, because systemd or the process itself acts on them at its start.
RESTART = ("server", "storage", "resource_limits")
# Settings that need a new worker; the rest holds from the next request on.
WORKER = (
    "model.name",
    "model.path",
    "model.fallback",
    "model.compute_type",
    "model.threads",
    "model.workers",
    "model.batch",
    "windows.margin_seconds",
    "windows.least_seconds",
    "models.catalog",
    "engine.kind",
    "engine.fallback",
    "cuda.device_index",
    "hailo.group",
    "hailo.device_wait_seconds",
    "hailo.resources",
)

DEVICES_SECONDS = 5.0
"""How often it is looked whether an accelerator has come, where the engine is to be the best that there is."""


@dataclass
class Service:
    """The parts of a server, with the settings in force."""

    settings: Settings
    launch: Launch
    lineup: Lineup
    decoder: Decoder
    app: FastAPI
    load: Callable[[], Settings]
    """Reads the configuration again. Raises Failure."""
    engine: str | None = None
    """`module:Class` of the engine that is to be used whatever the settings say."""
    exposed: bool = False
    """Whether others than this machine reach the socket."""
    _trouble: str = ""
    _told: bool = False
    _reloading: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def status(self) -> str:
        """One line for systemd."""
        if self.app.state.draining:
            return "STATUS=draining"
        supervisor, model = self.lineup.default.supervisor, self.settings.model.name
        ready = supervisor.state is State.READY
        if ready and supervisor.degraded:
            model = f"{self.lineup.default.answers}. {supervisor.reason}"
        text = f"ready: model {model}" if ready else f"{supervisor.state}: {supervisor.reason or model}"
        keys = self.app.state.keyring.trouble
        return " ".join(f"STATUS={text}{f'; no key is accepted: {keys}' if keys else ''}{self._trouble}".split())

    def leave(self) -> None:
        """Say that the service is going before it goes, so that a balancer sends the next request elsewhere."""
        self.app.state.draining = True
        notify.notify("STOPPING=1", self.status)

    async def reload(self) -> None:
        """Take a changed configuration. When it is bad, or its model cannot be used, all stays as it is."""
        # One after the other, or the older of two could be the one that stays.
        async with self._reloading:
            await self._reload()

    async def _reload(self) -> None:
        if self._told:
            notify.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            await self._take(await asyncio.to_thread(self.load))
        except Failure as error:
            log.error("the configuration was not taken, the old one stays: %s", error)
            self._trouble = f"; the changed configuration was not taken: {error}"
        finally:
            if self._told:
                notify.notify("READY=1", self.status)

    async def _take(self, wanted: Settings) -> None:
        if self.exposed:
            exposure.check_access(wanted.access, "it listens on a network")
        old = self.settings
        late = [section for section in RESTART if getattr(wanted, section) != getattr(old, section)]
        new = wanted.model_copy(update={section: getattr(old, section) for section in RESTART})
        launch = None
        if any(_value(new, name) != _value(old, name) for name in WORKER):
            # In a thread, because the machine is looked at for it.
            launch = await asyncio.to_thread(assembly.launch, new, self.engine, self.launch.warm_up)
            # Before the worker that serves now is given up.
            await asyncio.to_thread(assembly.prepare, launch)
        if new.transcription.beam != old.transcription.beam:
            options = replace(self.launch.warm_up.options, beam=new.transcription.beam)
            self.launch = replace(self.launch, warm_up=replace(self.launch.warm_up, options=options))
        if launch:
            self.launch = launch = replace(launch, warm_up=self.launch.warm_up)
        self.settings = self.app.state.settings = new
        await self.app.state.keyring.look(new.access.keys)
        logs.configure(new.log.format, transcripts=new.log.transcripts)
        default = self.lineup.default
        default.scheduler.configure(new)
        default.supervisor.configure(launch, assembly.patience(new))
        await self._offer(new, anew=launch is not None or new.models.memory_mb != old.models.memory_mb)
        if new.model.name != old.model.name:
            self.lineup.count(old.model.name)
            self.lineup.count(new.model.name)
        self.decoder.configure(new.limits.duration_seconds, new.limits.deadline_seconds, new.model.keep_alive)
        self._trouble = f"; {', '.join(late)}: changed, which needs a restart" if late else ""
        log.info("the configuration was taken%s", self._trouble)

    async def _offer(self, new: Settings, *, anew: bool) -> None:
        """Offer the models that the settings name, and no others. `anew`: something changed that their workers depend on."""
        lineup, wanted = self.lineup, assembly.offered(new)
        lineup.most_mb = assembly.memory_mb(new)
        for hosted in lineup.offered:
            if hosted.name not in wanted:
                lineup.withdraw(hosted.name)
                continue
            hosted.scheduler.configure(new)
            hosted.supervisor.configure(self._launch(new, hosted.name) if anew else None, assembly.patience(new))
        for name in wanted:
            if name not in [hosted.name for hosted in lineup.offered]:
                metrics = self.app.state.metrics
                lineup.offer(assembly.hosted(self._launch(new, name), new, metrics, on_demand=True))

    def _launch(self, new: Settings, name: str) -> Launch:
        return assembly.launch(new, self.engine, self.launch.warm_up, name, chosen=self.launch.kind)

    async def look_for_devices(self, seen: object) -> None:
        """With `engine.kind: auto`, take an accelerator that comes after the start, as at boot. `seen` is what there was of them before.

        It is tried beside the engine that serves, and takes over when it has heard the warm-up right. One that goes away again is
        looked for as any other: nothing is chosen anew for that.
        """
        trouble: str | None = None
        while True:
            await asyncio.sleep(DEVICES_SECONDS)
            try:
                found = await asyncio.to_thread(signs)
                if found != seen and self.engine is None and self.settings.engine.kind == "auto":
                    async with self._reloading:
                        await self._choose_anew()
                seen = found
            # What keeps it from being taken now, such as a folder that may not be read, may be mended: it is looked at again and again.
            except Exception as error:
                if str(error) != trouble:
                    log.exception("an accelerator came or went, and no engine could be chosen anew")
                trouble = str(error)
            else:
                trouble = None

    async def _choose_anew(self) -> None:
        default = self.lineup.default
        launch = await asyncio.to_thread(assembly.launch, self.settings, None, self.launch.warm_up)
        if launch.kind not in (engines.CPU, self.launch.kind):
            log.info("an accelerator has come, and %s is tried", launch.processor)
            self.launch = launch
            default.supervisor.improve(launch)

    async def tell_systemd(self) -> None:
        """READY=1 when the warm-up is over, then the state as the unit's status, and the watchdog as long as all is well.

        A model that is missing does not keep the unit from starting: it stays up, its status and /health/ready say what to do,
        and it goes on by itself when that was done.
        """
        # The supervisor has a deadline of its own for loading; systemd's must not come first.
        patience = int((self.settings.limits.load_seconds + 60) * 1e6)
        notify.notify(f"EXTEND_TIMEOUT_USEC={patience}", "STATUS=loading the model")
        await self.lineup.default.supervisor.settled()
        self._told = True
        notify.notify("READY=1", self.status)
        interval = min((notify.watchdog_seconds() or 10.0) / 3, 5.0)
        while True:
            await asyncio.sleep(interval)
            notify.notify(self.status, *(["WATCHDOG=1"] if self.lineup.answering else []))


def _value(settings: Settings, name: str) -> object:
    section, key = name.split(".")
    return getattr(getattr(settings, section), key)
