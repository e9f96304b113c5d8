"""Publishing how a node is doing, by the conventions of diagnostic_updater.

A status is named "node: task" with the node's full name; hardware_id names the device or recording
that it is about, "none" if there is none. Levels: OK; WARN if something was lost or is not as
it should be; STALE if the input has stopped, so that what was published last is no longer valid;
ERROR if the node cannot work or ends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.duration import Duration
from rclpy.node import Node

from evio_ros.ros.steady_timer import steady_timer

__all__ = ["Diagnostics", "Report"]

_PERIOD_S = 1.0
_LAST_WORDS_S = 1.0
"""How long a node that ends waits for those who listen to its diagnostics."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Report:
    """What a node says of itself once a second.

    Attributes:
        message: one line.
        values: names and values, counters mostly.
        warning: whether something is wrong that a person should look at.
        hardware_id: the device or recording that it is about.
        stale: whether the input stays away.
        error: whether the node cannot work.
        rates: those of `values` that are counters, whose increase per second is reported too.
    """

    message: str
    values: dict[str, object] = field(default_factory=dict)
    warning: bool = False
    hardware_id: str = "none"
    stale: bool = False
    error: bool = False
    rates: tuple[str, ...] = ()

    @property
    def level(self) -> bytes:
        """The worst of what is the case."""
        if self.error:
            return DiagnosticStatus.ERROR
        if self.stale:
            return DiagnosticStatus.STALE
        return DiagnosticStatus.WARN if self.warning else DiagnosticStatus.OK


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
        self._timer = steady_timer(node, _PERIOD_S, self._publish_in_turn)
        self._load = _Load()
        self._rates = _Rates()
        self._line_rates = _Rates()

    def publish(self) -> None:
        """Publish the report now, out of turn: something has changed that others should know."""
        self._publish(self._report(), {})

    def publish_end(self, error: Exception) -> None:
        """Publish, as the last report, why the node ends; wait shortly until it has arrived."""
        self._timer.cancel()
        report = self._report()
        report.error, report.message = True, str(error)
        self._publish(report, {})
        self._publisher.wait_for_all_acked(Duration(seconds=_LAST_WORDS_S))

    def statistics_line(self) -> str:
        """The report as one line, with mean rates since the line before."""
        report = self._report()
        rates = self._line_rates.of(report)
        return "; ".join([report.message, *(f"{key} {value}" for key, value in rates.items())])

    def _publish_in_turn(self) -> None:
        report = self._report()
        self._publish(report, {**self._rates.of(report), **self._load.values()})

    def _publish(self, report: Report, more: dict[str, object]) -> None:
        memory = {"process_memory_mb": round(_resident_bytes() / 1e6, 1)}
        values = {**report.values, **more, **memory}
        status = DiagnosticStatus(
            level=report.level,
            name=self._name,
            message=report.message,
            hardware_id=report.hardware_id,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)


class _Rates:
    """Increase a second of counters since they were asked for before."""

    def __init__(self) -> None:
        self._before: dict[str, float] = {}
        self._before_s = time.monotonic()

    def of(self, report: Report) -> dict[str, object]:
        """The rates of a report, e.g. "events_per_s"."""
        now_s = time.monotonic()
        span_s = max(now_s - self._before_s, 1e-3)
        counted = {key: float(str(report.values[key])) for key in report.rates}
        rates: dict[str, object] = {
            f"{key}_per_s": round(max(0.0, count - self._before.get(key, 0.0)) / span_s, 1)
            for key, count in counted.items()
        }
        self._before, self._before_s = counted, now_s
        return rates


class _Load:
    """What the process takes of the machine."""

    def __init__(self) -> None:
        self._before = (time.process_time(), time.monotonic())

    def values(self) -> dict[str, object]:
        """CPU since asked for before, in per cent of one core."""
        before, self._before = self._before, (time.process_time(), time.monotonic())
        busy_s, passed_s = (now - then for now, then in zip(self._before, before, strict=True))
        return {
            "process_cpu_percent": round(100.0 * busy_s / max(passed_s, 1e-3), 1),
        }


def _resident_bytes() -> int:
    """Resident memory of this process; 0 if unknown."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0
