"""A rotor detector that uses only classical methods: outlines, a spectral line, smoothing.

It is a baseline to compare with, and has the same interface as
`evio_ros.rotation.detector.RotationDetector`. It determines neither the sense of rotation nor the
phase.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from evio_ros.cell_counts import activity_grid
from evio_ros.crop import crop
from evio_ros.ellipse import Ellipse
from evio_ros.errors import ParameterError
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, EventWindow, RegionOfInterest, SensorSize
from evio_ros.parameters import parameter
from evio_ros.rotation.classical.outline import outlines
from evio_ros.rotation.classical.registry import CLASSICAL_METHODS
from evio_ros.rotation.classical.savitzky_golay import smoothed_speed
from evio_ros.rotation.window_parameters import WindowParameters

__all__ = ["ClassicalDetector", "ClassicalDetectorParameters", "events_of_disc"]

_KEPT_SPEEDS = 64
"""Number of a rotor's speeds kept for smoothing and for their scatter."""
_SAME_RADIUS = 0.5
"""An outline belongs to a rotor if their centres are closer than this share of the outline's longer
semi-axis."""
_UNKNOWN_ANGLE_STD_RAD = math.pi / math.sqrt(3)
"""Standard deviation of an unknown angle: that of a uniform distribution over a turn."""
_CONFIDENCE = 0.5
"""Confidence of every estimate: the classical methods provide none."""


@dataclass(frozen=True)
class ClassicalDetectorParameters(WindowParameters):
    """Parameters of the classical detector."""

    method: str = parameter(
        "welch", choices=tuple(CLASSICAL_METHODS), doc="How the blade-pass frequency is found."
    )
    blades: int = parameter(
        0, minimum=0, maximum=64, doc="Blade count of every rotor; with 0, rpm counts blade passes."
    )
    maximum_rotors: int = parameter(
        4, minimum=1, maximum=64, doc="Maximum number of outlines measured, the largest first."
    )
    smoothing_windows: int = parameter(
        1,
        minimum=1,
        maximum=_KEPT_SPEEDS - 1,
        doc="Number of speeds smoothed together, odd; 1 for no smoothing.",
    )

    def check_together(self) -> None:
        """Check that the window is a whole number of steps and the smoothing window is odd."""
        super().check_together()
        if self.smoothing_windows % 2 == 0:
            raise ParameterError(f"smoothing_windows: {self.smoothing_windows} is not odd")


@dataclass(slots=True)
class _Track:
    """One rotor over time.

    Attributes:
        identity: its number.
        ellipse: its latest outline.
        seen_us: sensor time of its latest estimate.
        turns: turns since the first estimate.
        rpm: latest speeds before smoothing.
    """

    identity: int
    ellipse: Ellipse
    seen_us: int
    turns: float = 0.0
    rpm: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_SPEEDS))


