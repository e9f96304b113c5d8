"""ROS parameters from the declarations of `evio_ros.parameters`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from evio_ros.errors import ParameterError
from evio_ros.parameters import ParameterDescription, Parameters, refuse_unknown

__all__ = ["NodeParameters"]

P = TypeVar("P", bound=Parameters)
_LARGEST_INTEGER = (1 << 63) - 1
_LARGEST_FLOAT = 1.7976931348623157e308
_BUILT_IN = ("use_sim_time", "start_type_description_service")
_QUALITY = "qos_overrides."


def _descriptor_of(description: ParameterDescription) -> ParameterDescriptor:
    """The ROS descriptor of a declared parameter: text, range, whether it can change."""
    unit = f" [{description.unit}]" if description.unit else ""
    descriptor = ParameterDescriptor(
        name=description.name,
        description=description.doc + unit,
        read_only=description.read_only,
        # rclpy refuses 1 for 1.0 where the type is fixed; `Parameters` takes it, and nothing else.
        dynamic_typing=description.type is float,
        additional_constraints=", ".join(description.choices),
    )
    low, high = description.minimum, description.maximum
    if description.type is int and (low is not None or high is not None):
        bounds = IntegerRange(
            from_value=-_LARGEST_INTEGER if low is None else int(low),
            to_value=_LARGEST_INTEGER if high is None else int(high),
        )
        descriptor.integer_range = [bounds]
    if description.type is float and (low is not None or high is not None):
        bounds = FloatingPointRange(
            from_value=-_LARGEST_FLOAT if low is None else float(low),
            to_value=_LARGEST_FLOAT if high is None else float(high),
        )
        descriptor.floating_point_range = [bounds]
    return descriptor


class NodeParameters:
    """The parameters of a node: some `Parameters` classes, each under a prefix.

    A change builds new frozen instances and checks them as a whole before it takes effect.

    Args:
        node: the node.
        groups: prefix (empty for none) and class; a parameter is named `prefix.field`.

    Raises:
        ParameterError: if a value is wrong, or a value is given for a name that does not exist
            (rclpy would ignore it silently).
    """

    def __init__(self, node: Node, groups: Sequence[tuple[str, type[Parameters]]]) -> None:
        self._node = node
        self._groups = list(groups)
        self._on_change: Callable[[], None] | None = None
        self._refuse_unknown()
        self._floats = {
            _full_name(prefix, description.name)
            for prefix, kind in self._groups
            for description in kind.describe()
            if description.type is float
        }
        overrides = node._parameter_overrides
        overrides.update({each.name: each for each in map(self._as_float, overrides.values())})
        given: dict[str, object] = {}
        for prefix, kind in self._groups:
            for description in kind.describe():
                name = _full_name(prefix, description.name)
                try:
                    declared = node.declare_parameter(
                        name, description.default, _descriptor_of(description)
                    )
                except ParameterException as error:
                    raise ParameterError(str(error)) from None
                given[name] = declared.value
        self._instances = self._build(given)
        node.add_on_set_parameters_callback(self._change)

    def get(self, kind: type[P], prefix: str = "") -> P:
        """The present values of one group."""
        for (group, _), instance in zip(self._groups, self._instances, strict=True):
            if group == prefix and isinstance(instance, kind):
                return instance
        raise KeyError(f"{prefix}: no {kind.__name__}")

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` after every change."""
        self._on_change = callback

    def refuse_unused_overrides(self) -> None:
        """Refuse `qos_overrides` of topics that the node, which is active now, does not have.

        Raises:
            ParameterError: if there is one; rclpy would ignore it silently.
        """
        overrides = {name for name in self._node._parameter_overrides if name.startswith(_QUALITY)}
        known = {name for name in self._node._parameters if name.startswith(_QUALITY)}
        for name in sorted(overrides):
            refuse_unknown(name, known)

    def changes(self, wanted: Sequence[Parameter]) -> list[Parameter]:
        """The part of requested changes that takes effect.

        A whole number stands for a float. A parameter that is read only at start and keeps its
        value is left out, so that what was dumped can be loaded.
        """
        return [each for each in map(self._as_float, wanted) if not self._is_kept(each)]

    def _as_float(self, parameter: Parameter) -> Parameter:
        if parameter.name in self._floats and parameter.type_ == Parameter.Type.INTEGER:
            return Parameter(parameter.name, Parameter.Type.DOUBLE, float(parameter.value))
        return parameter

    def _is_kept(self, parameter: Parameter) -> bool:
        node, name = self._node, parameter.name
        return (
            node.has_parameter(name)
            and node.describe_parameter(name).read_only
            and node.get_parameter(name).value == parameter.value
        )

    def _names(self) -> set[str]:
        return {
            _full_name(prefix, description.name)
            for prefix, kind in self._groups
            for description in kind.describe()
        }

    def _refuse_unknown(self) -> None:
        known = self._names()
        for name in self._node._parameter_overrides:
            if not name.startswith((_QUALITY, *_BUILT_IN)):
                refuse_unknown(name, known)

    def _build(self, values: Mapping[str, object]) -> list[Parameters]:
        return [_made(prefix, kind, values) for prefix, kind in self._groups]

    def _change(self, changed: list[Parameter]) -> SetParametersResult:
        values = {
            _full_name(prefix, name): value
            for (prefix, _), instance in zip(self._groups, self._instances, strict=True)
            for name, value in asdict(instance).items()
        }
        ours = {
            parameter.name: parameter.value for parameter in changed if parameter.name in values
        }
        try:
            self._instances = self._build({**values, **ours})
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if ours and self._on_change is not None:
            self._on_change()
        return SetParametersResult(successful=True)


def _made(prefix: str, kind: type[Parameters], values: Mapping[str, object]) -> Parameters:
    """One group from the values of all, by full name; errors carry the full name too."""
    names = [description.name for description in kind.describe()]
    try:
        return kind.from_mapping({name: values[_full_name(prefix, name)] for name in names})
    except ParameterError as error:
        raise ParameterError(_full_name(prefix, str(error))) from None


def _full_name(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
