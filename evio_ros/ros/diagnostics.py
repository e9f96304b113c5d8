"""Publishing how a node is doing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

__all__ = ["Diagnostics", "Report"]

PERIOD_S = 1.0


@dataclass(slots=True)
class Report:
    """What a node says of itself once a second.

    Attributes:
        message: one line.
        values: names and values, counters mostly.
        warning: whether something is wrong that a person should look at.
    """

    message: str
    values: dict[str, object] = field(default_factory=dict)
    warning: bool = False


class Diagnostics:
    """Publishes a node's report on /diagnostics once a second."""

    def __init__(self, node: Node, report: Callable[[], Report]) -> None:
        self._node = node
        self._report = report
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(PERIOD_S, self.publish)

    def publish(self) -> None:
        """Publish the report as it is now."""
        report = self._report()
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN if report.warning else DiagnosticStatus.OK,
            name=self._node.get_fully_qualified_name(),
            message=report.message,
            hardware_id="evio_ros",
            values=[KeyValue(key=key, value=str(value)) for key, value in report.values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)
