"""Tracking boxes over time: norfair, with a motion model in sensor time.

norfair counts frames. Windows may be skipped while sensor time goes on, so filters predict over the
elapsed time: constant velocity with white acceleration noise (Bar-Shalom, Li and Kirubarajan,
"Estimation with Applications to Tracking and Navigation", 2001, section 6.2.2). Boxes of different
classes are never one. A track needs one probable box to begin and goes on with less probable ones
(Zhang et al., "ByteTrack", ECCV 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evio_ros.detection.boxes import Boxes, overlaps
from evio_ros.errors import ParameterError
from evio_ros.parameters import Parameters, parameter

if TYPE_CHECKING:
    from filterpy.kalman import KalmanFilter
    from norfair.tracker import TrackedObject

__all__ = ["ObjectTracker", "Track", "TrackingParameters"]

_Real = NDArray[np.float64]

_CORNERS = 4
_LARGEST_STD_PX_S = 2000.0
"""Standard deviation of the velocity of what was just seen for the first time."""
_LEAST_SIDE_PX = 1.0


@dataclass(frozen=True)
class TrackingParameters(Parameters):
    """How boxes are joined to form tracks."""

    distance: str = parameter(
        "overlap",
        choices=("center", "overlap"),
        read_only=True,
        doc="How boxes are matched to tracks: by overlap, or by the distance of the centres "
        "relative to the box's size.",
    )
    maximum_distance: float = parameter(
        0.8,
        minimum=0.0,
        maximum=100.0,
        read_only=True,
        doc="Boxes farther than this from a track's prediction do not match it; for overlap, the "
        "distance is 1 - intersection over union.",
    )
    appearance_distance: float = parameter(
        0.0,
        minimum=0.0,
        maximum=2.0,
        read_only=True,
        doc="A new track takes over the identity of a lost one if their appearance, the "
        "network's own features, differs by less than this (1 - cosine); 0 disables this.",
    )
    windows_to_begin: int = parameter(
        3,
        minimum=1,
        maximum=100,
        read_only=True,
        doc="Number of windows that must see an object before its track begins.",
    )
    score_to_begin: float = parameter(
        0.65,
        minimum=0.0,
        maximum=1.0,
        read_only=True,
        doc="One box of a track must be as probable as this; others keep it alive.",
    )
    windows_to_end: int = parameter(
        10,
        minimum=1,
        maximum=1000,
        read_only=True,
        doc="A track ends after this many windows have missed it.",
    )
    windows_to_forget: int = parameter(
        60,
        minimum=1,
        maximum=10_000,
        read_only=True,
        doc="Number of windows for which a lost track can be found again by its appearance.",
    )
    box_std_px: float = parameter(
        3.0,
        unit="px",
        minimum=0.01,
        read_only=True,
        doc="Standard deviation of a box's corners.",
    )
    acceleration_px_s2: float = parameter(
        500.0,
        unit="px/s^2",
        minimum=0.0,
        read_only=True,
        doc="Standard deviation of the acceleration of a box's corners.",
    )


@dataclass(frozen=True, slots=True)
class Track:
    """A tracked object.

    Attributes:
        id: its number, from 1, kept from window to window.
        corners: float64 (4,): filtered x0, y0, x1, y1 in pixels.
        velocity: float64 (2,): velocity of the centre, px/s.
        score: score of the last box.
        label: number of the class.
        seen_us: sensor time of the last box in µs.
        is_seen: whether the last box is of this window; else the track is predicted.
    """

    id: int
    corners: _Real
    velocity: _Real
    score: float
    label: int
    seen_us: int
    is_seen: bool


class ObjectTracker:
    """Joins boxes to tracks, one moment after the other.

    Args:
        parameters: how boxes are joined.

    Raises:
        ParameterError: if norfair is missing.
    """

    def __init__(self, parameters: TrackingParameters | None = None) -> None:
        self.parameters = parameters or TrackingParameters()
        self._clock = _Clock()
        self._tracker = self._make_tracker()
        self._t_us: int | None = None
        # norfair's numbers of the tracks, begun or not, that had a box which is probable enough.
        self._probable: set[int] = set()

    def update(self, t_us: int, boxes: Boxes, appearances: _Real | None = None) -> list[Track]:
        """Update with the boxes of one moment.

        Args:
            t_us: its sensor time in µs, not before that of the last update; see `reset`.
            boxes: boxes of that moment.
            appearances: (n, features) unit vector of each box; None if unknown.

        Returns:
            All tracks that are seen or predicted, sorted by number.

        Raises:
            ParameterError: if time goes back.
        """
        from norfair import Detection

        if self._t_us is not None and t_us < self._t_us:
            raise ParameterError(f"t_us: {t_us} is before {self._t_us}, the last update")
        self._clock.passed_s = 0.0 if self._t_us is None else 1e-6 * (t_us - self._t_us)
        self._t_us = t_us
        detections = [
            Detection(
                points=boxes.corners[i].reshape(2, 2),
                scores=np.full(2, boxes.scores[i]),
                label=int(boxes.labels[i]),
                embedding=None if appearances is None else appearances[i],
                data=t_us,
            )
            for i in range(len(boxes))
        ]
        tracked = self._tracker.update(detections)
        self._note_probable()
        tracks = [_track(one, t_us) for one in tracked if one.initializing_id in self._probable]
        return sorted(tracks, key=lambda track: track.id)

    def _note_probable(self) -> None:
        """Note which tracks, begun or not, have had a probable box; forget those that ended."""
        living = self._tracker.tracked_objects
        self._probable &= {one.initializing_id for one in living}
        self._probable |= {
            one.initializing_id
            for one in living
            if one.last_detection.scores[0] >= self.parameters.score_to_begin
        }

    def reset(self) -> None:
        """Forget all tracks; numbers continue to count up."""
        self._tracker.tracked_objects = []
        self._probable.clear()
        self._t_us = None

    def _make_tracker(self) -> Any:
        try:
            from norfair import Tracker
            from norfair.distances import ScalarDistance, VectorizedDistance
        except ImportError as error:
            raise ParameterError(
                f"tracks are norfair's: pip install 'evio_ros[rvt]' ({error})"
            ) from error
        p = self.parameters
        tracker = Tracker(
            distance_function="iou",
            distance_threshold=p.maximum_distance,
            hit_counter_max=p.windows_to_end + p.windows_to_begin,
            initialization_delay=p.windows_to_begin - 1,
            pointwise_hit_counter_max=p.windows_to_end,
            filter_factory=_filters(p, self._clock),
            past_detections_length=p.windows_to_begin,
            reid_hit_counter_max=p.windows_to_forget if p.appearance_distance else None,
        )
        tracker.distance_function = VectorizedDistance(_DISTANCES[p.distance])
        if p.appearance_distance:
            tracker.reid_distance_function = ScalarDistance(appearance_distance)
            tracker.reid_distance_threshold = p.appearance_distance
        return tracker


@dataclass(slots=True)
class _Clock:
    """Time from one update to the next in s."""

    passed_s: float = 0.0


def _filters(parameters: TrackingParameters, clock: _Clock) -> Any:
    """Factory of a filter for each track; all filters share one clock."""
    from norfair.filter import FilterFactory

    class SensorTimeFilters(FilterFactory):
        def create_filter(self, initial_detection: _Real) -> KalmanFilter:
            return _filter(initial_detection, parameters, clock)

    return SensorTimeFilters()


def _filter(points: _Real, parameters: TrackingParameters, clock: _Clock) -> KalmanFilter:
    """Kalman filter of a box's corners and their velocities."""
    from filterpy.kalman import KalmanFilter

    made = KalmanFilter(dim_x=2 * _CORNERS, dim_z=_CORNERS)
    made.H = np.eye(_CORNERS, 2 * _CORNERS)
    made.R *= parameters.box_std_px**2
    made.x[:_CORNERS, 0] = points.ravel()
    made.P[:_CORNERS, :_CORNERS] *= parameters.box_std_px**2
    made.P[_CORNERS:, _CORNERS:] *= _LARGEST_STD_PX_S**2
    made.predict = partial(_predict, made, parameters.acceleration_px_s2, clock)
    return made