class ClassicalDetector:
    """Finds regions by the edges and contours of their events, and measures each over a window.

    Args:
        size: geometry of the sensor.
        parameters: method, window and limits.
    """

    def __init__(
        self, size: SensorSize, parameters: ClassicalDetectorParameters | None = None
    ) -> None:
        self.size = size
        self.parameters = parameters or ClassicalDetectorParameters()
        self._identities = itertools.count()
        self.reset()

    def reset(self) -> None:
        """Forget all events and rotors; identities continue to count up."""
        steps = self.parameters.window_us // self.parameters.step_us
        self._recent: deque[EventWindow] = deque(maxlen=steps)
        self._tracks: list[_Track] = []

    def process(self, window: EventWindow) -> list[RotorEstimate]:
        """Process the next `step_us` of events and measure every region over the last `window_us`.

        Args:
            window: events of one step; after a gap or a step back in time, the detector is reset.

        Returns:
            One estimate for each region with a blade-pass frequency, the largest first. Speeds are
            positive: the sense of rotation is not known.

        Raises:
            EvioError: where OpenCV is not installed.
        """
        if self._recent and window.start_us != self._recent[-1].end_us:
            self.reset()
        self._recent.append(window)
        if len(self._recent) < (self._recent.maxlen or 1):
            return []
        events = EventBatch.concatenate(self.size, [step.events for step in self._recent])
        start_us = self._recent[0].start_us
        estimates = []
        for ellipse in outlines(activity_grid(events, 1))[: self.parameters.maximum_rotors]:
            region = events_of_disc(events, ellipse)
            rpm = self._speed(region, start_us)
            if rpm is not None:
                estimates.append(self._estimate(ellipse, rpm, window.end_us, len(region)))
        limit_us = window.end_us - 2 * self.parameters.window_us
        self._tracks = [track for track in self._tracks if track.seen_us >= limit_us]
        return estimates

    def _speed(self, region: EventBatch, start_us: int) -> float | None:
        """Speed in rpm over the window that starts at `start_us`; None if there is no line."""
        p = self.parameters
        frequency_hz = CLASSICAL_METHODS[p.method](region, start_us, p.window_us, p.blades)
        return None if frequency_hz is None else 60 * frequency_hz / max(p.blades, 1)

    def _estimate(self, ellipse: Ellipse, rpm: float, end_us: int, events: int) -> RotorEstimate:
        """Add a speed to the track of its rotor, and make the estimate."""
        p = self.parameters
        track = self._track_at(ellipse, end_us)
        track.rpm.append(rpm)
        track.turns += rpm / 60e6 * (end_us - track.seen_us)
        track.ellipse, track.seen_us = ellipse, end_us
        if 1 < p.smoothing_windows <= len(track.rpm):
            recent = list(track.rpm)[-p.smoothing_windows :]
            rpm = float(smoothed_speed(recent, p.step_us, p.smoothing_windows, 2)[0][-1])
        return RotorEstimate(
            id=track.identity,
            t_us=end_us,
            window_us=p.window_us,
            rpm=rpm,
            rpm_std=self._spread(track),
            blade_count=p.blades,
            angle_rad=0.0,
            angle_std_rad=_UNKNOWN_ANGLE_STD_RAD,
            turns=track.turns,
            center=ellipse.center,
            axes=ellipse.axes,
            tilt_rad=ellipse.tilt_rad,
            velocity=(0.0, 0.0),
            confidence=_CONFIDENCE,
            events=events,
        )

    def _track_at(self, ellipse: Ellipse, end_us: int) -> _Track:
        """The rotor that was last seen within this outline, or a new one."""
        for track in self._tracks:
            if math.dist(track.ellipse.center, ellipse.center) < _SAME_RADIUS * ellipse.axes[0]:
                return track
        track = _Track(next(self._identities), ellipse, end_us)
        self._tracks.append(track)
        return track

    def _spread(self, track: _Track) -> float:
        """Standard deviation in rpm of the speeds about straight lines.

        With fewer than three speeds, it is the resolution of a spectrum over the window.
        """
        if len(track.rpm) < 3:
            return 60e6 / (self.parameters.window_us * max(self.parameters.blades, 1))
        # The second difference of independent values has six times their variance.
        bends = np.diff(np.array(track.rpm), 2)
        return max(float(np.sqrt(np.mean(bends**2) / 6)), 1e-9 * track.rpm[-1])


def events_of_disc(events: EventBatch, ellipse: Ellipse) -> EventBatch:
    """The events in the upright bounding box of a disc, which the classical methods use."""
    return crop(events, region_box(ellipse, events.size))


def region_box(ellipse: Ellipse, size: SensorSize) -> RegionOfInterest:
    """The upright bounding box of an ellipse, clipped to the sensor; at least one pixel."""
    half_width, half_height = ellipse.half_extent()
    x, y = ellipse.center
    x0 = int(np.clip(x - half_width, 0, size.width - 1))
    y0 = int(np.clip(y - half_height, 0, size.height - 1))
    x1 = int(np.clip(x + half_width + 1, x0 + 1, size.width))
    y1 = int(np.clip(y + half_height + 1, y0 + 1, size.height))
    return RegionOfInterest(x0, y0, x1, y1)
