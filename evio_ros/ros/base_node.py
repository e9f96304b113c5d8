"""What all nodes share: declared parameters, a report once a second, an orderly end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future

from evio_ros.errors import EvioError
from evio_ros.parameters import Parameters
from evio_ros.ros.diagnostics import Diagnostics, Report
from evio_ros.ros.node_parameters import NodeParameters

__all__ = ["EvioNode"]


class EvioNode(Node):
    """A node with declared parameters and diagnostics.

    Args:
        name: the node's name.

    Attributes:
        parameters: the present values.
        done: completed when the node has done its work, with an `EvioError` where it failed.

    Raises:
        ParameterError: where a parameter is unknown or out of range.
    """

    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]]
    """The node's parameters: prefix (empty for none) to class."""
    TASK: ClassVar[str]
    """What the node does, in a word; its diagnostics are named by it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.parameters = NodeParameters(self, self.PARAMETERS)
        self.done = Future()
        self._diagnostics = Diagnostics(self, self.TASK, self.report)

    @abstractmethod
    def report(self) -> Report:
        """How the node is doing; asked for once a second."""

    def set_parameters_atomically(self, parameter_list: Sequence[Parameter]) -> SetParametersResult:
        """As of `rclpy.node.Node`, less strictly; see `NodeParameters.changes`."""
        changes = self.parameters.changes(parameter_list)
        if parameter_list and not changes:
            return SetParametersResult(successful=True)
        return super().set_parameters_atomically(changes)

    def finish(self, error: EvioError | None = None) -> None:
        """End the process once the present callback returns; may be called from any thread."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self._diagnostics.publish_end(error)
            self.done.set_exception(error)

    def close(self) -> None:
        """Release threads, files and devices; called once, before the node is destroyed."""
