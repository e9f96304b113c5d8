from __future__ import annotations

import math
import os
import signal
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from evio_ros.msg import RotationState, RotationStateArray
from geometry_msgs.msg import Point
from ros_probe import Probe, diagnostics_of, status_of, undescribed
from rotor_estimates import STEP_US, WINDOW_US, TurningFan
from sensor_msgs.msg import JointState
from state_messages import state_array
from std_msgs.msg import Header

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


def test_windows_for_which_fusion_is_too_late_are_counted():
    with Probe() as probe, NodeProcess("fusion", {"stale_after_s": 60.0}) as fusion:
        quality = results_quality()
        publisher = probe.node.create_publisher(
            RotationStateArray, "rotation_detector/rotation_states", quality
        )
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        probe.wait_until(lambda: publisher.get_subscription_count() == 1)
        probe.wait_for_publisher("/diagnostics")
        publisher.publish(RotationStateArray(window_end=1))
        probe.wait_until(lambda: diagnostics_of(reports, "/fusion").get("windows") == "1")
        sent = 3 * quality.depth
        os.kill(fusion.pid, signal.SIGSTOP)
        try:
            for index in range(2, sent + 1):
                publisher.publish(RotationStateArray(window_end=index))
        finally:
            os.kill(fusion.pid, signal.SIGCONT)

        def counts() -> tuple[int, int]:
            values = diagnostics_of(reports, "/fusion")
            return int(values["windows"]), int(values["windows_lost"])

        probe.wait_until(lambda: sum(counts()) == sent)
        assert counts()[1] > 0
        warned = [
            one for report in reports for one in report.status if "windows lost" in one.message
        ]
        assert {one.level for one in warned} == {DiagnosticStatus.WARN}


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
    probe.wait_until(lambda: len(everything) > 10)
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
    assert "1 rotor in view" in status_of(reports, "/fusion").message
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


class Detector:
    """Publishes what a detector says of a fan, in time with the clock and 20 ms late."""

    LATE_S = 0.02

    def __init__(self, probe: Probe, fan: TurningFan) -> None:
        self._probe, self._fan = probe, fan
        self._publisher = probe.node.create_publisher(
            RotationStateArray, "rotation_detector/rotation_states", results_quality()
        )
        probe.wait_until(lambda: self._publisher.get_subscription_count() == 1)
        self.offset_s = time.time() - 1e-6 * WINDOW_US
        self._end_us = WINDOW_US

    def windows(self, count: int, seen: bool = True) -> None:
        for _ in range(count):
            end_s = self.offset_s + 1e-6 * self._end_us
            self._probe.spin_for(max(end_s + self.LATE_S - time.time(), 0.0))
            header = Header(frame_id="camera")
            header.stamp.sec, header.stamp.nanosec = int(end_s), int(end_s % 1 * 1e9)
            found = [self._fan.estimate(self._end_us)] if seen else []
            self._publisher.publish(state_array(found, header, self._end_us, WINDOW_US, 100))
            self._end_us += STEP_US


def stamp_s(header: Header) -> float:
    return header.stamp.sec + 1e-9 * header.stamp.nanosec


def test_states_of_a_rate_of_their_own_are_those_of_the_moment_of_publishing():
    fan = TurningFan(rate=10.0)
    options = {"publish_rate_hz": 100.0, "stale_after_s": 5.0}
    with Probe() as probe, NodeProcess("fusion", options) as fusion:
        arrays, ages = [], []

        def note(message: RotationStateArray) -> None:
            arrays.append(message)
            ages.append(time.time() - stamp_s(message.header))

        joints = probe.collect(JointState, "fusion/joint_states")
        probe.collect(RotationStateArray, "rotation_states")
        probe.node.create_subscription(
            RotationStateArray, "rotation_states", note, results_quality()
        )
        probe.wait_for_publisher("rotation_states")
        detector = Detector(probe, fan)
        detector.windows(40)
        measured = list(arrays)
        detector.windows(10, seen=False)
        assert fusion.exit_code is None, fusion.output()
    late = [message for message in measured[50:] if message.states]
    assert len(late) > 50
    assert sorted(ages)[len(ages) // 2] < 0.02
    errors = []
    for message in late:
        (state,) = message.states
        assert message.window_end == state.window_end
        assert (message.window_length, state.window_length) == (0, 0)
        assert state.sources & RotationState.SOURCE_PREDICTION
        # The sensor's time is that of the stamp.
        sensor_us = 1e6 * (stamp_s(message.header) - detector.offset_s)
        assert message.window_end == pytest.approx(sensor_us, abs=100)
        errors.append(abs(math.remainder(state.angle - fan.phase(state.window_end), 2 * math.pi)))
        assert state.rpm_rate == pytest.approx(10.0 * 30 / math.pi, abs=5.0)
        assert state.angular_velocity == pytest.approx(state.rpm * math.pi / 30)
        assert len(state.blades) == 3
    assert sorted(errors)[len(errors) // 2] < math.radians(0.5)
    joint = joints[-1]
    assert joint.name == ["rotor_0"]
    assert joint.position[0] == pytest.approx(
        fan.phase(1e6 * (stamp_s(joint.header) - detector.offset_s)), rel=0.01
    )
    # Hidden, it is predicted, and less and less sure.
    hidden = [message.states[0] for message in arrays[-20:]]
    confidences = [state.confidence for state in hidden]
    assert confidences == sorted(confidences, reverse=True)
    assert {state.sources for state in hidden} == {RotationState.SOURCE_PREDICTION}


def test_a_hidden_rotor_is_predicted_at_each_window_and_diagnostics_say_so(desk):
    probe, publisher, everything, reports = desk
    fan = TurningFan()
    for index in range(30):
        end_us = WINDOW_US + index * STEP_US
        found = [fan.estimate(end_us)] if index < 15 else []
        publisher.publish(state_array(found, Header(), end_us, WINDOW_US, 1))
        probe.spin_for(0.02)
    probe.wait_until(lambda: len(everything) == 30)
    assert [len(message.states) for message in everything] == [1] * 29 + [0]
    last = everything[28].states[0]
    assert last.sources == RotationState.SOURCE_PREDICTION
    assert last.covariance[0] > 10 * everything[14].states[0].covariance[0]
    assert last.confidence < 0.5 * everything[14].states[0].confidence
    probe.wait_until(lambda: diagnostics_of(reports, "/fusion").get("estimates_accepted") == "14")
    assert undescribed(reports) == set()
