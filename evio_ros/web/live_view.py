"""What the dashboard shows at the moment: written by a node or a player, read by the server.

A writer calls the `put_` methods from any thread; readers take the newest value of each kind and
never wait for a writer. Memory is bounded: the constants below say how much of each kind is kept.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, SensorSize

__all__ = [
    "Detection",
    "EventSample",
    "LiveView",
    "NodeReport",
    "ShownRotor",
    "StateSample",
]

_KEPT_EVENTS_US = 1_000_000
_KEPT_SAMPLES = 10_000
_KEPT_STATES = 500
_KEPT_REPORTS = 200
_SILENT_S = 10.0
"""Nodes report every second: one that has not reported for this long has ended, or hangs."""
_FORGOTTEN_S = 300.0
_SILENT = "has stopped reporting; the last was: "
_EVENTS_A_SECOND = 200_000
_RATE_SPAN_S = 2.0
_GONE_S = 2.0
"""So long after a rotor was seen last its disc is known."""
_WANTED_S = 5.0
"""So long after a request its answer is kept up to date."""


@dataclass(frozen=True, slots=True)
class ShownRotor:
    """One rotor of one window, with what fusion adds to its estimate.

    Attributes:
        estimate: speed, phase, disc and their errors.
        rpm_rate: change of the speed in turns a minute a second, 0 if not estimated.
        group: number of the vehicle whose rotors move together; 0 for a rotor by itself.
        class_id: class of the object that is seen there; empty for none.
        track_id: that object's track; empty for none.
        is_predicted: whether no measurement took part.
    """

    estimate: RotorEstimate
    rpm_rate: float = 0.0
    group: int = 0
    class_id: str = ""
    track_id: str = ""
    is_predicted: bool = False


@dataclass(frozen=True, slots=True)
class StateSample:
    """All rotors of one window.

    Attributes:
        t_us: end of the window, sensor time in µs.
        window_us: length of the window in µs.
        events: events since the window before.
        rotors: most confident first.
        stamp_s: Unix time of the window's end, or of arrival if no clock is known.
    """

    t_us: int
    window_us: int
    events: int
    rotors: tuple[ShownRotor, ...]
    stamp_s: float


@dataclass(frozen=True, slots=True, eq=False)
class EventSample:
    """A share of the events of a span of time, the same share of every part of it.

    Attributes:
        events: the events taken; at most as many as the budget allowed.
        start_us, end_us: the time that they are of, sensor time.
        share: events taken over events that came, above 0 and at most 1.
    """

    events: EventBatch
    start_us: int
    end_us: int
    share: float


@dataclass(frozen=True, slots=True)
class Detection:
    """One box of the object detector.

    Attributes:
        center: (x, y) of the box in pixels.
        size: (width, height) of the box in pixels.
        score: 0 to 1.
        class_id: class of the object.
        track_id: its track; empty for none.
    """

    center: tuple[float, float]
    size: tuple[float, float]
    score: float
    class_id: str
    track_id: str = ""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a node reports about itself.

    Attributes:
        name: node and task, "/driver: playback".
        level: "ok", "warn", "error" or "stale".
        message: one line.
        hardware_id: the device or recording.
        values: names and values as reported.
        received_s: when it came, by `time.monotonic`.
    """

    name: str
    level: str
    message: str
    hardware_id: str = "none"
    values: Mapping[str, str] = field(default_factory=dict)
    received_s: float = 0.0


