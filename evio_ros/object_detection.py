"""Detection of objects in windows of events: recurrent vision transformer, boxes and tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evio_ros.detection.appearance import APPEARANCE_STAGE, appearances
from evio_ros.detection.boxes import Boxes, kept_boxes
from evio_ros.detection.inference import Network
from evio_ros.detection.object_tracker import ObjectTracker, Track, TrackingParameters
from evio_ros.detection.rvt_configuration import RvtConfiguration
from evio_ros.errors import EventError, ParameterError
from evio_ros.events import EventWindow, SensorSize
from evio_ros.parameters import Parameters, parameter
from evio_ros.representations.network_geometry import NetworkGeometry
from evio_ros.representations.stacked_histogram import StackedHistogram, StackedHistogramParameters
from evio_ros.tracked_object import TrackedObject

__all__ = ["DetectedObjects", "ObjectDetectionParameters", "ObjectDetector"]

_MOST_DOWNSAMPLE = 8
"""Greatest downsampling that is tried to fit a sensor to the network's input."""
_HISTOGRAM_DOWNSAMPLE = 2
"""Downsampling that `StackedHistogram` can do itself."""


@dataclass(frozen=True)
class ObjectDetectionParameters(Parameters):
    """The network's input, and which of its boxes are kept."""

    classes: str = parameter(
        "",
        read_only=True,
        doc="Names of the classes to report, separated by commas; empty for all that the network "
        "knows.",
    )
    window_us: int = parameter(
        0,
        unit="us",
        minimum=0,
        maximum=10_000_000,
        read_only=True,
        doc="Length of the windows; 0 for the length that the network was trained with.",
    )
    minimum_score: float = parameter(
        0.3, minimum=0.0, maximum=1.0, doc="Boxes that are less probable are dropped."
    )
    maximum_overlap: float = parameter(
        0.45,
        minimum=0.0,
        maximum=1.0,
        doc="Of two boxes of one class that overlap by more than this (intersection over union), "
        "only one is kept.",
    )
    maximum_boxes: int = parameter(
        100, minimum=1, maximum=1000, doc="Maximum number of boxes kept in a window."
    )
    maximum_skipped: int = parameter(
        10,
        unit="windows",
        minimum=0,
        maximum=1000,
        doc="After a longer gap, the network's recurrent state and all tracks are reset.",
    )


@dataclass(frozen=True, slots=True)
class DetectedObjects:
    """The objects detected in a window.

    Attributes:
        t_us: end of the window, sensor time in µs.
        classes: names of the classes, by label.
        boxes: in pixels of the sensor, clipped at its border.
        tracks: tracks with a box in this window, or predicted.
    """

    t_us: int
    classes: tuple[str, ...]
    boxes: Boxes
    tracks: list[Track]

    def boxes_as_objects(self) -> list[TrackedObject]:
        """The boxes as objects without a track."""
        boxes = self.boxes
        return [
            TrackedObject(
                self.t_us,
                "",
                _four(boxes.corners[i]),
                self.classes[boxes.labels[i]],
                float(boxes.scores[i]),
                self.t_us,
            )
            for i in range(len(boxes))
        ]

    def tracks_as_objects(self) -> list[TrackedObject]:
        """The tracks as objects, without those whose box is empty."""
        return [
            TrackedObject(
                self.t_us,
                str(track.id),
                _four(track.corners),
                self.classes[track.label],
                track.score,
                track.seen_us,
            )
            for track in self.tracks
            if (track.corners[2:] > track.corners[:2]).all()
        ]


