"""The life of a node as managers and users of ROS 2 see it, whichever node it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from evio_ros.msg import EventArray, RotationStateArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from node_recording import DURATION_US
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_probe import Probe, diagnostics_of, status_of

from evio_ros.ros.node_process import NodeProcess

STATES = "rotation_detector/rotation_states"
CONFIGURE, CLEANUP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE


def take(probe: Probe, node: str, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return probe.call(ChangeState, f"{node}/change_state", request).success


def state_of(probe: Probe, node: str) -> int:
    return probe.call(GetState, f"{node}/get_state", GetState.Request()).current_state.id


def topics_of(probe: Probe, node: str) -> set[str]:
    names = {
        name
        for name, _ in [
            *probe.node.get_publisher_names_and_types_by_node(node, "/"),
            *probe.node.get_subscriber_names_and_types_by_node(node, "/"),
        ]
    }
    return {name for name in names if "events" in name or "rotation" in name} - {
        "/parameter_events",
        f"/{node}/transition_event",
    }


def held_by(pid: int) -> tuple[int, int]:
    """Threads and open files of a process."""
    return len(os.listdir(f"/proc/{pid}/task")), len(os.listdir(f"/proc/{pid}/fd"))


def test_a_manager_drives_driver_and_detector_and_what_was_made_goes_again(recording):
    parameters = {"autostart": False, "source": str(recording), "replay.loop": True}
    with (
        Probe() as probe,
        NodeProcess("driver", parameters) as driver,
        NodeProcess("rotation_detector", {"autostart": False}) as detector,
    ):
        results = probe.collect(RotationStateArray, STATES)
        held = []
        for node in ("driver", "rotation_detector"):
            assert state_of(probe, node) == State.PRIMARY_STATE_UNCONFIGURED
        for _ in range(3):
            for node in ("driver", "rotation_detector"):
                assert take(probe, node, CONFIGURE)
            probe.wait_for_publisher(STATES)
            for node in ("rotation_detector", "driver"):
                assert take(probe, node, ACTIVATE)
                assert state_of(probe, node) == State.PRIMARY_STATE_ACTIVE
            before = len(results)
            probe.wait_until(lambda before=before: len(results) > before + 5)
            assert len(results[-1].states) <= 1
            for node in ("driver", "rotation_detector"):
                assert take(probe, node, DEACTIVATE)
            probe.spin_for(0.3)
            standing = len(results)
            probe.spin_for(0.5)
            assert len(results) == standing
            for node in ("driver", "rotation_detector"):
                assert take(probe, node, CLEANUP)
                probe.wait_until(lambda node=node: not topics_of(probe, node))
            held.append([held_by(process.pid) for process in (driver, detector)])
    # The first round may load what stays loaded.
    assert held[2] == held[1]


def test_a_transition_that_is_not_possible_is_refused_and_ends_no_node():
    with Probe() as probe, NodeProcess("fusion", {"autostart": False}) as node:
        for transition in (ACTIVATE, DEACTIVATE, CLEANUP):
            assert not take(probe, "fusion", transition)
            assert state_of(probe, "fusion") == State.PRIMARY_STATE_UNCONFIGURED
        assert take(probe, "fusion", CONFIGURE)
        assert not take(probe, "fusion", CONFIGURE)
        assert take(probe, "fusion", ACTIVATE)
        assert not take(probe, "fusion", CLEANUP)
        assert state_of(probe, "fusion") == State.PRIMARY_STATE_ACTIVE
        assert node.exit_code is None
        assert "[fusion]: the state is unchanged" in node.output()


def test_a_driver_goes_on_where_it_was_deactivated(recording):
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        parameters = {"source": str(recording), "replay.rate": 0.5, "exit_at_end": False}
        with NodeProcess("driver", parameters):
            probe.wait_until(lambda: len(messages) > 5)
            assert take(probe, "driver", DEACTIVATE)
            probe.spin_for(0.3)
            standing = len(messages)
            assert take(probe, "driver", ACTIVATE)
            probe.wait_until(lambda: messages[-1].time_base >= DURATION_US - 20_000)
    bases = [message.time_base for message in messages]
    assert standing < len(messages)
    assert bases == sorted(bases)
    assert [message.seq for message in messages] == list(range(len(messages)))


def test_what_cannot_be_configured_stays_unconfigured_and_says_why():
    with Probe() as probe, NodeProcess("driver", {"autostart": False, "source": "no.dat"}) as node:
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        assert not take(probe, "driver", CONFIGURE)
        assert state_of(probe, "driver") == State.PRIMARY_STATE_UNCONFIGURED
        probe.wait_until(lambda: "no.dat" in diagnostics_of(reports, "/driver").get("message", ""))
        assert status_of(reports, "/driver").level == DiagnosticStatus.ERROR
        assert node.exit_code is None
        assert "no.dat: cannot be opened" in node.output()


@pytest.mark.parametrize(
    ("name", "parameters", "text"),
    [
        ("fusion", {"qos_overrides./rotation_stats.publisher.depth": 3}, "no such parameter"),
        ("fusion", {"qos_overrides./rotation_states.publisher.reliability": "often"}, "often"),
        ("fusion", {"stale_after_s": -1.0}, "stale_after_s"),
        ("fusion", {"markers.pixel_size_m": "wide"}, "markers.pixel_size_m: expected float"),
        ("fusion", {"markers.pixel_size": 1.0}, "did you mean markers.pixel_size_m?"),
    ],
)
def test_absurd_parameters_are_one_line_and_exit_code_2(name, parameters, text):
    with NodeProcess(name, parameters) as node:
        assert node.wait(30.0) == 2
        assert text in node.output()
        assert "Traceback" not in node.output()


def test_quality_of_service_is_overridden_topic_by_topic():
    name = "qos_overrides./rotation_states.publisher.reliability"
    with Probe() as probe, NodeProcess("fusion", {name: "best_effort", "stale_after_s": 2}):
        probe.wait_until(lambda: bool(probe.node.get_publishers_info_by_topic("/rotation_states")))
        probe.wait_until(lambda: bool(probe.node.get_publishers_info_by_topic("/rotation_state")))

        def reliability(topic: str) -> str:
            (info,) = probe.node.get_publishers_info_by_topic(topic)
            return info.qos_profile.reliability.name

        assert reliability("/rotation_states") == "BEST_EFFORT"
        assert reliability("/rotation_state") == "RELIABLE"


@pytest.mark.parametrize(
    ("kind", "reliability", "why"),
    [
        (EventArray, ReliabilityPolicy.RELIABLE, "publishes evio_ros/msg/EventArray"),
        (RotationStateArray, ReliabilityPolicy.BEST_EFFORT, "publishes best effort, but reliable"),
    ],
)
def test_a_publisher_that_cannot_be_heard_is_named(kind, reliability, why):
    with Probe() as probe, NodeProcess("fusion"):
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        probe.node.create_publisher(kind, STATES, QoSProfile(depth=1, reliability=reliability))
        expected = f"/{STATES}: /probe {why}"
        probe.wait_until(lambda: expected in diagnostics_of(reports, "/fusion").get("message", ""))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_node_in_the_middle_of_a_long_kernel(tmp_path, number):
    """A module of the test stands for a node that computes; numba itself is what blocks."""
    script = tmp_path / "busy.py"
    script.write_text(
        "from numba import njit\n"
        "from evio_ros.nodes.fusion import Fusion\n"
        "from evio_ros.ros.process import run_node\n"
        "@njit(nogil=True)\n"
        "def burn(n):\n"
        "    total = 0.0\n"
        "    for i in range(n):\n"
        "        total += (i % 7) / (i + 1.0)\n"
        "    return total\n"
        "class Busy(Fusion):\n"
        "    def activate(self):\n"
        "        burn(1)\n"
        "        print('burning', flush=True)\n"
        "        burn(1 << 40)\n"
        "run_node(Busy)\n"
    )
    command = [sys.executable, str(script)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as busy:
        try:
            assert busy.stdout is not None
            assert busy.stdout.readline() == "burning\n"
            time.sleep(1.0)  # from the line to the kernel
            busy.send_signal(number)
            assert busy.wait(10.0) == 128 + number
            assert busy.stderr is not None
            assert f"of {number.name}" in busy.stderr.read()
        finally:
            busy.kill()
