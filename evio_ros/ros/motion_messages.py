"""Motion of the image as messages.

The functions access attributes only, so that `ros` does not depend on any stage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from std_msgs.msg import Header

from evio_ros.ellipse import Ellipse
from evio_ros.msg import ImageMotion, ImageMotionArray
from evio_ros.ros.rotation_messages import UNKNOWN_VARIANCE

__all__ = ["motion_array"]


class _Translation(Protocol):
    @property
    def velocity(self) -> tuple[float, float]: ...
    @property
    def covariance(self) -> tuple[tuple[float, float], tuple[float, float]]: ...
    @property
    def speed(self) -> float: ...
    @property
    def pixels(self) -> int: ...


class _Motion(Protocol):
    @property
    def start_us(self) -> int: ...
    @property
    def end_us(self) -> int: ...
    @property
    def background(self) -> _Translation: ...
    @property
    def regions(self) -> Mapping[int, _Translation]: ...


class _Region(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def ellipse(self) -> Ellipse: ...


def motion_array(header: Header, motion: _Motion, regions: Sequence[_Region]) -> ImageMotionArray:
    """Make the message of one motion.

    Args:
        header: its stamp is the ROS time of the window's end.
        motion: an `ImageMotion` of the library.
        regions: the rotors at that time.
    """
    message = ImageMotionArray(header=header)
    message.window_end = motion.end_us
    message.window_length = motion.end_us - motion.start_us
    message.background = _message(0, (0.0, 0.0), motion.background)
    message.regions = [
        _message(region.id, region.ellipse.center, motion.regions[region.id])
        for region in regions
        if region.id in motion.regions
    ]
    return message


def _message(number: int, place: tuple[float, float], found: _Translation) -> ImageMotion:
    message = ImageMotion(id=number, x=place[0], y=place[1], speed=found.speed)
    message.velocity_x, message.velocity_y = found.velocity
    (xx, xy), (_, yy) = found.covariance
    variances = [one if math.isfinite(one) else UNKNOWN_VARIANCE for one in (xx, yy)]
    message.covariance = [variances[0], xy, xy, variances[1]]
    message.pixels = found.pixels
    return message
