"""Events in, boxes and tracks out: the recurrent vision transformer over a sensor's windows."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from evio_ros.detection.boxes import Boxes, kept_boxes
from evio_ros.detection.inference import inference_of
from evio_ros.detection.model_file import read_model
from evio_ros.detection.object_tracker import ObjectTracker, Track, TrackingParameters
from evio_ros.detection.rvt_configuration import RvtConfiguration
from evio_ros.errors import ParameterError
from evio_ros.events import EventWindow, SensorSize
from evio_ros.parameters import Parameters, parameter
from evio_ros.representations.base import represent
from evio_ros.representations.network_geometry import NetworkGeometry
from evio_ros.representations.stacked_histogram import StackedHistogram, StackedHistogramParameters

__all__ = ["DetectedObjects", "ObjectDetectionParameters", "ObjectDetector"]

_MOST_DOWNSAMPLE = 8


@dataclass(frozen=True)
class ObjectDetectionParameters(Parameters):
    """How the network runs, and which of its boxes are kept."""

    backend: str = parameter(
        "auto",
        choices=("auto", "eager", "traced", "openvino", "onnxruntime", "cuda"),
        read_only=True,
        doc="What runs the network; auto takes the fastest that is installed.",
    )
    threads: int = parameter(
        0, minimum=0, maximum=256, read_only=True, doc="Of the processor, 0 for all that pay."
    )
    least_score: float = parameter(
        0.3, minimum=0.0, maximum=1.0, doc="Boxes that are less probable are dropped."
    )
    most_overlap: float = parameter(
        0.45,
        minimum=0.0,
        maximum=1.0,
        doc="Of two boxes of a class that overlap by more, intersection over union, one is kept.",
    )
    most_boxes: int = parameter(
        100, minimum=1, maximum=1000, doc="No more boxes than these are kept in a window."
    )
    most_skipped: int = parameter(
        4,
        unit="windows",
        minimum=0,
        maximum=1000,
        doc="After a longer gap the network's memory and all tracks are forgotten.",
    )


@dataclass(frozen=True, slots=True)
class DetectedObjects:
    """What a window shows.

    Attributes:
        t_us: end of the window, sensor time.
        boxes: in pixels of the sensor, cut at its border.
        tracks: seen or expected.
    """

    t_us: int
    boxes: Boxes
    tracks: list[Track]


@dataclass(slots=True)
class _Statistics:
    """What happened so far.

    Attributes:
        windows: taken in.
        windows_skipped: that were missing between two.
        resets: times the memory was forgotten.
    """

    windows: int = 0
    windows_skipped: int = 0
    resets: int = 0


class ObjectDetector:
    """Finds objects of a network's classes in windows of events, and follows them.

    Args:
        size: geometry of the sensor.
        model: path of a model file.
        parameters, tracking: details.

    Raises:
        SourceError: where the model file cannot be used.
        ParameterError: where its weights do not fit, a library is missing, or the sensor is larger
            than the network takes.

    Attributes:
        configuration: of the network.
        statistics: counters of what happened.
    """

    def __init__(
        self,
        size: SensorSize,
        model: str | PathLike[str],
        parameters: ObjectDetectionParameters | None = None,
        tracking: TrackingParameters | None = None,
    ) -> None:
        self.size = size
        self.parameters = parameters or ObjectDetectionParameters()
        self.configuration, weights = read_model(model)
        self.statistics = _Statistics()
        self._geometry = _geometry_of(size, self.configuration)
        self._histogram = StackedHistogram(
            size,
            StackedHistogramParameters(
                bins=self.configuration.bins, cutoff=self.configuration.cutoff
            ),
        )
        network = self.configuration.input_size
        shape = (self.configuration.channels, network.height, network.width)
        self._input = np.zeros(shape, np.uint8)
        self._network = inference_of(
            self.configuration, weights, self.parameters.backend, self.parameters.threads
        )
        self._tracker = ObjectTracker(tracking)
        self._end_us: int | None = None

    def process(self, window: EventWindow) -> DetectedObjects:
        """Find objects in the next window.

        Args:
            window: as long as the network's windows. Windows may be missing before it; after a
                long gap, or where time goes back, all memory is forgotten.

        Raises:
            EventError: where the events are of another geometry, or outside the window.
            ParameterError: where the window is of another length.
        """
        if window.length_us != self.configuration.window_us:
            raise ParameterError(
                f"window: {window.length_us} us, the network was trained with "
                f"{self.configuration.window_us}"
            )
        tensor = represent(self._histogram, window)
        self._note_gap(window)
        self.statistics.windows += 1
        self._geometry.apply(tensor, self._input)
        boxes = self._boxes(self._network.step(self._input))
        return DetectedObjects(window.end_us, boxes, self._tracker.update(window.end_us, boxes))

    def reset(self) -> None:
        """Forget the network's memory and all tracks, as after a jump in a recording."""
        self._network.reset()
        self._tracker.reset()
        self._end_us = None
        self.statistics.resets += 1

    def _note_gap(self, window: EventWindow) -> None:
        if self._end_us is not None and window.start_us != self._end_us:
            missing = (window.start_us - self._end_us) / window.length_us
            if 0 < missing <= self.parameters.most_skipped:
                self.statistics.windows_skipped += round(missing)
            else:
                self.reset()
        self._end_us = window.end_us

    def _boxes(self, predictions: NDArray[np.float32]) -> Boxes:
        p = self.parameters
        found = kept_boxes(predictions, p.least_score, p.most_overlap, p.most_boxes)
        corners = self._geometry.boxes_to_sensor(found.corners)
        corners[:, ::2] = np.clip(corners[:, ::2], 0, self.size.width)
        corners[:, 1::2] = np.clip(corners[:, 1::2], 0, self.size.height)
        inside = (corners[:, 2:] > corners[:, :2]).all(axis=1)
        return Boxes(corners[inside], found.scores[inside], found.labels[inside])


def _geometry_of(size: SensorSize, configuration: RvtConfiguration) -> NetworkGeometry:
    """The whole sensor, thinned as little as the network's input asks for."""
    whole = NetworkGeometry.padded(size, multiple=1).region
    network = configuration.input_size
    for downsample in range(1, _MOST_DOWNSAMPLE + 1):
        columns, rows = size.width // downsample, size.height // downsample
        if 0 < columns <= network.width and 0 < rows <= network.height:
            return NetworkGeometry(size, whole, downsample, network)
    raise ParameterError(
        f"a {size} sensor does not fit the network's input of {network}, even where only one pixel "
        f"in {_MOST_DOWNSAMPLE} is kept along each axis"
    )
