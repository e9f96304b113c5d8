"""Motion of the image from window to window: of each rotor's region, and of the background.

The background moves opposite to the camera; a rotor's own motion is that of its region minus that
of the background. Only the regions are processed at full resolution.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.motion.translation import UNKNOWN, Translation, translation_between
from evio_ros.parameters import Parameters, parameter

__all__ = ["ImageMotion", "ImageMotionEstimator", "MotionParameters", "Region", "warm_up"]

_MARGIN = 1.25
_MARGIN_PX = 5.0
"""Extent of a region beyond the rim, relative and in pixels: the rim shows most of its motion."""
_FASTEST_PX_S = 400.0
"""Maximum speed of a region: pictures are cropped accordingly."""
_BACKGROUND_MARGIN = 1.5
"""The background excludes all pixels closer to a hub than this, in semi-axes."""
_BACKGROUND_SMOOTHING_CELLS = 1.5
_LEAST_SIDE = 16


@dataclass(frozen=True)
class MotionParameters(Parameters):
    """How the motion of the image is measured."""

    method: str = parameter(
        "none",
        choices=("none", "farneback", "dis"),
        doc="Dense optical flow by which motion is measured; none disables it, and no events are "
        "received.",
    )
    frame_us: int = parameter(
        50_000,
        unit="us",
        minimum=1_000,
        maximum=1_000_000,
        doc="Length of the events that form one picture; several blades must pass within it.",
    )
    baseline: int = parameter(
        3,
        minimum=1,
        maximum=20,
        doc="Flow is measured between pictures that are this many pictures apart.",
    )
    smoothing_px: float = parameter(
        4.0,
        unit="px",
        minimum=0.5,
        maximum=50.0,
        doc="Standard deviation of the Gaussian smoothing of a rotor's picture.",
    )
    background_cell_px: int = parameter(
        8,
        unit="px",
        minimum=1,
        maximum=64,
        doc="Side of the cells in which the rest of the image is processed.",
    )

    @property
    def is_asked_for(self) -> bool:
        """Whether motion is measured at all."""
        return self.method != "none"


class Region(NamedTuple):
    """Position of a rotor at the end of a window.

    Attributes:
        id: its number.
        ellipse: its disc.
        velocity: approximate velocity of its hub, px/s.
    """

    id: int
    ellipse: Ellipse
    velocity: tuple[float, float]


@dataclass(frozen=True, slots=True)
class ImageMotion:
    """Motion of the image over one window.

    Attributes:
        start_us, end_us: the window in sensor time; velocities refer to its middle.
        background: motion of everything but the regions; `UNKNOWN` if nothing there causes events.
        regions: motion of each region in the image by its number, including that of the background.
        overlap: number of consecutive motions that share events.
    """

    start_us: int
    end_us: int
    background: Translation
    regions: dict[int, Translation]
    overlap: int = 1

    @property
    def middle_us(self) -> int:
        """Sensor time in µs that the velocities refer to."""
        return (self.start_us + self.end_us) // 2

    def independent_covariance(self, number: int) -> NDArray[np.float64]:
        """Covariance (2, 2) of a region's velocity, inflated by the overlap of windows."""
        return self.overlap * np.array(self.regions[number].covariance, np.float64)


class _Picture(NamedTuple):
    """Event counts of a window by pixel and by cell, saturating at 255."""

    start_us: int
    pixels: NDArray[np.uint8]
    cells: NDArray[np.uint8]


