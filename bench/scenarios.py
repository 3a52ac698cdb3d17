"""What is measured. One call is one run; figures are plain numbers and lists, as they go into the JSON.

Where targets can be interleaved they are, clip by clip, so that whatever else the machine does hits all alike. The order changes from
run to run. What needs a fresh process, or the machine for itself, is measured with no other target running.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from .corpus import Clip
from .peers import Ours, Target
from .process import Peak, pss, tree_pss, until
from .running import Failed, OpenAIServer, Reply, Running, ask, first_words
from .scoring import score

Figures = dict[str, Any]
CLIENTS = 8
# Between two commands while a file is transcribed, and how long one waits for its text.
PAUSE, PATIENCE = 2.0, 30.0
# For a request that nobody waits for with a watch in his hand.
LONG = 3600.0
OVERHEAD_REQUESTS = 20
# The threads of a runtime may spin for a while after their work, as OpenMP's do for 200 ms: the next target is not to pay for that.
SETTLE = 0.3
KEEP_ALIVE = 5


@dataclass(frozen=True)
class Material:
    """What is said to the targets."""

    clips: Sequence[Clip]
    file: Clip

    @property
    def five_seconds(self) -> Clip:
        """The clip whose length is nearest to 5 s."""
        return min(self.clips, key=lambda clip: abs(clip.seconds - 5))


def short(targets: Sequence[Running], material: Material, run: int) -> Iterator[tuple[str, Figures]]:
    """Short commands, one at a time."""
    replies: dict[str, list[Reply]] = {target.name: [] for target in targets}
    for number, clip in enumerate(material.clips):
        for target in _turned(targets, run + number):
            time.sleep(SETTLE)
            replies[target.name].append(ask(target, clip, PATIENCE))
    for name, given in replies.items():
        yield name, _latencies(given) | _accuracy(material.clips, given)


def clients(targets: Sequence[Running], material: Material, run: int) -> Iterator[tuple[str, Figures]]:
    """Eight clients, each with one request at a time, until all clips are done."""
    for target in _turned([target for target in targets if target.serves], run):
        time.sleep(SETTLE)
        replies, seconds = _together(target, material.clips)
        good = sum(reply.error is None for reply in replies)
        yield target.name, {"requests_per_second": good / seconds} | _latencies(replies) | _accuracy(material.clips, replies)


def file(targets: Sequence[Running], material: Material, run: int) -> Iterator[tuple[str, Figures]]:
    """The long file, with nothing beside it."""
    for target in _turned(targets, run):
        time.sleep(SETTLE)
        reply = ask(target, material.file, LONG)
        yield (
            target.name,
            {"seconds": reply.seconds, "audio_seconds": material.file.seconds} | _accuracy([material.file], [reply]),
        )


def during(targets: Sequence[Running], material: Material, run: int) -> Iterator[tuple[str, Figures]]:
    """A short command every two seconds while the long file is transcribed."""
    for target in _turned([target for target in targets if target.serves], run):
        time.sleep(SETTLE)
        yield target.name, _during(target, material)


def overhead(targets: Sequence[Running], material: Material, _: int) -> Iterator[tuple[str, Figures]]:
    """What our server adds to the engine's own time, by its own metrics and by the client's watch, for a clip of about 5 s."""
    for target in targets:
        if isinstance(target, OpenAIServer) and target.name == Ours.name:
            rows = [row for _number in range(OVERHEAD_REQUESTS) if (row := _spent(target, material.five_seconds))]
            if rows:
                server, client = (float(np.median([row[side] - row["engine"] for row in rows])) for side in ("server", "client"))
                yield target.name, {"server_ms": 1000 * server, "client_ms": 1000 * client, "requests": rows}


def cold(target: Target, material: Material) -> Figures:
    """From the start of the process until it answers at all, and until it has transcribed a clip."""
    began = time.monotonic()
    running = target.start()
    try:
        answered: list[float] = []
        failed: list[BaseException] = []

        def knock() -> None:
            try:
                until(running.answers, LONG, 0.02)
                answered.append(time.monotonic() - began)
            except Exception as error:  # its end is reported by the request below, which fails too
                failed.append(error)

        knocking = threading.Thread(target=knock, daemon=True)
        knocking.start()
        first_words(running, material.five_seconds)
        words = time.monotonic() - began
        knocking.join(5)
        return {"words_seconds": words} | ({"answers_seconds": answered[0]} if running.serves and answered else {})
    finally:
        running.end()


def memory(target: Target, material: Material) -> Figures:
    """The most memory of a fresh process tree while it serves eight clients and then the long file.

    Of ours also the server by itself, and all of it after the model was unloaded.
    """
    ours = isinstance(target, Ours)
    running = replace(target, keep_alive=KEEP_ALIVE).start() if isinstance(target, Ours) else target.start()
    try:
        first_words(running, material.clips[0])
        pid = running.pid
        if pid is None:
            raise Failed(
                f"{running.name} does not run on this machine, or its process belongs to somebody else: its memory cannot be seen"
            )
        with Peak(pid) as peak:
            if running.serves:
                _together(running, material.clips[: 2 * CLIENTS])
            reply = ask(running, material.file, LONG)
        if reply.error:
            raise Failed(reply.error)
        figures = {"peak_bytes": peak.bytes}
        if ours and isinstance(running, OpenAIServer):
            figures["server_bytes"] = pss(pid)
            if until(lambda: '"unloaded"' in running.get("/health/ready"), 10 * KEEP_ALIVE, 0.2):
                # Idle decoders go a little later.
                least = tree_pss(pid)
                end = time.monotonic() + 3 * KEEP_ALIVE
                while time.monotonic() < end:
                    time.sleep(0.5)
                    least = min(least, tree_pss(pid))
                figures["unloaded_bytes"] = least
        return figures
    finally:
        running.end()


TOGETHER: dict[str, Callable[[Sequence[Running], Material, int], Iterator[tuple[str, Figures]]]] = {
    "short": short,
    "clients": clients,
    "overhead": overhead,
    "file": file,
    "during": during,
}
ALONE: dict[str, Callable[[Target, Material], Figures]] = {"cold": cold, "memory": memory}


def _turned(targets: Sequence[Running], by: int) -> list[Running]:
    by %= max(len(targets), 1)
    return [*targets[by:], *targets[:by]]


def _together(target: Running, clips: Sequence[Clip]) -> tuple[list[Reply], float]:
    """All clips from CLIENTS clients: the replies in the order of the clips, and the seconds until the last one."""
    waiting: SimpleQueue[int] = SimpleQueue()
    for number in range(len(clips)):
        waiting.put(number)
    replies: dict[int, Reply] = {}

    def client() -> None:
        while True:
            try:
                number = waiting.get_nowait()
            except Empty:
                return
            replies[number] = ask(target, clips[number], PATIENCE)

    began = time.monotonic()
    _run([threading.Thread(target=client, daemon=True) for _ in range(CLIENTS)])
    return [replies[number] for number in range(len(clips))], time.monotonic() - began


def _run(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _during(target: Running, material: Material) -> Figures:
    whole: list[Reply] = []
    writing = threading.Thread(target=lambda: whole.append(ask(target, material.file, LONG)), daemon=True)
    commands: list[threading.Thread] = []
    replies: dict[int, Reply] = {}

    def command(number: int) -> None:
        replies[number] = ask(target, material.clips[number % len(material.clips)], PATIENCE)

    writing.start()
    began = time.monotonic()
    while not commands or writing.is_alive():
        commands.append(threading.Thread(target=command, args=(len(commands),), daemon=True))
        # The first after half a pause, when the file is surely being worked on; the others by the clock, not one after the other.
        writing.join(max(0.0, began + PAUSE * (len(commands) - 0.5) - time.monotonic()))
        if writing.is_alive() or len(commands) == 1:
            commands[-1].start()
        else:
            commands.pop()
    for thread in commands:
        thread.join()
    given = [replies[number] for number in sorted(replies)]
    said = [material.clips[number % len(material.clips)] for number in sorted(replies)]
    reply = whole[0]
    return (
        {"file_seconds": reply.seconds, "file_error": reply.error}
        | {f"file_{key}": value for key, value in _accuracy([material.file], [reply]).items() if key == "wer"}
        | _latencies(given)
        | _accuracy(said, given)
    )


def _latencies(replies: Sequence[Reply]) -> Figures:
    """Percentiles over all requests; one that got no text counts for as long as its client waited."""
    seconds = [reply.seconds for reply in replies]
    p50, p95 = np.percentile(seconds, [50, 95]) if seconds else (float("nan"), float("nan"))
    return {"p50": float(p50), "p95": float(p95), "latencies": seconds}


def _accuracy(clips: Sequence[Clip], replies: Sequence[Reply]) -> Figures:
    """Errors, and the word error rate of what was answered."""
    pairs = [(clip.text, reply.text) for clip, reply in zip(clips, replies, strict=True) if reply.text is not None]
    errors = [reply.error for reply in replies if reply.error is not None]
    result = score(pairs, clips[0].language if clips else "en")
    rate = {"wer": result.percent, "word_errors": result.errors, "words": result.words} if pairs else {}
    return rate | {"errors": len(errors)} | ({"messages": sorted(set(errors))[:5]} if errors else {})


def _spent(target: OpenAIServer, clip: Clip) -> dict[str, float]:
    """Seconds that one request took: by the client's watch, by the server's and by the engine's. Empty: they cannot be had."""
    before = _seconds_spent(target)
    reply = ask(target, clip, PATIENCE)
    if not before or reply.error:
        return {}
    # The reply is there before the server has written down how long it took.
    until(lambda: _seconds_spent(target).get("count", 0) > before["count"], 2, 0.005)
    after = _seconds_spent(target)
    return {"client": reply.seconds, "server": after["server"] - before["server"], "engine": after["engine"] - before["engine"]}


def _seconds_spent(target: OpenAIServer) -> dict[str, float]:
    """Seconds of the server and of the engine until now, and the requests: from /metrics. Empty: it has none."""
    try:
        text = target.get("/metrics")
    except Failed:
        return {}

    def total(pattern: str) -> float:
        return sum(float(value) for value in re.findall(rf"^hailo_whisper_{pattern} (\S+)$", text, re.MULTILINE))

    route = r'request_duration_seconds_{}\{{[^}}]*route="[^"]*transcriptions"[^}}]*\}}'
    return {
        "count": total(route.format("count")),
        "server": total(route.format("sum")),
        "engine": total("batch_duration_seconds_sum"),
    }
