"""Drawing rotors: disc, blades, sense of rotation, number and speed.

The dashboard's page draws the same over its events, with the same colours.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evio_ros.ellipse import Ellipse
from evio_ros.estimate import RotorEstimate
from evio_ros.opencv import opencv
from evio_ros.representations.picture import Picture
from evio_ros.rotor_colors import rotor_color
from evio_ros.units import TURN_RAD

__all__ = ["draw_rotors"]

_Color = tuple[int, int, int]

_OUTLINE: _Color = (16, 16, 22)
_DOUBTFUL = 0.5
"""Rotors with less confidence are drawn fainter."""
_FAINT = 0.55
_SUBPIXEL_BITS = 4
_FARTHEST_PX = 1e6
_UNIT_PX = 900.0
"""Width of a picture in which lines and letters have the sizes given here; they grow with the
width."""
_LEAST_LINE, _LEAST_LETTER = 0.6, 1.0
"""Minimum scale of lines and of letters."""
_RIM_POINTS = 72
_DASH_POINTS = 2
_HUB = 0.08
"""Inner end of the blades, relative to the radius, like the following values."""
_SENSE, _SENSE_RAD, _SENSE_POINTS = 1.08, 0.55, 12
_TIP_RAD, _TIP_BACK_RAD, _TIP_OUTER, _TIP_INNER = 0.62, 0.12, 1.13, 1.03
_LABEL = 1.14
_LETTERS = 0.42
_LINE_PX, _GAP_PX, _EDGE_PX = 15, 4, 3


def draw_rotors(
    rotors: Iterable[RotorEstimate], picture: Picture, predicted: Container[int] = ()
) -> None:
    """Draw every rotor into `picture`, uint8 (rows, columns, 3), in a colour by its number.

    Draws the rim, a line for each blade (a thick one for the reference blade, at `angle_rad`), an
    arrow outside the rim for the sense of rotation, and number and speed. Rotors with NaN or far
    outside are skipped.

    Args:
        rotors: the rotors; the first ones get the best places for their labels.
        picture: RGB picture to draw into.
        predicted: ids of rotors that are predicted, not measured; their rims are dashed.

    Raises:
        EvioError: if OpenCV is not installed.
    """
    pen = _Pen(picture)
    drawn = [rotor for rotor in rotors if _is_drawable(rotor)]
    for rotor in drawn:
        _draw(rotor, pen, rotor.id in predicted)
    for rotor in drawn:
        _, high = rotor.ellipse.scaled(_LABEL).half_extent()
        text = f"{rotor.id}: {rotor.rpm:.0f} rpm"
        pen.label(text, str(rotor.id), rotor.center, high, _color(rotor))


def _is_drawable(rotor: RotorEstimate) -> bool:
    values = (*rotor.center, *rotor.axes, rotor.angle_rad, rotor.tilt_rad)
    return all(abs(value) <= _FARTHEST_PX for value in values) and min(rotor.axes) >= 0.0


def _draw(rotor: RotorEstimate, pen: _Pen, is_dashed: bool) -> None:
    disc, color = rotor.ellipse, _color(rotor)
    rim = disc.rim(_RIM_POINTS)
    step = _DASH_POINTS if is_dashed else _RIM_POINTS
    for begin in range(0, _RIM_POINTS, 2 * step):
        pen.line(rim[:, begin : begin + step + 1], color, 1.6)
    blades = max(rotor.blade_count, 1)
    for blade in range(blades):
        angle = rotor.angle_rad + TURN_RAD * blade / blades
        pen.line(disc.image_point([_HUB, 1.0], angle), color, 1.1 if blade else 2.6)
    if rotor.rpm:
        _draw_sense(disc, rotor.angle_rad, math.copysign(1.0, rotor.rpm), pen, color)
    pen.dot(rotor.center, color)


def _draw_sense(disc: Ellipse, angle: float, sense: float, pen: _Pen, color: _Color) -> None:
    """Draw an arrow that starts at the reference blade, outside the rim."""
    arc = angle + sense * np.linspace(0.0, _SENSE_RAD, _SENSE_POINTS + 1)
    pen.line(disc.image_point(_SENSE, arc), color, 2.0)
    tip, back = angle + sense * _TIP_RAD, angle + sense * (_TIP_RAD - _TIP_BACK_RAD)
    radii, angles = [_SENSE, _TIP_OUTER, _TIP_INNER], [tip, back, back]
    pen.area(disc.image_point(radii, angles), color)


def _color(rotor: RotorEstimate) -> _Color:
    red, green, blue = rotor_color(rotor.id)
    if rotor.confidence >= _DOUBTFUL:
        return red, green, blue
    return round(_FAINT * red), round(_FAINT * green), round(_FAINT * blue)


@dataclass(slots=True)
class _Pen:
    """Draws with OpenCV, with lines and letters scaled to the picture's size."""

    picture: Picture
    places: list[tuple[float, float, float]] = field(default_factory=list)
    """Left end, right end and height of each label drawn so far."""

    @property
    def _cv2(self) -> Any:
        return opencv("drawing rotors")

    def line(self, points: NDArray[np.float64], color: _Color, width: float) -> None:
        """Draw a line through points (2, n)."""
        cv2, thickness = self._cv2, max(1, round(width * self._unit(_LEAST_LINE)))
        cv2.polylines(
            self.picture, [_fixed(points)], False, color, thickness, cv2.LINE_AA, _SUBPIXEL_BITS
        )

    def area(self, points: NDArray[np.float64], color: _Color) -> None:
        """Fill the polygon of points (2, n)."""
        cv2 = self._cv2
        cv2.fillPoly(self.picture, [_fixed(points)], color, cv2.LINE_AA, _SUBPIXEL_BITS)

    def dot(self, center: tuple[float, float], color: _Color) -> None:
        """Draw a dot."""
        cv2, radius = self._cv2, round(2.5 * self._unit(_LEAST_LINE) * (1 << _SUBPIXEL_BITS))
        x, y = _fixed(center).tolist()
        cv2.circle(self.picture, (x, y), radius, color, -1, cv2.LINE_AA, _SUBPIXEL_BITS)

    def label(
        self, text: str, short: str, center: tuple[float, float], away: float, color: _Color
    ) -> None:
        """Write above or below a rotor where there is no label yet; else the short text."""
        cv2, unit = self._cv2, self._unit(_LEAST_LETTER)
        font, scale = cv2.FONT_HERSHEY_SIMPLEX, _LETTERS * unit
        above = max(center[1] - away - _GAP_PX * unit, _LINE_PX * unit)
        heights = (above, center[1] + away + _LINE_PX * unit)
        for chosen in (text, short):
            (width, _), _ = cv2.getTextSize(chosen, font, scale, 1)
            most = self.picture.shape[1] - width - _EDGE_PX
            left = max(min(center[0] - 0.5 * width, most), _EDGE_PX)
            free = [y for y in heights if not self._is_taken(left, left + width, y)]
            if free:
                break
        y = free[0] if free else above
        self.places.append((left, left + width, y))
        place, line = (round(left), round(y)), max(1, round(1.2 * unit))
        for ink, thickness in ((_OUTLINE, line + 3), (color, line)):
            cv2.putText(self.picture, chosen, place, font, scale, ink, thickness, cv2.LINE_AA)

    def _is_taken(self, left: float, right: float, y: float) -> bool:
        unit = self._unit(_LEAST_LETTER)
        gap, line = _GAP_PX * unit, _LINE_PX * unit
        return any(
            abs(height - y) < line and left < end + gap and begin < right + gap
            for begin, end, height in self.places
        )

    def _unit(self, least: float) -> float:
        return max(least, self.picture.shape[1] / _UNIT_PX)


def _fixed(points: ArrayLike) -> NDArray[np.int32]:
    """Points (2, ...) in OpenCV's layout (..., 2), in fixed point."""
    return np.round(np.asarray(points).T * (1 << _SUBPIXEL_BITS)).astype(np.int32)
