"""Scaling of the detector's cost with events, rotors and resolution.

All cases are made from one recording of a fan: its events are thinned or repeated, copied to other
places or put on another sensor, so that only one quantity changes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from evio_ros.events import EventBatch, SensorSize
from evio_ros.playback.simulated_recording import cached_recording
from evio_ros.rotation.detector import RotationDetector
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.sources.registry import open_source
from evio_ros.windowing import windows

SPAN_US = 1_000_000
LOCKED_US = 400_000
STEP_US = 50_000
SIZE = SensorSize(1280, 720)


@dataclass(frozen=True)
class Cost:
    """Cost of one case while its rotors are tracked.

    Attributes:
        case: name of the case.
        events_mev: million events per second.
        rotors: number of rotors found.
        cpu_s: processor time per second.
    """

    case: str
    events_mev: float
    rotors: int
    cpu_s: float


def measure_scaling() -> list[Cost]:
    """Measure all cases in one run, for comparison."""
    fan = _fan()
    _cost("warm up", fan)
    costs = [
        _cost(f"events x {factor:g}", _repeated(fan, factor)) for factor in (0.25, 0.5, 1, 2, 4)
    ]
    costs += [_cost(f"{count} rotors", _side_by_side(fan, count)) for count in (1, 2, 4, 8)]
    for size in (SensorSize(320, 240), SensorSize(640, 480), SIZE, SensorSize(2560, 1440)):
        costs.append(_cost(str(size), _on(fan, size)))
    return costs


def scaling_table(costs: list[Cost]) -> Table:
    """The costs of all cases."""
    table = Table(title="cost of one second with the rotors locked")
    for name in ("case", "events", "rotors found", "CPU time", "Mev/s"):
        table.add_column(name, justify="left" if name == "case" else "right")
    for cost in costs:
        table.add_row(
            cost.case,
            f"{cost.events_mev:.2f} M",
            str(cost.rotors),
            f"{1e3 * cost.cpu_s:.0f} ms",
            f"{cost.events_mev / cost.cpu_s:.1f}",
        )
    return table


def _fan() -> EventBatch:
    """The events near the fan."""
    with open_source(str(cached_recording("fan_constant"))) as source:
        events = EventBatch.concatenate(source.size, source.batches())
    near = np.hypot(events.x - 640.0, events.y - 360.0) < 90
    kept = events.between(0, SPAN_US), near[: len(events.between(0, SPAN_US))]
    return _chosen(*kept, dx=-520, dy=-260)


def _chosen(events: EventBatch, keep: np.ndarray, dx: int = 0, dy: int = 0) -> EventBatch:
    return EventBatch(
        SIZE,
        events.t[keep],
        (events.x[keep].astype(np.int64) + dx).astype(np.uint16),
        (events.y[keep].astype(np.int64) + dy).astype(np.uint16),
        events.polarity[keep],
    )


def _repeated(events: EventBatch, factor: float) -> EventBatch:
    """Each event `factor` times; if below 1, a random share of the events."""
    if factor < 1:
        return _chosen(events, np.random.default_rng(0).random(len(events)) < factor)
    times = np.repeat(np.arange(len(events)), int(factor))
    return EventBatch(
        SIZE, events.t[times], events.x[times], events.y[times], events.polarity[times]
    )


def _side_by_side(events: EventBatch, count: int) -> EventBatch:
    parts = [((i % 4) * 200, (i // 4) * 250) for i in range(count)]
    t = np.concatenate([events.t] * count)
    x = np.concatenate([events.x.astype(np.int64) + dx for dx, _ in parts])
    y = np.concatenate([events.y.astype(np.int64) + dy for _, dy in parts])
    order = np.argsort(t, kind="stable")
    return EventBatch(
        SIZE,
        t[order],
        x[order].astype(np.uint16),
        y[order].astype(np.uint16),
        np.concatenate([events.polarity] * count)[order],
    )


def _on(events: EventBatch, size: SensorSize) -> EventBatch:
    return EventBatch(size, events.t, events.x, events.y, events.polarity)


def _cost(case: str, events: EventBatch) -> Cost:
    detector = RotationDetector(
        events.size, RotationDetectorParameters(window_us=2 * STEP_US, step_us=STEP_US)
    )
    cpu_s, count, found = 0.0, 0, 0
    for window in windows([events], events.size, STEP_US, 0, SPAN_US):
        started = time.process_time()
        estimates = detector.process(window)
        if window.start_us >= LOCKED_US:
            cpu_s += time.process_time() - started
            count += len(window.events)
            found = len(estimates)
    scale = SPAN_US / (SPAN_US - LOCKED_US)
    return Cost(case, 1e-6 * scale * count, found, scale * cpu_s)