def _predict(made: KalmanFilter, acceleration: float, clock: _Clock) -> None:
    """Predict over the time on the clock."""
    passed = clock.passed_s
    one = np.eye(_CORNERS)
    made.F = np.block([[one, passed * one], [0 * one, one]])
    noise = np.array(((passed**4 / 4, passed**3 / 2), (passed**3 / 2, passed**2)))
    made.Q = acceleration**2 * np.kron(noise, one)
    type(made).predict(made)


def _track(one: TrackedObject, t_us: int) -> Track:
    velocity = np.asarray(one.estimate_velocity, np.float64).reshape(2, 2).mean(axis=0)
    last = one.last_detection
    return Track(
        id=int(one.id),
        corners=np.asarray(one.estimate, np.float64).ravel(),
        velocity=velocity,
        score=float(last.scores[0]),
        label=int(one.label),
        seen_us=last.data,
        is_seen=last.data == t_us,
    )


def _missing_overlap(candidates: _Real, objects: _Real) -> _Real:
    """1 - intersection over union of each candidate and object, (candidates, objects)."""
    return 1.0 - overlaps(candidates, objects)


def _center_distance(candidates: _Real, objects: _Real) -> _Real:
    """Distance of the centres over the root of the object's area, (candidates, objects)."""
    centers = [0.5 * (a[:, :2] + a[:, 2:]) for a in (candidates, objects)]
    apart = np.linalg.norm(centers[0][:, None] - centers[1][None], axis=2)
    sides = np.maximum(objects[:, 2:] - objects[:, :2], _LEAST_SIDE_PX)
    return apart / np.sqrt(np.prod(sides, axis=1))[None]


def appearance_distance(new: TrackedObject, old: TrackedObject) -> float:
    """1 - cosine of the features of a new track and the most similar ones of a lost track.

    As in DeepSORT (Wojke, Bewley and Paulus, ICIP 2017); infinite if either track has no features,
    or they are of different classes.
    """
    of_new = _appearances(new)
    of_old = _appearances(old)
    if not of_new or not of_old or new.label != old.label:
        return float("inf")
    return 1.0 - max(float(a @ b) for a in of_new for b in of_old)


def _appearances(one: TrackedObject) -> Sequence[_Real]:
    detections = [*one.past_detections, one.last_detection]
    return [d.embedding for d in detections if d is not None and d.embedding is not None]


_DISTANCES: dict[str, Callable[[_Real, _Real], _Real]] = {
    "center": _center_distance,
    "overlap": _missing_overlap,
}
