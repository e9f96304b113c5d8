"""Options of the form NAME=VALUE that set parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evio_ros.errors import ParameterError
from evio_ros.parameters import ParameterDescription, refuse_unknown

__all__ = ["named_values"]


def named_values(
    option: str, given: Sequence[str], known: Mapping[str, ParameterDescription]
) -> dict[str, object]:
    """Parse NAME=VALUE options. If a name is repeated, its last value counts.

    Args:
        option: name of the option, for messages.
        given: NAME=VALUE each.
        known: descriptions of the allowed parameters, by name.

    Returns:
        Values by the names of their parameters.

    Raises:
        ParameterError: if there is no such parameter, or the value has the wrong type.
    """
    values: dict[str, object] = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not mark:
            raise ParameterError(f"{option}: {text!r} is not NAME=VALUE")
        refuse_unknown(name, known.keys())
        values[name] = known[name].from_text(value)
    return values