def _four(corners: NDArray[np.float64]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = corners.tolist()
    return x0, y0, x1, y1


@dataclass(slots=True)
class _Statistics:
    """Counters since construction.

    Attributes:
        windows: windows processed.
        windows_skipped: windows missing between two that were processed.
        memory_resets: resets of the network's recurrent state.
        predictions_refused: windows for which the network's output was not finite.
    """

    windows: int = 0
    windows_skipped: int = 0
    memory_resets: int = 0
    predictions_refused: int = 0


class ObjectDetector:
    """Detects objects of a network's classes in windows of events, and tracks them.

    Args:
        size: geometry of the sensor.
        network: see `open_network`; its recurrent state is reset.
        parameters, tracking: None for the defaults.

    Raises:
        ParameterError: if the sensor is too large for the network, a wanted class is not one of the
            network's, or a library is missing.

    Attributes:
        size, network, parameters: as given.
        window_us: required length of the windows in µs.
        statistics: counters since construction.
    """

    def __init__(
        self,
        size: SensorSize,
        network: Network,
        parameters: ObjectDetectionParameters | None = None,
        tracking: TrackingParameters | None = None,
    ) -> None:
        self.size = size
        self.network = network
        self.parameters = parameters or ObjectDetectionParameters()
        self.statistics = _Statistics()
        configuration = network.configuration
        self.window_us = self.parameters.window_us or configuration.window_us
        self._unwanted = _unwanted(self.parameters.classes, configuration)
        self._geometry = _geometry_of(size, configuration)
        # If the histogram can subsample by the factor needed, only a quarter of it is computed.
        thinned = _HISTOGRAM_DOWNSAMPLE if self._geometry.downsample == _HISTOGRAM_DOWNSAMPLE else 1
        self._histogram = StackedHistogram(
            size,
            StackedHistogramParameters(
                bins=configuration.bins, cutoff=configuration.cutoff, downsample=thinned
            ),
        )
        self._geometry_of_thinned = (
            _geometry_of(self._histogram.output_size, configuration)
            if thinned > 1
            else self._geometry
        )
        self._tensor = np.empty(self._histogram.shape, self._histogram.dtype)
        shape = (configuration.channels, *_rows_columns(configuration.input_size))
        self._input = np.zeros(shape, np.uint8)
        self._tracker = ObjectTracker(tracking)
        self._by_appearance = self._tracker.parameters.appearance_distance > 0.0
        self._end_us: int | None = None
        network.reset()

    def process(self, window: EventWindow) -> DetectedObjects:
        """Detect objects in the next window.

        Args:
            window: of length `window_us`. Windows may be missing before it; after a long gap, or
                if time goes back, the network's state and all tracks are reset.

        Raises:
            EventError: if the events have another geometry or lie outside the window.
            EvioError: if the network cannot be run.
            ParameterError: if the window has another length.
        """
        if window.length_us != self.window_us:
            raise ParameterError(f"window: {window.length_us} us, expected {self.window_us} us")
        self._histogram.begin(window.start_us, window.length_us)
        self._histogram.push(window.events)
        self._histogram.read(self._tensor)
        self._geometry_of_thinned.apply(self._tensor, self._input)
        return self._detect(window.start_us)

    def process_tensor(self, tensor: NDArray[np.uint8], start_us: int) -> DetectedObjects:
        """Detect objects in the next window, given as a stacked histogram.

        Args:
            tensor: uint8 (2 * bins, rows, columns) of the whole sensor, as made by
                `StackedHistogram` with the network's number of bins. Counts above the network's
                cutoff are clipped to it.
            start_us: start of its window of length `window_us`, sensor time in µs.

        Raises:
            EventError: if the shape or dtype differs.
            EvioError: if the network cannot be run.
        """
        configuration = self.network.configuration
        shape = (configuration.channels, self.size.height, self.size.width)
        if tensor.shape != shape or tensor.dtype != np.uint8:
            raise EventError(
                f"the stacked histogram is {tensor.dtype} {tensor.shape}, the network takes uint8 "
                f"{shape}"
            )
        self._geometry.apply(tensor, self._input)
        np.minimum(self._input, np.uint8(configuration.cutoff), out=self._input)
        return self._detect(start_us)

    def _detect(self, start_us: int) -> DetectedObjects:
        """Run the network on the prepared input."""
        self._note_gap(start_us)
        self.statistics.windows += 1
        predictions = self.network.step(self._input)
        if not np.isfinite(predictions).all():
            # A state that is not finite would stay so.
            self.statistics.predictions_refused += 1
            self.network.reset()
        found, seen_as = self._boxes(predictions)
        tracks = self._tracker.update(start_us + self.window_us, found, seen_as)
        classes = self.network.configuration.classes
        return DetectedObjects(start_us + self.window_us, classes, found, tracks)

    def reset(self) -> None:
        """Reset the network's recurrent state and all tracks, as after a jump in a recording."""
        self.network.reset()
        self._tracker.reset()
        self._end_us = None
        self.statistics.memory_resets += 1

    def _note_gap(self, start_us: int) -> None:
        if self._end_us is not None and start_us != self._end_us:
            missing = (start_us - self._end_us) / self.window_us
            if 0 < missing <= self.parameters.maximum_skipped:
                self.statistics.windows_skipped += round(missing)
            else:
                self.reset()
        self._end_us = start_us + self.window_us

    def _boxes(self, predictions: NDArray[np.float32]) -> tuple[Boxes, NDArray[np.float64] | None]:
        """The boxes in pixels of the sensor, and their appearances if tracking uses these."""
        p = self.parameters
        if self._unwanted.size:
            predictions = predictions.copy()
            predictions[:, -len(self.network.configuration.classes) :][:, self._unwanted] = 0.0
        found = kept_boxes(predictions, p.minimum_score, p.maximum_overlap, p.maximum_boxes)
        corners = self._geometry.boxes_to_sensor(found.corners)
        corners[:, ::2] = np.clip(corners[:, ::2], 0, self.size.width)
        corners[:, 1::2] = np.clip(corners[:, 1::2], 0, self.size.height)
        inside = (corners[:, 2:] > corners[:, :2]).all(axis=1)
        boxes = Boxes(corners, found.scores, found.labels)[inside]
        if not self._by_appearance:
            return boxes, None
        return boxes, appearances(self.network.features(APPEARANCE_STAGE), found.corners[inside])


def _rows_columns(size: SensorSize) -> tuple[int, int]:
    return size.height, size.width


def _unwanted(wanted: str, configuration: RvtConfiguration) -> NDArray[np.int64]:
    """Labels of the classes that are not wanted."""
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    for name in names:
        if name not in configuration.classes:
            raise ParameterError(
                f"classes: {name!r} is not one of {', '.join(configuration.classes)}"
            )
    unwanted = [i for i, one in enumerate(configuration.classes) if names and one not in names]
    return np.array(unwanted, np.int64)


def _geometry_of(size: SensorSize, configuration: RvtConfiguration) -> NetworkGeometry:
    """The whole sensor, with the least downsampling that fits the network's input."""
    whole = NetworkGeometry.padded(size, multiple=1).region
    network = configuration.input_size
    for downsample in range(1, _MOST_DOWNSAMPLE + 1):
        columns, rows = size.width // downsample, size.height // downsample
        if 0 < columns <= network.width and 0 < rows <= network.height:
            return NetworkGeometry(size, whole, downsample, network)
    raise ParameterError(
        f"a {size} sensor does not fit the network's input of {network}, even downsampled by "
        f"{_MOST_DOWNSAMPLE}"
    )
