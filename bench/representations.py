"""Speed of the representations on one core, compared with evlib, a plain loop and memory.

Events are uniform over pixels and time, the worst case for caches. Times are CPU times of this
thread; every line is measured alternately with its rivals. The last column is the rate of bytes
that must at least be read or written (events in, tensor out), relative to the rate at which this
machine copies memory.

    python bench/representations.py [--repeat 9] [--no-evlib]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit

from evio_ros.crop import crop
from evio_ros.events import EventBatch, RegionOfInterest, SensorSize
from evio_ros.representations.base import Representation
from evio_ros.representations.mixed_density import MixedDensity
from evio_ros.representations.stacked_histogram import StackedHistogram, StackedHistogramParameters
from evio_ros.representations.time_surface import TimeSurface
from evio_ros.representations.voxel_grid import VoxelGrid, VoxelGridParameters

Work = Callable[[], object]
LARGE, SMALL = SensorSize(1280, 720), SensorSize(640, 360)


@dataclass
class Line:
    """One row of the table.

    Attributes:
        name: description of the work.
        ours, plain, evlib: our implementation and those of the rivals; None if there is none.
        bytes: least number of bytes read or written.
        goal_ms: required time; None if there is none.
    """

    name: str
    ours: Work
    plain: Work | None
    evlib: Work | None
    bytes: int
    goal_ms: float | None


def random_events(size: SensorSize, count: int, length_us: int) -> EventBatch:
    """Events uniform over pixels and time."""
    rng = np.random.default_rng(0)
    return EventBatch(
        size,
        np.sort(rng.integers(0, length_us, count)),
        rng.integers(0, size.width, count).astype(np.uint16),
        rng.integers(0, size.height, count).astype(np.uint16),
        rng.random(count) < 0.5,
    )


def made(representation: Representation, events: EventBatch, length_us: int) -> tuple[Work, int]:
    """The work of writing a representation to allocated memory, and its least number of bytes."""
    out = np.zeros(representation.shape, representation.dtype)
    start_us = 0

    def work() -> None:
        nonlocal start_us
        # Kinds with a memory require increasing time.
        later = EventBatch.trusted(
            events.size, events.t + start_us, events.x, events.y, events.polarity
        )
        clock.start()
        representation.begin(start_us, length_us)
        representation.push(later)
        representation.read(out)
        start_us += length_us

    return work, out.nbytes + bytes_of(events)


def bytes_of(events: EventBatch) -> int:
    """Bytes of the columns."""
    return sum(c.nbytes for c in (events.t, events.x, events.y, events.polarity))


class Clock:
    """CPU time of this thread, which a piece of work can restart after its preparations."""

    def start(self) -> None:
        """Start measuring."""
        self.started_s = time.thread_time()

    def time_of(self, work: Work) -> float:
        """Milliseconds of a piece of work."""
        self.start()
        work()
        return 1e3 * (time.thread_time() - self.started_s)


clock = Clock()


@njit(cache=True)
def plain_histogram(t, x, y, polarity, out):
    """The loop that one writes first."""
    out[:] = 0
    bins = out.shape[0] // 2
    span = max(t[-1] - t[0], 1)
    for i in range(t.size):
        channel = polarity[i] * bins + min((t[i] - t[0]) * bins // span, bins - 1)
        if out[channel, y[i], x[i]] < 10:
            out[channel, y[i], x[i]] += 1


@njit(cache=True)
def plain_counts(t, x, y, out):
    """The loop that one writes first."""
    out[:] = 0
    bins = out.shape[0]
    span = max(t[-1] - t[0], 1)
    for i in range(t.size):
        out[min((t[i] - t[0]) * bins // span, bins - 1), y[i], x[i]] += 1


@njit(cache=True)
def plain_weights(t, x, y, polarity, out):
    """The loop that one writes first."""
    out[:] = 0
    bins = out.shape[0]
    span = max(t[-1] - t[0], 1)
    for i in range(t.size):
        place = (t[i] - t[0]) * (bins - 1) / span
        left = int(place)
        sign = 1.0 if polarity[i] else -1.0
        out[left, y[i], x[i]] += sign * (1.0 - (place - left))
        if left + 1 < bins:
            out[left + 1, y[i], x[i]] += sign * (place - left)


@njit(cache=True)
def plain_surface(t, x, y, polarity, end, last, out):
    """The loop that one writes first."""
    for i in range(t.size):
        last[np.int64(polarity[i]), y[i], x[i]] = t[i]
    for p in range(2):
        for row in range(out.shape[1]):
            for column in range(out.shape[2]):
                out[p, row, column] = np.exp(-(end - last[p, row, column]) / 50_000.0)


@njit(cache=True)
def plain_stack(t, x, y, polarity, out):
    """The loop that one writes first."""
    out[:] = 0
    span = max(t[-1] - t[0], 1)
    for i in range(t.size):
        for k in range(out.shape[0]):
            if ((t[i] - t[0]) << k) < span * ((1 << k) - 1):
                break
            out[k, y[i], x[i]] += 2 * polarity[i] - 1


def lines(with_evlib: bool) -> Iterator[Line]:
    """The rows of the table, generated in turn so that memory is freed in between."""
    yield from histogram_lines(with_evlib)
    yield from voxel_lines(with_evlib)
    yield from surface_lines(with_evlib)
    yield from region_lines()


def histogram_lines(with_evlib: bool) -> Iterator[Line]:
    """Stacked histograms of 50 ms at 20 Mev/s."""
    for size, downsample, goal_ms in ((LARGE, 1, 10.0), (LARGE, 2, 5.0), (SMALL, 1, 5.0)):
        events = random_events(size, 1_000_000, 50_000)
        parameters = StackedHistogramParameters(downsample=downsample)
        representation = StackedHistogram(size, parameters)
        ours, touched = made(representation, events, 50_000)
        columns = (events.t, events.x, events.y, events.polarity)
        plain = np.zeros((20, size.height, size.width), np.uint8)
        _, rows, across = representation.shape
        yield Line(
            f"stacked histogram, 1 M events, {across}x{rows}"
            + (f" of {size}" if downsample == 2 else ""),
            ours,
            (lambda c=columns, p=plain: plain_histogram(*c, p)) if downsample == 1 else None,
            evlib_histogram(events, downsample) if with_evlib else None,
            touched,
            goal_ms,
        )


def voxel_lines(with_evlib: bool) -> Iterator[Line]:
    """Voxel grids of 10 million events and 50 bins."""
    events = random_events(LARGE, 10_000_000, 1_000_000)
    columns = (events.t, events.x, events.y)
    for weighting, goal_ms in (("count", 45.0), ("bilinear", None)):
        grid = VoxelGrid(LARGE, VoxelGridParameters(bins=50, weighting=weighting))
        ours, touched = made(grid, events, 1_000_000)
        plain = np.zeros(grid.shape, grid.dtype)
        evlib = None
        if weighting == "count":
            rival = lambda p=plain: plain_counts(*columns, p)  # noqa: E731
        else:
            rival = lambda p=plain: plain_weights(*columns, events.polarity, p)  # noqa: E731
            evlib = evlib_call("create_voxel_grid", events, 50) if with_evlib else None
        name = f"voxel grid, {weighting}, 10 M events, {LARGE}x50"
        yield Line(name, ours, rival, evlib, touched, goal_ms)


def surface_lines(with_evlib: bool) -> Iterator[Line]:
    """Time surface and mixed density of 1 million events."""
    events = random_events(LARGE, 1_000_000, 50_000)
    columns = (events.t, events.x, events.y, events.polarity)
    last = np.full((2, LARGE.height, LARGE.width), -(1 << 40))
    surface, stack = TimeSurface(LARGE), MixedDensity(LARGE)
    out, stacked = np.zeros(surface.shape, np.float32), np.zeros(stack.shape, np.int16)
    ours, touched = made(surface, events, 50_000)
    yield Line(
        f"time surface, 1 M events, {LARGE}",
        ours,
        lambda: plain_surface(*columns, 50_000, last, out),
        evlib_call("create_time_surface", events, 50_000.0, 50_000.0) if with_evlib else None,
        touched + last.nbytes,
        10.0,
    )
    ours, touched = made(stack, events, 50_000)
    yield Line(
        f"mixed density, 1 M events, {LARGE}, 10 stacks",
        ours,
        lambda: plain_stack(*columns, stacked),
        evlib_call("create_mixed_density_stack", events) if with_evlib else None,
        touched,
        10.0,
    )


def region_lines() -> Iterator[Line]:
    """The events inside a region; the rival is a numpy mask."""
    events = random_events(LARGE, 10_000_000, 1_000_000)

    def masked(region: RegionOfInterest) -> tuple[np.ndarray, ...]:
        keep = (events.x >= region.x0) & (events.x < region.x1)
        keep &= (events.y >= region.y0) & (events.y < region.y1)
        return tuple(c[keep] for c in (events.t, events.x, events.y, events.polarity))

    for name, region in (
        ("120x120 px", RegionOfInterest(500, 300, 620, 420)),
        ("320x180 px", RegionOfInterest(320, 180, 640, 360)),
        ("640x360 px", RegionOfInterest(320, 180, 960, 540)),
    ):
        kept = len(crop(events, region))
        touched = bytes_of(events) * (1 + kept / len(events))
        yield Line(
            f"region filter, 10 M events, {name} ({kept / len(events):.0%} kept)",
            lambda region=region: crop(events, region),
            lambda region=region: masked(region),
            None,
            round(touched),
            15.0,
        )


def evlib_histogram(events: EventBatch, downsample: int) -> Work:
    """The dense kernel of evlib; the columns are converted beforehand."""
    import evlib

    size = events.size
    columns = [c.astype(np.int64) for c in (events.t, events.x, events.y, events.polarity)]
    maps = []
    for side in (size.height, size.width):
        index = np.full(side, -1, np.int64)
        kept = np.arange(side)[downsample // 2 :: downsample]
        index[kept] = np.arange(len(kept))
        maps.append(index)
    shape = (size.height // downsample, size.width // downsample)
    kernel = evlib.representations_rs.stacked_histogram_dense
    return lambda: kernel(*columns, np.array([50_000]), 50_000, 10, 10, *maps, *shape)


def evlib_call(name: str, events: EventBatch, *arguments: float) -> Work:
    """A function of evlib that returns a long frame, which is not converted to a dense one."""
    import evlib
    import polars

    frame = polars.DataFrame(
        {
            "t": events.t,
            "x": events.x.astype(np.int16),
            "y": events.y.astype(np.int16),
            "polarity": np.where(events.polarity, 1, -1).astype(np.int8),
        }
    )
    function = getattr(evlib, name)
    return lambda: function(frame, events.size.height, events.size.width, *arguments)


def measure(line: Line, repeat: int) -> dict[str, list[float]]:
    """CPU times in ms of ours and the rivals, alternately; of evlib fewer times."""
    works = {"ours": line.ours, "plain": line.plain, "evlib": line.evlib}
    times: dict[str, list[float]] = {name: [] for name, work in works.items() if work}
    for round_ in range(repeat + 1):
        for name in times:
            if name == "evlib" and round_ > 3:
                continue
            work = works[name]
            assert work is not None
            took_ms = process_ms(work) if name == "evlib" else clock.time_of(work)
            if round_:
                times[name].append(took_ms)
    return times


def process_ms(work: Work) -> float:
    """CPU time in ms of all threads, as evlib uses its own."""
    started_s = time.process_time()
    work()
    return 1e3 * (time.process_time() - started_s)


def copied_bytes_per_s(repeat: int) -> float:
    """Bytes read and written per second by numpy's copy of 92 MB."""
    source, target = (np.zeros((50, LARGE.height, LARGE.width), np.int16) for _ in range(2))
    source[:] = target[:] = 1
    times = [clock.time_of(lambda: np.copyto(target, source)) for _ in range(repeat)]
    return 2 * source.nbytes / (statistics.median(times) * 1e-3)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--no-evlib", action="store_true")
    chosen = parser.parse_args()
    # Before evlib and Polars are imported: they must use one core too.
    for variable in ("POLARS_MAX_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    with_evlib = not chosen.no_evlib and importlib.util.find_spec("evlib") is not None
    if not with_evlib:
        print("without evlib (pip install .[reference])")
    copy = copied_bytes_per_s(chosen.repeat)
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, one used; medians of {chosen.repeat}")
    print(f"memory copy: {copy * 1e-9:.1f} GB/s read and written\n")
    print("| work | goal ms | ours ms (least) | plain loop ms | evlib ms | share of copy |")
    print("|---|---|---|---|---|---|")
    for line in lines(with_evlib):
        times = measure(line, chosen.repeat)
        median = {name: statistics.median(values) for name, values in times.items()}
        share = line.bytes / (median["ours"] * 1e-3) / copy
        rivals = [
            f"{median[name]:.0f} ({median[name] / median['ours']:.1f}x)" if name in median else ""
            for name in ("plain", "evlib")
        ]
        goal = "" if line.goal_ms is None else f"{line.goal_ms:g}"
        ours = f"{median['ours']:.1f} ({min(times['ours']):.1f})"
        print(f"| {line.name} | {goal} | {ours} | {' | '.join(rivals)} | {share:.0%} |", flush=True)


if __name__ == "__main__":
    main()
