"""The examination: all checks at once, each with a deadline, so that one that hangs costs no more than its own line."""

import functools
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from ... import settings as configuration
from ...accelerators import accounts, cpu, hailo, machine
from ...accelerators.hailo import Hailo
from ...accelerators.machine import Machine
from ...accelerators.nvidia import Nvidia
from ...failure import Failure
from ...settings import Settings
from .. import engines
from . import configured, devices, program, serving, stored, unit, units
from .finding import Finding, broken
from .patient import SERVICE_USER, Ask, Patient, ask

Check = Callable[[Patient], list[Finding]]
Result = TypeVar("Result")

CHECKS: tuple[tuple[str, Check], ...] = (
    ("program", program.python),
    ("clock", program.clock),
    ("memory", program.memory),
    ("disk", program.disk),
    ("cpu", devices.processor),
    ("hailo", devices.npu),
    ("hailo-software", devices.npu_software),
    ("nvidia", devices.gpu),
    ("configuration", configured.valid),
    ("generated", configured.generated),
    ("keys", configured.keys),
    ("models", stored.models),
    ("engine", stored.engine),
    ("unit", unit.unit),
    ("unit-device", unit.device),
    ("port", serving.port),
    ("ready", serving.ready),
)
"""In the order of the report, each under the name that its failure is told by."""
SECONDS = 30.0
UNDECIDED = engines.Decision("unknown", "it could not be found out (see the findings)", {})


@dataclass(frozen=True)
class Examined:
    """What was found, and which engine the service takes."""

    findings: list[Finding]
    decision: engines.Decision


def examine(config: Path | None = None, root: Path = Path("/"), checks: Sequence[tuple[str, Check]] = CHECKS) -> Examined:
    """Examine the machine. Takes a minute at the very most, mostly a second."""
    findings: list[Finding] = []
    patients = bounded({"machine": lambda: [admit(config, root)]}, SECONDS)["machine"]
    if isinstance(patients, Finding):
        findings.append(patients)
        patient = Patient(
            root, config, Settings(), Machine(Hailo(), Nvidia()), cpu.survey(root), None, None, ask, hailo.ask_binding, False
        )
    else:
        (patient,) = patients
    results = bounded({name: functools.partial(check, patient) for name, check in checks}, SECONDS)
    for result in results.values():
        findings += [result] if isinstance(result, Finding) else result
    # Known by now where its check is done with it; else it may hang, and is not waited for again.
    known = isinstance(results.get("engine"), list)
    return Examined(findings, patient.decision if known else UNDECIDED)


def admit(config: Path | None, root: Path, asking: Ask = ask) -> Patient:
    """Gather what the checks look at."""
    try:
        settings = configuration.load(config, missing_ok=True)
    except Failure:
        # A check of its own says what is wrong with them.
        settings = _meant(config, root)
    found = units.survey(root, asking)
    user = accounts.user(root, (found.service.user if found else "") or SERVICE_USER)
    if user and found:
        more = [accounts.group_id(root, name) for name in found.service.supplementary_groups.split()]
        user = replace(user, groups=(*user.groups, *(gid for gid in more if gid is not None)))
    return Patient(
        root,
        config,
        settings,
        machine.survey(root, user),
        cpu.survey(root),
        user,
        found,
        asking,
        hailo.ask_binding,
        os.geteuid() == 0,
    )


def _meant(config: Path | None, root: Path) -> Settings:
    """What the settings are to be where those in force cannot be read: what people have written, or the defaults."""
    try:
        return configuration.parse(configuration.read(config or root / configured.SOURCE), f"/{configured.SOURCE}")
    except Failure:
        return Settings()


def bounded(work: dict[str, Callable[[], list[Result]]], seconds: float) -> dict[str, list[Result] | Finding]:
    """Do all of it at once, and wait for so many seconds; what is not done by then, or fails, is a finding in its place."""
    results: dict[str, list[Result] | Finding] = {
        name: broken(name, f"no answer within {seconds:.0f} s", "A disk or a driver hangs: `dmesg` tells which.") for name in work
    }

    def do(name: str) -> None:
        try:
            results[name] = work[name]()
        # Whatever it is, the other checks are still worth something.
        except Exception as error:
            results[name] = broken(name, f"could not be checked: {type(error).__name__}: {error}", "Report it, with this line.")

    # Daemons: one that hangs does not keep the program from ending.
    threads = [threading.Thread(target=do, args=(name,), daemon=True) for name in work]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0))
    return dict(results)
