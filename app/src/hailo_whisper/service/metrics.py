"""What Prometheus is told: one object whose methods are events, so that whoever reports one knows no Prometheus.

docs/operations.md lists every metric and says what it is good for; a test compares that list with this file.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from .. import __version__

PREFIX = "hailo_whisper"
STATES = ("loading", "ready", "unloaded", "failed", "closed")

# Seconds. A short command takes 0.1 to 1 s, a long recording minutes; 0.015 s is what HTTP itself may cost.
REQUEST_BUCKETS = (0.015, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60, 300, 1800)
WAIT_BUCKETS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
BATCH_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60)
DECODE_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LOAD_BUCKETS = (0.25, 0.5, 1, 2, 5, 10, 20, 60, 180)
RECORDING_BUCKETS = (1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400)
WINDOWS_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64)
# Seconds of work for a second of sound: above 1 the machine falls behind somebody who speaks.
FACTOR_BUCKETS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2)

# A series more for each one, with the time when it began, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Loaded:
    """A model that a worker has loaded."""

    model: str
    """The configured name."""
    answers: str
    """Name of the model that answers: the configured one by its first name, or the one that stands in for it."""
    stand_in: bool
    """Whether it, or its engine, is another than the configured one."""
    engine: str
    sha256: str | None
    """Of the weights, where they were verified."""


class Metrics:
    """The metrics of one server, in a registry of their own. Every method may be called at any time, from any thread.

    A `reason` is one of a few fixed words of the caller's, such as "timeout": never a message, a name or a number, because every
    new value is a time series more.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info(f"{PREFIX}_build", "Version of hailo-whisper.", registry=self.registry).info({"version": __version__})
        self._ready = self._gauge("ready", "1 when /health/ready is 200, else 0.")
        self._requests = self._counter("requests", "Requests that were answered, by route and status.", "route", "code")
        self._request_seconds = self._histogram(
            "request_duration_seconds", "From a request's first byte to the end of its reply, by route.", REQUEST_BUCKETS, "route"
        )
        self._refused = self._counter("requests_refused", "Requests that were turned away before any work, by reason.", "reason")
        self._recordings = self._histogram(
            "recording_duration_seconds", "Length of the recordings that were taken on.", RECORDING_BUCKETS
        )
        self._queue_requests = self._gauge("queue_requests", "Requests that wait or are transcribed.", "model")
        self._queue_windows = self._gauge("queue_windows", "Windows of sound that wait for the engine.", "model")
        self._queue_seconds = self._gauge("queue_audio_seconds", "Sound that waits for the engine.", "model")
        self._waits = self._histogram("queue_wait_seconds", "How long a request waited for its first batch.", WAIT_BUCKETS)
        self._audio = self._counter("audio_seconds", "Sound that the engine has transcribed.")
        self._batch_windows = self._histogram("batch_windows", "Windows that the engine was given at once.", WINDOWS_BUCKETS)
        self._batch_seconds = self._histogram("batch_duration_seconds", "How long the engine took for a batch.", BATCH_BUCKETS)
        self._factors = self._histogram(
            "real_time_factor", "Seconds of the engine for one second of sound, of each batch.", FACTOR_BUCKETS
        )
        self._fallbacks = self._counter("fallbacks", "Decodings that looked wrong and were done again.")
        self._restarts = self._counter("worker_restarts", "Workers that were lost and replaced, by reason.", "reason")
        self._out_of_memory = self._counter(
            "out_of_memory", "Times that the GPU's memory ran out: when a model was loaded, or over a batch.", "at"
        )
        self._loads = self._histogram("worker_load_seconds", "From the start of a worker until it was warmed up.", LOAD_BUCKETS)
        self._state = self._gauge("model_state", "1 for the state that a model is in, 0 for the others.", "model", "state")
        self._degraded = self._gauge(
            "model_degraded", "1 while another engine or another model stands in for the configured one, else 0.", "model"
        )
        self._decode_seconds = self._histogram(
            "decode_duration_seconds", "How long decoding and finding the speech took.", DECODE_BUCKETS
        )
        self._decode_audio = self._counter("decoded_audio_seconds", "Sound that was decoded.")
        self._decode_failures = self._counter("decode_failures", "Recordings that could not be decoded, by reason.", "reason")

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", about, labels, registry=self.registry, buckets=buckets)

    def request_finished(self, route: str, code: int, seconds: float) -> None:
        """A request was answered. `route` is the template of its path, or "other"."""
        self._requests.labels(route, str(code)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def admitted(self, seconds: float) -> None:
        """A recording of so many seconds was taken on."""
        self._recordings.observe(seconds)

    def refused(self, reason: str) -> None:
        """A request was turned away before any work."""
        self._refused.labels(reason).inc()

    def queue(self, model: str, requests: int, windows: int, seconds: float) -> None:
        """How much there is to do now for a model; `seconds` are of sound."""
        self._queue_requests.labels(model).set(requests)
        self._queue_windows.labels(model).set(windows)
        self._queue_seconds.labels(model).set(seconds)

    def waited(self, seconds: float) -> None:
        """A request's first window went to the engine after so many seconds in the queue."""
        self._waits.observe(seconds)

    def batch(self, windows: int, audio_seconds: float, seconds: float) -> None:
        """The engine transcribed a batch, in so many seconds."""
        self._batch_windows.observe(windows)
        self._audio.inc(audio_seconds)
        self._batch_seconds.observe(seconds)
        if audio_seconds > 0:
            self._factors.observe(seconds / audio_seconds)

    def fallback(self, count: int) -> None:
        """So many decodings looked wrong and were done again; 0 is no event."""
        self._fallbacks.inc(count)

    def worker_started(self, load_seconds: float) -> None:
        """A worker is warmed up."""
        self._loads.observe(load_seconds)

    def worker_lost(self, reason: str) -> None:
        """A worker died or was killed, and is to be replaced. Unloading an idle one is no loss."""
        self._restarts.labels(reason).inc()

    def out_of_memory(self, at: str, times: int) -> None:
        """The GPU's memory ran out so many times, at "load" or over a "batch"."""
        self._out_of_memory.labels(at).inc(times)

    def model_offered(self, model: str) -> None:
        """There is a model of that name, one of those that the configuration names."""
        self.queue(model, 0, 0, 0.0)
        # There from the beginning, so that a rule that asks for one finds a 0 rather than nothing.
        for state in STATES:
            self._state.labels(model, state)
        self._degraded.labels(model)

    def model_withdrawn(self, model: str) -> None:
        """It is not offered any more."""
        for gauge in (self._queue_requests, self._queue_windows, self._queue_seconds, self._state, self._degraded):
            gauge.remove_by_labels({"model": model})

    def model_state(self, model: str, state: str, *, degraded: bool) -> None:
        """The model is in this state now, one of STATES, and in no other. `degraded`: something stands in for it, or for its engine."""
        self._degraded.labels(model).set(degraded)
        for known in {*STATES, state}:
            self._state.labels(model, known).set(known == state)

    def ready(self, ready: bool) -> None:
        """Whether the server takes requests, as readiness has it."""
        self._ready.set(ready)

    def decoded(self, audio_seconds: float, seconds: float) -> None:
        """A recording was decoded, in so many seconds."""
        self._decode_seconds.observe(seconds)
        self._decode_audio.inc(audio_seconds)

    def decode_failed(self, reason: str) -> None:
        """A recording could not be decoded."""
        self._decode_failures.labels(reason).inc()

    def watch_worker(self, pid: Callable[[], int | None]) -> None:
        """Show the memory and CPU time of the configured model's worker too; `pid` gives its process, or None while there is none."""
        # /proc has nothing of that name, which the collector takes for a process that has ended.
        ProcessCollector(namespace=f"{PREFIX}_worker", pid=lambda: str(pid() or "none"), registry=self.registry)

    def watch_memory(self, workers: Callable[[], Mapping[str, int]]) -> None:
        """Show the resident bytes of every worker; `workers` gives them by model."""
        self.registry.register(_Memory(workers))

    def watch_models(self, loaded: Callable[[], Iterable[Loaded]]) -> None:
        """Show which models are loaded; `loaded` gives those that are now."""
        self.registry.register(_Models(loaded))

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Everything, as text in the form that the header `Accept` asks for, and its content type."""
        try:
            encode, content_type = choose_encoder(accept)
        except (ValueError, TypeError):
            # A version that is none, which the library does not expect. Who asks for it gets what everybody can read.
            encode, content_type = choose_encoder("")
        return encode(self.registry), content_type


class _Memory(Collector):
    def __init__(self, workers: Callable[[], Mapping[str, int]]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        """Look at the workers that there are now."""
        family = GaugeMetricFamily(
            f"{PREFIX}_model_memory_bytes", "Memory of a model's worker, while it has one.", labels=["model"]
        )
        for model, size in self._workers().items():
            family.add_metric([model], size)
        yield family


class _Models(Collector):
    def __init__(self, loaded: Callable[[], Iterable[Loaded]]) -> None:
        self._loaded = loaded

    def collect(self) -> Iterator[Metric]:
        """Look at the models that are loaded now."""
        labels = ["model", "answers", "stand_in", "engine", "sha256"]
        family = GaugeMetricFamily(
            f"{PREFIX}_model_info", "1 for each model that is loaded, with what is known of it.", labels=labels
        )
        for each in self._loaded():
            family.add_metric([each.model, each.answers, str(each.stand_in).lower(), each.engine, each.sha256 or ""], 1)
        yield family
