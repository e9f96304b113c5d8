"""Drawing rotors into a picture: the ellipse of the disc, the hub, number and speed."""

from __future__ import annotations

import math
from collections.abc import Iterable

from evio_ros.errors import EvioError
from evio_ros.estimate import RotorEstimate
from evio_ros.representations.picture import Picture

__all__ = ["draw_rotors"]

_COLORS = ((80, 230, 120), (255, 240, 110), (255, 120, 200), (130, 240, 255))
_SUBPIXEL_BITS = 4
_FARTHEST_PX = 1e6


def draw_rotors(rotors: Iterable[RotorEstimate], picture: Picture) -> None:
    """Draw every rotor into `picture`, uint8 (rows, columns, 3), in a colour of its number.

    What no rotor in a picture can be, NaN or far away, is not drawn.

    Raises:
        EvioError: where OpenCV is not installed.
    """
    for rotor in rotors:
        lengths = (*rotor.center, *rotor.axes)
        if all(abs(value) <= _FARTHEST_PX for value in lengths) and min(rotor.axes) >= 0.0:
            _draw(rotor, picture)


def _draw(rotor: RotorEstimate, picture: Picture) -> None:
    try:
        import cv2
    except ImportError:
        raise EvioError(
            "drawing rotors needs OpenCV: apt install python3-opencv, "
            "or pip install 'evio_ros[vision]'"
        ) from None
    color = _COLORS[rotor.id % len(_COLORS)]
    scale = 1 << _SUBPIXEL_BITS
    center = tuple(round(value * scale) for value in rotor.center)
    axes = tuple(round(value * scale) for value in rotor.axes)
    tilt = math.degrees(rotor.tilt_rad)
    cv2.ellipse(picture, center, axes, tilt, 0, 360, color, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.circle(picture, center, 2 * scale, color, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    text = f"{rotor.id}: {rotor.rpm:.0f} rpm"
    place = (round(rotor.center[0] - rotor.axes[0]), round(rotor.center[1] - rotor.axes[0]) - 4)
    place = (max(place[0], 0), max(place[1], 12))
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, cv2.LINE_AA)
