"""Base of all nodes: life cycle, declared parameters, diagnostics, a watch over the input."""

from __future__ import annotations

import gc
import time
import traceback
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions
from rclpy.task import Future
from rclpy.timer import Timer

from evio_ros.errors import EvioError, ParameterError
from evio_ros.parameters import Parameters, parameter
from evio_ros.ros.diagnostics import Diagnostics, Report
from evio_ros.ros.input_watch import InputWatch
from evio_ros.ros.node_parameters import NodeParameters
from evio_ros.ros.steady_timer import steady_timer
from evio_ros.ros.topic_graph import is_heard, unfit_publishers

__all__ = ["EvioNode"]

_WATCH_S = 0.1
_ENTITIES = {
    "subscriptions": "destroy_subscription",
    "publishers": "destroy_publisher",
    "services": "destroy_service",
    "clients": "destroy_client",
    "timers": "destroy_timer",
    "guards": "destroy_guard_condition",
}
"""What a node has, and how that is destroyed."""


@dataclass(frozen=True)
class _LifeParameters(Parameters):
    """What all nodes have: how they start, and what they say of themselves."""

    autostart: bool = parameter(
        True,
        read_only=True,
        doc="Configure and activate the node at start; False leaves that to `ros2 lifecycle set` "
        "or a lifecycle manager.",
    )
    stale_after_s: float = parameter(
        1.0,
        unit="s",
        minimum=0.05,
        maximum=3600.0,
        doc="Time without input after which the node reports its state as stale.",
    )
    statistics_period_s: float = parameter(
        10.0,
        unit="s",
        minimum=0.0,
        maximum=86_400.0,
        doc="Time between lines of statistics in the log; 0.0 for none.",
    )


