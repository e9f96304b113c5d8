from __future__ import annotations

import math

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from evio_ros.msg import RotationState, RotationStateArray
from ros_probe import Probe, diagnostics_of, status_of

from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import results_quality


def test_all_usable_rotors_pass_and_the_most_confident_stands_alone():
    with Probe() as probe, NodeProcess("fusion") as fusion:
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
    assert [state.id for state in everything[0].states] == [1, 2]
    assert everything[0].window_end == 100
    assert (everything[1].window_end, len(everything[1].states)) == (200, 0)
    assert [(state.id, state.rpm) for state in best] == [(2, -1200.0)]
