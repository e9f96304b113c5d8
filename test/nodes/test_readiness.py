"""Who the beginning of a recording waits for, and what a late joiner is told."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from evio_ros.msg import EventArray
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from ros_probe import Probe, diagnostics_of

from evio_ros.ros.event_subscription import EventSubscription
from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import EventsQualityParameters


def test_a_foreign_subscriber_does_not_stand_for_a_named_node(recording):
    """As `ros2 bag record` does, the probe subscribes before the detector is there."""
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        reports = probe.collect(DiagnosticArray, "/diagnostics")
        parameters = {"source": str(recording), "wait_for": "rotation_detector"}
        with NodeProcess("driver", parameters) as driver:
            probe.wait_for_publisher("events")
            probe.spin_for(1.0)
            assert messages == []
            with NodeProcess("rotation_detector"):
                probe.wait_until(lambda: driver.exit_code is not None)
                probe.wait_until(
                    lambda: (
                        diagnostics_of(reports, "/rotation_detector").get("messages")
                        == str(len(messages))
                    )
                )
            assert "waiting for /rotation_detector" in driver.output()
        values = diagnostics_of(reports, "/rotation_detector")
    assert (values["messages_missed"], values["messages_lost"]) == ("0", "0")


def test_a_late_joiner_is_told_what_it_missed(recording):
    with Probe() as probe:
        messages = probe.collect(EventArray, "events")
        with NodeProcess("driver", {"source": str(recording), "replay.rate": 0.3}):
            probe.wait_until(lambda: len(messages) >= 10)
            heard = []
            subscription = EventSubscription(
                probe.node, EventsQualityParameters(), lambda window, _: heard.append(window)
            )
            probe.wait_until(lambda: len(heard) >= 3)
    statistics = subscription.statistics
    first_us = heard[0].start_us
    # A message is 10 ms long, so its number tells the time.
    assert statistics.missed == round(first_us / 10_000)
    assert statistics.missed > 0
    assert statistics.lost == 0
    assert statistics.values()["messages_missed"] == statistics.missed


def test_a_whole_number_stands_for_a_float_and_what_is_kept_may_be_set(recording, tmp_path):
    def setting(name: str, **value: object) -> SetParameters.Request:
        return SetParameters.Request(
            parameters=[Parameter(name=name, value=ParameterValue(**value))]
        )

    file = tmp_path / "whole.yaml"
    file.write_text("/**/driver:\n  ros__parameters:\n    replay:\n      rate: 1\n")
    with (
        Probe() as probe,
        NodeProcess(
            "driver", {"source": str(recording)}, arguments=("--params-file", str(file))
        ) as driver,
    ):
        whole = setting("replay.rate", type=ParameterType.PARAMETER_INTEGER, integer_value=2)
        kept = setting("frame_id", type=ParameterType.PARAMETER_STRING, string_value="event_camera")
        changed = setting("frame_id", type=ParameterType.PARAMETER_STRING, string_value="other")
        answers = [
            probe.call(SetParameters, "driver/set_parameters", request).results[0].successful
            for request in (whole, kept, changed)
        ]
        assert answers == [True, True, False], driver.output()


def test_a_broken_file_of_parameters_is_one_line(tmp_path):
    file = tmp_path / "broken.yaml"
    file.write_text("/**/driver:\n  ros__parameters:\n    replay: rate: 1\n")
    with NodeProcess("driver", {}, arguments=("--params-file", str(file))) as driver:
        assert driver.wait(30.0) == 2
        assert driver.output() == f"driver: {file}:3:17: mapping values are not allowed here"


def test_errors_name_a_parameter_in_full(recording):
    with NodeProcess("driver", {"source": str(recording), "replay.start_us": 10**9}) as driver:
        assert driver.wait(30.0) == 2
        assert "driver: replay.start_us: 1000000000 us is past" in driver.output()
