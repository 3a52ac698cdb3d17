import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hailo_whisper import __version__
from hailo_whisper.engines.status import State
from hailo_whisper.service.metrics import STATES, Loaded, Metrics


def values(metrics: Metrics) -> dict[str, float]:
    """Every sample of the exposition, by its name and labels as they are written there."""
    text = metrics.exposition()[0].decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


EVENTS: list[tuple[Callable[[Metrics], None], dict[str, float]]] = [
    (lambda metrics: metrics.out_of_memory("batch", 2), {"out_of_memory_total{at=batch}": 2}),
    (
        lambda metrics: metrics.request_finished("/v1/audio/transcriptions", 429, 0.25),
        {
            "requests_total{code=429,route=/v1/audio/transcriptions}": 1,
            "request_duration_seconds_sum{route=/v1/audio/transcriptions}": 0.25,
            "request_duration_seconds_bucket{le=0.2,route=/v1/audio/transcriptions}": 0,
            "request_duration_seconds_bucket{le=0.3,route=/v1/audio/transcriptions}": 1,
        },
    ),
    (lambda metrics: metrics.admitted(7.5), {"recording_duration_seconds_sum": 7.5, "recording_duration_seconds_count": 1}),
    (lambda metrics: metrics.refused("full"), {"requests_refused_total{reason=full}": 1}),
    (
        lambda metrics: metrics.queue("base", 3, 40, 1200.5),
        {"queue_requests{model=base}": 3, "queue_windows{model=base}": 40, "queue_audio_seconds{model=base}": 1200.5},
    ),
    (lambda metrics: metrics.waited(0.75), {"queue_wait_seconds_sum": 0.75, "queue_wait_seconds_count": 1}),
    (
        lambda metrics: metrics.batch(4, 80.0, 2.0),
        {
            "batch_windows_sum": 4,
            "batch_duration_seconds_sum": 2.0,
            "audio_seconds_total": 80.0,
            "real_time_factor_sum": 0.025,
            "real_time_factor_count": 1,
        },
    ),
    (lambda metrics: metrics.batch(1, 0.0, 0.5), {"batch_duration_seconds_count": 1, "real_time_factor_count": 0}),
    (lambda metrics: metrics.fallback(2), {"fallbacks_total": 2}),
    (lambda metrics: metrics.fallback(0), {"fallbacks_total": 0}),
    (lambda metrics: metrics.worker_started(1.5), {"worker_load_seconds_sum": 1.5, "worker_load_seconds_count": 1}),
    (lambda metrics: metrics.worker_lost("timeout"), {"worker_restarts_total{reason=timeout}": 1}),
    (lambda metrics: metrics.ready(True), {"ready": 1}),
    (lambda metrics: metrics.ready(False), {"ready": 0}),
    (lambda metrics: metrics.decoded(5.5, 0.03), {"decode_duration_seconds_sum": 0.03, "decoded_audio_seconds_total": 5.5}),
    (lambda metrics: metrics.decode_failed("crashed"), {"decode_failures_total{reason=crashed}": 1}),
]


@pytest.mark.parametrize(("event", "expected"), EVENTS)
def test_an_event_shows(event: Callable[[Metrics], None], expected: dict[str, float]) -> None:
    metrics = Metrics()
    event(metrics)
    found = values(metrics)
    assert {name: found[f"hailo_whisper_{name}"] for name in expected} == expected


def test_events_add_up_and_the_queue_does_not() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.request_finished("/health", 200, 0.001)
        metrics.queue("base", 5, 5, 5)
    found = values(metrics)
    assert found["hailo_whisper_requests_total{code=200,route=/health}"] == 3
    assert found["hailo_whisper_queue_requests{model=base}"] == 5


def test_a_model_is_in_one_state() -> None:
    metrics = Metrics()
    metrics.model_state("small", "unloaded", degraded=False)
    for state in ("loading", "ready", "failed", "ready"):
        metrics.model_state("base", state, degraded=state == "ready")
        found = values(metrics)
        for model, now in (("base", state), ("small", "unloaded")):
            assert {known for known in STATES if found[f"hailo_whisper_model_state{{model={model},state={known}}}"]} == {now}
            assert found[f"hailo_whisper_model_degraded{{model={model}}}"] == (now == "ready")


