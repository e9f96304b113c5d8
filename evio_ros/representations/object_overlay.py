"""Drawing detected objects: boxes, and tracks with class, number and score."""

from __future__ import annotations

from collections.abc import Iterable

from evio_ros.opencv import opencv
from evio_ros.representations.picture import Picture
from evio_ros.tracked_object import TrackedObject

__all__ = ["draw_objects"]

_BOX_COLOR = (150, 150, 150)
_COLORS = ((255, 170, 60), (120, 200, 255), (190, 255, 120), (240, 140, 255))
_FARTHEST_PX = 1e6
_TEXT_PX = 12


def draw_objects(objects: Iterable[TrackedObject], picture: Picture) -> None:
    """Draw every object into `picture`, uint8 (rows, columns, 3).

    A box without a track is grey. A track has a colour that depends on its number; if it is
    predicted, not seen, only the corners of its box are drawn. Boxes with NaN or far outside are
    skipped.

    Raises:
        EvioError: if OpenCV is not installed.
    """
    for one in objects:
        if all(abs(value) <= _FARTHEST_PX for value in one.corners):
            _draw(one, picture)


def _draw(one: TrackedObject, picture: Picture) -> None:
    cv2 = opencv("drawing objects")
    x0, y0, x1, y1 = (round(value) for value in one.corners)
    if not one.id:
        cv2.rectangle(picture, (x0, y0), (x1, y1), _BOX_COLOR, 1)
        return
    color = _COLORS[sum(one.id.encode()) % len(_COLORS)]
    if one.is_seen:
        cv2.rectangle(picture, (x0, y0), (x1, y1), color, 1)
    else:
        side = max(min(x1 - x0, y1 - y0) // 4, 1)
        for x, inwards_x in ((x0, side), (x1, -side)):
            for y, inwards_y in ((y0, side), (y1, -side)):
                cv2.line(picture, (x, y), (x + inwards_x, y), color, 1)
                cv2.line(picture, (x, y), (x, y + inwards_y), color, 1)
    text = f"{one.class_name} {one.id}, {one.score:.2f}"
    place = (max(x0, 0), max(y0 - 4, _TEXT_PX))
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, cv2.LINE_AA)
