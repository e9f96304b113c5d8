"""From a stream of events or tensors, of any sensor, to the objects of its windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial

import numpy as np
from numpy.typing import NDArray

from evio_ros.detection.inference import Network
from evio_ros.detection.object_tracker import TrackingParameters
from evio_ros.errors import EventError, EvioError
from evio_ros.events import EventWindow, SensorSize
from evio_ros.object_detection import DetectedObjects, ObjectDetectionParameters, ObjectDetector
from evio_ros.windowing import WindowAssembler

__all__ = ["ObjectStream"]

_LARGEST_MISSING = 0.5
"""Share of a window of which nothing is known, above which it is skipped."""


class ObjectStream:
    """Makes a detector for the sensor that the events come from, and counts what is left out.

    Args:
        network: which is run.
        parameters, tracking: of the detectors.
        tell: called with one line if a window cannot be processed.

    Raises:
        ParameterError: if the parameters do not fit the network.
    """

    def __init__(
        self,
        network: Network,
        parameters: ObjectDetectionParameters,
        tracking: TrackingParameters,
        tell: Callable[[str], None],
    ) -> None:
        self._network = network
        self._parameters, self._tracking = parameters, tracking
        self._tell = tell
        self._counters: Counter[str] = Counter(windows_behind=0, windows_failed=0)
        size = network.configuration.input_size
        self._detector = ObjectDetector(size, network, parameters, tracking)
        # Once, so that nothing waits for what is loaded and compiled on the way.
        self._detector.process(EventWindow.of_missing(size, 0, self._detector.window_us))
        self._detector = self._made(size)
        self._windows = WindowAssembler(size, self._detector.window_us)
        self._late = 0

    def push(self, window: EventWindow, is_behind: Callable[[], bool]) -> Iterator[DetectedObjects]:
        """Add events, and give the objects of every window that they complete.

        Args:
            window: all events of a span of time.
            is_behind: called before each window; if it returns True, that window is skipped.
        """
        if not self._is_for(window.events.size):
            return
        for part in self._windows.push_window(window):
            if part.missing_us > _LARGEST_MISSING * part.length_us:
                continue  # the detector sees that time has passed, and counts it
            if is_behind():
                self._counters["windows_behind"] += 1
                continue
            yield from self._tried(partial(self._detector.process, part))

    def push_histogram(
        self, tensor: NDArray[np.uint8], start_us: int, length_us: int
    ) -> Iterator[DetectedObjects]:
        """The objects of a window whose stacked histogram was computed elsewhere.

        Args:
            tensor: uint8 (2 * bins, rows, columns) of the whole sensor.
            start_us, length_us: the window.
        """
        if tensor.ndim != len(("channels", "rows", "columns")):
            self._fail(EventError(f"a stacked histogram of shape {tensor.shape}"))
        elif length_us != self._detector.window_us:
            due_us = self._detector.window_us
            self._fail(EventError(f"a window of {length_us} us, the network takes {due_us}"))
        elif self._is_for(SensorSize(tensor.shape[2], tensor.shape[1])):
            yield from self._tried(lambda: self._detector.process_tensor(tensor, start_us))

    def values(self) -> dict[str, int]:
        """Counters since the start, by their names in a report."""
        late = self._late + self._windows.late_events
        now = Counter(asdict(self._detector.statistics))
        return {"events_dropped_late": late, **_sum(self._counters, now)}

    def _is_for(self, size: SensorSize) -> bool:
        """Whether there is a detector for a sensor; makes a new one if needed."""
        if size == self._detector.size:
            return True
        try:
            detector = self._made(size)
        except EvioError as error:
            self._fail(error)
            return False
        self._late += self._windows.late_events
        self._counters = Counter(_sum(self._counters, Counter(asdict(self._detector.statistics))))
        self._detector, self._windows = detector, WindowAssembler(size, detector.window_us)
        return True

    def _made(self, size: SensorSize) -> ObjectDetector:
        return ObjectDetector(size, self._network, self._parameters, self._tracking)

    def _tried(self, work: Callable[[], DetectedObjects]) -> Iterator[DetectedObjects]:
        try:
            yield work()
        except EvioError as error:
            self._fail(error)
            self._detector.reset()

    def _fail(self, error: EvioError) -> None:
        self._counters["windows_failed"] += 1
        self._tell(f"a window is left out: {error}")


def _sum(one: Counter[str], other: Counter[str]) -> dict[str, int]:
    return {name: one[name] + other[name] for name in {**one, **other}}
