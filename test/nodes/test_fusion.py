from __future__ import annotations

import math
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from evio_ros.msg import RotationState, RotationStateArray
from geometry_msgs.msg import Point
from ros_probe import Probe, diagnostics_of, status_of

from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import results_quality


def test_all_usable_rotors_pass_and_the_most_confident_stands_alone():
    with Probe() as probe, NodeProcess("fusion", {"stale_after_s": 60.0}) as fusion:
        publisher = probe.node.create_publisher(
            RotationStateArray, "rotation_detector/rotation_states", results_quality()
        )
        best = probe.collect(RotationState, "rotation_state")
        everything = probe.collect(RotationStateArray, "rotation_states")
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        probe.wait_until(lambda: publisher.get_subscription_count() == 1)
        probe.wait_for_publisher("rotation_states")
        probe.wait_for_publisher("rotation_state")

        states = [
            RotationState(id=1, rpm=900.0, confidence=0.6),
            RotationState(id=2, rpm=-1200.0, confidence=0.9),
            RotationState(id=3, rpm=math.nan, confidence=1.0),
        ]
        publisher.publish(RotationStateArray(window_end=100, states=states))
        publisher.publish(RotationStateArray(window_end=200))
        probe.wait_until(lambda: len(everything) == 2 and bool(best))
        probe.wait_until(lambda: diagnostics_of(reports, "/fusion").get("estimates_refused") == "1")
        status = status_of(reports, "/fusion")
        assert (status.name, status.hardware_id) == ("/fusion: fusion", "none")
        assert status.level == DiagnosticStatus.WARN
        probe.spin_for(0.2)
        assert fusion.exit_code is None
    assert [state.id for state in everything[0].states] == [2, 1]
    assert everything[0].window_end == 100
    assert (everything[1].window_end, len(everything[1].states)) == (200, 0)
    assert [(state.id, state.rpm) for state in best] == [(2, -1200.0)]


def broken(field: str, value: float) -> RotationState:
    """A rotor that is as it should be but for one value."""
    state = RotationState(id=7, rpm=900.0, rpm_std=1.0, confidence=0.6)
    if field == "covariance":
        state.covariance[7] = value
    else:
        setattr(state, field, value)
    return state


BROKEN = [
    ("rpm", math.nan),
    ("rpm", 1e300),
    ("rpm_std", -1.0),
    ("rpm_std", math.inf),
    ("angle", math.inf),
    ("turns", math.nan),
    ("center_x", -1e300),
    ("axis_minor", -3.0),
    ("velocity_y", math.nan),
    ("confidence", 1.5),
    ("covariance", math.nan),
    ("covariance", -4.0),
    ("covariance", 1e300),
]


@pytest.fixture(params=[60.0])
def desk(request):
    """A probe that speaks as a detector, with what fusion says."""
    with Probe() as probe, NodeProcess("fusion", {"stale_after_s": request.param}) as fusion:
        publisher = probe.node.create_publisher(
            RotationStateArray, "rotation_detector/rotation_states", results_quality()
        )
        everything = probe.collect(RotationStateArray, "rotation_states")
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        probe.wait_until(lambda: publisher.get_subscription_count() == 1)
        probe.wait_for_publisher("rotation_states")
        yield probe, publisher, everything, reports
        assert fusion.exit_code is None, fusion.output()


def test_what_no_rotor_can_be_is_refused_and_counted_by_cause(desk):
    probe, publisher, everything, reports = desk
    good = RotationState(id=1, rpm=900.0, rpm_std=1.0, confidence=0.6)
    states = [good, *(broken(field, value) for field, value in BROKEN)]
    publisher.publish(RotationStateArray(window_end=100, states=states))
    probe.wait_until(lambda: bool(everything))
    assert [state.id for state in everything[0].states] == [1]
    count = str(len(BROKEN))
    probe.wait_until(lambda: diagnostics_of(reports, "/fusion").get("estimates_refused") == count)
    values = diagnostics_of(reports, "/fusion")
    assert (values["refused_rpm_std"], values["refused_covariance"]) == ("2", "3")
    assert values["rotor_1"].startswith("900.0 rpm")


@pytest.mark.parametrize("desk", [0.4], indirect=True)
def test_silence_of_the_detector_is_an_empty_array_at_the_usual_rate_and_a_level(desk):
    probe, publisher, everything, reports = desk
    rotor = RotationState(id=1, rpm=900.0, rpm_std=1.0, confidence=0.6)
    for index in range(10):
        message = RotationStateArray(window_end=1000 + index, window_length=50, states=[rotor])
        message.header.frame_id = "camera"
        publisher.publish(message)
        probe.spin_for(0.1)
    assert len(everything) == 10
    silent_s = time.monotonic()
    probe.wait_until(lambda: len(everything) > 10)
    assert time.monotonic() - silent_s < 1.0
    probe.spin_for(2.0)
    empty = everything[10:]
    assert [len(message.states) for message in empty] == [0] * len(empty)
    assert {message.window_end for message in empty} == {1009}
    assert {message.header.frame_id for message in empty} == {"camera"}
    stamps = [message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec for message in empty]
    assert stamps == sorted(stamps)
    # Ten a second before.
    assert 7 <= (len(empty) - 1) / (stamps[-1] - stamps[0]) <= 13
    probe.wait_until(lambda: status_of(reports, "/fusion").level == DiagnosticStatus.STALE)
    assert "no rotation states for" in status_of(reports, "/fusion").message
    publisher.publish(RotationStateArray(window_end=2000, states=[rotor]))
    probe.wait_until(lambda: status_of(reports, "/fusion").level == DiagnosticStatus.OK)
    assert "1 rotors in view" in status_of(reports, "/fusion").message
    assert status_of(reports, "/fusion").hardware_id == "none"


def test_rotors_are_shown_as_markers_where_they_are(desk):
    markers = pytest.importorskip("visualization_msgs.msg", reason="it is not installed")
    probe, publisher, _, _ = desk
    shown = probe.collect(markers.MarkerArray, "rotor_markers")
    probe.wait_for_publisher("rotor_markers")
    rotor = RotationState(id=3, rpm=-900.4, center_x=100.0, center_y=50.0, angle=math.pi / 2)
    rotor.confidence = 0.9
    rotor.axis_major = rotor.axis_minor = 20.0
    rotor.header.frame_id = "camera"

    def send() -> bool:
        publisher.publish(RotationStateArray(window_end=1, states=[rotor]))
        probe.spin_for(0.1)
        return bool(shown)

    probe.wait_until(send)
    clear, rim, blade, label = shown[0].markers
    assert clear.action == markers.Marker.DELETEALL
    assert {one.header.frame_id for one in (rim, blade, label)} == {"camera"}
    # A pixel is 1 cm, y goes down.
    assert (blade.points[0], label.text) == (Point(x=1.0, y=0.5), "3: -900 rpm")
    assert (blade.points[1].x, blade.points[1].y) == pytest.approx((1.0, 0.7))
    xs = [point.x for point in rim.points]
    assert (min(xs), max(xs)) == pytest.approx((0.8, 1.2))
