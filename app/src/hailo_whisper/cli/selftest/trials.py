"""The trials, one after the other: each says what it did and what came of it; one that fails does not keep the next from being tried."""

import asyncio
import contextlib
import os
import signal
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from ...accelerators.hailo import ALONE
from ...engines.handle import Handle
from ...engines.launch import Launch
from ...engines.status import State
from ...engines.trouble import DeviceBusy
from ...failure import Failure
from ...speech.words import error_rate
from .. import engines
from .bench import Bench, bench
from .ground import Subject
from .recordings import Known, known, long, sentence
from .result import Result, failed, passed, skipped

MOST_WRONG = 0.25
"""Word error rate: the smallest model makes one mistake in the 13 words of the sentence at most."""
SLOWEST = {engines.CPU: 3.0}
"""Seconds for a second of sound; 1 for an accelerator."""
TIMES = 3
MOMENT = 0.5
"""Seconds after which a request is in the midst of being transcribed, as a rule."""
BESIDE = "somebody else has the device meanwhile"
Say = Callable[[str], None]
Trial = Callable[[Subject, Bench], Awaitable[Result]]


async def run(subject: Subject, say: Say) -> list[Result]:
    """Try everything. Takes some minutes at most: whatever hangs is killed at the deadlines of the settings."""
    results = [device(subject)]
    _tell(results[-1], say)
    began = time.monotonic()
    try:
        async with bench(subject) as bench_:
            took = time.monotonic() - began
            results.append(
                passed(
                    "load",
                    f"{_model(subject, bench_)} was loaded and heard a known clip right after {took:.1f} s",
                    load_seconds=round(took, 2),
                )
            )
            _tell(results[-1], say)
            for name, trial in TRIALS:
                results.append(await _tried(name, trial, subject, bench_))
                _tell(results[-1], say)
    # Whatever it is, the report says it beside what is known so far.
    except Exception as error:
        results.append(failed("load" if len(results) == 1 else "end", _said(error)))
        _tell(results[-1], say)
    return results


def device(subject: Subject) -> Result:
    """Whether the device says what it is."""
    identity = subject.identity
    facts = ", ".join(f"{name} {fact}" for name, fact in identity.facts.items())
    if identity.trouble:
        return failed("device", f"{identity.name}: {identity.trouble}")
    return passed("device", f"{identity.name}{f' ({facts})' if facts else ''}")


async def accuracy(_: Subject, bench_: Bench) -> Result:
    """Whether what is said is heard right."""
    heard = [(one, await bench_.transcribe(one)) for one in known()]
    rates = {one.name: error_rate(one.text, text) for one, text in heard}
    figures = {f"{name}_wer_percent": round(100 * rate, 2) for name, rate in rates.items()}
    shown = ", ".join(f"{name} {100 * rate:.1f} %" for name, rate in rates.items())
    for one, text in heard:
        if rates[one.name] > MOST_WRONG:
            return failed("accuracy", f"word error rates: {shown}; of `{one.name}` it heard: {text.strip()!r}", **figures)
    return passed("accuracy", f"word error rates: {shown}", **figures)


async def latency(subject: Subject, bench_: Bench) -> Result:
    """How long the sentence takes, of its length."""
    if subject.beside:
        return skipped("latency", BESIDE)
    spoken, took = sentence(), []
    for _ in range(TIMES):
        began = time.monotonic()
        await bench_.transcribe(spoken)
        took.append(time.monotonic() - began)
    middle = statistics.median(took)
    ratio = middle / spoken.seconds
    said = f"{middle:.2f} s for {spoken.seconds:.1f} s of sound, {ratio:.2f} of its length (the middle of {TIMES})"
    most = SLOWEST.get(subject.decision.kind, 1.0)
    made = passed if ratio <= most else failed
    return made(
        "latency",
        said if ratio <= most else f"{said}; it should be {most:.0f} at most",
        latency_seconds=round(middle, 3),
        ratio=round(ratio, 3),
    )


