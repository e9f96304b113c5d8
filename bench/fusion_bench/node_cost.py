"""Cost of the fusion node: processor time, and latency of a window."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from evio_ros.msg import RotationState, RotationStateArray
from measurement.cpu_time import cpu_s
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from evio_ros.estimate import RotorEstimate
from evio_ros.ros.node_process import NodeProcess
from evio_ros.ros.quality_of_service import results_quality
from evio_ros.ros.raw_rotation_states import serialised_estimates
from evio_ros.ros.rotation_listener import LocalNode

__all__ = ["NodeCost", "node_cost"]


_START_S = 60.0
_WARM_S = 1.0
_DETECTOR = "rotation_detector/rotation_states"


class NodeCost(NamedTuple):
    """Cost of the node.

    Attributes:
        share: processor time per time.
        latency_ms: median and 99th percentile of the time from publishing a window to receiving its
            states, including DDS both ways.
        answered: share of the windows whose states were received.
    """

    share: float
    latency_ms: tuple[float, float]
    answered: float


class _Detector:
    """Publishes windows in real time, and receives the states of fusion."""

    def __init__(self, local: LocalNode, joints: bool) -> None:
        self._local = local
        self._sent_s: dict[int, float] = {}
        self.latencies_s: list[float] = []
        node = local.node
        self._publisher = node.create_publisher(RotationStateArray, _DETECTOR, results_quality())
        every = RotationStateArray, "rotation_states", self._take, results_quality()
        node.create_subscription(*every)
        best = RotationState, "rotation_state", lambda _: None, results_quality()
        node.create_subscription(*best, raw=True)
        if joints:
            angles = JointState, "fusion/joint_states", lambda _: None, results_quality()
            node.create_subscription(*angles, raw=True)

    def wait(self) -> None:
        """Spin until the node has subscribed.

        Raises:
            TimeoutError: if it does not within `_START_S`.
        """
        end_s = time.monotonic() + _START_S
        while not self._publisher.get_subscription_count():
            self._local.spin_once(0.1)
            if time.monotonic() > end_s:
                raise TimeoutError("the fusion node does not subscribe")
        self._local.spin_once(_WARM_S)

    def publish(self, windows: Sequence[RotationStateArray], rate_hz: float) -> None:
        """Publish windows at a rate, stamped with the time at which they are published."""
        begin_s = time.monotonic()
        for index, message in enumerate(windows):
            while (left_s := begin_s + index / rate_hz - time.monotonic()) > 0:
                self._local.spin_once(left_s)
            message.header.stamp = self._local.node.get_clock().now().to_msg()
            self._sent_s[message.window_end] = time.monotonic()
            self._publisher.publish(message)

    def forget(self) -> None:
        """Ignore the windows published so far, including answers that are still to come."""
        self._sent_s.clear()
        self.latencies_s.clear()

    def _take(self, message: RotationStateArray) -> None:
        sent_s = self._sent_s.pop(message.window_end, None)
        if sent_s is not None:
            self.latencies_s.append(time.monotonic() - sent_s)


def node_cost(
    windows: Sequence[tuple[int, list[RotorEstimate]]],
    rate_hz: float,
    parameters: dict[str, object] | None = None,
    joints: bool = False,
) -> NodeCost:
    """Send windows to a fusion node and measure its cost.

    Args:
        windows: end in µs and estimates of each window; the first second is not counted.
        rate_hz: windows per second.
        parameters: of the node.
        joints: whether joint states are subscribed to as well.
    """
    header = Header(frame_id="camera")
    written = [serialised_estimates(found, header, t_us, 100_000, 1000) for t_us, found in windows]
    messages = [deserialize_message(data, RotationStateArray) for data in written]
    with LocalNode("fusion_bench") as local, NodeProcess("fusion", parameters) as fusion:
        detector = _Detector(local, joints)
        detector.wait()
        settled = round(rate_hz * _WARM_S)
        detector.publish(messages[:settled], rate_hz)
        detector.forget()
        before_s, begin_s = cpu_s(fusion.pid), time.monotonic()
        detector.publish(messages[settled:], rate_hz)
        share = (cpu_s(fusion.pid) - before_s) / (time.monotonic() - begin_s)
        local.spin_once(0.2)
    latencies = detector.latencies_s or [float("nan")]
    p50, p99 = 1e3 * np.percentile(latencies, (50, 99))
    counted = len(messages) - settled
    return NodeCost(share, (float(p50), float(p99)), len(detector.latencies_s) / counted)
