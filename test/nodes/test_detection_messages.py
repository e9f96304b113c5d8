from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from evio_ros.ros.detection_messages import detection_array, objects_of
from evio_ros.tracked_object import TrackedObject

OFFSET_NS = 1_700_000_000_000_000_000
OBJECT = TrackedObject(250_000, "7", (10.0, 20.0, 40.0, 30.0), "drone", 0.75, 200_000)


def detection(x=25.0, size_x=30.0, theta=0.0, results=(("drone", 0.75),), sec=0):
    """What another node may send."""
    message = Detection2D(id="7")
    message.header.stamp.sec = sec
    message.bbox.center.position.x, message.bbox.center.position.y = x, 25.0
    message.bbox.center.theta = theta
    message.bbox.size_x, message.bbox.size_y = size_x, 10.0
    for class_id, score in results:
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = class_id, score
        message.results = [*message.results, result]
    return message


def test_a_box_is_its_centre_and_size_and_a_track_tells_when_it_was_seen():
    message = detection_array([OBJECT], 250_000, OFFSET_NS, "camera")
    assert message.header == Header(stamp=message.header.stamp, frame_id="camera")
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_700_000_000, 250_000_000)
    (one,) = message.detections
    assert (one.bbox.center.position.x, one.bbox.center.position.y) == (25.0, 25.0)
    assert (one.bbox.size_x, one.bbox.size_y, one.id) == (30.0, 10.0, "7")
    assert one.header.stamp.nanosec == 200_000_000
    (result,) = one.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("drone", 0.75)


@given(
    t_us=st.integers(0, 10**12),
    age_us=st.integers(0, 10**6),
    offset_ns=st.integers(5 * 10**17, 10**18),
    score=st.floats(0, 1),
    x=st.floats(0, 1280),
    width=st.floats(0.5, 100),
)
def test_an_object_survives_the_message(t_us, age_us, offset_ns, score, x, width):
    seen_us = t_us - min(age_us, t_us)
    corners = (x, 20.0, x + width, 30.0)
    sent = replace(OBJECT, t_us=t_us, corners=corners, score=score, seen_us=seen_us)
    (got,), refused = objects_of(detection_array([sent], t_us, offset_ns, "camera"), offset_ns)
    assert got.corners == pytest.approx(corners, abs=1e-9)
    assert replace(got, corners=corners) == sent
    assert refused == 0


def test_no_objects_are_an_empty_array():
    assert objects_of(detection_array([], 250_000, OFFSET_NS, "camera"), OFFSET_NS) == ([], 0)


def test_the_most_certain_hypothesis_counts_and_a_missing_stamp_is_the_arrays():
    message = Detection2DArray(detections=[detection(results=[("car", 0.2), ("drone", 0.6)])])
    message.header.stamp.nanosec = 50_000_000
    (got,), refused = objects_of(message, 0)
    assert (got.class_name, got.score, got.t_us, got.is_seen) == ("drone", 0.6, 50_000, True)
    assert refused == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"x": math.nan},
        {"x": math.inf},
        {"x": -1e9},
        {"size_x": 0.0},
        {"size_x": -5.0},
        {"theta": 0.5},
        {"theta": math.nan},
        {"results": ()},
        {"results": [("", 0.5)]},
        {"results": [("drone", math.nan)]},
        {"results": [("drone", 1.5)]},
        {"results": [("drone", -0.5)]},
        {"sec": 5},
    ],
)
def test_what_no_object_can_be_is_left_out_and_counted(wrong):
    message = Detection2DArray(detections=[detection(**wrong), detection()])
    message.header.stamp.sec = 1
    got, refused = objects_of(message, 0)
    assert ([one.class_name for one in got], refused) == (["drone"], 1)