class LiveView:
    """The newest of everything, with the events of the last second.

    Args:
        events_a_second: how many events of each second of sensor time are kept at most.

    Attributes:
        events_a_second: as given; writers thin to it, see `share_of`.
    """

    def __init__(self, events_a_second: int = _EVENTS_A_SECOND) -> None:
        self.events_a_second = events_a_second
        self._lock = threading.Lock()
        self._recent: deque[StateSample] = deque(maxlen=_KEPT_STATES)
        self._state_s = 0.0
        self._states = 0
        self._estimates: dict[int, tuple[float, RotorEstimate]] = {}
        self._samples: deque[EventSample] = deque(maxlen=_KEPT_SAMPLES)
        self._size: SensorSize | None = None
        self._picture: NDArray[np.uint8] | None = None
        self._pictures = 0
        self._detections: tuple[Detection, ...] = ()
        self._reports: dict[str, NodeReport] = {}
        self._viewers = {"events": 0, "picture": 0}
        self._asked_s = dict.fromkeys(self._viewers, -math.inf)
        self._arrivals: deque[tuple[float, int, int]] = deque(maxlen=1000)
        self._listeners: list[Callable[[StateSample], None]] = []

    def on_state(self, listener: Callable[[StateSample], None]) -> None:
        """Have every window passed on, in the writer's thread; the listener must not block."""
        self._listeners.append(listener)

    # What writers call.

    def put_state(self, sample: StateSample) -> None:
        """Show the rotors of a window."""
        now_s = time.monotonic()
        with self._lock:
            self._recent.append(sample)
            self._state_s = now_s
            self._states += 1
            for rotor in sample.rotors:
                # The one that was seen last is the last of all.
                self._estimates.pop(rotor.estimate.id, None)
                self._estimates[rotor.estimate.id] = (now_s, rotor.estimate)
            while now_s - next(iter(self._estimates.values()), (now_s, None))[0] > _GONE_S:
                del self._estimates[next(iter(self._estimates))]
            if self._arrivals and sample.t_us <= self._arrivals[-1][1]:
                self._arrivals.clear()  # time has gone back
            self._arrivals.append((now_s, sample.t_us, sample.events))
        for listener in self._listeners:
            listener(sample)

    def put_events(self, sample: EventSample) -> None:
        """Show events; of earlier ones, the last second is kept while time runs."""
        with self._lock:
            samples = self._samples
            if samples and sample.start_us < samples[-1].end_us:
                samples.clear()
            if self._size != sample.events.size:
                samples.clear()
                self._size = sample.events.size
            samples.append(sample)
            while samples and samples[0].end_us < sample.end_us - _KEPT_EVENTS_US:
                samples.popleft()

    def put_picture(self, picture: NDArray[np.uint8]) -> None:
        """Show a picture, uint8 (rows, columns, 3) in RGB; it must not be written to any more."""
        with self._lock:
            self._picture = picture
            self._pictures += 1

    def put_detections(self, detections: tuple[Detection, ...]) -> None:
        """Show the boxes of the newest window."""
        with self._lock:
            self._detections = detections

    def put_report(self, report: NodeReport) -> None:
        """Show how a node is doing."""
        with self._lock:
            # The one that has been silent for longest makes room.
            self._reports.pop(report.name, None)
            self._reports[report.name] = report
            if len(self._reports) > _KEPT_REPORTS:
                del self._reports[next(iter(self._reports))]

    def age_reports(self) -> None:
        """Show nodes that report no more as stale, and later no longer."""
        now_s = time.monotonic()
        with self._lock:
            for report in list(self._reports.values()):
                silent_s = now_s - report.received_s
                if silent_s > _FORGOTTEN_S:
                    del self._reports[report.name]
                elif silent_s > _SILENT_S and not report.message.startswith(_SILENT):
                    message = f"{_SILENT}{report.level}, {report.message}"
                    self._reports[report.name] = replace(report, level="stale", message=message)

    def put_size(self, size: SensorSize) -> None:
        """Tell the sensor's geometry."""
        with self._lock:
            self._size = size

    def clear(self) -> None:
        """Forget rotors, events and pictures: another recording or time begins."""
        with self._lock:
            self._picture = None
            self._recent.clear()
            self._samples.clear()
            self._detections = ()
            self._arrivals.clear()

    def is_wanted(self, what: str) -> bool:
        """Whether somebody looks at "events" or "picture"; else a writer may leave them out."""
        return self._viewers[what] > 0 or time.monotonic() - self._asked_s[what] < _WANTED_S

    # What readers call.

    @contextmanager
    def watching(self, what: str) -> Iterator[None]:
        """Within, ask writers for "events" or "picture"."""
        with self._lock:
            self._viewers[what] += 1
        try:
            yield
        finally:
            with self._lock:
                self._viewers[what] -= 1

    def ask(self, what: str) -> None:
        """Ask writers for "events" or "picture" for the next seconds."""
        self._asked_s[what] = time.monotonic()

    @property
    def state(self) -> StateSample | None:
        """The newest window; None before the first."""
        with self._lock:
            return self._recent[-1] if self._recent else None

    @property
    def states(self) -> int:
        """How many windows have come: another number means a new `state`."""
        return self._states

    def states_after(self, number: int) -> tuple[int, list[StateSample]]:
        """How many windows have come, and those after the first `number` that are still kept."""
        with self._lock:
            fresh = min(self._states - number, len(self._recent))
            recent = [self._recent[i] for i in range(-fresh, 0)] if fresh > 0 else []
            return self._states, recent

    def recent_estimate(self, rotor_id: int) -> RotorEstimate | None:
        """The newest estimate of a rotor that was in view in the last two seconds.

        Or that is in the newest window, however old that is: time may stand still. Whoever looks at
        a rotor hears a moment late that it has gone, e.g. where a recording begins anew.
        """
        with self._lock:
            seen_s, estimate = self._estimates.get(rotor_id, (-math.inf, None))
            is_fresh = time.monotonic() - seen_s < _GONE_S or seen_s == self._state_s
            return estimate if is_fresh else None

    def state_age_s(self) -> float | None:
        """How long ago the newest window came; None before the first."""
        return time.monotonic() - self._state_s if self._states else None

    @property
    def size(self) -> SensorSize | None:
        """Geometry of the sensor; None before it is known."""
        return self._size

    @property
    def picture(self) -> tuple[int, NDArray[np.uint8]] | None:
        """Number of the newest picture, and it; None before the first."""
        with self._lock:
            return None if self._picture is None else (self._pictures, self._picture)

    @property
    def detections(self) -> tuple[Detection, ...]:
        """Boxes of the newest window."""
        return self._detections

    def reports(self) -> list[NodeReport]:
        """The newest report of each node, by name."""
        with self._lock:
            return [self._reports[name] for name in sorted(self._reports)]

    def event_rate_hz(self) -> float | None:
        """Events a second of sensor time, whatever the pace of a replay; None if none came.

        Of the windows of the last seconds of the machine's time.
        """
        now_s = time.monotonic()
        with self._lock:
            recent = [entry for entry in self._arrivals if now_s - entry[0] < _RATE_SPAN_S]
        if len(recent) < 2:
            return None
        span_us = recent[-1][1] - recent[0][1]
        return 1e6 * sum(events for _, _, events in recent[1:]) / span_us

    def samples_after(self, t_us: int) -> list[EventSample]:
        """The samples that begin at or after a time, oldest first; at most those of a second."""
        with self._lock:
            return [sample for sample in self._samples if sample.start_us >= t_us]

    def newest_events_us(self) -> int | None:
        """End of the newest sample, sensor time; None if there is none."""
        with self._lock:
            return self._samples[-1].end_us if self._samples else None
