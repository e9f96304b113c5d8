"""Declaration of a parameter: default, unit, range and description in one dataclass field.

The range check, the ROS parameter descriptor, ``config/evio.yaml`` and the table in the
documentation are generated from the declaration.

    @dataclass(frozen=True)
    class DriverParameters(Parameters):
        window_us: int = parameter(20_000, unit="us", minimum=100, doc="Length of one message.")
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self, get_type_hints

from evio_ros.errors import ParameterError

__all__ = ["ParameterDescription", "Parameters", "parameter", "refuse_unknown"]

_METADATA_KEY = "evio_ros.parameter"
_TYPES = (bool, int, float, str)
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class ParameterDescription:
    """The declaration of one parameter.

    Attributes:
        name: the field's name, with its unit as suffix if it has one.
        type: bool, int, float or str.
        default: value of `type`.
        unit: name or symbol of the unit; empty for none.
        minimum: least allowed number, inclusive; None for no bound.
        maximum: greatest allowed number, inclusive; None for no bound.
        choices: the allowed strings; empty for any.
        doc: one sentence for users.
        read_only: True if a change takes effect only at the next start.
    """

    name: str
    type: type
    default: bool | int | float | str
    unit: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    doc: str
    read_only: bool

    def check(self, value: object) -> bool | int | float | str:
        """Return `value` as `type`.

        Raises:
            ParameterError: if the type is wrong or the value out of range; the text gives the
                parameter's name, the value and the bound.
        """
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = self._as_float(value)
        if type(value) is not self.type:
            given = type(value).__name__
            raise ParameterError(
                f"{self.name}: expected {self.type.__name__}, got {given} {value!r}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ParameterError(f"{self.name}: {value} is not a finite number")
        if self.choices and value not in self.choices:
            raise ParameterError(f"{self.name}: {value!r} is not one of {', '.join(self.choices)}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            unit = f" {self.unit}" if self.unit else ""
            if self.minimum is not None and value < self.minimum:
                raise ParameterError(
                    f"{self.name}: {value} is below the minimum {self.minimum}{unit}"
                )
            if self.maximum is not None and value > self.maximum:
                raise ParameterError(
                    f"{self.name}: {value} is above the maximum {self.maximum}{unit}"
                )
        return value  # type: ignore[return-value]

    def from_text(self, text: str) -> bool | int | float | str:
        """Convert text to `type`, without a range check.

        Raises:
            ParameterError: if the text is not a value of `type`.
        """
        if self.type is bool:
            if text not in _BOOLEANS:
                raise ParameterError(f"{self.name}: {text!r} is neither true nor false")
            return _BOOLEANS[text]
        try:
            return self.type(text)
        except ValueError:
            raise ParameterError(f"{self.name}: {text!r} is not a number") from None

    def _as_float(self, value: int) -> float:
        try:
            return float(value)
        except OverflowError:
            raise ParameterError(f"{self.name}: {value} is too large for a float") from None


def parameter(
    default: bool | int | float | str,
    *,
    doc: str,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = False,
) -> Any:
    """Declare one field of a `Parameters` dataclass; see `ParameterDescription` for arguments."""
    metadata = {
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "doc": doc,
        "read_only": read_only,
    }
    return dataclasses.field(default=default, metadata={_METADATA_KEY: metadata})


def refuse_unknown(name: str, known: Collection[str]) -> None:
    """Raise ParameterError if `name` is not in `known`, with similar names or else all names."""
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1) or sorted(
        one for one in known if name in one
    )
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(known))}"
    raise ParameterError(f"{name}: no such parameter; {hint}")


@dataclass(frozen=True)
class Parameters:
    """Base of all parameter sets: frozen dataclasses whose fields are declared by `parameter`.

    Raises:
        ParameterError: on construction, if a value has the wrong type or is out of range.
    """

    def __post_init__(self) -> None:
        for description in self.describe():
            checked = description.check(getattr(self, description.name))
            object.__setattr__(self, description.name, checked)
        self.check_together()

    def check_together(self) -> None:
        """Check combinations of fields; subclasses raise ParameterError here."""

    @classmethod
    def describe(cls) -> tuple[ParameterDescription, ...]:
        """Describe every field, in the order of declaration."""
        hints = get_type_hints(cls)
        descriptions = []
        for field in dataclasses.fields(cls):
            kind = hints[field.name]
            if _METADATA_KEY not in field.metadata or kind not in _TYPES:
                raise TypeError(f"{cls.__name__}.{field.name} is not declared by parameter()")
            assert not isinstance(field.default, dataclasses._MISSING_TYPE)
            descriptions.append(
                ParameterDescription(
                    name=field.name,
                    type=kind,
                    default=field.default,
                    **field.metadata[_METADATA_KEY],
                )
            )
        return tuple(descriptions)

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> Self:
        """Build an instance from names and values, e.g. a section of a YAML file.

        Raises:
            ParameterError: for an unknown name, with similar or all names, or an invalid value.
        """
        known = {description.name for description in cls.describe()}
        for name in values:
            refuse_unknown(name, known)
        return cls(**values)

    def replaced(self, values: Mapping[str, object]) -> Self:
        """Return a copy with some values changed, checked as a whole; raises as `from_mapping`."""
        return self.from_mapping({**dataclasses.asdict(self), **values})