def test_every_state_is_there_from_the_beginning_and_none_after_the_end() -> None:
    metrics = Metrics()
    for model in ("base", "small"):
        metrics.model_offered(model)
    metrics.model_withdrawn("small")
    found = values(metrics)
    assert [found[f"hailo_whisper_model_state{{model=base,state={state}}}"] for state in State] == [0] * len(State)
    assert found["hailo_whisper_queue_windows{model=base}"] == 0
    assert not [name for name in found if "small" in name]
    metrics.model_withdrawn("nonesuch")


def test_the_memory_of_every_worker_is_told() -> None:
    metrics = Metrics()
    workers = {"base": 1, "small": 2}
    metrics.watch_memory(lambda: workers)
    assert values(metrics)["hailo_whisper_model_memory_bytes{model=small}"] == 2
    del workers["small"]
    found = values(metrics)
    assert found["hailo_whisper_model_memory_bytes{model=base}"] == 1
    assert "hailo_whisper_model_memory_bytes{model=small}" not in found


def test_the_models_that_are_loaded_are_told() -> None:
    metrics = Metrics()
    loaded = [Loaded("turbo", "large-v3-turbo", False, "ctranslate2", "abc")]
    metrics.watch_models(lambda: loaded)
    told = "hailo_whisper_model_info{answers=%s,engine=%s,model=turbo,sha256=%s,stand_in=%s}"
    first = told % ("large-v3-turbo", "ctranslate2", "abc", "false")
    assert values(metrics)[first] == 1
    loaded[:] = [Loaded("turbo", "tiny", True, "hailo", None)]
    found = values(metrics)
    assert first not in found
    assert found[told % ("tiny", "hailo", "", "true")] == 1


def test_two_do_not_share_anything() -> None:
    one, other = Metrics(), Metrics()
    one.fallback(1)
    assert values(other)["hailo_whisper_fallbacks_total"] == 0


def test_the_version_and_the_process_are_told() -> None:
    found = values(Metrics())
    assert found[f"hailo_whisper_build_info{{version={__version__}}}"] == 1
    assert found["process_resident_memory_bytes"] > 1e6


def test_the_worker_is_watched_while_there_is_one() -> None:
    metrics = Metrics()
    worker: int | None = None
    metrics.watch_worker(lambda: worker)
    name = "hailo_whisper_worker_process_resident_memory_bytes"
    assert name not in values(metrics)
    worker = os.getpid()
    assert values(metrics)[name] > 1e6


def test_a_worker_that_has_just_ended_is_left_out() -> None:
    metrics = Metrics()
    metrics.watch_worker(lambda: 2**22 + 1)
    assert "hailo_whisper_worker_process_resident_memory_bytes" not in values(metrics)


def test_a_label_cannot_break_the_lines() -> None:
    metrics = Metrics()
    metrics.decode_failed('a "quote"\nand a line')
    assert values(metrics)['hailo_whisper_decode_failures_total{reason=a "quote"\nand a line}'] == 1


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("text/plain; version=x", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=1.", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_form_is_the_one_that_was_asked_for(accept: str, content_type: str) -> None:
    assert Metrics().exposition(accept)[1].startswith(content_type)


def test_the_table_of_the_manual_is_complete() -> None:
    metrics = Metrics()
    for event, _ in EVENTS:
        event(metrics)
    metrics.model_state("base", "ready", degraded=False)
    metrics.watch_memory(lambda: {"base": 1})
    metrics.watch_models(lambda: [Loaded("base", "base", False, "ctranslate2", None)])
    there = set()
    for family in text_string_to_metric_families(metrics.exposition()[0].decode()):
        if family.name.startswith("hailo_whisper_"):
            labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
            there.add((family.name + ("_total" if family.type == "counter" else ""), family.type, *labels))
    manual = (Path(__file__).parents[4] / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(hailo_whisper_\w+)` \| (\w+) \|(.*?)\| \S.* \|$", manual, re.MULTILINE)
    assert {(name, kind, *sorted(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows} == there
