"""What a command may write: no file is replaced unless the user asks for it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from evio_ros.errors import ParameterError

__all__ = ["Overwrite", "check_outputs"]

Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace output files that already exist.")
]

_STANDARD_OUTPUT = "-"


def check_outputs(
    outputs: Sequence[str | Path | None], overwrite: bool, recording: str | None = None
) -> None:
    """Check that the outputs of a command may be written, before it begins to work.

    Devices and pipes are always written to.

    Args:
        outputs: paths to be written, `-` for standard output, None for none.
        overwrite: whether files and folders that exist may be replaced.
        recording: path of the recording that is read, which is never replaced; None for none.

    Raises:
        ParameterError: if an output is the recording, a folder that contains it, given twice, or
            exists and may not be replaced.
    """
    whole = None if recording is None else os.path.realpath(recording)
    taken = {whole}
    for output in outputs:
        if output is None:
            continue
        place = output if output == _STANDARD_OUTPUT else os.path.realpath(output)
        # Writing a bag replaces its folder, which may contain the recording.
        if place in taken or (whole is not None and whole.startswith(f"{place}{os.sep}")):
            raise ParameterError(f"{output}: would overwrite the recording or another output")
        taken.add(str(place))
        if not overwrite and output != _STANDARD_OUTPUT and _is_kept(output):
            raise ParameterError(f"{output}: exists already; --overwrite replaces it")


def _is_kept(path: str | Path) -> bool:
    """Whether a path names a file or a folder, not a device, a pipe or nothing."""
    try:
        mode = os.stat(path).st_mode
    except OSError:  # it does not exist, or writing it will fail with the reason
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
