"""Boxes and tracks as vision_msgs/Detection2DArray and back."""

from __future__ import annotations

import math
from collections.abc import Iterable

from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from evio_ros.ros.stamps import nanoseconds_of, stamp_of
from evio_ros.tracked_object import TrackedObject

__all__ = ["DETECTIONS_TOPIC", "TRACKS_TOPIC", "detection_array", "object_values", "objects_of"]

DETECTIONS_TOPIC = "rvt_detector/detections"
"""Topic of the RVT detector's boxes."""
TRACKS_TOPIC = "rvt_detector/tracks"
"""Topic of the objects that it tracks."""

_FARTHEST_PX = 1e6


def detection_array(
    objects: Iterable[TrackedObject], t_us: int, offset_ns: int, frame_id: str
) -> Detection2DArray:
    """Make the message of all objects of one moment; none gives an empty array.

    The array's stamp is the moment; a detection's own is that of the box by which its track was
    last seen, so the two are equal if it is seen now.

    Args:
        objects: of that moment.
        t_us: the moment, sensor time.
        offset_ns: ROS time minus sensor time.
        frame_id: optical frame of the camera.
    """
    message = Detection2DArray(header=_header(t_us, offset_ns, frame_id))
    message.detections = [
        _detection(one, _header(one.seen_us, offset_ns, frame_id)) for one in objects
    ]
    return message


def objects_of(message: Detection2DArray, offset_ns: int) -> tuple[list[TrackedObject], int]:
    """The objects in a message, and how many were left out because no object can have their values.

    Left out are those without a hypothesis or class, with a number that is not finite or a place
    beyond a million pixels, no area, a turned box, a score outside 0 to 1, or a stamp after the
    array's. Of several hypotheses the most certain counts.

    Args:
        message: from our own node or another one.
        offset_ns: ROS time minus sensor time, e.g. by a rotation state's stamp and `window_end`.
    """
    now_us = _sensor_time_us(message.header, offset_ns)
    found = [_object(one, now_us, offset_ns) for one in message.detections]
    usable = [one for one in found if one is not None]
    return usable, len(found) - len(usable)


def object_values(objects: Iterable[TrackedObject]) -> dict[str, object]:
    """Each object in words, as values of a report."""
    return {
        f"object_{one.id}": f"{one.class_name}, score {one.score:.2f}, "
        + ("seen" if one.is_seen else "predicted")
        for one in objects
    }


def _header(t_us: int, offset_ns: int, frame_id: str) -> Header:
    return Header(stamp=stamp_of(offset_ns + 1000 * t_us), frame_id=frame_id)


def _sensor_time_us(header: Header, offset_ns: int) -> int:
    return (nanoseconds_of(header.stamp) - offset_ns) // 1000


def _detection(one: TrackedObject, header: Header) -> Detection2D:
    x0, y0, x1, y1 = one.corners
    message = Detection2D(header=header, id=one.id)
    message.bbox.center.position.x = 0.5 * (x0 + x1)
    message.bbox.center.position.y = 0.5 * (y0 + y1)
    message.bbox.size_x, message.bbox.size_y = x1 - x0, y1 - y0
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = one.class_name, one.score
    message.results = [result]
    return message


def _object(message: Detection2D, now_us: int, offset_ns: int) -> TrackedObject | None:
    scores = [one.hypothesis.score for one in message.results]
    box = message.bbox
    place = (box.center.position.x, box.center.position.y, box.size_x, box.size_y)
    is_box = all(abs(value) <= _FARTHEST_PX for value in place) and box.center.theta == 0.0
    if not scores or not is_box or min(box.size_x, box.size_y) <= 0.0:
        return None
    best = message.results[scores.index(max(scores, key=_certainty))].hypothesis
    # A node that does not fill in a detection's own stamp means the array's.
    is_stamped = (message.header.stamp.sec, message.header.stamp.nanosec) != (0, 0)
    seen_us = _sensor_time_us(message.header, offset_ns) if is_stamped else now_us
    if not best.class_id or not 0.0 <= best.score <= 1.0 or seen_us > now_us:
        return None
    x, y, width, height = place
    corners = (x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height)
    return TrackedObject(now_us, message.id, corners, best.class_id, best.score, seen_us)


def _certainty(score: float) -> float:
    return -math.inf if math.isnan(score) else score