class ImageMotionEstimator:
    """Estimates the motion from an earlier window of events to the latest one.

    Args:
        size: geometry of the sensor.
        parameters: how it is measured; `method` must not be "none".
    """

    def __init__(self, size: SensorSize, parameters: MotionParameters) -> None:
        self.size = size
        self.parameters = parameters
        self._pictures: deque[_Picture] = deque(maxlen=parameters.baseline + 1)

    def process(self, window: EventWindow, regions: Sequence[Region]) -> ImageMotion | None:
        """Process the next window.

        Args:
            window: `frame_us` of events.
            regions: the rotors at the end of the window.

        Returns:
            The motion; None until there are enough windows, and after a gap.

        Raises:
            EventError: if the window is of another sensor geometry or length.
            EvioError: if OpenCV is not installed.
        """
        window.check(self.size, self.parameters.frame_us)
        pictures = self._pictures
        if pictures and window.start_us != pictures[-1].start_us + window.length_us:
            pictures.clear()
        pictures.append(self._picture(window))
        if len(pictures) <= self.parameters.baseline:
            return None
        before, after = pictures[0], pictures[-1]
        found = {region.id: self._region(before, after, region) for region in regions}
        background = self._background(before, after, regions)
        return ImageMotion(
            before.start_us, window.end_us, background, found, self.parameters.baseline
        )

    def reset(self) -> None:
        """Reset to the initial state."""
        self._pictures.clear()

    def _picture(self, window: EventWindow) -> _Picture:
        side = self.parameters.background_cell_px
        rows, columns = -(-self.size.height // side), -(-self.size.width // side)
        pixels = np.zeros((self.size.height, self.size.width), np.uint8)
        cells = np.zeros((rows, columns), np.uint8)
        events: EventBatch = window.events
        _count(events.x, events.y, side, pixels, cells)
        return _Picture(window.start_us, pixels, cells)

    def _region(self, before: _Picture, after: _Picture, region: Region) -> Translation:
        """Motion of a rotor's region."""
        p = self.parameters
        seconds = 1e-6 * (after.start_us - before.start_us)
        # The disc in the middle of the earlier picture.
        ago = seconds + 0.5e-6 * p.frame_us
        (x, y), (vx, vy) = region.ellipse.center, region.velocity
        a, b = (_MARGIN * axis + _MARGIN_PX for axis in region.ellipse.axes)
        disc = Ellipse((x - vx * ago, y - vy * ago), (a, b), region.ellipse.tilt_rad)
        reach = math.ceil(a + min(math.hypot(vx, vy), _FASTEST_PX_S) * seconds + p.smoothing_px)
        x0, y0 = max(int(disc.center[0]) - reach, 0), max(int(disc.center[1]) - reach, 0)
        cut = slice(y0, y0 + 2 * reach), slice(x0, x0 + 2 * reach)
        first, second = before.pixels[cut], after.pixels[cut]
        if min(first.shape) < _LEAST_SIDE:
            return UNKNOWN
        rows, columns = np.mgrid[y0 : y0 + first.shape[0], x0 : x0 + first.shape[1]]
        mask = disc.disc_coordinates(columns, rows)[0] < 1.0
        return translation_between(first, second, mask, p.smoothing_px, seconds, p.method)

    def _background(
        self, before: _Picture, after: _Picture, regions: Sequence[Region]
    ) -> Translation:
        """Motion of the cells away from all rotors."""
        side = self.parameters.background_cell_px
        if min(before.cells.shape) < _LEAST_SIDE:
            return UNKNOWN
        mask = np.ones(before.cells.shape, np.bool_)
        for region in regions:
            disc = region.ellipse.scaled(_BACKGROUND_MARGIN)
            x0, y0, x1, y1 = (max(edge // side, 0) for edge in disc.box)
            rows, columns = (side * (index + 0.5) for index in np.mgrid[y0 : y1 + 1, x0 : x1 + 1])
            outside = disc.disc_coordinates(columns, rows)[0] > 1.0
            part = mask[y0 : y1 + 1, x0 : x1 + 1]
            part &= outside[: part.shape[0], : part.shape[1]]
        # Rotors must not be smeared into their surroundings.
        first, second = (np.where(mask, one.cells, 0).astype(np.uint8) for one in (before, after))
        seconds = 1e-6 * (after.start_us - before.start_us)
        smoothing, method = _BACKGROUND_SMOOTHING_CELLS, self.parameters.method
        return translation_between(first, second, mask, smoothing, seconds, method, float(side))


def warm_up(parameters: MotionParameters) -> None:
    """Compile all that measuring motion needs, before the first events arrive."""
    size = SensorSize(128, 128)
    x, y = (side.ravel().astype(np.uint16) for side in np.mgrid[30:60:2, 30:60:2])
    t = np.zeros(len(x), np.int64)
    estimator = ImageMotionEstimator(size, parameters)
    place = Region(1, Ellipse((45.0, 45.0), (15.0, 15.0), 0.0), (0.0, 0.0))
    for index in range(parameters.baseline + 1):
        start_us = index * parameters.frame_us
        events = EventBatch(size, t + start_us, x, y, x % 2 == 0)
        estimator.process(EventWindow(start_us, parameters.frame_us, events), [place])


@njit(cache=True, nogil=True)
def _count(x, y, side, pixels, cells):
    for i in range(x.size):
        row, column = y[i], x[i]
        if pixels[row, column] < 255:
            pixels[row, column] += np.uint8(1)
        if cells[row // side, column // side] < 255:
            cells[row // side, column // side] += np.uint8(1)