class EvioNode(LifecycleNode):
    """A lifecycle node with declared parameters and diagnostics.

    Whatever topics, services and timers `configure` and `activate` make, `cleanup` and `deactivate`
    need not destroy: that is done here.

    Args:
        name: the node's name.

    Attributes:
        parameters: the present values.
        done: completed when the node has done its work, with an error if it failed.
        companions: the other nodes of its process.
        confirm_until_s: where the node has done its work, until when subscribers of its process may
            confirm the last messages, by `time.monotonic`.

    Raises:
        ParameterError: if a parameter is unknown or out of range.
    """

    PARAMETERS: ClassVar[Mapping[str, type[Parameters]]]
    """The node's own parameters: prefix (empty for none) to class."""
    TASK: ClassVar[str]
    """What the node does, in a word; its diagnostics are named by it."""
    INPUT: ClassVar[str]
    """What the node waits for, e.g. "events"."""

    def __init__(self, name: str) -> None:
        self._is_made = False
        super().__init__(name)
        self._is_made = True
        for service in self.services:
            if service.srv_type is ChangeState:
                service.callback = partial(self._change_state, service.callback)
        self.parameters = NodeParameters(self, self.parameter_groups())
        self.done = Future()
        self.companions: Sequence[EvioNode] = ()
        self.confirm_until_s = 0.0
        self._is_configured = False
        self._is_active = False
        self._active_since_s = 0.0
        self._configured: dict[str, set[Any]] = {}
        self._activated: dict[str, set[Any]] = {}
        self._problem = ""
        self._watch = InputWatch(self.INPUT)
        self._statistics_due_s = 0.0
        self._diagnostics = Diagnostics(self, self.TASK, self._whole_report)
        self.every(_WATCH_S, self._look)
        if self.life.autostart:
            # By the executor, which can be interrupted: a node may take long to be configured.
            self._autostart = self.every(0.0, self._start_by_itself)

    @classmethod
    def parameter_groups(cls) -> list[tuple[str, type[Parameters]]]:
        """Prefix (empty for none) and class of all parameters, those of every node first."""
        return [("", _LifeParameters), *cls.PARAMETERS.items()]

    @property
    def life(self) -> _LifeParameters:
        """The parameters that all nodes have."""
        return self.parameters.get(_LifeParameters)

    @property
    def is_active(self) -> bool:
        """Whether the node is in the state "active"."""
        return self._is_active

    @property
    def waiting_companions(self) -> set[str]:
        """Full names of the other nodes of this process that are not at work or not connected."""
        return {node.get_fully_qualified_name() for node in self.companions if not node._is_ready()}

    @property
    def is_stale(self) -> bool:
        """Whether input has not come for `stale_after_s`."""
        return self._watch.is_stale

    def every(self, period_s: float, callback: Callable[[], None]) -> Timer:
        """Have `callback` called every `period_s` of the machine's own time."""
        return steady_timer(self, period_s, callback)

    @abstractmethod
    def report(self) -> Report:
        """How the node is doing; asked for once a second while it is configured."""

    @abstractmethod
    def configure(self) -> None:
        """Make what the node needs; may take long."""

    def activate(self) -> None:
        """Begin to work; `configure` has been called."""

    def deactivate(self) -> None:
        """Stop working, so that `activate` can continue later."""

    def cleanup(self) -> None:
        """Release threads, files, devices and memory; may follow a `configure` that failed."""

    def stale_after_s(self) -> float:
        """After how long without input the state is stale."""
        return self.life.stale_after_s

    @abstractmethod
    def last_input_s(self) -> float | None:
        """When input last came, by `time.monotonic`; 0.0 for never, None if none is due."""

    def set_parameters_atomically(self, parameter_list: Sequence[Parameter]) -> SetParametersResult:
        """As of `rclpy.node.Node`, less strictly; see `NodeParameters.changes`."""
        changes = self.parameters.changes(parameter_list)
        if parameter_list and not changes:
            return SetParametersResult(successful=True)
        return super().set_parameters_atomically(changes)

    def finish(self, error: Exception | None = None) -> None:
        """End the process once the present callback returns; may be called from any thread."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self._diagnostics.publish_end(error)
            self.done.set_exception(error)

    def close(self) -> None:
        """Release everything; called once, before the node is destroyed."""
        self._release()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the transition "configure"; what fails leaves the node unconfigured."""
        return self._try("configure", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the transition "activate"."""
        return self._try("activate", self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the transition "deactivate"."""
        return self._try("deactivate", self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the transition "cleanup"."""
        return self._try("cleanup", self._release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take the transition "shutdown"."""
        return self._try("shutdown", self._release)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After an unexpected error, release everything; the node can be configured again."""
        return self._try("error", self._release)

    def _start_by_itself(self) -> None:
        self._autostart.cancel()
        try:
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()
        except RuntimeError:
            # A signal came meanwhile: rclpy has shut down and cannot publish the transition.
            if self.context.ok():
                raise

    def _change_state(
        self,
        change: Callable[[ChangeState.Request, ChangeState.Response], ChangeState.Response],
        request: ChangeState.Request,
        response: ChangeState.Response,
    ) -> ChangeState.Response:
        """Change the state as rclpy does, but refuse what would end the process."""
        try:
            return change(request, response)
        except RuntimeError as error:
            reason = str(error).partition(", at ")[0]
            self.get_logger().warning(f"the state is unchanged: {reason}")
            response.success = False
            return response

    def _try(self, name: str, action: Callable[[], None]) -> TransitionCallbackReturn:
        """Run the step. Errors are logged, and end a node that starts by itself."""
        try:
            action()
        except EvioError as error:
            self._fail(error)
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self.get_logger().error(f"{name} failed:\n{traceback.format_exc()}")
            self._fail(error)
            return TransitionCallbackReturn.ERROR
        self._problem = ""
        return TransitionCallbackReturn.SUCCESS

    def _fail(self, error: Exception) -> None:
        self._problem = str(error)
        if self.life.autostart:
            self.finish(error)
        else:
            self.get_logger().error(str(error))

    def _configure(self) -> None:
        self._configured = self._entities()
        try:
            self.configure()
        except BaseException:
            self._release()
            raise
        self._is_configured = True

    def _activate(self) -> None:
        self._activated = self._entities()
        self._watch.begin()
        self._statistics_due_s = time.monotonic() + self.life.statistics_period_s
        try:
            self.activate()
        except BaseException:
            self._destroy_since(self._activated)
            raise
        try:
            self.parameters.refuse_unused_overrides()
        except BaseException:
            self._deactivate()
            raise
        self._active_since_s = time.monotonic()
        self._is_active = True
        if not gc.isenabled():  # while all was loaded
            gc.freeze()
            gc.enable()

    def _deactivate(self) -> None:
        self._is_active = False
        self.deactivate()
        self._destroy_since(self._activated)

    def _release(self) -> None:
        if self._is_active:
            self._deactivate()
        self._is_configured = False
        self.cleanup()
        self._destroy_since(self._configured)

    def _entities(self) -> dict[str, set[Any]]:
        """All topics, services and timers that the node has now."""
        return {kind: self._those(kind) for kind in _ENTITIES}

    def _those(self, kind: str) -> set[Any]:
        """All of one kind; /clock is rclpy's, which subscribes when a parameter is set."""
        return {one for one in getattr(self, kind) if getattr(one, "topic", "") != "/clock"}

    def _destroy_since(self, before: Mapping[str, set[Any]]) -> None:
        """Destroy what the node has now and had not before."""
        for kind, had in before.items():
            destroy = getattr(self, _ENTITIES[kind])
            for entity in self._those(kind) - had:
                destroy(entity)

    def create_publisher(self, *args: Any, **options: Any) -> Any:
        """As of `rclpy.node.Node`; the quality of service can be overridden by parameters."""
        return self._create(super().create_publisher, *args, **options)

    def create_subscription(self, *args: Any, **options: Any) -> Any:
        """As of `rclpy.node.Node`; the quality of service can be overridden by parameters."""
        return self._create(super().create_subscription, *args, **options)

    def _create(self, create: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if self._is_made:  # before, rclpy makes topics of its own
            policies = QoSOverridingOptions.with_default_policies()
            options.setdefault("qos_overriding_options", policies)
        try:
            return create(*args, **options)
        except (InvalidQosOverridesError, ParameterException, RuntimeError) as error:
            # RuntimeError: a policy that does not exist, or a topic that has another type here.
            raise ParameterError(f"{args[1]}: {error}") from None

    def _whole_report(self) -> Report:
        """The node's report, with what all nodes say of themselves."""
        if not self._is_configured:
            return Report(self._problem or "not configured", error=bool(self._problem))
        report = self.report()
        for unfit in unfit_publishers(self):
            report.warning, report.message = True, f"{unfit}; {report.message}"
            self.get_logger().warning(unfit, throttle_duration_sec=10.0)
        if not self._is_active:
            report.message = f"not active; {report.message}"
        elif self._watch.is_stale:
            report.message = f"{self._watch.text()}; {report.message}"
            report.stale = True
        return report

    def _is_ready(self) -> bool:
        """Whether the node works and all who listen to it are connected or seem not to come.

        A node that a lifecycle manager starts is not waited for.
        """
        if not self.life.autostart:
            return True
        return self._is_active and is_heard(self, self._active_since_s)

    def _look(self) -> None:
        """Notice that input stays away, or comes again; write the line of statistics."""
        if not self._is_active:
            return
        line = self._watch.look(self.last_input_s(), self.stale_after_s())
        if line and self._watch.is_stale and not self._watch.is_first:
            self.get_logger().warning(line)
        elif line:
            self.get_logger().info(line)
        if line:
            self._diagnostics.publish()
        period_s = self.life.statistics_period_s
        if period_s and time.monotonic() >= self._statistics_due_s:
            self._statistics_due_s = time.monotonic() + period_s
            self.get_logger().info(self._diagnostics.statistics_line())