async def kill(_: Subject, bench_: Bench) -> Result:
    """Whether a worker that is killed over a request costs no more than time."""
    pid, recording = bench_.supervisor.pid, long()
    if pid is None:
        return failed("kill", "there is no worker to kill")
    request = asyncio.create_task(_outcome(bench_, recording))
    # In the midst of it, as far as that can be hit from outside.
    await asyncio.sleep(MOMENT)
    over = request.done()
    # It may have died by itself just before: the rest is tried all the same.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    said = await request
    await bench_.supervisor.ready(bench_.load_seconds)
    took = time.monotonic() - began
    again = await _outcome(bench_, sentence())
    if again is not None:
        return failed("kill", f"after its worker was killed, the engine does not transcribe any more: {again}")
    if bench_.supervisor.pid == pid:
        return failed("kill", "the killed worker was not replaced")
    became = "was over before it" if over else "got its text all the same" if said is None else f"got an error ({said})"
    return passed(
        "kill",
        f"the worker was killed with SIGKILL: the request {became}, and another worker was ready after {took:.1f} s",
        recovery_seconds=round(took, 2),
    )


async def sharing(subject: Subject, bench_: Bench) -> Result:
    """Whether a second program of the same group is let in beside this one, where the device does that, and one that is not is told who has it."""
    if not subject.shared:
        return skipped("sharing", "not a device that has one owner at a time")
    if subject.beside:
        return skipped("sharing", BESIDE)
    launch = subject.launch
    grouped = subject.joinable and launch.group != ALONE
    beside = await _second(launch, bench_)
    alone = await _second(replace(launch, group=ALONE), bench_) if grouped else beside
    if grouped and beside is not None:
        return failed("sharing", f"a second program of the group {launch.group} was not let in: {beside}")
    whose = "that wants the device for itself" if subject.joinable else "(a Hailo-8 or 8L has one at a time, whatever its group)"
    if not isinstance(alone, DeviceBusy):
        return failed(
            "sharing",
            f"a second program {whose} should be told that the device is in use, and got: {alone or 'the device'}",
        )
    if (broken := await _outcome(bench_, sentence())) is not None:
        return failed("sharing", f"after others had tried to have the device, this one does not transcribe: {broken}")
    let_in = f"a second program of the group {launch.group} transcribed beside this one; " if grouped else ""
    return passed("sharing", f"{let_in}a second program {whose} was told: {alone}")


async def recovery(_: Subject, bench_: Bench) -> Result:
    """Whether all is still well after all that."""
    spoken = sentence()
    text = await bench_.transcribe(spoken)
    rate = error_rate(spoken.text, text)
    if rate > MOST_WRONG or bench_.supervisor.state is not State.READY:
        return failed("recovery", f"the engine is {bench_.supervisor.state} and heard {text.strip()!r}")
    return passed("recovery", f"the engine is ready and hears right; {bench_.supervisor.restarts} workers were replaced")


TRIALS: tuple[tuple[str, Trial], ...] = (
    ("accuracy", accuracy),
    ("latency", latency),
    ("kill", kill),
    ("sharing", sharing),
    ("recovery", recovery),
)


async def _tried(name: str, trial: Trial, subject: Subject, bench_: Bench) -> Result:
    try:
        return await trial(subject, bench_)
    except Exception as error:
        return failed(name, _said(error))


async def _outcome(bench_: Bench, recording: Known) -> str | None:
    """None when the recording was heard right, else what became of it."""
    try:
        text = await bench_.transcribe(recording)
    except Failure as error:
        return str(error)
    return None if error_rate(recording.text, text) <= MOST_WRONG else f"heard {text.strip()!r}"


async def _second(launch: Launch, bench_: Bench) -> Exception | None:
    """Have a second worker load the model and hear the clip while the first is up. None when it did."""
    handle = Handle()
    try:
        found = bench_.supervisor.found
        await handle.load(launch, found.path if found else launch.prepare().path, bench_.load_seconds)
    # Whatever it is, it is what is told.
    except Exception as error:
        return error
    finally:
        handle.close()
    return None


def _said(error: Exception) -> str:
    """An error in the words of a failure; one that nobody thought of has its type before them."""
    return str(error) if isinstance(error, Failure) else f"{type(error).__name__}: {error}"


def _model(subject: Subject, bench_: Bench) -> str:
    found = bench_.supervisor.found
    return f"the model {found.name if found else subject.launch.model}"


def _tell(result: Result, say: Say) -> None:
    say(f"{result.outcome:8} {result.trial}: {result.said}")
