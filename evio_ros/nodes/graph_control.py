"""Controlling the graph: the driver's services, and the parameters of all nodes.

Called from the server's threads while the executor spins the node in another.
"""

from __future__ import annotations

import time
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor, ParameterType
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    ListParameters,
    SetParametersAtomically,
)
from rclpy.parameter import Parameter, parameter_value_to_python
from std_srvs.srv import SetBool, Trigger

from evio_ros.ros.base_node import EvioNode
from evio_ros.ros.service_caller import ServiceCaller, ServiceError
from evio_ros.srv import Seek
from evio_ros.web.data_source import ControlError, NodeParameter, PlaybackState
from evio_ros.web.live_view import LiveView, NodeReport

__all__ = ["GraphControl"]

_FRESH_S = 5.0
_LONGEST_GUESS_S = 1.5
_DRIVER = "driver"
_NODES = (_DRIVER, "rotation_detector", "rvt_detector", "motion", "fusion", "representation")
"""The nodes whose parameters can be seen and changed; the dashboard's own hold its token."""
_TYPES = {
    ParameterType.PARAMETER_BOOL,
    ParameterType.PARAMETER_INTEGER,
    ParameterType.PARAMETER_DOUBLE,
    ParameterType.PARAMETER_STRING,
}


class GraphControl:
    """The graph that a dashboard shows and controls; a `DashboardSource`.

    Args:
        node: a node that is being spun, in the namespace of the others.
        view: what is shown.
    """

    def __init__(self, node: EvioNode, view: LiveView) -> None:
        self.view = view
        self.title = node.get_namespace().strip("/") or "event camera"
        self._node = node
        self._prefix = node.get_namespace().rstrip("/")
        self._services = ServiceCaller(node)

    def playback(self) -> PlaybackState | None:
        """As in the driver's newest report, with the position extrapolated to now."""
        report = self._driver_report()
        if report is None:
            return None
        values = report.values
        rate = _number(values.get("rate"))
        is_paused = values.get("paused") == "True"
        since_s = min(time.monotonic() - report.received_s, _LONGEST_GUESS_S)
        position_s = _number(values.get("position_s")) or 0.0
        duration_s = _number(values.get("duration_s"))
        if rate and not is_paused:
            position_s += rate * since_s
        if duration_s is not None:
            position_s = min(position_s, duration_s)
        return PlaybackState(
            source=report.hardware_id,
            is_seekable=duration_s is not None,
            is_paused=is_paused,
            position_us=round(1e6 * position_s),
            duration_us=None if duration_s is None else round(1e6 * duration_s),
            rate=rate,
        )

    def pause(self, is_paused: bool) -> str:
        """Call the driver's pause."""
        return self._command(SetBool, "pause", SetBool.Request(data=is_paused))

    def seek(self, t_us: int) -> str:
        """Call the driver's seek."""
        return self._command(Seek, "seek", Seek.Request(t=t_us))

    def restart(self) -> str:
        """Call the driver's restart."""
        return self._command(Trigger, "restart", Trigger.Request())

    def set_rate(self, rate: float) -> str:
        """Change the driver's replay.rate."""
        return self.set_parameter(self._full(_DRIVER), "replay.rate", float(rate))

    def parameters(self) -> list[NodeParameter]:
        """The parameters of all nodes of the package that run in the namespace."""
        return [one for node in self._present() for one in self._parameters_of(node)]

    def set_parameter(self, node: str, name: str, value: bool | int | float | str) -> str:
        """Change one parameter; the node decides."""
        if node not in map(self._full, _NODES):
            raise ControlError(f"{node} is not one of {', '.join(map(self._full, _NODES))}")
        if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
            raise ControlError(f"{name}: {value} has more than 64 bits")
        if isinstance(value, str) and not self._has_choices(node, name):
            # It may name a file, and no request reaches the file system.
            raise ControlError(
                f"{name}: text parameters cannot be changed here; use `ros2 param set`"
            )
        try:
            message = Parameter(name, value=value).to_parameter_msg()
            request = SetParametersAtomically.Request(parameters=[message])
        except (TypeError, ValueError, AssertionError) as error:
            raise ControlError(f"{name}: {error}") from None
        service = f"{node}/set_parameters_atomically"
        result = self._call(SetParametersAtomically, service, request).result
        if not result.successful:
            raise ControlError(f"{name}: {result.reason}")
        return f"{name} is {value}"

    def _has_choices(self, node: str, name: str) -> bool:
        """Whether a parameter has a fixed set of values."""
        request = DescribeParameters.Request(names=[name])
        described = self._call(DescribeParameters, f"{node}/describe_parameters", request)
        return any(one.additional_constraints for one in described.descriptors)

    def _parameters_of(self, node: str) -> list[NodeParameter]:
        found = self._call(ListParameters, f"{node}/list_parameters", ListParameters.Request())
        names = [name for name in found.result.names if not name.startswith("qos_overrides.")]
        described = self._call(
            DescribeParameters,
            f"{node}/describe_parameters",
            DescribeParameters.Request(names=names),
        ).descriptors
        values = self._call(
            GetParameters, f"{node}/get_parameters", GetParameters.Request(names=names)
        ).values
        return [
            _parameter_of(node, one, parameter_value_to_python(value))
            for one, value in zip(described, values, strict=False)
            if value.type in _TYPES
        ]

    def _present(self) -> list[str]:
        """Full names of the package's nodes that run in the namespace."""
        names = {
            f"{namespace.rstrip('/')}/{name}"
            for name, namespace in self._node.get_node_names_and_namespaces()
        }
        return [full for full in map(self._full, _NODES) if full in names]

    def _driver_report(self) -> NodeReport | None:
        name = f"{self._full(_DRIVER)}: playback"
        for report in self.view.reports():
            if report.name == name and time.monotonic() - report.received_s < _FRESH_S:
                return report
        return None

    def _command(self, service_type: type, name: str, request: Any) -> str:
        response = self._call(service_type, f"{self._full(_DRIVER)}/{name}", request)
        if not response.success:
            raise ControlError(response.message)
        return str(response.message)

    def _call(self, service_type: type, name: str, request: Any) -> Any:
        try:
            return self._services.call(service_type, name, request)
        except ServiceError as error:
            raise ControlError(str(error), is_absent=True) from None

    def _full(self, name: str) -> str:
        return f"{self._prefix}/{name}"


def _parameter_of(node: str, described: ParameterDescriptor, value: Any) -> NodeParameter:
    minimum = maximum = None
    for bounds in (*described.integer_range, *described.floating_point_range):
        minimum, maximum = float(bounds.from_value), float(bounds.to_value)
    return NodeParameter(
        node, described.name, value, described.description, minimum, maximum, described.read_only
    )


def _number(text: str | None) -> float | None:
    """A number in a report; None if there is none."""
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
