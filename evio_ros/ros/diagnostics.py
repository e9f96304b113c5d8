"""Publishing how a node is doing, by the conventions of diagnostic_updater.

A status is named "node: task" with the node's full name; hardware_id names the device or recording
that it is about, "none" where there is none; the level is OK, WARN, or ERROR for a node that ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.duration import Duration
from rclpy.node import Node

from evio_ros.errors import EvioError

__all__ = ["Diagnostics", "Report"]

_PERIOD_S = 1.0
_LAST_WORDS_S = 1.0
"""How long a node that ends waits for those who listen to its diagnostics."""


@dataclass(slots=True)
class Report:
    """What a node says of itself once a second.

    Attributes:
        message: one line.
        values: names and values, counters mostly.
        warning: whether something is wrong that a person should look at.
        hardware_id: the device or recording that it is about.
    """

    message: str
    values: dict[str, object] = field(default_factory=dict)
    warning: bool = False
    hardware_id: str = "none"


class Diagnostics:
    """Publishes a node's report on /diagnostics once a second.

    Args:
        node: the node.
        task: what it does, in a word.
        report: how that goes.
    """

    def __init__(self, node: Node, task: str, report: Callable[[], Report]) -> None:
        self._node = node
        self._name = f"{node.get_fully_qualified_name()}: {task}"
        self._report = report
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(_PERIOD_S, self._publish)

    def publish_end(self, error: EvioError) -> None:
        """Publish, as the last report, why the node ends; wait shortly until it has arrived."""
        self._timer.cancel()
        self._publish(error)
        self._publisher.wait_for_all_acked(Duration(seconds=_LAST_WORDS_S))

    def _publish(self, error: EvioError | None = None) -> None:
        report = self._report()
        level = DiagnosticStatus.WARN if report.warning else DiagnosticStatus.OK
        status = DiagnosticStatus(
            level=level if error is None else DiagnosticStatus.ERROR,
            name=self._name,
            message=report.message if error is None else str(error),
            hardware_id=report.hardware_id,
            values=[KeyValue(key=key, value=str(value)) for key, value in report.values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)
