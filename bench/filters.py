"""Speed of the event filters on one core, compared with plain numpy, in million events/s.

python bench/filters.py              random pixels, the worst case, and a simulated fan
python bench/filters.py FAN.raw      your own recording as well

The figure is the best of many batches of 100 000 events, which depends little on the machine's
load.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from evio_ros.event_filter import EventFilter, FilterParameters
from evio_ros.events import EventBatch, SensorSize
from evio_ros.simulation.presets import preset
from evio_ros.simulation.simulator import simulate
from evio_ros.sources.registry import open_recording

RUNS = 60
NUMPY_RUNS = 3
EVENTS = 100_000
TIME_US = 2000
FAN_US = 100_000


def supported_by_numpy(batch: EventBatch) -> NDArray[np.bool_]:
    """Background activity by sorting: looks up each neighbour's last event before an event."""
    number, width = np.arange(len(batch), dtype=np.int64), batch.size.width + 2
    place = (batch.y.astype(np.int64) + 1) * width + batch.x + 1
    key = place * len(batch) + number
    order = np.argsort(key)
    sorted_key, sorted_place, sorted_t = key[order], place[order], batch.t[order]
    kept = np.zeros(len(batch), np.bool_)
    for step in (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1):
        found = np.searchsorted(sorted_key, (place + step) * len(batch) + number) - 1
        is_there = (found >= 0) & (sorted_place[found] == place + step)
        kept |= is_there & (batch.t - sorted_t[found] <= TIME_US)
    return kept


def by_numpy(batch: EventBatch) -> None:
    """The numpy version, including copies of the kept events."""
    kept = supported_by_numpy(batch)
    EventBatch.trusted(
        batch.size, batch.t[kept], batch.x[kept], batch.y[kept], batch.polarity[kept]
    )


def rate_mev(work: Callable[[], object], events: int, runs: int) -> float:
    """Million events/s in the best run."""
    best_s = np.inf
    for _ in range(runs):
        started = time.perf_counter()
        work()
        best_s = min(best_s, time.perf_counter() - started)
    return events / best_s * 1e-6


def random_batch(size: SensorSize) -> EventBatch:
    """Events at random pixels, 10 M/s."""
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, EVENTS // 10, EVENTS))
    x = rng.integers(0, size.width, EVENTS).astype(np.uint16)
    y = rng.integers(0, size.height, EVENTS).astype(np.uint16)
    return EventBatch(size, t, x, y, rng.random(EVENTS) < 0.5)


def batch_of(path: str) -> EventBatch:
    """Events from the middle of a recording."""
    with open_recording(path) as source:
        source.seek((source.start_us + source.end_us) // 2)
        found, batches = 0, []
        for batch in source.batches():
            batches.append(batch)
            found += len(batch)
            if found >= EVENTS:
                break
        return EventBatch.concatenate(source.size, batches).slice(0, EVENTS)


def cases(path: str | None) -> dict[str, EventBatch]:
    """Name and events of each scene."""
    found = {"random": random_batch(SensorSize(1280, 720))}
    fan = preset("fan_constant")
    simulated = EventBatch.concatenate(fan.camera.size, simulate(fan.scene, fan.camera, FAN_US))
    found["fan"] = simulated.slice(len(simulated) - EVENTS, len(simulated))
    if path is not None:
        found[Path(path).name] = batch_of(path)
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", nargs="?")
    table = Table(title="million events a second, one core")
    for heading in ("scene", "kept", "background activity", "by numpy", "region", "all, learning"):
        table.add_column(heading, justify="right")
    for name, batch in cases(parser.parse_args().recording).items():
        region = f"8,8,{batch.size.width - 8},{batch.size.height - 8}"
        background = FilterParameters(background_activity_time_us=TIME_US)
        kept = len(EventFilter(batch.size, background).apply(batch))
        if kept != np.count_nonzero(supported_by_numpy(batch)):
            raise RuntimeError(f"{name}: the numpy version keeps other events")
        figures = (
            filter_rate(batch, background),
            rate_mev(lambda b=batch: by_numpy(b), len(batch), NUMPY_RUNS),
            filter_rate(batch, FilterParameters(region=region)),
            filter_rate(batch, background.replaced({"region": region, "hot_pixels": "learn"})),
        )
        share = f"{kept / len(batch):.0%}"
        table.add_row(name, share, *(f"{figure:.3g}" for figure in figures))
    Console().print(table)


def filter_rate(batch: EventBatch, parameters: FilterParameters) -> float:
    """Million events/s of a filter after its first batch."""
    chosen = EventFilter(batch.size, parameters)
    chosen.apply(batch)
    return rate_mev(lambda: chosen.apply(batch), len(batch), RUNS)


if __name__ == "__main__":
    main()
