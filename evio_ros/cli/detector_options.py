"""Options of commands that run the rotation detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from evio_ros.cli.named_values import named_values
from evio_ros.errors import ParameterError

if TYPE_CHECKING:
    from evio_ros.rotation.detector_parameters import DetectorSettings

__all__ = ["Settings", "detector_settings"]

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A parameter of the rotation detector, named as in docs/parameters.md; can "
        "be repeated.",
    ),
]


def detector_settings(window_us: int, step_us: int, given: Sequence[str]) -> DetectorSettings:
    """The detector's parameters from --set and from the options for its window.

    Args:
        window_us, step_us: length of the window and of a step in µs.
        given: values of --set, NAME=VALUE each.

    Raises:
        ParameterError: if there is no such parameter, or a value has the wrong type or is out of
            range.
    """
    from evio_ros.rotation.detector_parameters import DetectorSettings

    lengths = {"window_us": window_us, "step_us": step_us}
    described = DetectorSettings.describe()
    known = {name: one for name, one in described.items() if name not in lengths}
    for name in lengths:
        if any(text.partition("=")[0] == name for text in given):
            raise ParameterError(f"--set: {name} has an option of its own; see --window-ms")
    return DetectorSettings().replaced({**lengths, **named_values("--set", given, known)})
